package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
)

// small mounts a disk of so many KiB, or skips the test aloud.
func small(t *testing.T, kib int) (dir string, grow func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("SKIPPED: cannot mount a small disk (%v); run the tests as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, func() {
		t.Helper()
		must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=100m"))
	}
}

// clinic is a repository on a disk of its own.
type clinic struct {
	*history
	t    *testing.T
	disk storage.Storage
	grow func()
}

// moved copies what a history has written to a small disk that has so many KiB
// left after that.
func moved(t *testing.T, h *history, left int) *clinic {
	t.Helper()
	kib := left
	for _, kind := range everyKind() {
		for _, name := range names(t, h.st, kind) {
			info, err := h.st.Stat(t.Context(), name)
			must(t, err)
			kib += int(info.Size+4095) / 4096 * 4
		}
	}
	dir, grow := small(t, kib)
	st, err := local.Open(dir)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, string(storage.Snapshot)), 0o700)) // an empty list, not a lost one
	for _, kind := range everyKind() {
		for _, name := range names(t, h.st, kind) {
			data, err := h.st.Load(t.Context(), name, nil, 0, -1)
			must(t, err)
			put(t, dir, name.Path(), data)
		}
	}
	own := *h
	own.points, own.now = maps.Clone(h.points), maps.Clone(h.now)
	return &clinic{history: &own, t: t, disk: st, grow: grow}
}

func everyKind() []storage.Kind {
	return []storage.Kind{storage.Config, storage.Key, storage.Index, storage.Snapshot, storage.Pack}
}

// fills are works that meet the end of a disk: each returns what came of it,
// and proves what it has done when it succeeded.
var fills = map[string]func(ctx context.Context, c *clinic) error{
	"backup": func(ctx context.Context, c *clinic) error {
		res, err := backedUp(ctx, c.disk, c.dir)
		if err == nil {
			c.points[res.Snapshot.ID] = c.now
		}
		return err
	},
	"prune": func(ctx context.Context, c *clinic) error {
		repo, err := opened(ctx, c.disk)
		if err != nil {
			return err
		}
		_, err = snapshot.Prune(ctx, repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
		return err
	},
	"copy": func(ctx context.Context, c *clinic) error {
		_, err := copied(ctx, c.st, c.disk)
		if err == nil {
			err = c.hasAll(ctx, c.disk)
		}
		return err
	},
}

// TestFullDisks lets disks of twenty sizes fill up under each verb, from hardly
// any room to nearly enough. What does not fit fails and says that the disk is
// full; every point stays whole; and with room the same verb succeeds.
func TestFullDisks(t *testing.T) {
	t.Parallel()
	all := rounds(t, "EMRVAULT_FULL_DISKS", 20)
	h := lived(t)
	put(t, h.dir, "new/scan.dcm", noise(700_000))
	h.now["new/scan.dcm"] = noise(700_000)
	for verb, most := range map[string]int{"backup": 1100, "prune": 300, "copy": 900} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			full := 0
			for i := range all {
				if fillUp(t, h, verb, 4+i*most/all) {
					full++
				}
			}
			figures(t, "%s on %d small disks: %d were full, all points whole, all went on with room", verb, all, full)
			if full == 0 {
				t.Error("no disk was full, want some")
			}
		})
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(b)
	return b
}

// fillUp tells whether the disk was full.
func fillUp(t *testing.T, h *history, verb string, left int) (full bool) {
	t.Helper()
	base := h
	if verb == "copy" { // into an empty repository
		base = &history{st: founded(t), dir: h.dir, now: h.now, points: map[string]files{}}
	}
	c := moved(t, base, left)
	if verb == "copy" {
		c.st, c.points = h.st, h.points
	}
	err := fills[verb](t.Context(), c)
	if err != nil && !errors.Is(err, backup.ErrStorageFull) {
		t.Errorf("%d KiB: got %v, want that the storage is full", left, err)
	}
	c.whole(verb, left)
	c.grow()
	if err := fills[verb](t.Context(), c); err != nil {
		t.Errorf("%d KiB, then with room: %v", left, err)
	}
	c.whole(verb, left)
	return err != nil
}

// whole wants the repository to be sound and every point in it.
func (c *clinic) whole(verb string, left int) {
	c.t.Helper()
	err := sound(c.t.Context(), c.disk)
	if err == nil && verb != "copy" {
		err = c.all(c.t.Context(), c.disk, c.points)
	}
	if err != nil {
		c.t.Errorf("%s with %d KiB left: %v", verb, left, err)
	}
}

// TestFullTargets does the same for a restore. It goes on where it was once
// there is room.
func TestFullTargets(t *testing.T) {
	t.Parallel()
	h, all, full := lived(t), rounds(t, "EMRVAULT_FULL_DISKS", 20), 0
	repo, err := opened(t.Context(), h.st)
	must(t, err)
	sn, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{})
	must(t, err)
	want := h.points[sn.ID]
	for i := range all {
		disk, grow := small(t, 8+i*20)
		opts := restore.Options{Target: filepath.Join(disk, "back"), Subtree: filepath.ToSlash(h.dir), Resume: true}
		_, err := restore.Run(t.Context(), repo, sn, opts)
		if err != nil {
			full++
			if !errors.Is(err, backup.ErrStorageFull) {
				t.Errorf("%d KiB: got %v, want that there is no room", 8+i*20, err)
			}
		}
		grow()
		if _, err := restore.Run(t.Context(), repo, sn, opts); err != nil {
			t.Errorf("%d KiB, then with room: %v", 8+i*20, err)
		}
		for name, data := range want {
			if got, err := os.ReadFile(filepath.Join(opts.Target, filepath.FromSlash(name))); err != nil || string(got) != string(data) {
				t.Errorf("%d KiB, then with room: %s: got %d bytes, %v, want %d", 8+i*20, name, len(got), err, len(data))
			}
		}
	}
	figures(t, "restore to %d small disks: %d were full, all went on with room", all, full)
	if full == 0 || full == all && all > 5 {
		t.Errorf("%d of %d disks were full, want some", full, all)
	}
}

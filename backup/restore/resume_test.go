//go:build linux

package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

const mark = ".emrvault-restore-unfinished"

// counter is a storage that counts what is read of packs, and calls stop at
// the given request.
type counter struct {
	storage.Storage
	at          int64
	stop        func()
	calls, read atomic.Int64
	now, peak   atomic.Int64 // requests under way
}

func (c *counter) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name.Kind == storage.Pack {
		if c.calls.Add(1) == c.at {
			c.stop()
		}
		c.read.Add(length)
		now := c.now.Add(1)
		defer c.now.Add(-1)
		for peak := c.peak.Load(); now > peak && !c.peak.CompareAndSwap(peak, now); peak = c.peak.Load() {
		}
	}
	return c.Storage.Load(ctx, name, buf, offset, length)
}

// reopened opens the repository in dir through a counter.
func reopened(t *testing.T, dir string) (*repository.Repository, *counter) {
	t.Helper()
	st, err := local.Open(dir)
	must(t, err)
	c := &counter{Storage: st}
	repo, err := repository.Open(t.Context(), c, password)
	must(t, err)
	must(t, repo.LoadIndex(t.Context()))
	return repo, c
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestStoppedRestoreGoesOn(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 11)
	records(t, src, 40, 5)
	_, dir := newRepository(t)
	sn := archiveDir(t, openRepository(t, dir), src).Snapshot
	want := describe(t, src)
	went := 0
	stops := 4
	if testing.Short() {
		stops = 2
	}
	for at := int64(1); went < stops; at++ {
		target := t.TempDir()
		repo, c := reopened(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		c.calls.Store(0)
		c.at, c.stop = at, cancel
		opts := restore.Options{Target: target, Subtree: src}
		if _, err := restore.Run(ctx, repo, sn, opts); err == nil {
			break // there were fewer requests
		}
		if list, _ := os.ReadDir(target); len(list) == 0 {
			continue // it had not begun
		}
		went++
		if !exists(filepath.Join(target, mark)) {
			t.Errorf("stopped at request %d: no mark is left", at)
		}
		res, err := restore.Run(t.Context(), repo, sn, opts)
		if err != nil || !res.Resumed {
			t.Fatalf("again: got %+v, %v; want a restore that goes on", res, err)
		}
		compare(t, want, describe(t, target))
		cancel()
	}
	if went < 2 {
		t.Errorf("got %d restores that were stopped midway, want some", went)
	}
}

// killed is the environment variable with which a test starts itself to be
// killed in the middle of a restore.
const killed = "RESTORE_TEST_KILL"

func TestKilledRestoreGoesOn(t *testing.T) {
	if where := os.Getenv(killed); where != "" {
		dir, target, _ := strings.Cut(where, "|")
		repo := openRepository(t, dir)
		sn, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{})
		must(t, err)
		fmt.Println("begin")
		_, err = restore.Run(t.Context(), repo, sn, restore.Options{Target: target})
		must(t, err)
		return
	}
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 12)
	records(t, src, 60, 10)
	repo, dir := newRepository(t)
	sn := archiveDir(t, repo, src).Snapshot
	want := describe(t, src)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	target := filepath.Join(t.TempDir(), "target")
	for i := range rounds {
		killMidway(t, dir, target, time.Duration(5+20*i)*time.Millisecond)
		if i%2 == 1 { // as it would be killed: twice in a row into the same target
			res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Verify: true})
			if err != nil {
				t.Fatalf("round %d: got %+v, %v", i, res, err)
			}
			compare(t, want, describe(t, filepath.Join(target, src)))
			if exists(filepath.Join(target, mark)) {
				t.Error("the mark outlives the restore")
			}
			target = filepath.Join(t.TempDir(), "target")
		}
	}
}

func killMidway(t *testing.T, dir, target string, after time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledRestoreGoesOn$")
	cmd.Env = append(os.Environ(), killed+"="+dir+"|"+target)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("the restore to be killed did not begin: %v", err)
	}
	time.Sleep(after)
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Log("it was faster than the kill")
	}
}

// restored is a tree in a target, with its snapshot.
func restored(t *testing.T) (repo *repository.Repository, c *counter, sn *snapshot.Snapshot, src, target string) {
	t.Helper()
	src = filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 13)
	_, dir := newRepository(t)
	sn = archiveDir(t, openRepository(t, dir), src).Snapshot
	repo, c = reopened(t, dir)
	target = t.TempDir()
	_, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Subtree: src})
	must(t, err)
	c.read.Store(0)
	return repo, c, sn, src, target
}

func again(t *testing.T, repo *repository.Repository, sn *snapshot.Snapshot, opts restore.Options) *restore.Result {
	t.Helper()
	opts.Resume = true
	res, err := restore.Run(t.Context(), repo, sn, opts)
	if err != nil {
		t.Fatalf("again: %v", err)
	}
	return res
}

func TestWhatIsRightStays(t *testing.T) {
	t.Parallel()
	repo, c, sn, src, target := restored(t)
	res := again(t, repo, sn, restore.Options{Target: target, Subtree: src})
	if res.Kept != res.Files || res.Files == 0 {
		t.Errorf("got %d of %d files kept, want all", res.Kept, res.Files)
	}
	if got := c.read.Load(); got > 100_000 {
		t.Errorf("read %d bytes of packs, want only trees", got)
	}
	compare(t, describe(t, src), describe(t, target))
}

// A byte wrong in a large file costs one piece, and is found only by reading
// when size and time are as they should be.
func TestOnlyWrongPiecesAreWritten(t *testing.T) {
	t.Parallel()
	repo, c, sn, src, target := restored(t)
	name := filepath.Join(target, "large.bin")
	inode := func() uint64 {
		var st unix.Stat_t
		must(t, unix.Stat(name, &st))
		return st.Ino
	}
	was, info := inode(), stat(t, name)
	spoilt, err := os.ReadFile(name)
	must(t, err)
	spoilt[5<<20] ^= 1
	must(t, os.WriteFile(name, append(spoilt, "too much"...), 0o644))
	must(t, os.Truncate(name, info.Size()))
	must(t, os.Chtimes(name, info.ModTime(), info.ModTime()))

	again(t, repo, sn, restore.Options{Target: target, Subtree: src})
	if got, _ := os.ReadFile(name); !bytes.Equal(got, spoilt) {
		t.Error("without --verify: size and time are right, so the file should have been believed")
	}
	again(t, repo, sn, restore.Options{Target: target, Subtree: src, Verify: true})
	compare(t, describe(t, src), describe(t, target))
	if inode() != was {
		t.Error("the file was written anew, want it healed in place")
	}
	if got := c.read.Load(); got > 6<<20 {
		t.Errorf("read %d bytes of packs, want hardly more than one piece", got)
	}
}

func stat(t *testing.T, name string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	return info
}

// The machine lost power: the disk has sizes and times, but not what was in
// the files.
func TestTimesOfAnEarlierBootProveNothing(t *testing.T) {
	t.Parallel()
	repo, _, sn, src, target := restored(t)
	name := filepath.Join(target, "dump.sql")
	info := stat(t, name)
	must(t, os.WriteFile(name, make([]byte, info.Size()), 0o644))
	must(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	text := fmt.Sprintf(`{"repository":%q,"snapshot":%q,"subtree":%q,"era":"another"}`, repo.ID(), sn.ID, src)
	write(t, filepath.Join(target, mark), []byte(text))
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Subtree: src})
	if err != nil || !res.Resumed {
		t.Fatalf("got %+v, %v; want it resumed", res, err)
	}
	compare(t, describe(t, src), describe(t, target))
}

// What stood in the target before, and what a restore of another snapshot left
// before a power cut, is not taken for right because of its size and time.
func TestOnlyOurOwnFilesAreBelieved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mark string
		opts       restore.Options
	}{
		{"a restore over other files, broken off and begun again", "", restore.Options{AllowNotEmpty: true}},
		{"a mark of another restore and another time", `{"repository":"other","era":"another"}`, restore.Options{Resume: true}},
		{"a mark that the power cut has torn", "\x00\x00", restore.Options{Resume: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			repo, c, sn, src, target := restored(t)
			name := filepath.Join(target, "dump.sql")
			info := stat(t, name)
			spoil := func() {
				must(t, os.WriteFile(name, make([]byte, info.Size()), 0o644))
				must(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
			}
			spoil()
			if tt.mark != "" {
				write(t, filepath.Join(target, mark), []byte(tt.mark))
			}
			c.at = 1
			tt.opts.Target, tt.opts.Subtree = target, src
			for begun := false; !begun; c.at++ {
				ctx, cancel := context.WithCancel(t.Context())
				c.calls.Store(0)
				c.stop = cancel
				if _, err := restore.Run(ctx, repo, sn, tt.opts); err == nil {
					t.Fatal("the first restore was not broken off")
				}
				cancel()
				text, _ := os.ReadFile(filepath.Join(target, mark))
				begun = bytes.Contains(text, []byte(sn.ID))
			}
			spoil() // as if it had not come so far
			if _, err := restore.Run(t.Context(), repo, sn, tt.opts); err != nil {
				t.Fatal(err)
			}
			compare(t, describe(t, src), describe(t, target))
		})
	}
}

// A file in the target may be another name of a file elsewhere.
func TestSecondNamesAreNotWrittenThrough(t *testing.T) {
	t.Parallel()
	repo, _, sn, src, target := restored(t)
	outside := filepath.Join(t.TempDir(), "outside")
	content := bytes.Repeat([]byte("precious"), 1<<20)
	write(t, outside, content)
	must(t, os.Remove(filepath.Join(target, "large.bin")))
	must(t, os.Link(outside, filepath.Join(target, "large.bin")))
	again(t, repo, sn, restore.Options{Target: target, Subtree: src, Verify: true})
	if got, _ := os.ReadFile(outside); !bytes.Equal(got, content) {
		t.Error("the file outside of the target was written")
	}
	compare(t, describe(t, src), describe(t, target))
}

func TestMark(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mark, beside string
		want               error
	}{
		{"of another snapshot", `{"repository":"%s","snapshot":"another"}`, "file", backup.ErrTargetNotEmpty},
		{"that is no mark", `hello`, "file", backup.ErrTargetNotEmpty},
		{"of this restore", `{"repository":"%s","snapshot":"%s"}`, "file", nil},
		{"of another that wrote nothing", `{"repository":"%s","snapshot":"another"}`, "", nil},
		{"for which the disk had no room", ``, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := inMemory(t)
			sn := forge(t, repo, node("good", "file", evil()))
			text := strings.Replace(strings.Replace(tt.mark, "%s", repo.ID(), 1), "%s", sn.ID, 1)
			target := t.TempDir()
			write(t, filepath.Join(target, mark), []byte(text))
			if tt.beside != "" {
				write(t, filepath.Join(target, tt.beside), nil)
			}
			_, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target})
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestTwoRestoresIntoOneFolder(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("good", "file", evil()))
	for _, of := range []string{sn.ID, "another"} {
		target := t.TempDir()
		name := filepath.Join(target, mark)
		write(t, name, fmt.Appendf(nil, `{"repository":%q,"snapshot":%q}`, repo.ID(), of))
		f, err := os.Open(name)
		must(t, err)
		defer f.Close() // only locked
		must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
		_, err = restore.Run(t.Context(), repo, sn, restore.Options{Target: target, AllowNotEmpty: true})
		if err == nil || !strings.Contains(err.Error(), "under way") {
			t.Errorf("got %v, want that another restore is under way", err)
		}
	}
}

// A restore from far away must not wait for one answer after the other.
func TestManyPacksInFlight(t *testing.T) {
	t.Parallel()
	const delay = 20 * time.Millisecond
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range 60 {
		in := filepath.Join(src, fmt.Sprintf("folder %02d", i))
		mkdir(t, in)
		write(t, filepath.Join(in, "scan.dcm"), noise(rnd, 1<<20))
	}
	st := mem.New()
	repo, err := repository.Create(t.Context(), st, password, repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	must(t, err)
	sn := archiveDir(t, repo, src).Snapshot
	c := &counter{Storage: &storagetest.Slow{Storage: st, Delay: delay}}
	repo, err = repository.Open(t.Context(), far{c}, password)
	must(t, err)
	must(t, repo.LoadIndex(t.Context()))
	c.calls.Store(0)
	c.peak.Store(0)
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: t.TempDir(), Temporary: true}); err != nil {
		t.Fatal(err)
	}
	if got := c.calls.Load(); got > 40 {
		t.Errorf("got %d requests for 60 MiB and 60 folders, want at most 40", got)
	}
	if got := c.peak.Load(); got < 3 {
		t.Errorf("got %d requests at once, want each pack to be on its way", got)
	}
}

// far is a storage that says it is behind a network.
type far struct{ storage.Storage }

func (far) Remote() {}

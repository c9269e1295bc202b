//go:build linux

package archive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// incompressible writes files that take as much room as they are long.
func incompressible(t *testing.T, dir string, folders, files, size int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, size)
	for d := range folders {
		folder := filepath.Join(dir, fmt.Sprintf("ward%02d", d), "records")
		must(t, os.MkdirAll(folder, 0o755))
		for f := range files {
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			must(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d", f)), data, 0o644))
		}
	}
}

// readSoFar is how many bytes this process has read by system calls.
func readSoFar(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "rchar: "); ok {
			bytes, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			must(t, err)
			return bytes
		}
	}
	t.Fatal("the kernel does not tell how much was read")
	return 0
}

// cutOff calls a backup off some files after its first checkpoint.
type cutOff struct {
	backup.Silent
	repo   *repository.Repository
	cancel context.CancelFunc

	mu    sync.Mutex
	bytes int64
	at    int64 // bytes that were read when the checkpoint was seen
}

func (c *cutOff) Add(_, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += bytes
	if c.bytes < 8<<20 {
		return
	}
	if c.at == 0 {
		_, left, err := snapshot.ListAll(context.Background(), c.repo)
		if err != nil || len(left) == 0 {
			time.Sleep(time.Millisecond)
			return
		}
		c.at = c.bytes
	}
	if c.bytes > c.at+1<<20 {
		c.cancel()
	}
}

// interrupted makes a first backup that is broken off after a checkpoint.
func interrupted(t *testing.T, repo *repository.Repository, dir string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := archive.Run(ctx, repo, archive.Options{
		Host: "h", Progress: &cutOff{repo: repo, cancel: cancel},
		Checkpoint: archive.Checkpoint{Every: time.Millisecond, Bytes: 6 << 20},
	}, files(source.FileSet{Paths: []string{dir}}))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the backup called off", err)
	}
	points, left, err := snapshot.ListAll(t.Context(), repo)
	must(t, err)
	if len(points) != 0 || len(left) != 1 {
		t.Fatalf("got %d points and %d checkpoints, want none and one", len(points), len(left))
	}
}

// A backup that was broken off goes on from its checkpoint: what that holds is
// neither read nor stored again, whether or not a prune ran in between. There is
// no cache here.
func TestInterruptedBackupGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		folders int
		prune   bool
	}{
		{"many folders", 16, false},
		{"one folder", 1, false},
		{"pruned in between", 16, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && !tt.prune {
				t.Skip("SKIPPED: -short; the case with a prune says most")
			}
			const total = 48 << 20
			dir := t.TempDir()
			incompressible(t, dir, tt.folders, total/(64<<10)/tt.folders, 64<<10)
			time.Sleep(2200 * time.Millisecond) // what is just being written is always read again
			repo := newRepository(t)
			interrupted(t, repo, dir)
			if tt.prune {
				_, err := snapshot.Prune(t.Context(), repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
				must(t, err)
			}
			before := readSoFar(t)
			res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{dir}}))
			must(t, err)
			if read := readSoFar(t) - before; read > total-5<<20 {
				t.Errorf("%d of %d bytes were read again, want what the checkpoint held left out", read, total)
			}
			if added := res.Summary.DataAdded; added > total-5<<20 {
				t.Errorf("%d of %d bytes were stored again, want what the checkpoint held left out", added, total)
			}
			if got, want := res.Summary.TotalFilesProcessed, uint64(total/(64<<10)); got != want {
				t.Errorf("got %d files, want %d", got, want)
			}
			whole(t, repo, res, dir)
		})
	}
}

// whole checks the repository: one point that has all files, and nothing left
// of checkpoints.
func whole(t *testing.T, repo *repository.Repository, res *archive.Result, dir string) {
	t.Helper()
	if !res.Snapshot.Parent.IsZero() {
		t.Errorf("got parent %s, want none: a checkpoint is no point", res.Snapshot.Parent.Short())
	}
	points, left, err := snapshot.ListAll(t.Context(), repo)
	must(t, err)
	if len(points) != 1 || len(left) != 0 {
		t.Errorf("got %d points and %d checkpoints, want one and none", len(points), len(left))
	}
	fresh := newRepository(t)
	again, err := archive.Run(t.Context(), fresh, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{dir}}))
	must(t, err)
	got, want := inside(t, repo, res.Snapshot), inside(t, fresh, again.Snapshot)
	if !slices.Equal(got, want) {
		t.Errorf("got %d entries, want %d", len(got), len(want))
	}
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
}

// What an interrupted backup left counts beside the parent, not in its place.
func TestCheckpointBesideTheParent(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short; it waits for clocks")
	}
	dir := t.TempDir()
	incompressible(t, filepath.Join(dir, "old"), 4, 64, 64<<10)
	r := newRemembering(t)
	first := run(t, r.Repository, dir, archive.Options{})
	time.Sleep(2200 * time.Millisecond)
	incompressible(t, filepath.Join(dir, "old", "ward02"), 8, 64, 64<<10)
	time.Sleep(2200 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := archive.Run(ctx, r.Repository, archive.Options{
		Host: "h", Progress: &cutOff{repo: r.Repository, cancel: cancel},
		Checkpoint: archive.Checkpoint{Every: time.Millisecond, Bytes: 4 << 20},
	}, files(source.FileSet{Paths: []string{dir}}))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the backup called off", err)
	}
	before := readSoFar(t)
	second := run(t, r.Repository, dir, archive.Options{})
	if second.Snapshot.Parent.String() != first.Snapshot.ID {
		t.Errorf("got parent %s, want %s", second.Snapshot.Parent.Short(), first.Snapshot.Short())
	}
	if read := readSoFar(t) - before; read > 30<<20 {
		t.Errorf("%d bytes were read, want less than the 32 MiB that are new", read)
	}
	want := run(t, newRepository(t), dir, archive.Options{})
	if got, want := second.Summary.TotalFilesProcessed, want.Summary.TotalFilesProcessed; got != want {
		t.Errorf("got %d files, want %d", got, want)
	}
	must(t, snapshot.Check(t.Context(), r.Repository, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
}

// Stock restic knows nothing of checkpoints: the latest snapshot must be a point,
// and so must the one that a policy keeps.
func TestCheckpointTakesNoPointsPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short; it runs a backup that is broken off")
	}
	dir := t.TempDir()
	incompressible(t, dir, 1, 512, 64<<10)
	repo := newRepository(t)
	interrupted(t, repo, dir)
	_, left, err := snapshot.ListAll(t.Context(), repo)
	must(t, err)
	if year := left[0].Time.Year(); year != 1970 || left[0].Summary == nil || time.Since(left[0].Summary.BackupEnd) > time.Minute {
		t.Errorf("got the time %v and the summary %+v", left[0].Time, left[0].Summary)
	}
}

func TestCheckpointTagIsRefused(t *testing.T) {
	t.Parallel()
	_, err := archive.Run(t.Context(), newRepository(t), archive.Options{Host: "h", Tags: []string{snapshot.CheckpointTag}},
		files(source.FileSet{Paths: []string{t.TempDir()}}))
	if !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v, want invalid", err)
	}
}

package archive_test

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/source"
	"emrvault/backup/storage"
)

// A path that was asked for by name and went away while it was read is told,
// where one inside a folder is not. The program of a dead process is such a
// path: it is there, and reading it says that it is not.
func TestNamedPathThatGoesAway(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	must(t, cmd.Start())
	path := fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)
	var buf [256]byte
	for range 1000 { // until it has ended; nobody has waited for it yet
		if _, err := unix.Readlink(path, buf[:]); errors.Is(err, unix.ENOENT) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	result, err := archive.Run(t.Context(), newRepository(t), archive.Options{}, files(source.FileSet{Paths: []string{path}}))
	if !errors.Is(err, backup.ErrIncomplete) || result == nil || len(result.Problems) != 1 {
		t.Errorf("got %+v, %v; want one problem", result, err)
	}
	must(t, cmd.Wait())
}

// A damaged snapshot is no parent, and no reason to make no new one.
func TestOnlySnapshotIsDamaged(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f", "record")
	repo := newRepository(t)
	capture := files(source.FileSet{Paths: []string{"f"}})
	result, err := archive.Run(t.Context(), repo, archive.Options{}, capture)
	must(t, err)
	name := storage.Name{Kind: storage.Snapshot, ID: result.Snapshot.ID}
	data, err := repo.Storage().Load(t.Context(), name, nil, 0, -1)
	must(t, err)
	must(t, repo.Storage().Remove(t.Context(), name))
	must(t, repo.Storage().Save(t.Context(), name, data[:20]))
	result, err = archive.Run(t.Context(), repo, archive.Options{}, capture)
	must(t, err)
	if got := content(t, repo, result.Snapshot); got != "record" {
		t.Errorf("got %q", got)
	}
}

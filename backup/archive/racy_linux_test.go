package archive_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// A file system's clock ticks every few milliseconds. A file that is written
// again within the tick in which it was read looks afterwards as it did then.
func TestFileWrittenAgainWithinOneTick(t *testing.T) {
	for _, tt := range []struct {
		name   string
		parent func(changed time.Time, sn *snapshot.Snapshot) // when the parent was made
		want   string
		same   uint64
	}{
		{"changed while the parent was made", during, "after ", 0},
		{"changed long before", longAfter, "before", 1},
		{"changed just before", func(at time.Time, sn *snapshot.Snapshot) {
			sn.Summary.BackupStart, sn.Summary.BackupEnd = at.Add(time.Second), at.Add(time.Minute)
		}, "after ", 0},
		{"parent of another program", func(at time.Time, sn *snapshot.Snapshot) {
			sn.Summary, sn.Time = nil, at.Add(-time.Minute)
		}, "after ", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			repo := newRepository(t)
			parent := mistaken(t, repo, tt.parent)
			capture := files(source.FileSet{Paths: []string{"f"}})
			result, err := archive.Run(t.Context(), repo, archive.Options{Parent: parent}, capture)
			must(t, err)
			if got := content(t, repo, result.Snapshot); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := result.Summary.FilesUnmodified; got != tt.same {
				t.Errorf("got %d files unmodified, want %d", got, tt.same)
			}
		})
	}
}

func during(at time.Time, sn *snapshot.Snapshot) {
	sn.Summary.BackupStart, sn.Summary.BackupEnd = at.Add(-time.Minute), at.Add(time.Minute)
}

func longAfter(at time.Time, sn *snapshot.Snapshot) {
	sn.Summary.BackupStart, sn.Summary.BackupEnd = at.Add(time.Hour), at.Add(2*time.Hour)
}

// What was read again and is the same counts as unmodified all the same.
func TestFileReadAgainAndFoundTheSame(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f", "as it was")
	repo := newRepository(t)
	for _, want := range []uint64{0, 1} {
		result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"f"}}))
		must(t, err)
		if got := result.Summary.FilesUnmodified; got != want {
			t.Errorf("got %d files unmodified, want %d", got, want)
		}
	}
}

// mistaken makes a snapshot that knows the file's marks, but not its content.
func mistaken(t *testing.T, repo *repository.Repository, made func(time.Time, *snapshot.Snapshot)) *snapshot.Snapshot {
	t.Helper()
	write(t, "f", "before")
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"f"}}))
	must(t, err)
	write(t, "f", "after ")
	tree, err := snapshot.LoadTree(t.Context(), repo, result.Snapshot.Tree)
	must(t, err)
	info, err := os.Stat("f")
	must(t, err)
	n := tree.Find("f")
	n.ModTime, n.ChangeTime = info.ModTime(), time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
	must(t, repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		saved, err := snapshot.SaveTree(ctx, w, tree)
		result.Snapshot.Tree = saved.ID
		return err
	}))
	made(n.ChangeTime, result.Snapshot)
	must(t, snapshot.Save(t.Context(), repo, result.Snapshot))
	return result.Snapshot
}

func content(t *testing.T, repo *repository.Repository, sn *snapshot.Snapshot) string {
	t.Helper()
	n, err := snapshot.Lookup(t.Context(), repo, sn, "/f")
	must(t, err)
	var text []byte
	for _, id := range n.Content {
		piece, err := repo.LoadBlob(t.Context(), blob.DataHandle(id), nil)
		must(t, err)
		text = append(text, piece...)
	}
	return string(text)
}

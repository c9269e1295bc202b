package archive_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
)

// The book says that nothing has changed in a folder. That the repository still
// has what is in it must be known from elsewhere; where it is not, the files are
// looked for one by one and stored again.
func TestBookIsNotBelievedBesideDamage(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, r *remembering, pack storage.Name){
		"index file damaged, and its pack gone": func(t *testing.T, r *remembering, pack storage.Name) {
			t.Helper()
			must(t, r.st.Remove(t.Context(), pack))
			must(t, os.RemoveAll(filepath.Join(r.dir, r.ID(), "index"))) // else the cache knows of the pack
			must(t, r.st.List(t.Context(), storage.Index, func(i storage.Info) error {
				return spoil(t.Context(), r.st, i.Name)
			}))
		},
		"a check has found the pack damaged": func(t *testing.T, r *remembering, pack storage.Name) {
			t.Helper()
			must(t, spoil(t.Context(), r.st, pack))
			id, err := blob.ParseID(pack.ID)
			must(t, err)
			must(t, r.RememberSick([]blob.ID{id}, true))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir := newRemembering(t), t.TempDir()
			file := filepath.Join(dir, "ward", "record")
			write(t, file, "patient record")
			time.Sleep(4200 * time.Millisecond) // nothing is in doubt
			first := run(t, r.Repository, dir, archive.Options{})
			n, err := snapshot.Lookup(t.Context(), r.Repository, first.Snapshot, file)
			must(t, err)
			pack, _, _, _, _ := r.Locate(blob.DataHandle(n.Content[0]))
			damage(t, r, storage.Name{Kind: storage.Pack, ID: pack.String()})

			result, err := archive.Run(t.Context(), r.Repository, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{dir}}))
			if result == nil || err != nil && !errors.Is(err, backup.ErrDamaged) {
				t.Fatalf("got %+v, %v", result, err)
			}
			if result.Summary.DataBlobs != 1 {
				t.Errorf("%d pieces were stored, want the lost one", result.Summary.DataBlobs)
			}
			must(t, snapshot.Check(t.Context(), r.Repository, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
		})
	}
}

// spoil changes a byte of a document.
func spoil(ctx context.Context, st storage.Storage, name storage.Name) error {
	data, err := st.Load(ctx, name, nil, 0, -1)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return errors.Join(st.Remove(ctx, name), st.Save(ctx, name, data))
}

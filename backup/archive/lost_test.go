//go:build linux

package archive_test

import (
	"errors"
	"testing"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/source"
	"emrvault/backup/storage"
)

// A repository that has lost a pack without knowing it must not be trusted:
// the next point is whole again, and somebody hears of it.
func TestLostPacksAreMadeUpFor(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f", "patient record")
	write(t, "g", "another")
	repo := newRepository(t)
	capture := files(source.FileSet{Paths: []string{"f", "g"}})
	_, err := archive.Run(t.Context(), repo, archive.Options{}, capture)
	must(t, err)
	var packs []storage.Name
	must(t, repo.Storage().List(t.Context(), storage.Pack, func(i storage.Info) error {
		packs = append(packs, i.Name)
		return nil
	}))
	for _, pack := range packs {
		must(t, repo.Storage().Remove(t.Context(), pack))
	}
	result, err := archive.Run(t.Context(), repo, archive.Options{}, capture)
	if !errors.Is(err, backup.ErrDamaged) || result == nil || len(result.Lost) != len(packs) {
		t.Fatalf("got %+v, %v; want a result that names %d lost packs", result, err, len(packs))
	}
	if got := content(t, repo, result.Snapshot); got != "patient record" {
		t.Errorf("got %q", got)
	}
	_, err = archive.Run(t.Context(), repo, archive.Options{}, capture)
	if !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("as long as the index names the lost packs: got %v, want ErrDamaged", err)
	}
}

package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/storagetest"
)

// A disk that goes away at work leaves its mount point, an empty folder. What
// was written there would vanish when the disk comes back.
func TestDiskThatGoesAwayIsNotBegunAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), storage.Name{Kind: storage.Config}, []byte("config")); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if _, err := again.Load(t.Context(), storage.Name{Kind: storage.Config}, nil, 0, -1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+" unplugged"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	data := []byte("pack")
	for _, who := range []storage.Storage{s, again} {
		for _, kind := range []storage.Kind{storage.Pack, storage.Index, storage.Snapshot} {
			if err := who.Save(t.Context(), storagetest.Document(kind, data), data); !errors.Is(err, backup.ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", kind, err)
			}
		}
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("got %v below the mount point, want nothing", got)
	}
}

// A repository whose folder of snapshots is gone is not one without snapshots:
// nobody may believe that all data is waste, or begin a new list.
func TestSnapshotsFolderThatIsGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), storage.Name{Kind: storage.Config}, []byte("config")); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, string(storage.Snapshot))
	if err := os.Rename(folder, folder+" found by fsck"); err != nil {
		t.Fatal(err)
	}
	if err := s.List(t.Context(), storage.Snapshot, func(storage.Info) error { return nil }); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("list: got %v, want damage", err)
	}
	data := []byte("snapshot")
	if err := s.Save(t.Context(), storagetest.Document(storage.Snapshot, data), data); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("save: got %v, want damage", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), storagetest.Document(storage.Snapshot, data), data); err != nil {
		t.Errorf("with the folder back: %v", err)
	}
}

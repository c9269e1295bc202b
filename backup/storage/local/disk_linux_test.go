package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/storagetest"
)

// smallDisk mounts a disk of a few megabytes.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a small disk (%v): run the tests as root to try a full and a read-only one", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFloorStopsPacksBeforeTheDiskIsFull(t *testing.T) {
	dir := smallDisk(t, "size=10m")
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; err == nil && i < 20; i++ {
		data := make([]byte, 1<<20)
		data[0] = byte(i)
		err = s.Save(t.Context(), storagetest.Document(storage.Pack, data), data)
	}
	if !errors.Is(err, backup.ErrStorageFull) {
		t.Fatalf("got %v, want ErrStorageFull", err)
	}
	for _, kind := range []storage.Kind{storage.Lock, storage.Index, storage.Snapshot} {
		data := make([]byte, 64<<10)
		if err := s.Save(t.Context(), storagetest.Document(kind, data), data); err != nil {
			t.Errorf("%s must still find room: %v", kind, err)
		}
	}
}

func TestFullDiskLeavesNothing(t *testing.T) {
	dir := smallDisk(t, "size=2m")
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 4<<20)
	name := storagetest.Document(storage.Index, data) // no floor for an index file
	if err := s.Save(t.Context(), name, data); !errors.Is(err, backup.ErrStorageFull) {
		t.Errorf("got %v, want ErrStorageFull", err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("got leftovers %v, want none", got)
	}
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	small := []byte("there is room for this")
	if err := s.Save(t.Context(), storagetest.Document(storage.Index, small), small); err != nil {
		t.Errorf("after the failure: %v", err)
	}
}

func TestReadOnlyMedia(t *testing.T) {
	dir := smallDisk(t, "size=2m")
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Writable(t.Context()); err != nil {
		t.Errorf("before: %v", err)
	}
	kept := storagetest.Document(storage.Index, []byte("kept"))
	if err := s.Save(t.Context(), kept, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	readOnly(t, s, kept)
	if err := open(t, filepath.Join(dir, "new")).Create(t.Context()); !errors.Is(err, backup.ErrReadOnly) {
		t.Errorf("create: got %v, want ErrReadOnly", err)
	}
}

func readOnly(t *testing.T, s *local.Storage, kept storage.Name) {
	t.Helper()
	fresh := storagetest.Document(storage.Index, []byte("new"))
	for what, err := range map[string]error{
		"writable": s.Writable(t.Context()),
		"save":     s.Save(t.Context(), fresh, []byte("new")),
		"remove":   s.Remove(t.Context(), kept),
	} {
		if !errors.Is(err, backup.ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", what, err)
		}
	}
	if got, err := s.Load(t.Context(), kept, nil, 0, -1); err != nil || string(got) != "kept" {
		t.Errorf("load: got %q, %v", got, err)
	}
}

func TestMissingRights(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("rights do not bind root: run the tests as another user to try missing rights")
	}
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := storagetest.Document(storage.Index, []byte("kept"))
	if err := s.Save(t.Context(), kept, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "index")} {
		if err := os.Chmod(d, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(d, 0o700) })
	}
	readOnly(t, s, kept)
}

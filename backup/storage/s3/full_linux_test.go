package s3_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// A server whose disk is full says so, we say so at once, and there is room
// again after a removal.
func TestFullServer(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("cannot mount a small disk (%v): run the tests as root to fill a server's", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	t.Setenv("TMPDIR", disk)
	settings := s3test.Start(t).Settings(t)
	settings.PartSize = 5 << 20
	s := s3test.Open(t, settings)
	pack := func(n int) (storage.Name, []byte) {
		data := noise(n)
		return storagetest.Document(storage.Pack, data), data
	}
	for _, n := range []int{1 << 20, 2 << 20, 3 << 20, 4 << 20} {
		name, data := pack(n)
		if err := s.Save(t.Context(), name, data); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for what, n := range map[string]int{"in parts": 20 << 20, "in one": 5 << 20} {
		begin := time.Now()
		var err error
		for i := 0; err == nil && i < 8; i++ {
			name, data := pack(n - i)
			err = s.Save(t.Context(), name, data)
		}
		if !errors.Is(err, backup.ErrStorageFull) {
			t.Errorf("%s: got %v, want ErrStorageFull", what, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %s to say so", what, took)
		}
	}
	for _, n := range []int{3 << 20, 4 << 20} {
		name, _ := pack(n)
		if err := s.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	name, data := pack(2<<20 + 1)
	if err := s.Save(t.Context(), name, data); err != nil {
		t.Errorf("after a removal: %v", err)
	}
}

package mem_test

import (
	"testing"

	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return mem.New() })
}

func TestClone(t *testing.T) {
	a := mem.New()
	name := storagetest.Document(storage.Key, []byte("a"))
	if err := a.Save(t.Context(), name, []byte("a")); err != nil {
		t.Fatal(err)
	}
	b := a.Clone()
	if err := b.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Stat(t.Context(), name); err != nil {
		t.Errorf("removed from the clone, gone from the original: %v", err)
	}
}

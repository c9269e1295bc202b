package repository_test

import (
	"errors"
	"fmt"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// An index from a stranger may let blobs overlap as no pack can.
func TestOverlappingBlobsAreDamage(t *testing.T) {
	st := mem.New()
	c := contents{}
	h := c.add(blob.Data, noise(0, 300))
	for i := range 3 {
		c.add(blob.Data, noise(uint64(i+1), 300))
	}
	r := create(t, st)
	write(t, r, c)
	packID, _, _, _, _ := r.Locate(h)
	for _, name := range names(t, st, storage.Index) {
		remove(t, st, name)
	}
	a, b := blob.Hash([]byte("a")), blob.Hash([]byte("b"))
	doc := fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[{"id":"%s","type":"data","offset":0,"length":900},{"id":"%s","type":"data","offset":10,"length":40}]}]}`, packID, a, b)
	if _, err := r.SaveUnpacked(t.Context(), storage.Index, raw(doc)); err != nil {
		t.Fatal(err)
	}
	r = open(t, st)
	want := []blob.Handle{blob.DataHandle(a), blob.DataHandle(b)}
	told := 0
	err := r.LoadPack(t.Context(), packID, want, func(_ blob.Handle, _ []byte, err error) error {
		told++
		if !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
		return nil
	})
	if err != nil || told != 2 {
		t.Errorf("got %d blobs, %v; want both told as damaged", told, err)
	}
}

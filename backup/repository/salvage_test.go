package repository_test

import (
	"errors"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
)

// Packs name their blobs themselves: readers do without a damaged index file,
// writers refuse.
func TestIndexIsSalvagedFromPacks(t *testing.T) {
	c := sample(1, 30)
	for name, spoil := range map[string]damage{
		"flipped": flip(storage.Index, 0.5), "cut": truncate(storage.Index, 0.9), "empty": truncate(storage.Index, 0),
	} {
		st := filled(t, c, repository.WithPackSize(4000))
		damaged := spoil(t, st)
		r := opened(t, st)
		if err := r.LoadIndex(t.Context()); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: LoadIndex gave %v, want %v", name, err, backup.ErrDamaged)
		}
		told, err := r.SalvageIndex(t.Context())
		if err != nil || len(told) != 1 || !strings.Contains(told[0].Error(), damaged.String()) {
			t.Errorf("%s: got %v, %v, want %s named", name, told, err, damaged)
		}
		for h := range c {
			if !r.Has(h) {
				t.Errorf("%s: %s %s is not found", name, h.Type, h.ID)
			}
		}
	}
}

// opened has no index yet.
func opened(t *testing.T, st storage.Storage) *repository.Repository {
	t.Helper()
	r, err := repository.Open(t.Context(), st, password, cheap())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What neither an index file nor its own pack tells is named, the rest is there.
func TestSalvageNamesTornPacks(t *testing.T) {
	c := sample(1, 30)
	st := filled(t, c, repository.WithPackSize(4000))
	flip(storage.Index, 0.5)(t, st)
	torn := flip(storage.Pack, 0.999)(t, st)
	r := opened(t, st)
	told, err := r.SalvageIndex(t.Context())
	if err != nil || len(told) != 2 || !strings.Contains(told[1].Error(), torn.ID[:8]) {
		t.Errorf("got %v, %v, want index file and pack %s named", told, err, torn.ID[:8])
	}
	found := 0
	for h := range c {
		if r.Has(h) {
			found++
		}
	}
	if found == 0 || found == len(c) {
		t.Errorf("got %d of %d blobs, want those of the other packs", found, len(c))
	}
}

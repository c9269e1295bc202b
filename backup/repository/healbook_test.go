package repository_test

import (
	"slices"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

func TestDamagedPacksAreRemembered(t *testing.T) {
	st, all := twoBackups(t)
	from := second(t, all)
	cached := repository.WithCache(t.TempDir(), 10<<20)
	var ids []blob.ID
	for _, name := range names(t, st, storage.Pack) {
		id, err := blob.ParseID(name.ID)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	change(t, st, packFile(ids[0]), flipAt(20))
	slices.SortFunc(ids[:2], blob.ID.Compare)
	remember := func(everything bool, list ...blob.ID) {
		t.Helper()
		if err := open(t, st, cached).RememberSick(list, everything); err != nil {
			t.Fatal(err)
		}
	}
	want := func(list ...blob.ID) {
		t.Helper()
		if got := open(t, st, cached).RememberedSick(); !slices.Equal(got, list) {
			t.Errorf("got %v, want %v", got, list)
		}
	}
	want()
	remember(false, ids[0])
	remember(false, ids[1], ids[0], blob.Hash([]byte("a pack that is gone")))
	want(ids[:2]...)
	r := open(t, st, cached)
	if _, err := r.Heal(t.Context(), r.RememberedSick(), from, nil); err != nil {
		t.Fatal(err)
	}
	want()
	remember(false, ids[2])
	remember(true)
	want()
	wantSound(t, st, all)
	if err := open(t, st).RememberSick(ids, true); err != nil {
		t.Errorf("without a cache: %v", err)
	}
}

func packFile(id blob.ID) storage.Name { return storage.Name{Kind: storage.Pack, ID: id.String()} }

package repository

import (
	"fmt"
	"maps"
	"slices"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
)

// sickEntry is the name of the list of damaged packs in the cache: their ids,
// one after the other.
const sickEntry = "damaged-packs"

// RememberSick notes on this machine which packs a check found damaged, so that
// a repair need not read everything once more. The list replaces the one before
// when the check has read everything, else it is added to it.
func (r *Repository) RememberSick(ids []blob.ID, everything bool) error {
	if !everything {
		ids = append(r.RememberedSick(), ids...)
	}
	ids = slices.Clone(ids)
	slices.SortFunc(ids, blob.ID.Compare)
	return r.noteSick(slices.Compact(ids))
}

// RememberedSick gives what RememberSick noted, as far as the index still knows
// these packs. The list is a hint: whoever heals proves every pack first.
func (r *Repository) RememberedSick() []blob.ID {
	data, ok := r.cache.Get(cache.State, sickEntry)
	if !ok || len(data)%blob.IDSize != 0 {
		return nil
	}
	known := make(map[blob.ID]bool)
	for part := range slices.Chunk(data, blob.IDSize) {
		if id := blob.ID(part); r.index().HasPack(id) {
			known[id] = true
		}
	}
	return slices.SortedFunc(maps.Keys(known), blob.ID.Compare)
}

func (r *Repository) noteSick(ids []blob.ID) error {
	if len(ids) == 0 {
		return r.cache.Remove(cache.State, sickEntry)
	}
	var data []byte
	for _, id := range ids {
		data = append(data, id[:]...)
	}
	if err := r.cache.Put(cache.State, sickEntry, data); err != nil {
		return fmt.Errorf("note damaged packs: %w", err)
	}
	return nil
}

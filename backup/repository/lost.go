package repository

import (
	"context"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

// PassOverLost forgets the packs that the index knows and the storage has no
// more, or not at their full length, and names them. Who writes calls it after
// LoadIndex: what lay in them is then stored again instead of being relied on.
// Packs that a check has found damaged are passed over too, without a name.
// It costs one listing. Only LoadIndex brings the packs back to mind.
func (r *Repository) PassOverLost(ctx context.Context) (lost []blob.ID, err error) {
	r.landing.Lock()
	defer r.landing.Unlock()
	known := r.index()
	sizes, err := r.packSizes(ctx)
	if err != nil {
		return nil, err
	}
	gone := make(map[blob.ID]bool)
	for _, id := range known.PackIDs() {
		if size, ok := sizes[id]; !ok || size != pack.Size(known.Pack(id)) {
			lost, gone[id] = append(lost, id), true
		}
	}
	for _, id := range r.RememberedSick() {
		gone[id] = true
	}
	if len(gone) == 0 {
		return nil, nil
	}
	there := index.New()
	for _, id := range known.PackIDs() {
		if gone[id] {
			continue
		}
		if err := there.Add(index.Pack{ID: id, Entries: known.Pack(id)}); err != nil {
			return nil, err
		}
	}
	r.setIndex(there)
	return lost, nil
}

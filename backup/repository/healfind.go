package repository

import (
	"context"
	"maps"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// Unreadable gives those blobs of some packs of which no copy can be read.
func (r *Repository) Unreadable(ctx context.Context, packs []blob.ID) (*blob.Set, error) {
	bad := blob.NewSet()
	var buf []byte
	for _, id := range packs {
		err := r.eachFrame(ctx, id, slices.Compact(sorted(r.index().Pack(id))), func(o opened) error {
			if o.err == nil {
				return nil
			}
			plain, err := r.LoadBlob(ctx, o.Handle, buf)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				bad.Add(o.Handle)
				return nil
			}
			buf = plain
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return bad, nil
}

// SickPack is the pack that a finding of CheckStore is about; ok is false when
// healing packs would not help.
func (f Finding) SickPack() (id blob.ID, ok bool) {
	switch f.Kind {
	case PackMissing, PackShort, PackLong, PackLayout, PackHeader, PackDamaged, PackUnreadable:
		id, err := blob.ParseID(f.Name[max(0, len(f.Name)-2*blob.IDSize):])
		return id, err == nil
	case BlobDamaged:
		text, _ := f.Args["pack_id"].(string)
		id, err := blob.ParseID(text)
		return id, err == nil
	}
	return id, false
}

// Sick finds the packs that need healing: by their lengths, or with all by
// reading every byte of them. Every finding is passed on.
func (r *Repository) Sick(ctx context.Context, all bool, report func(Finding), progress backup.Progress) ([]blob.ID, error) {
	seen := make(map[blob.ID]bool)
	err := r.CheckStore(ctx, CheckOptions{ReadData: all}, func(f Finding) {
		if id, ok := f.SickPack(); ok {
			seen[id] = true
		}
		report(f)
	}, progress)
	return slices.SortedFunc(maps.Keys(seen), blob.ID.Compare), err
}

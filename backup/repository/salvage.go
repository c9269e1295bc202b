package repository

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// SalvageIndex is LoadIndex for those who only read. A damaged index file costs
// them time and nothing else: every pack names its blobs at its own end, so the
// packs that no readable index file knows are asked one by one. What was
// damaged is given back to be told; err is for an index that could not be
// brought together at all. Writers use LoadIndex, which refuses: they would
// take what a torn header hides for missing.
func (r *Repository) SalvageIndex(ctx context.Context) (damage []error, err error) {
	if err := r.LoadIndex(ctx); err == nil || !errors.Is(err, backup.ErrDamaged) {
		return nil, err
	}
	r.landing.Lock()
	defer r.landing.Unlock()
	x := index.New()
	err = r.eachIndexFile(ctx, func(id string, packs []index.Pack, err error) error {
		for i := 0; err == nil && i < len(packs); i++ {
			err = x.Add(packs[i])
		}
		if err != nil && ctx.Err() == nil {
			damage = append(damage, fmt.Errorf("index file %s: %w", storage.Name{Kind: storage.Index, ID: id}, err))
			err = nil
		}
		return err
	})
	if err != nil {
		return damage, fmt.Errorf("load index: %w", err)
	}
	sizes, err := r.packSizes(ctx)
	if err != nil {
		return damage, fmt.Errorf("list packs: %w", err)
	}
	err = r.askPacks(ctx, x, sizes, func(id blob.ID, err error) {
		damage = append(damage, fmt.Errorf("list of blobs in pack %s: %w", id.Short(), err))
	})
	if err == nil {
		r.setIndex(x)
	}
	return damage, err
}

// askPacks adds to an index the packs that it does not know, by their own
// lists. torn hears, one at a time, of those that could not be read.
func (r *Repository) askPacks(ctx context.Context, known *index.Index, sizes map[blob.ID]int64, torn func(blob.ID, error)) error {
	return r.eachHeader(ctx, strangers(known, sizes), sizes, func(id blob.ID, entries []pack.Entry, err error) {
		if err == nil {
			err = known.Add(index.Pack{ID: id, Entries: entries})
		}
		if err != nil {
			torn(id, err)
		}
	})
}

// eachHeader reads the packs' own lists on all cores and hands them over one
// at a time.
func (r *Repository) eachHeader(ctx context.Context, ids []blob.ID, sizes map[blob.ID]int64, fn func(blob.ID, []pack.Entry, error)) error {
	var one sync.Mutex
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(headerReaders * runtime.GOMAXPROCS(0))
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			entries, err := r.packHeader(ctx, id, sizes[id])
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			one.Lock()
			defer one.Unlock()
			fn(id, entries, err)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(outer)
}

// headerReaders is how many lists are read at once for each core: reading one
// mostly waits for the storage.
const headerReaders = 4

// strangers are the packs on the storage that an index does not know.
func strangers(known *index.Index, sizes map[blob.ID]int64) (ids []blob.ID) {
	for id := range sizes {
		if !known.HasPack(id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, blob.ID.Compare)
	return ids
}

// packHeader reads a pack's own list of blobs.
func (r *Repository) packHeader(ctx context.Context, id blob.ID, size int64) ([]pack.Entry, error) {
	p := packProof{repo: r}
	return pack.ReadHeader(ctx, r.key, size, func(ctx context.Context, offset, length int64) ([]byte, error) {
		return p.load(ctx, id, offset, offset+length)
	})
}

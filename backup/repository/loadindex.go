package repository

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/storage"
)

// LoadIndex reads all index files and forgets what was known before; call it
// before Has, LoadBlob or Write. A damaged index file is an error: without it
// blobs would look missing that are there.
func (r *Repository) LoadIndex(ctx context.Context) error {
	r.landing.Lock()
	defer r.landing.Unlock()
	const attempts = 3
	for attempt := 1; ; attempt++ {
		x, err := r.readIndex(ctx)
		if err == nil {
			r.setIndex(x)
			return nil
		}
		// Without a lock of ours, somebody may prune between listing and reading.
		if !absent(err) || attempt == attempts {
			return fmt.Errorf("load index: %w", err)
		}
	}
}

func (r *Repository) readIndex(ctx context.Context) (*index.Index, error) {
	x := index.New()
	err := r.eachIndexFile(ctx, func(_ string, packs []index.Pack, err error) error {
		for i := 0; err == nil && i < len(packs); i++ {
			err = x.Add(packs[i])
		}
		return err
	})
	return x, err
}

// eachIndexFile reads the index files on all cores and hands them over one at
// a time. fn decides whether an error of a file ends the reading.
func (r *Repository) eachIndexFile(ctx context.Context, fn func(id string, packs []index.Pack, err error) error) error {
	ids, err := r.listIDs(ctx, storage.Index)
	if err != nil {
		return err
	}
	var one sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, id := range ids {
		group.Go(func() error {
			packs, err := r.readIndexFile(ctx, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			one.Lock()
			defer one.Unlock()
			return fn(id, packs, err)
		})
	}
	return group.Wait()
}

func (r *Repository) readIndexFile(ctx context.Context, id string) ([]index.Pack, error) {
	name := storage.Name{Kind: storage.Index, ID: id}
	text, err := r.loadDocument(ctx, name)
	if err != nil {
		return nil, err
	}
	packs, err := index.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return packs, nil
}

// saveIndexFile writes one index file; every pack in it must be durable.
func (r *Repository) saveIndexFile(ctx context.Context, packs []index.Pack) (blob.ID, error) {
	return r.saveDocument(ctx, storage.Index, index.Encode(packs))
}

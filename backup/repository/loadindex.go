package repository

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
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

// readIndex reads every index file, from the cache where it is there.
func (r *Repository) readIndex(ctx context.Context) (*index.Index, error) {
	var files []storage.Info
	err := r.storage.List(ctx, storage.Index, func(info storage.Info) error {
		files = append(files, info)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list index: %w", err)
	}
	x := index.New()
	x.Reserve(r.expectedBlobs(files))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(len(files), readers()) {
		group.Go(func() error {
			from := indexReader{repo: r, into: x}
			for n := next.Add(1) - 1; n < int64(len(files)); n = next.Add(1) - 1 {
				if err := from.read(ctx, files[n].Name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.forgetOldIndex(files)
	return x, nil
}

// readers is how many index files or ranges of packs are read at once: as many
// as there are cores, and fewer when the program may not have much memory.
func readers() int {
	const each = 64 << 20
	return int(max(1, min(int64(runtime.GOMAXPROCS(0)), debug.SetMemoryLimit(-1)/each)))
}

// expectedBlobs tells about how many blobs index files list, a little more
// rather than less, so that the table is made in its final size.
func (r *Repository) expectedBlobs(files []storage.Info) int {
	// An id hardly compresses; with the numbers around it a blob takes this
	// many bytes in a document that is compressed.
	const inDocument = 42
	blobs := 0
	for _, f := range files {
		if size, ok := r.cache.Size(cache.Index, f.Name.ID); ok {
			blobs += index.CompactBlobs(size)
		} else {
			blobs += int(f.Size / inDocument)
		}
	}
	return blobs + blobs/32
}

// forgetOldIndex drops from the cache what prune has replaced.
func (r *Repository) forgetOldIndex(files []storage.Info) {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name.ID
	}
	r.cache.Retain(cache.Index, names)
}

// indexReader reads one index file after the other in the same memory: what an
// index needs is the table, and beside it one document for each reader.
type indexReader struct {
	repo                  *Repository
	into                  *index.Index
	sealed, text, compact []byte
	decoder               index.Reader
}

func (f *indexReader) read(ctx context.Context, name storage.Name) error {
	data, grown, ok := f.repo.cache.Read(cache.Index, name.ID, f.sealed)
	f.sealed = grown
	// What the cache gives and the index refuses is asked of the storage.
	if ok && f.into.AddCompact(data) == nil {
		return ctx.Err()
	}
	packs, err := f.document(ctx, name)
	if err != nil {
		return err
	}
	for _, p := range packs {
		if err := f.into.Add(p); err != nil {
			return err
		}
	}
	if f.repo.cache == nil {
		return nil
	}
	f.compact = index.AppendCompact(f.compact[:0], packs)
	return f.repo.cache.Put(cache.Index, name.ID, f.compact)
}

// document reads and decodes a file as readIndexFile does, in memory of its
// own.
func (f *indexReader) document(ctx context.Context, name storage.Name) ([]index.Pack, error) {
	text, err := twice(ctx, func() (text []byte, err error) {
		if f.sealed, err = f.repo.storage.Load(ctx, name, f.sealed, 0, -1); err != nil {
			return nil, fmt.Errorf("load %s: %w", name, err)
		}
		return f.repo.provenDocument(f.text, name, f.sealed)
	})
	if err != nil {
		return nil, err
	}
	if cap(text) > cap(f.sealed) { // it is not a part of it
		f.text = text
	}
	packs, err := f.decoder.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return packs, nil
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
	group.SetLimit(readers())
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
	id, err := r.saveDocument(ctx, storage.Index, index.Encode(packs))
	if err == nil && r.cache != nil {
		err = r.cache.Put(cache.Index, id.String(), index.AppendCompact(nil, packs))
	}
	return id, err
}

package repository

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// copyBatch is how many bytes of packs are copied between two index files:
// what an interrupted copy has to do once more.
const copyBatch = 2 << 30

// CopyBlobs brings blobs from another repository into this one. Each pack they
// lie in is read once, each blob is opened and proven; what the other
// repository has compressed stays as it is and is only sealed anew, with this
// repository's key. lost hears, one at a time, of blobs that cannot be read
// there; the others are copied. It returns how much was stored.
func (r *Repository) CopyBlobs(ctx context.Context, from *Repository, want *blob.Set, lost func(blob.Handle, error), progress backup.Progress) (WriteStats, error) {
	c := &copier{to: r, from: from, progress: progress, lost: lost}
	packs, total := c.plan(want)
	progress.Total(int64(want.Len()), total)
	var sum WriteStats
	for len(packs) > 0 {
		n, size := 0, int64(0)
		for n < len(packs) && (n == 0 || size+packs[n].size <= copyBatch) {
			size += packs[n].size
			n++
		}
		stats, err := c.batch(ctx, packs[:n])
		sum = sum.plus(stats)
		if err != nil {
			return sum, fmt.Errorf("copy from %s: %w", from.storage.Location(), err)
		}
		packs = packs[n:]
	}
	return sum, nil
}

func (s WriteStats) plus(other WriteStats) WriteStats {
	return WriteStats{
		DataBlobs: s.DataBlobs + other.DataBlobs, TreeBlobs: s.TreeBlobs + other.TreeBlobs,
		DataBytes: s.DataBytes + other.DataBytes, TreeBytes: s.TreeBytes + other.TreeBytes,
		Packed: s.Packed + other.Packed, Packs: s.Packs + other.Packs,
	}
}

// copier is one CopyBlobs at work.
type copier struct {
	to, from *Repository
	progress backup.Progress

	mu   sync.Mutex
	lost func(blob.Handle, error)
}

// wantedPack is a pack of the source and what is wanted of it.
type wantedPack struct {
	id      blob.ID
	tree    bool
	size    int64 // of what is wanted
	entries []pack.Entry
}

// plan finds the packs to read: those of data first, so that a tree is never
// there long before what it lists.
func (c *copier) plan(want *blob.Set) (packs []*wantedPack, total int64) {
	byID := make(map[blob.ID]*wantedPack)
	for h := range want.All() {
		at, ok := c.from.index().First(h)
		if !ok {
			c.lost(h, fmt.Errorf("%s is in no index: %w", h, backup.ErrNotFound))
			continue
		}
		p := byID[at.Pack]
		if p == nil {
			p = &wantedPack{id: at.Pack}
			byID[at.Pack] = p
			packs = append(packs, p)
		}
		p.tree = p.tree || h.Type == blob.Tree
		p.size += int64(at.Length)
		p.entries = append(p.entries, at.Entry)
		total += int64(at.Length)
	}
	for _, p := range packs {
		sorted(p.entries)
	}
	slices.SortFunc(packs, func(a, b *wantedPack) int {
		if a.tree != b.tree {
			return map[bool]int{true: 1, false: -1}[a.tree]
		}
		return a.id.Compare(b.id)
	})
	return packs, total
}

// batch copies some packs; when it returns nil, all of it is durable.
func (c *copier) batch(ctx context.Context, packs []*wantedPack) (stats WriteStats, err error) {
	var writer *Writer
	err = c.to.Write(ctx, func(ctx context.Context, w *Writer) error {
		writer = w
		var next atomic.Int64
		group, ctx := errgroup.WithContext(ctx)
		for range min(max(runtime.GOMAXPROCS(0), c.from.uploads()), len(packs)) { // a network wants more at once than there are cores
			group.Go(func() error {
				for n := next.Add(1); n <= int64(len(packs)); n = next.Add(1) {
					if err := c.pack(ctx, w, packs[n-1]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	})
	return writer.Stats(), err
}

func (c *copier) pack(ctx context.Context, w *Writer, p *wantedPack) error {
	c.progress.Current(packName(p.id).String())
	return c.from.eachFrame(ctx, p.id, p.entries, func(o opened) error {
		c.progress.Add(1, int64(o.Length))
		if o.err != nil {
			return c.elsewhere(ctx, w, o.Handle)
		}
		return c.put(ctx, w, o)
	})
}

// put stores a blob. Both of version 2: as it is. A version 1 target knows no
// compression; what comes uncompressed from a version 1 source, and every tree,
// is compressed on the way into a version 2 target.
func (c *copier) put(ctx context.Context, w *Writer, o opened) error {
	var err error
	switch {
	case c.to.config.Version < newestVersion:
		_, err = w.SaveFrame(ctx, o.Handle, o.plain, 0)
	case o.Compressed() || len(o.plain) == 0:
		_, err = w.SaveFrame(ctx, o.Handle, o.content, o.Plain)
	case c.from.config.Version < newestVersion || o.Handle.Type == blob.Tree:
		_, err = w.save(ctx, o.Handle, o.plain, false)
	default:
		_, err = w.SaveFrame(ctx, o.Handle, o.content, 0)
	}
	return err
}

// elsewhere tries the other copies of a blob that is damaged in its pack.
func (c *copier) elsewhere(ctx context.Context, w *Writer, h blob.Handle) error {
	plain, err := c.from.LoadBlob(ctx, h, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lost(h, err)
		return nil
	}
	_, err = w.save(ctx, h, plain, false)
	return err
}

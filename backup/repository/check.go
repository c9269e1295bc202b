package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// CheckOptions says how deep CheckStore looks.
type CheckOptions struct {
	ReadData bool    // read and prove every byte of the packs
	Subset   float64 // between 0 and 1: with ReadData, only this share of the packs, drawn at random; else all
}

// CheckStore proves keys, index and packs; what trees and snapshots say is
// snapshot.Check's part. It reads the index itself, as far as that can be
// read, and leaves it for the checks that follow. Every finding is reported,
// one at a time. The error is for a check that could not be made.
func (r *Repository) CheckStore(ctx context.Context, opts CheckOptions, report func(Finding), progress backup.Progress) error {
	if progress == nil {
		progress = backup.Silent{}
	}
	c := &checker{repo: r, found: &reporter{report: report}, progress: progress, known: index.New()}
	progress.Stage(backup.StageCheck)
	for _, step := range []func(context.Context) error{c.config, c.keys, c.locks, c.index, c.packs} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("check %s: %w", r.storage.Location(), err)
		}
	}
	if !opts.ReadData {
		return nil
	}
	progress.Stage(backup.StageVerify)
	if err := c.data(ctx, opts.Subset); err != nil {
		return fmt.Errorf("check %s: %w", r.storage.Location(), err)
	}
	return nil
}

type checker struct {
	repo     *Repository
	found    *reporter
	progress backup.Progress
	known    *index.Index
	present  map[blob.ID]int64 // packs on the storage and their sizes
	torn     bool              // an index file could not be read
}

// config looks at the config as it lies there: a single turned bit was undone
// when the repository was opened.
func (c *checker) config(ctx context.Context) error {
	_, err := twice(ctx, func() ([]byte, error) {
		sealed, err := loadConfig(ctx, c.repo.storage)
		if err != nil {
			return nil, err
		}
		return c.repo.key.Open(nil, sealed)
	})
	if err != nil && ctx.Err() == nil {
		c.found.add(documentFinding(Error, ConfigDamaged, storage.Name{Kind: storage.Config}, err.Error()))
	}
	return ctx.Err()
}

// locks looks at the locks of others. They come and go; nothing hangs on them.
func (c *checker) locks(ctx context.Context) error {
	ids, err := c.repo.listIDs(ctx, storage.Lock)
	if err != nil {
		return err
	}
	for _, id := range ids {
		name := storage.Name{Kind: storage.Lock, ID: id}
		_, err := twice(ctx, func() ([]byte, error) {
			data, err := c.repo.storage.Load(ctx, name, nil, 0, -1)
			if err == nil && !named(name)(data) {
				err = changed(name)
			}
			return data, err
		})
		if errors.Is(err, backup.ErrDamaged) {
			c.found.add(documentFinding(Hint, LockDamaged, name, err.Error()))
		}
	}
	return ctx.Err()
}

// keys looks at every key file: a flipped bit in one that is not in use would
// show only on the day it is needed.
func (c *checker) keys(ctx context.Context) error {
	ids, err := c.repo.listIDs(ctx, storage.Key)
	if err != nil {
		return err
	}
	for _, id := range ids {
		name := storage.Name{Kind: storage.Key, ID: id}
		_, err := twice(ctx, func() (f keyFile, err error) {
			f, whole, err := loadKeyFile(ctx, c.repo.storage, id)
			if err == nil && !whole {
				err = changed(name)
			}
			return f, err
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !absent(err) {
			c.found.add(documentFinding(Error, KeyDamaged, name, err.Error()))
		}
	}
	return nil
}

// index reads every index file, and the packs in them into known.
func (c *checker) index(ctx context.Context) error {
	c.repo.landing.Lock()
	defer c.repo.landing.Unlock()
	err := c.repo.eachIndexFile(ctx, func(id string, packs []index.Pack, err error) error {
		name := storage.Name{Kind: storage.Index, ID: id}
		if err != nil {
			c.torn = true
			c.found.add(documentFinding(Error, IndexDamaged, name, err.Error()))
			return nil
		}
		for _, p := range packs {
			c.indexPack(name, p)
		}
		return nil
	})
	if err == nil {
		c.repo.setIndex(c.known)
	}
	return err
}

func (c *checker) indexPack(file storage.Name, p index.Pack) {
	twice := c.known.HasPack(p.ID)
	switch err := c.known.Add(p); {
	case err != nil:
		c.found.add(documentFinding(Error, IndexConflict, file, err.Error()))
	case twice:
		c.found.add(documentFinding(Hint, IndexTwice, file,
			fmt.Sprintf("pack %s is listed by another index file too; prune tidies that up", p.ID.Short())))
	}
}

// packs compares the index with what lies on the storage.
func (c *checker) packs(ctx context.Context) error {
	var err error
	if c.present, err = c.repo.packSizes(ctx); err != nil {
		return err
	}
	for _, id := range c.known.PackIDs() {
		c.packFile(id, c.known.Pack(id))
	}
	if c.torn { // the packs that nobody knows are those of the damaged file
		return c.repo.askPacks(ctx, c.known, c.present, func(id blob.ID, err error) {
			c.found.add(packFinding(PackHeader, id, fmt.Sprintf("the pack's own list of blobs cannot be read: %v", err)))
		})
	}
	for _, id := range strangers(c.known, c.present) {
		c.found.add(packFinding(PackOrphan, id, "no index file knows this pack; an interrupted backup leaves such, and prune removes them"))
	}
	return nil
}

// packSizes lists the packs on the storage.
func (r *Repository) packSizes(ctx context.Context) (map[blob.ID]int64, error) {
	sizes := make(map[blob.ID]int64)
	err := r.storage.List(ctx, storage.Pack, func(info storage.Info) error {
		id, err := blob.ParseID(info.Name.ID)
		if err == nil {
			sizes[id] = info.Size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list packs: %w", err)
	}
	return sizes, nil
}

func (c *checker) packFile(id blob.ID, entries []pack.Entry) {
	size, ok := c.present[id]
	want := pack.Size(entries)
	switch {
	case !ok:
		c.found.add(packFinding(PackMissing, id, fmt.Sprintf("the pack is missing, and %d blobs with it", len(entries))))
	case size < want:
		c.found.add(packFinding(PackShort, id, fmt.Sprintf("the pack has %d bytes instead of %d: its end was cut off", size, want)))
	case size > want:
		c.found.add(packFinding(PackLong, id, fmt.Sprintf("the pack has %d bytes instead of %d: something was appended, or the index is wrong", size, want)))
	}
	if mixed(entries) {
		c.found.add(packFinding(PackMixed, id, "the pack holds trees and data; prune separates them"))
	}
	if !backToBack(sorted(entries)) {
		c.found.add(packFinding(PackLayout, id, "the blobs of the pack overlap or leave gaps"))
	}
}

func mixed(entries []pack.Entry) bool {
	return slices.ContainsFunc(entries, func(e pack.Entry) bool { return e.Handle.Type != entries[0].Handle.Type })
}

// sorted puts entries in the order they lie in the pack.
func sorted(entries []pack.Entry) []pack.Entry {
	slices.SortFunc(entries, func(a, b pack.Entry) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	return entries
}

func backToBack(entries []pack.Entry) bool {
	end := uint32(0)
	for _, e := range entries {
		if e.Offset != end {
			return false
		}
		end += e.Length
	}
	return true
}

// data reads packs on all cores.
func (c *checker) data(ctx context.Context, subset float64) error {
	ids := slices.DeleteFunc(c.known.PackIDs(), func(id blob.ID) bool { _, ok := c.present[id]; return !ok })
	ids = draw(ids, subset)
	var total int64
	for _, id := range ids {
		total += c.present[id]
	}
	// The largest first, so that no core is left with one at the end.
	slices.SortFunc(ids, func(a, b blob.ID) int { return cmp.Compare(c.present[b], c.present[a]) })
	c.progress.Total(int64(len(ids)), total)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(readers(), len(ids)) {
		group.Go(func() error {
			p := packProof{repo: c.repo, found: c.found}
			for n := next.Add(1); n <= int64(len(ids)); n = next.Add(1) {
				id := ids[n-1]
				c.progress.Current(packName(id).String())
				p.prove(ctx, id, c.present[id], c.known.Pack(id))
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				c.progress.Add(1, c.present[id])
			}
			return nil
		})
	}
	return group.Wait()
}

// draw picks a share of the packs at random, at least one.
func draw(ids []blob.ID, share float64) []blob.ID {
	if share <= 0 || share >= 1 || len(ids) == 0 {
		return ids
	}
	//nolint:gosec // Which packs are looked at is no secret.
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:max(1, int(float64(len(ids))*share+0.5))]
}

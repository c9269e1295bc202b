package repository

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/storage"
)

// carryOut does what the plan says, in the order that survives a crash, and
// returns how many bytes of packs it wrote.
func (p *pruner) carryOut(ctx context.Context) (written int64, err error) {
	total := len(p.plan.orphans) + len(p.plan.repack) + len(p.plan.remove)
	p.progress.Total(int64(total), p.plan.removedBytes())
	if err := p.removePacks(ctx, p.plan.orphans); err != nil {
		return 0, err
	}
	going := p.plan.remove
	if len(p.plan.repack) > 0 {
		if going, err = p.makeRoom(ctx); err != nil {
			return 0, err
		}
	}
	if written, err = p.rewrite(ctx); err != nil {
		return written, err
	}
	if err := p.renewIndex(ctx, p.plan.keep); err != nil {
		return written, err
	}
	return written, p.removePacks(ctx, present(slices.Concat(going, p.plan.repack)))
}

// makeRoom removes the packs that hold nothing of use before others are written
// anew, which a full storage could not take. Packs with a second copy of
// something used wait: the first copy may turn out to be unreadable.
func (p *pruner) makeRoom(ctx context.Context) (left []*packUse, err error) {
	var idle []*packUse
	for _, use := range p.plan.remove {
		if use.twin {
			left = append(left, use)
		} else {
			idle = append(idle, use)
		}
	}
	if len(idle) == 0 {
		return left, nil
	}
	if err := p.renewIndex(ctx, slices.Concat(p.plan.keep, p.plan.repack, left)); err != nil {
		return left, err
	}
	return left, p.removePacks(ctx, present(idle))
}

// present lists the packs that are there.
func present(list []*packUse) (ids []blob.ID) {
	for _, use := range list {
		if !use.missing {
			ids = append(ids, use.id)
		}
	}
	return ids
}

// removers delete packs at once; a deletion mostly waits for the disk.
const removers = 4

func (p *pruner) removePacks(ctx context.Context, ids []blob.ID) error {
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove packs: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(removers)
	for _, id := range ids {
		group.Go(func() error {
			if err := p.repo.remove(ctx, packName(id)); err != nil && !absent(err) {
				return err
			}
			p.progress.Add(1, p.sizes[id])
			return nil
		})
	}
	return group.Wait()
}

// rewrite stores what is used of the packs that go once more, in new packs.
func (p *pruner) rewrite(ctx context.Context) (written int64, err error) {
	if len(p.plan.repack) == 0 {
		return 0, nil
	}
	var writer *Writer
	err = p.repo.Write(ctx, func(ctx context.Context, w *Writer) error {
		writer = w
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(p.repo.uploads())
		for _, use := range p.plan.repack {
			group.Go(func() error {
				p.progress.Current(packName(use.id).String())
				return p.copyPack(ctx, w, use)
			})
		}
		return group.Wait()
	})
	return writer.Stats().Packed, err
}

func (p *pruner) copyPack(ctx context.Context, w *Writer, use *packUse) error {
	return p.repo.LoadPack(ctx, use.id, use.wanted, func(h blob.Handle, plain []byte, err error) error {
		if err != nil {
			return fmt.Errorf("%s is needed but cannot be read, nothing is removed: %w", h, err)
		}
		return w.again(ctx, h, plain)
	})
}

// renewIndex writes the packs that stay into new index files and removes the
// old ones. Files that are full and name no pack that goes stay as they are.
func (p *pruner) renewIndex(ctx context.Context, keep []*packUse) error {
	old, packs := p.outdated(keep)
	if len(old) == 0 {
		return nil
	}
	var batch []index.Pack
	blobs := 0
	for _, next := range packs {
		if blobs > 0 && blobs+len(next.Entries) > index.MaxBlobs {
			if err := p.saveIndex(ctx, batch); err != nil {
				return err
			}
			batch, blobs = nil, 0
		}
		batch = append(batch, next)
		blobs += len(next.Entries)
	}
	if blobs > 0 {
		if err := p.saveIndex(ctx, batch); err != nil {
			return err
		}
	}
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove old index files: %w", err)
	}
	for _, id := range old {
		if err := p.repo.remove(ctx, storage.Name{Kind: storage.Index, ID: id}); err != nil && !absent(err) {
			return err
		}
	}
	p.files = slices.DeleteFunc(p.files, func(f indexFile) bool { return slices.Contains(old, f.id) })
	return nil
}

// saveIndex writes an index file, which a later renewal may replace.
func (p *pruner) saveIndex(ctx context.Context, packs []index.Pack) error {
	id, err := p.repo.saveIndexFile(ctx, packs)
	if err != nil {
		return err
	}
	f := indexFile{id: id.String()}
	for _, each := range packs {
		f.packs = append(f.packs, each.ID)
		f.blobs += len(each.Entries)
	}
	p.files = append(p.files, f)
	return nil
}

// outdated finds the index files to be replaced, and the packs that only they
// list and that stay. A lone small file with nothing wrong is left alone.
func (p *pruner) outdated(keep []*packUse) (old []string, packs []index.Pack) {
	stays := make(map[blob.ID]bool, len(keep))
	for _, use := range keep {
		stays[use.id] = true
	}
	listed := make(map[blob.ID]bool)
	var renew []indexFile
	wrong := false
	for _, f := range p.files {
		bad := p.names(f, stays, listed)
		wrong = wrong || bad
		if bad || f.blobs < index.MaxBlobs/2 {
			renew = append(renew, f)
			continue
		}
		for _, id := range f.packs {
			listed[id] = true
		}
	}
	if !wrong && len(renew) < 2 {
		return nil, nil
	}
	for _, f := range renew {
		old = append(old, f.id)
		for _, id := range f.packs {
			if stays[id] && !listed[id] {
				listed[id] = true
				packs = append(packs, index.Pack{ID: id, Entries: p.known.Pack(id)})
			}
		}
	}
	return old, packs
}

// names tells whether an index file names a pack that goes, or one that a file
// before it has named.
func (p *pruner) names(f indexFile, stays, listed map[blob.ID]bool) bool {
	for _, id := range f.packs {
		if !stays[id] || listed[id] {
			return true
		}
	}
	return false
}

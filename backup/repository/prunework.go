package repository

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// roomSlack is what a storage should have left beside the copies.
const roomSlack = 64 << 20

// tight tells whether the storage knows that it cannot take the copies.
func (p *pruner) tight(ctx context.Context) bool {
	if p.relist || len(p.plan.repack) == 0 { // room was made, there is nothing left but to try
		return false
	}
	var need uint64 = roomSlack
	for _, use := range p.plan.repack {
		need += uint64(use.used)
	}
	space, ok := storage.As[storage.Space](p.repo.storage)
	if !ok {
		return false
	}
	free, _, err := space.Space(ctx)
	return err == nil && free < need // who cannot tell will see when it is written
}

// copiers is how many packs are read at once for each core; one waits for the
// storage while the other is opened and sealed.
const copiers = 2

// rewrite stores what is used of the packs that are to go once more, in new
// packs. Asked to stop it ends with the pack at hand, and what is written by
// then is put into the index: the next run finds it there.
func (p *pruner) rewrite(soft, hard context.Context) error {
	if len(p.plan.repack) == 0 {
		return nil
	}
	var writer *Writer
	err := p.repo.Write(hard, func(ctx context.Context, w *Writer) error {
		writer = w
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(copiers * runtime.GOMAXPROCS(0))
		for _, use := range p.plan.repack {
			if soft.Err() != nil || ctx.Err() != nil {
				break
			}
			group.Go(func() error {
				p.progress.Current(packName(use.id).String())
				return p.copyPack(ctx, w, use)
			})
		}
		return group.Wait()
	})
	p.written += writer.Stats().Packed
	if err == nil && soft.Err() != nil {
		err = context.Cause(soft)
	}
	return err
}

// copyPack copies what is wanted of a pack, each blob opened and proven, but
// compressed as it is. Only trees that were never compressed are now.
func (p *pruner) copyPack(ctx context.Context, w *Writer, use *packUse) error {
	var entries []pack.Entry
	for _, h := range use.wanted {
		if e, ok := p.known.In(use.id, h); ok {
			entries = append(entries, e)
		}
	}
	return p.repo.eachFrame(ctx, use.id, sorted(entries), func(o opened) (err error) {
		switch {
		case o.err != nil:
			err = p.copyOther(ctx, w, o)
		case !o.Compressed() && o.Handle.Type == blob.Tree && len(o.plain) > 0:
			err = w.again(ctx, o.Handle, o.plain)
		default:
			_, err = w.saveFrame(ctx, o.Handle, o.content, o.Plain, true)
		}
		return err
	})
}

// copyOther copies a blob from another pack, since it cannot be read in this
// one.
func (p *pruner) copyOther(ctx context.Context, w *Writer, bad opened) error {
	plain, err := p.repo.LoadBlob(ctx, bad.Handle, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s is needed but cannot be read, nothing is removed: %w", bad.Handle, err)
	}
	return w.again(ctx, bad.Handle, plain)
}

// gatherOnFull makes room by removing, in both phases, the packs that hold
// nothing of use, and then tries once more.
func (p *pruner) gatherOnFull(ctx context.Context, full error) error {
	p.doom(p.plan.idle())
	p.relist = true
	if err := p.clear(ctx); err != nil {
		return fmt.Errorf("%w; while making room: %w", full, err)
	}
	if p.report.Postponed != "" {
		return fmt.Errorf("%w; packs without use can make room once nobody else is at work: %s", full, p.report.Why)
	}
	return p.gather(ctx)
}

// renewIndex writes the packs that stay into new index files and removes the
// old ones. Files that are full and name no doomed pack stay as they are.
func (p *pruner) renewIndex(ctx context.Context) error {
	old, packs := p.outdated()
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
	return p.removeIndex(ctx, old)
}

func (p *pruner) removeIndex(ctx context.Context, old map[string]bool) error {
	if len(old) == 0 {
		return nil
	}
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove old index files: %w", err)
	}
	var left []indexFile
	for _, f := range p.files {
		if !old[f.id] {
			left = append(left, f)
			continue
		}
		if err := p.repo.remove(ctx, storage.Name{Kind: storage.Index, ID: f.id}); err != nil && !absent(err) {
			return err
		}
	}
	p.files = left
	return nil
}

// saveIndex writes an index file.
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
func (p *pruner) outdated() (old map[string]bool, packs []index.Pack) {
	listed := make(map[blob.ID]bool)
	var renew []indexFile
	wrong := false
	for _, f := range p.files {
		bad := p.stale(f, listed)
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
	old = make(map[string]bool, len(renew))
	for _, f := range renew {
		old[f.id] = true
		for _, id := range f.packs {
			if !p.doomed[id] && !listed[id] {
				listed[id] = true
				packs = append(packs, index.Pack{ID: id, Entries: p.known.Pack(id)})
			}
		}
	}
	return old, packs
}

// stale tells whether an index file names a doomed pack, or one that a file
// before it has named.
func (p *pruner) stale(f indexFile, listed map[blob.ID]bool) bool {
	for _, id := range f.packs {
		if p.doomed[id] || listed[id] {
			return true
		}
	}
	return false
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

const (
	// slice is how long packs are deleted before others may have the repository.
	slice = 3 * time.Second
	// breath is how long the repository is left to them; who waits for it looks
	// every two seconds.
	breath = 2500 * time.Millisecond
	// removers delete packs at once; a deletion mostly waits for the disk.
	removers = 4
	// bunch is how many packs are deleted between two looks at the clock.
	bunch = 16
)

// clear is steps B and C. Whoever came first while the repository was free is
// let go first: then the rest is left to a later run.
func (p *pruner) clear(ctx context.Context) error {
	for {
		more, err := p.slice(ctx)
		if errors.Is(err, backup.ErrLocked) {
			p.postpone(err)
			return nil
		}
		if err != nil || !more {
			return err
		}
		if err := pause(ctx, breath); err != nil {
			return err
		}
	}
}

func (p *pruner) postpone(why error) {
	switch {
	case !p.switched && len(p.doomed) > 0:
		p.report.Postponed = PruneSwitch
	case len(p.waste) > 0:
		p.report.Postponed = PruneRemove
	default:
		return // only tidying up is left
	}
	p.report.Why = why.Error()
}

// slice does as much as fits into one turn with the repository alone, and
// tells whether there is more to do. Orphans go first: on a full storage they
// make room for the new index files.
func (p *pruner) slice(ctx context.Context) (more bool, err error) {
	err = p.under(ctx, Exclusive, func(soft, hard context.Context) error {
		until := time.Now().Add(slice)
		if err := p.lookAgain(soft); err != nil {
			return err
		}
		if more, err = p.removeWaste(soft, until); more || err != nil {
			return err
		}
		if !p.switched {
			if err := p.switchIndex(soft, hard); err != nil {
				return err
			}
		}
		if more, err = p.removeWaste(soft, until); more || err != nil {
			return err
		}
		return p.sweepParts(soft)
	})
	return more, err
}

// lookAgain reads the index files that are new, and takes from the waste what
// one of them names.
func (p *pruner) lookAgain(ctx context.Context) (err error) {
	if err := p.refresh(ctx, p.repo); err != nil {
		return err
	}
	named := p.named()
	if p.relist && !p.switched {
		if p.sizes, err = p.repo.packSizes(ctx); err != nil {
			return err
		}
		p.waste = nil
		for id := range p.sizes {
			p.waste = append(p.waste, id)
		}
		slices.SortFunc(p.waste, blob.ID.Compare)
	}
	p.waste = slices.DeleteFunc(slices.Clone(p.waste), func(id blob.ID) bool { return named[id] })
	return nil
}

// switchIndex is step B: afterwards no index file names a doomed pack, and
// none is needed by any snapshot.
func (p *pruner) switchIndex(soft, hard context.Context) error {
	if err := p.needs.List(soft); err != nil {
		return err
	}
	if err := p.needs.Mark(soft, p.mark); err != nil {
		return err
	}
	if err := p.rescue(); err != nil {
		return err
	}
	if err := p.renewIndex(hard); err != nil {
		return err
	}
	p.switched = true
	for id := range p.doomed {
		if _, there := p.sizes[id]; there {
			p.waste = append(p.waste, id)
		}
	}
	slices.SortFunc(p.waste, blob.ID.Compare)
	return nil
}

// rescue takes packs off the list that hold the only copy of something that a
// snapshot needs: backups that ran since the plan was made may have found it
// there. After it, every used blob has a copy in a pack that is named, there,
// and not doomed.
func (p *pruner) rescue() error {
	named := p.named()
	for id := range p.doomed {
		if !named[id] {
			delete(p.doomed, id) // somebody else has removed it
		}
	}
	for _, h := range p.fresh {
		if !p.kept(h, named, nil) {
			return fmt.Errorf("%s, which a new snapshot needs, is missing; nothing is removed, run a check first: %w", h, backup.ErrDamaged)
		}
	}
	p.fresh = nil
	for _, id := range slices.SortedFunc(maps.Keys(p.doomed), blob.ID.Compare) {
		if _, there := p.sizes[id]; there && p.lone(id, named) {
			delete(p.doomed, id)
			p.report.PacksRescued++
		}
	}
	return nil
}

// lone tells whether a doomed pack holds something of use that no pack that
// stays holds.
func (p *pruner) lone(id blob.ID, named map[blob.ID]bool) bool {
	for _, e := range p.known.Pack(id) {
		if p.used.Has(e.Handle) && !p.kept(e.Handle, named, p.doomed) {
			return true
		}
	}
	return false
}

// kept tells whether a copy lies in a pack that is named, there, and not among
// those that go.
func (p *pruner) kept(h blob.Handle, named, going map[blob.ID]bool) bool {
	for _, at := range p.copies(h) {
		if named[at.Pack] && !going[at.Pack] {
			return true
		}
	}
	return false
}

// removeWaste deletes packs that no index names until the turn is over. A few
// always go, or on a slow storage turn after turn would be spent on looking.
func (p *pruner) removeWaste(ctx context.Context, until time.Time) (more bool, err error) {
	for first := true; len(p.waste) > 0; first = false {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if !first && !time.Now().Before(until) {
			return true, nil
		}
		if err := p.removePacks(ctx, p.waste[:min(bunch, len(p.waste))]); err != nil {
			return false, err
		}
		p.waste = p.waste[min(bunch, len(p.waste)):]
	}
	return false, nil
}

func (p *pruner) removePacks(ctx context.Context, ids []blob.ID) error {
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove packs: %w", err)
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(removers)
	for _, id := range ids {
		group.Go(func() error {
			if err := p.repo.remove(ctx, packName(id)); err != nil && !absent(err) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.progress.Add(1, p.sizes[id])
			p.deleted += p.sizes[id]
			delete(p.sizes, id)
			return nil
		})
	}
	return group.Wait()
}

// sweepParts removes what killed programs have left of unfinished documents.
func (p *pruner) sweepParts(ctx context.Context) error {
	sweeper, ok := storage.As[storage.Sweeper](p.repo.storage)
	if !ok {
		return nil
	}
	_, err := sweeper.Sweep(ctx, staleAge)
	return err
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// PruneOptions says how much slack may stay.
type PruneOptions struct {
	MaxUnusedPercent float64 // of the used bytes; 0 means 5, negative means none
	DryRun           bool    // only tell

	// Promised are ids of snapshots that somebody has promised to keep. When the
	// storage gives one by its name but does not list it, its listing cannot be
	// believed, and nothing is removed. One that is gone altogether says nothing.
	Promised []string
}

// defaultUnused is the slack that stays: rewriting packs for the last few
// percent costs more than it brings.
const defaultUnused = 5

// PruneStep is a step of Prune that had to be left for a later run.
type PruneStep string

const (
	// PruneSwitch takes packs out of the index.
	PruneSwitch PruneStep = "switch"
	// PruneRemove deletes packs that no index names.
	PruneRemove PruneStep = "remove"
)

// PruneReport tells what was, or with DryRun would be, removed. Bytes are as
// stored.
type PruneReport struct {
	UsedBlobs            int64 `json:"used_blobs"`
	UsedBytes            int64 `json:"used_bytes"`
	UnusedBlobs          int64 `json:"unused_blobs"` // before, superfluous copies included
	UnusedBytes          int64 `json:"unused_bytes"`
	RemainingUnusedBytes int64 `json:"remaining_unused_bytes"`
	PacksKept            int64 `json:"packs_kept"`
	PacksRepacked        int64 `json:"packs_repacked"` // what is used in them is written anew
	PacksRemoved         int64 `json:"packs_removed"`  // nothing in them is used
	PacksOrphans         int64 `json:"packs_orphans"`  // no index knew them
	PacksRescued         int64 `json:"packs_rescued"`  // were to go, but a backup came to need them meanwhile
	BytesFreed           int64 `json:"bytes_freed"`    // how much more room the storage has, negative while copies wait for their old packs to go; estimated with DryRun

	// What a later run has to finish, because somebody else was at work.
	Postponed PruneStep `json:"postponed,omitempty"`
	Why       string    `json:"why,omitempty"` // who was in the way
	PacksLeft int64     `json:"packs_left"`    // needed by nobody, but not deleted yet
	BytesLeft int64     `json:"bytes_left"`
}

// Needs tells what the snapshots of a repository need; package snapshot does.
type Needs interface {
	// List notes which snapshots there are now.
	List(ctx context.Context) error
	// Mark hands every blob to add that a noted snapshot needs, one call at a
	// time; add answers whether the blob is new to it. What lies below a tree
	// that is not new has been handed over before. Whatever cannot be read is
	// an error: what it needs would be taken for waste.
	Mark(ctx context.Context, add func(blob.Handle) bool) error
}

// Prune removes what no snapshot needs. It takes its locks itself and lets
// backups go first; docs/design/prune.md has the invariant and its proof.
//
// Step A, beside running backups: what is used of packs that are to go is
// copied into new packs. Step B, alone and short: snapshots made meanwhile are
// looked at, packs they need stay after all, and the index is written without
// the others. Step C, alone and in slices of a few seconds: packs that no index
// names are deleted. Wherever it ends, all that snapshots need is there, and
// the next run goes on. When others hold the repository, B and C stay for
// later; that is no error, and the report says so.
func (r *Repository) Prune(ctx context.Context, needs Needs, opts PruneOptions, progress backup.Progress) (PruneReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	progress.Stage(backup.StagePrune)
	p := &pruner{repo: r, needs: needs, opts: opts, progress: progress}
	err := p.run(ctx)
	p.sum()
	if err != nil {
		return p.report, fmt.Errorf("prune %s: %w", r.storage.Location(), err)
	}
	return p.report, nil
}

type pruner struct {
	repo     *Repository
	needs    Needs
	opts     PruneOptions
	progress backup.Progress
	used     *blob.Set
	fresh    []blob.Handle // used, and marked since the plan was made
	report   PruneReport
	survey
	plan prunePlan

	doomed   map[blob.ID]bool // packs to be taken out of the index
	planned  bool             // the report has the plan
	switched bool             // the index is without the doomed packs
	relist   bool             // packs may have come that the survey has not seen
	waste    []blob.ID        // packs that no index names
	written  int64            // bytes of packs
	deleted  int64
}

func (p *pruner) run(ctx context.Context) error {
	if p.opts.DryRun {
		return p.under(ctx, Read, func(ctx, _ context.Context) error { return p.prepare(ctx) })
	}
	err := p.gather(ctx)
	if errors.Is(err, backup.ErrStorageFull) {
		err = p.gatherOnFull(ctx, err)
	}
	if err != nil {
		return err
	}
	if err := p.clear(ctx); err != nil {
		return err
	}
	return p.repo.LoadIndex(ctx)
}

// linger is how long work that was asked to stop may take to end what it has
// begun, so that it is not done in vain.
const linger = 15 * time.Second

// under holds a lock around fn. soft ends when the caller's context does, hard
// only a little later; both end when the lock is lost.
func (p *pruner) under(ctx context.Context, mode LockMode, fn func(soft, hard context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	late, release := outlive(ctx, linger)
	defer release()
	lock, err := p.repo.Lock(late, mode)
	if err != nil {
		return err
	}
	hard := lock.Context()
	soft, cancel := context.WithCancelCause(context.WithValue(ctx, lockKey{}, lock))
	stop := context.AfterFunc(hard, func() { cancel(context.Cause(hard)) })
	err = fn(soft, hard)
	stop()
	cancel(nil)
	return errors.Join(err, lock.Unlock())
}

// outlive gives a context that ends so long after ctx.
func outlive(ctx context.Context, d time.Duration) (late context.Context, release func()) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = pause(late, d)
		cancel(context.Cause(ctx))
	})
	return late, func() { stop(); cancel(nil) }
}

// gather is step A.
func (p *pruner) gather(ctx context.Context) error {
	return p.under(ctx, Append, func(soft, hard context.Context) error {
		if err := p.mended(soft); err != nil {
			return err
		}
		if p.tight(soft) {
			return fmt.Errorf("there is no room for copies: %w", backup.ErrStorageFull)
		}
		return p.rewrite(soft, hard)
	})
}

// mended is prepare; when that fails, the index is put right and it is tried once
// more: the packs know what the index should say.
func (p *pruner) mended(ctx context.Context) error {
	err := p.prepare(ctx)
	if !errors.Is(err, backup.ErrDamaged) {
		return err
	}
	report, bad := p.repo.adopt(ctx)
	if bad != nil || report.Clean() {
		return errors.Join(err, bad)
	}
	return p.prepare(ctx)
}

// prepare finds out what is there and what is needed, and makes the plan.
// Snapshots are listed before the index is read: backups go on meanwhile, and
// what a snapshot needs is in the index before it is there itself.
func (p *pruner) prepare(ctx context.Context) (err error) {
	if err = p.needs.List(ctx); err != nil {
		return err
	}
	if p.survey, err = p.repo.survey(ctx); err != nil {
		return err
	}
	p.used = blob.NewSet()
	if err = p.needs.Mark(ctx, p.used.Add); err != nil {
		return err
	}
	if p.plan, err = p.survey.decide(p.used, p.opts, p.repo); err != nil {
		return err
	}
	if err = p.leaveToOthers(ctx); err != nil {
		return err
	}
	if !p.planned { // else room was made, and the first plan tells more
		p.planned, p.report = true, p.plan.report
		p.progress.Total(int64(len(p.plan.orphans)+len(p.plan.repack)+len(p.plan.remove)), p.plan.removedBytes())
	}
	p.doom(p.plan.remove, p.plan.repack)
	return nil
}

// leaveToOthers takes orphans from the plan while somebody else holds a lock:
// they may be packs of a backup that has not come to its index file yet.
func (p *pruner) leaveToOthers(ctx context.Context) error {
	if len(p.plan.orphans) == 0 {
		return nil
	}
	locks, err := p.repo.Locks(ctx)
	if err != nil {
		return err
	}
	if len(locks) > 1 { // one is ours
		p.plan.orphans = nil
		p.plan.finish()
	}
	return nil
}

func (p *pruner) mark(h blob.Handle) bool {
	fresh := p.used.Add(h)
	if fresh {
		p.fresh = append(p.fresh, h)
	}
	return fresh
}

// doom notes which packs are to go, and the orphans that may go at once.
func (p *pruner) doom(lists ...[]*packUse) {
	p.doomed, p.switched, p.waste = make(map[blob.ID]bool), false, p.plan.orphans
	for _, list := range lists {
		for _, use := range list {
			p.doomed[use.id] = true
		}
	}
}

// sum completes the report with what really happened.
func (p *pruner) sum() {
	if p.opts.DryRun {
		return
	}
	p.report.BytesFreed = p.deleted - p.written
	left := slices.Clone(p.waste)
	if !p.switched {
		for id := range p.doomed {
			left = append(left, id)
		}
	}
	for _, id := range left {
		if size, there := p.sizes[id]; there {
			p.report.PacksLeft++
			p.report.BytesLeft += size
		}
	}
}

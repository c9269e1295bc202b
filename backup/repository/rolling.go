package repository

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
	"emrvault/backup/repository/index"
)

// RollingOptions says how much one rolling verification reads.
type RollingOptions struct {
	Every  time.Duration // everything is read at least once in it; zero means 30 days
	Budget int64         // the most bytes to read now; zero: as many as Every needs
	Time   time.Duration // the longest it may take; zero: as long as it needs
	Now    time.Time     // zero: the time it is
}

const defaultEvery = 30 * 24 * time.Hour

// RollingReport tells what was read, and how well all of it is known.
type RollingReport struct {
	Packs      int64     `json:"packs"` // read now
	Bytes      int64     `json:"bytes"`
	TotalPacks int64     `json:"total_packs"` // there are
	TotalBytes int64     `json:"total_bytes"`
	Never      int64     `json:"never"`           // packs that were never read
	Oldest     time.Time `json:"oldest,omitzero"` // the date of the pack that was read longest ago
	Overdue    int64     `json:"overdue"`         // packs not read within Every since they were, or were first seen
	OverdueB   int64     `json:"overdue_bytes"`
	Covered    float64   `json:"covered_percent"` // of the bytes, read within Every
}

// VerifyRolling reads and proves the packs that were verified longest ago, or
// never: as many as it takes that, with runs as far apart as this one is from
// the last, everything is read at least once in the time asked for. The dates
// are kept on this machine, in the repository's cache; if they are lost,
// packs are read again and nothing else happens. A pack with a finding keeps
// its old date and is read again next time.
//
// The caller holds a lock, for reading at least. Findings come one at a time;
// the error is for a verification that could not be made.
func (r *Repository) VerifyRolling(ctx context.Context, opts RollingOptions, report func(Finding), progress backup.Progress) (RollingReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	if opts.Every <= 0 {
		opts.Every = defaultEvery
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	v := &rolling{opts: opts, began: time.Now(), checker: checker{
		repo: r, found: &reporter{report: withoutOrphans(report)}, progress: progress, known: index.New(),
	}}
	err := v.run(ctx)
	if err != nil {
		err = fmt.Errorf("verify %s: %w", r.storage.Location(), err)
	}
	return v.report(), err
}

// withoutOrphans passes over packs that no index knows: backups may be at work.
func withoutOrphans(report func(Finding)) func(Finding) {
	return func(f Finding) {
		if f.Kind != PackOrphan {
			report(f)
		}
	}
}

type rolling struct {
	checker
	opts  RollingOptions
	began time.Time

	mu    sync.Mutex
	book  *rollingBook
	kept  time.Time // when the book was last put away
	done  int64
	bytes int64
}

// rollingEntry is the name of the book in the cache.
const rollingEntry = "rolling"

// keepEvery is how much work a crash may cost.
const keepEvery = time.Minute

func (v *rolling) run(ctx context.Context) error {
	memory := v.repo.Cache()
	if memory == nil {
		return fmt.Errorf("there is no cache folder in which to remember what was verified: %w", backup.ErrUnsupported)
	}
	v.progress.Stage(backup.StageVerify)
	for _, step := range []func(context.Context) error{v.index, v.packs} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	data, _ := memory.Get(cache.State, rollingEntry)
	v.book = readRollingBook(data)
	list := v.book.choose(v.opts.Now, v.opts.Every, v.sizes())
	err := v.read(ctx, list)
	v.book.last = v.opts.Now
	if putErr := memory.Put(cache.State, rollingEntry, v.book.encode()); err == nil && putErr != nil {
		err = fmt.Errorf("remember what was verified: %w", putErr)
	}
	return err
}

// sizes are the packs that the index knows and that are there.
func (v *rolling) sizes() map[blob.ID]int64 {
	sizes := make(map[blob.ID]int64)
	for _, id := range v.known.PackIDs() {
		if size, there := v.present[id]; there {
			sizes[id] = size
		}
	}
	return sizes
}

// read proves packs on all cores until the list, the budget or the time ends.
func (v *rolling) read(ctx context.Context, list []blob.ID) error {
	var total int64
	for _, id := range list {
		total += v.present[id]
	}
	v.progress.Total(int64(len(list)), total)
	next := make(chan blob.ID)
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), max(1, len(list))) {
		group.Go(func() error {
			p := packProof{repo: v.repo}
			for id := range next {
				if err := v.prove(ctx, &p, id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(next)
		var sum int64
		for _, id := range list {
			if sum += v.present[id]; v.enough(sum) {
				return nil
			}
			select {
			case next <- id:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return group.Wait()
}

// enough tells whether the budget does not reach for so many bytes; the first
// pack is always read, or a small budget would never get anywhere.
func (v *rolling) enough(sum int64) bool {
	v.mu.Lock()
	first := v.done == 0
	v.mu.Unlock()
	return !first && v.opts.Budget > 0 && sum > v.opts.Budget || v.opts.Time > 0 && time.Since(v.began) > v.opts.Time
}

func (v *rolling) prove(ctx context.Context, p *packProof, id blob.ID) error {
	sound := true
	p.found = &reporter{report: func(f Finding) {
		sound = false
		v.found.add(f)
	}}
	v.progress.Current(packName(id).String())
	p.prove(ctx, id, v.present[id], v.known.Pack(id))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.progress.Add(1, v.present[id])
	return v.note(id, sound)
}

// note enters a pack that was read, and puts the book away now and then.
func (v *rolling) note(id blob.ID, sound bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done++
	v.bytes += v.present[id]
	if sound {
		v.book.verified(id, v.opts.Now)
	}
	if now := time.Now(); now.Sub(v.kept) >= keepEvery {
		v.kept = now
		if err := v.repo.Cache().Put(cache.State, rollingEntry, v.book.encode()); err != nil {
			return fmt.Errorf("remember what was verified: %w", err)
		}
	}
	return nil
}

func (v *rolling) report() RollingReport {
	r := RollingReport{Packs: v.done, Bytes: v.bytes}
	if v.book == nil {
		return r
	}
	var covered int64
	for id, size := range v.sizes() {
		s := v.book.packs[id]
		r.TotalPacks++
		r.TotalBytes += size
		if s.read && (r.Oldest.IsZero() || s.when.Before(r.Oldest)) {
			r.Oldest = s.when
		}
		switch {
		case s.when.Add(v.opts.Every).Before(v.opts.Now):
			r.Overdue++
			r.OverdueB += size
		case s.read:
			covered += size
		}
		if !s.read {
			r.Never++
		}
	}
	r.Covered = 100
	if r.TotalBytes > 0 {
		r.Covered = 100 * float64(covered) / float64(r.TotalBytes)
	}
	return r
}

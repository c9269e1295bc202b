package repository

import (
	"context"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/storage"
)

// PruneOptions says how much slack may stay.
type PruneOptions struct {
	MaxUnusedPercent float64 // of the used bytes; 0 means 5, negative means none
	DryRun           bool    // only tell
}

// defaultUnused is the slack that stays: rewriting packs for the last few
// percent costs more than it brings.
const defaultUnused = 5

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
	BytesFreed           int64 `json:"bytes_freed"`    // how much more room the storage has; estimated with DryRun
}

// Prune removes what no snapshot needs. used holds every blob reachable from
// all snapshots; if one of them is missing, nothing is removed. The caller
// holds the exclusive lock and hands in its context.
//
// The order makes a crash at any moment harmless: orphaned packs go first, then,
// once no index names them, packs that hold nothing of use, so that there is
// room for the rest; what is still used in packs about to go is written into new packs and these
// into index files; new index files list what stays; only then the old index
// files are removed, and last the packs that no index names any more.
func (r *Repository) Prune(ctx context.Context, used *blob.Set, opts PruneOptions, progress backup.Progress) (PruneReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	progress.Stage(backup.StagePrune)
	p := &pruner{repo: r, used: used, progress: progress}
	report, err := p.run(ctx, opts)
	if err != nil {
		return report, fmt.Errorf("prune %s: %w", r.storage.Location(), err)
	}
	return report, nil
}

type pruner struct {
	repo     *Repository
	used     *blob.Set
	progress backup.Progress
	survey
	plan prunePlan
}

func (p *pruner) run(ctx context.Context, opts PruneOptions) (report PruneReport, err error) {
	if p.survey, err = p.repo.survey(ctx); err != nil {
		return report, err
	}
	if p.plan, err = p.survey.decide(p.used, opts, p.repo); err != nil {
		return report, err
	}
	report = p.plan.report
	if opts.DryRun {
		return report, nil
	}
	written, err := p.carryOut(ctx)
	if err != nil {
		return report, err
	}
	report.BytesFreed = p.plan.removedBytes() - written
	if sweeper, ok := storage.As[storage.Sweeper](p.repo.storage); ok {
		if _, err := sweeper.Sweep(ctx, staleAge); err != nil {
			return report, err
		}
	}
	return report, p.repo.LoadIndex(ctx)
}

// survey is what lies on the storage when prune begins.
type survey struct {
	known *index.Index
	files []indexFile
	sizes map[blob.ID]int64
}

// indexFile is an index file and the packs it lists.
type indexFile struct {
	id    string
	packs []blob.ID
	blobs int
}

// survey reads everything anew; what an index loaded long ago says does not
// count here. Damage of the index ends it, for then nobody knows what is used.
func (r *Repository) survey(ctx context.Context) (survey, error) {
	s := survey{known: index.New()}
	r.landing.Lock()
	defer r.landing.Unlock()
	err := r.eachIndexFile(ctx, func(id string, packs []index.Pack, err error) error {
		if err != nil {
			return err
		}
		return s.file(id, packs)
	})
	if err != nil {
		return s, fmt.Errorf("the index must be whole: %w", err)
	}
	if s.sizes, err = r.packSizes(ctx); err != nil {
		return s, err
	}
	r.setIndex(s.known)
	return s, nil
}

func (s *survey) file(id string, packs []index.Pack) error {
	f := indexFile{id: id}
	for _, p := range packs {
		if err := s.known.Add(p); err != nil {
			return err
		}
		f.packs = append(f.packs, p.ID)
		f.blobs += len(p.Entries)
	}
	s.files = append(s.files, f)
	return nil
}

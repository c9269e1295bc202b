package repository

import (
	"context"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// PruneOptions says how much slack may stay.
type PruneOptions struct {
	MaxUnusedPercent float64 // of the used bytes; 0 means 5, negative means none
	DryRun           bool
}

// PruneReport tells what was, or with DryRun would be, removed.
type PruneReport struct {
	UsedBlobs, UsedBytes       int64
	UnusedBlobs, UnusedBytes   int64 // before
	RemainingUnusedBytes       int64 // after
	PacksKept, PacksRepacked   int64
	PacksRemoved, PacksOrphans int64
	BytesFreed                 int64 // how much more room the storage has afterwards
}

// Prune removes what no snapshot needs. used holds every blob reachable from
// all snapshots. The caller holds the exclusive lock.
func (r *Repository) Prune(ctx context.Context, used *blob.Set, opts PruneOptions, progress backup.Progress) (PruneReport, error) {
	return PruneReport{}, backup.ErrUnsupported
}

package repository

import (
	"context"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// RewindReport tells what Rewind brought back.
type RewindReport struct {
	ID        string         `json:"id"` // of the repository
	Documents int64          `json:"documents"`
	Bytes     int64          `json:"bytes"`
	Resumed   int64          `json:"resumed"`  // of these, an earlier Rewind had brought
	Replaced  []storage.Name `json:"replaced"` // rubbish lay there; an older version was right
	Lost      []storage.Name `json:"lost"`     // no version was right
	Snapshots []string       `json:"snapshots"`
	Findings  []Finding      `json:"findings"` // of the check of the target
}

// Rewind copies a repository as it was at a moment to an empty place.
func Rewind(ctx context.Context, st storage.Storage, password string, to time.Time, target storage.Storage, progress backup.Progress, opts ...Option) (RewindReport, error) {
	return RewindReport{}, nil
}

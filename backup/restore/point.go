package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// point is a snapshot as a source sees it.
type point struct {
	repo *repository.Repository
	sn   *snapshot.Snapshot
}

// NewPoint lets a source recover from the snapshot. The repository's index
// must be loaded.
func NewPoint(repo *repository.Repository, sn *snapshot.Snapshot) source.Point {
	return &point{repo, sn}
}

// Snapshot is the id.
func (p *point) Snapshot() string { return p.sn.ID }

// Facts reads what the source left of itself, nil when it left nothing.
func (p *point) Facts(ctx context.Context) (*source.Capture, error) {
	f, err := p.Open(ctx, source.PointFile)
	if errors.Is(err, backup.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	facts, err := source.ReadFacts(f)
	if err != nil {
		return nil, fmt.Errorf("facts of snapshot %s: %w", p.sn.Short(), err)
	}
	return facts, nil
}

// Open reads one file.
func (p *point) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	n, err := snapshot.Lookup(ctx, p.repo, p.sn, path)
	if err != nil {
		return nil, err
	}
	return Open(ctx, p.repo, n)
}

// Restore writes the folder or file at path below dir.
func (p *point) Restore(ctx context.Context, path, dir string, progress backup.Progress) error {
	_, err := Run(ctx, p.repo, p.sn, Options{
		Target: dir, Subtree: path, AllowNotEmpty: true, Unmarked: true, Progress: progress,
	})
	return err
}

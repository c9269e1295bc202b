package sourcetest

import (
	"context"
	"errors"
	"testing"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/source"
	"emrvault/backup/storage/mem"
)

// Engine keeps captures as snapshots of a real repository, in memory.
type Engine struct {
	t    *testing.T
	repo *repository.Repository
}

// NewEngine makes an empty repository.
func NewEngine(t *testing.T) *Engine {
	t.Helper()
	repo, err := repository.Create(t.Context(), mem.New(), "password", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	if err != nil {
		t.Fatalf("make repository: %v", err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Errorf("close repository: %v", err)
		}
	})
	return &Engine{t, repo}
}

// Keep archives what s captures.
func (e *Engine) Keep(ctx context.Context, s source.Source) (source.Point, *source.Capture, error) {
	var c *source.Capture
	options := archive.Options{Host: "emr", Tags: []string{"emr"}, Scratch: e.t.TempDir()}
	result, err := archive.Run(ctx, e.repo, options, func(ctx context.Context, sink source.Sink) (err error) {
		c, err = s.Capture(ctx, sink)
		return err
	})
	if err != nil && !errors.Is(err, backup.ErrIncomplete) {
		return nil, nil, err
	}
	return restore.NewPoint(e.repo, result.Snapshot), c, nil
}

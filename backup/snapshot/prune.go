package snapshot

import (
	"context"

	"emrvault/backup"
	"emrvault/backup/repository"
)

// Prune removes what no snapshot needs. It takes its locks itself, so its
// caller must hold none; see repository.Prune for the steps. A report may say
// that something is left for a later run: that is no error.
func Prune(ctx context.Context, repo *repository.Repository, opts repository.PruneOptions, progress backup.Progress) (repository.PruneReport, error) {
	return repo.Prune(ctx, &needs{repo: repo, promised: opts.Promised}, opts, progress)
}

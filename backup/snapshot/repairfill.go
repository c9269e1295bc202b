package snapshot

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Fill brings what the snapshots need and the repository does not have from a
// second copy. A folder's list that was missing names further pieces, so it goes
// on until it learns nothing new. The caller holds the exclusive lock and has
// loaded the index.
func Fill(ctx context.Context, repo *repository.Repository, from repository.Source, progress backup.Progress) (repository.HealReport, error) {
	var sum repository.HealReport
	tried := blob.NewSet()
	for {
		missing, err := Missing(ctx, repo)
		if err != nil {
			return sum, err
		}
		fresh := slices.DeleteFunc(slices.Clone(missing), tried.Has)
		if len(fresh) == 0 {
			sum.Lost = missing
			return sum, nil
		}
		for _, h := range fresh {
			tried.Add(h)
		}
		report, err := repo.Fill(ctx, fresh, from, progress)
		sum.Fetched += report.Fetched
		if err != nil {
			return sum, err
		}
	}
}

// Missing lists the blobs that snapshots need and no index names, as far as the
// trees that are there tell.
func Missing(ctx context.Context, repo *repository.Repository) ([]blob.Handle, error) {
	list, broken := List(ctx, repo, Filter{})
	if list == nil && broken != nil {
		return nil, broken
	}
	var mu sync.Mutex
	missing := blob.NewSet()
	add := func(h blob.Handle) {
		if !repo.Has(h) {
			mu.Lock()
			defer mu.Unlock()
			missing.Add(h)
		}
	}
	s := &sweep{
		repo: repo,
		tree: func(id blob.ID) { add(blob.TreeHandle(id)) },
		node: func(_ *place, _ string, n *Node) {
			for _, id := range n.Content {
				add(blob.DataHandle(id))
			}
		},
		broken: func(*place, error) error { return nil },
	}
	roots, err := rootsOf(slices.DeleteFunc(list, func(s *Snapshot) bool { return s.Tree.IsZero() }))
	if err == nil {
		err = s.run(ctx, roots)
	}
	if err != nil {
		return nil, fmt.Errorf("find what is missing: %w", err)
	}
	return slices.SortedFunc(missing.All(), func(a, b blob.Handle) int { return a.ID.Compare(b.ID) }), nil
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Used gives every blob that some snapshot needs. A snapshot or tree that
// cannot be read is an error: what it needs would be taken for waste. So is
// one that was listed and cannot be found; nobody removes any while a caller
// holds the exclusive lock.
func Used(ctx context.Context, repo *repository.Repository) (*blob.Set, error) {
	ids, err := names(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("find used blobs: %w", err)
	}
	list, err := loadAll(ctx, repo, ids)
	if err == nil && len(list) < len(ids) {
		err = fmt.Errorf("%d of %d snapshots vanished while they were read: %w", len(ids)-len(list), len(ids), backup.ErrDamaged)
	}
	if err = errors.Join(context.Cause(ctx), err); err != nil {
		return nil, fmt.Errorf("find used blobs: %w", err)
	}
	return UsedBy(ctx, repo, list)
}

// UsedBy gives every blob that one of the snapshots needs.
func UsedBy(ctx context.Context, repo *repository.Repository, list []*Snapshot) (*blob.Set, error) {
	var mu sync.Mutex
	used := blob.NewSet()
	s := &sweep{
		repo: repo,
		tree: func(id blob.ID) {
			mu.Lock()
			used.Add(blob.TreeHandle(id))
			mu.Unlock()
		},
		node: func(_ *place, _ string, n *Node) {
			mu.Lock()
			for _, id := range n.Content {
				used.Add(blob.DataHandle(id))
			}
			mu.Unlock()
		},
		broken: func(at *place, err error) error {
			return fmt.Errorf("find used blobs: snapshot %s: %s: %w", at.snapshot(), at.path(), err)
		},
	}
	roots, err := rootsOf(list)
	if err != nil {
		return nil, err
	}
	if err := s.run(ctx, roots); err != nil {
		return nil, err
	}
	return used, nil
}

func rootsOf(list []*Snapshot) ([]*place, error) {
	var roots []*place
	for _, s := range list {
		if s.Tree.IsZero() {
			return nil, fmt.Errorf("snapshot %s has no tree: %w", s.Short(), backup.ErrDamaged)
		}
		roots = append(roots, &place{id: s.Tree, name: s.Short()})
	}
	return roots, nil
}

// snapshot names the snapshot through which the place was reached first.
func (p *place) snapshot() string {
	for p.up != nil {
		p = p.up
	}
	return p.name
}

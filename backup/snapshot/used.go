package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Used gives every blob that some snapshot needs, those of unfinished backups
// too. A snapshot or tree that cannot be read is an error: what it needs would
// be taken for waste. So is one that is listed and cannot be found.
func Used(ctx context.Context, repo *repository.Repository) (*blob.Set, error) {
	n := &needs{repo: repo}
	if err := n.List(ctx); err != nil {
		return nil, err
	}
	used := blob.NewSet()
	return used, n.Mark(ctx, used.Add)
}

// UsedBy gives every blob that one of the snapshots needs.
func UsedBy(ctx context.Context, repo *repository.Repository, list []*Snapshot) (*blob.Set, error) {
	used := blob.NewSet()
	return used, mark(ctx, repo, list, used.Add)
}

// needs tells a prune what snapshots need: repository.Needs.
type needs struct {
	repo     *repository.Repository
	list     []*Snapshot
	promised []string // see repository.PruneOptions
}

// List reads the snapshots there are; those it has read before it knows.
func (n *needs) List(ctx context.Context) error {
	ids, err := names(ctx, n.repo)
	if err != nil {
		return fmt.Errorf("find used blobs: %w", err)
	}
	if err := n.listed(ctx, ids); err != nil {
		return fmt.Errorf("find used blobs: %w", err)
	}
	known := make(map[string]*Snapshot, len(n.list))
	for _, s := range n.list {
		known[s.ID] = s
	}
	var list []*Snapshot
	var fresh []string
	for _, id := range ids {
		if s := known[id]; s != nil {
			list = append(list, s)
		} else {
			fresh = append(fresh, id)
		}
	}
	read, err := loadAll(ctx, n.repo, fresh)
	if err == nil && len(read) < len(fresh) {
		err = n.gone(ctx, fresh, read)
	}
	if err = errors.Join(context.Cause(ctx), err); err != nil {
		return fmt.Errorf("find used blobs: %w", err)
	}
	n.list = append(list, read...)
	return nil
}

// listed asks by name for what was promised and is not in the listing. Object
// storages may answer with a listing of a while ago, or with half of one.
func (n *needs) listed(ctx context.Context, ids []string) error {
	there := make(map[string]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	for _, id := range n.promised {
		if there[id] {
			continue
		}
		switch _, err := Load(ctx, n.repo, id); {
		case err == nil:
			return fmt.Errorf("snapshot %s is there and not listed: the storage's listing is incomplete, nothing is removed: %w", short(id), backup.ErrDamaged)
		case !errors.Is(err, backup.ErrNotFound):
			return err
		}
	}
	return nil
}

// gone looks for snapshots that were listed and could not be found. A backup
// that has come to its end removes its checkpoint, and that is no longer listed
// then; anything else is damage.
func (n *needs) gone(ctx context.Context, ids []string, read []*Snapshot) error {
	left, err := names(ctx, n.repo)
	if err != nil {
		return err
	}
	for _, id := range ids {
		found := slices.ContainsFunc(read, func(s *Snapshot) bool { return s.ID == id })
		if !found && slices.Contains(left, id) {
			return fmt.Errorf("snapshot %s is listed and cannot be found: %w", short(id), backup.ErrDamaged)
		}
	}
	return nil
}

// Mark hands over what the snapshots need.
func (n *needs) Mark(ctx context.Context, add func(blob.Handle) bool) error {
	return mark(ctx, n.repo, n.list, add)
}

// mark hands every blob below the snapshots to add, one at a time. What lies
// below a tree that is not new to it is passed over.
func mark(ctx context.Context, repo *repository.Repository, list []*Snapshot, add func(blob.Handle) bool) error {
	var mu sync.Mutex
	s := &sweep{
		repo: repo,
		enter: func(at *place) bool {
			mu.Lock()
			defer mu.Unlock()
			return add(blob.TreeHandle(at.id))
		},
		node: func(_ *place, _ string, n *Node) {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range n.Content {
				add(blob.DataHandle(id))
			}
		},
		broken: func(at *place, err error) error {
			return fmt.Errorf("find used blobs: snapshot %s: %s: %w", at.snapshot(), at.path(), err)
		},
	}
	roots, err := rootsOf(list)
	if err != nil {
		return err
	}
	return s.run(ctx, roots)
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

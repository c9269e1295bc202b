package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
)

// Latest is the word for the newest snapshot that passes a filter.
const Latest = "latest"

// Filter chooses snapshots. Fields that are empty choose all recovery points; a
// snapshot must pass every field that is set.
type Filter struct {
	Host  string
	Tags  []string // one of them; "a,b" asks for both
	Paths []string // all of them

	// Checkpoints lists what unfinished backups have left, and nothing else.
	Checkpoints bool
}

// Match says whether s passes.
func (f Filter) Match(s *Snapshot) bool {
	if f.Checkpoints != s.IsCheckpoint() || f.Host != "" && f.Host != s.Hostname {
		return false
	}
	for _, p := range f.Paths {
		if !slices.Contains(s.Paths, p) {
			return false
		}
	}
	return len(f.Tags) == 0 || slices.ContainsFunc(f.Tags, s.hasTags)
}

// hasTags says whether s carries every tag of a comma separated list; the
// empty list asks for a snapshot without tags.
func (s *Snapshot) hasTags(list string) bool {
	if list == "" {
		return len(s.Tags) == 0
	}
	for tag := range strings.SplitSeq(list, ",") {
		if !slices.Contains(s.Tags, tag) {
			return false
		}
	}
	return true
}

// List gives the snapshots that pass, the newest last. When some cannot be
// read it gives the others and an error that names each of them.
func List(ctx context.Context, repo *repository.Repository, f Filter) ([]*Snapshot, error) {
	list, err := listEvery(ctx, repo)
	return slices.DeleteFunc(list, func(s *Snapshot) bool { return !f.Match(s) }), err
}

// ListAll gives recovery points and what unfinished backups have left, in one
// reading; else it is as List.
func ListAll(ctx context.Context, repo *repository.Repository) (points, checkpoints []*Snapshot, err error) {
	list, err := listEvery(ctx, repo)
	for _, s := range list {
		if s.IsCheckpoint() {
			checkpoints = append(checkpoints, s)
		} else {
			points = append(points, s)
		}
	}
	return points, checkpoints, err
}

func listEvery(ctx context.Context, repo *repository.Repository) ([]*Snapshot, error) {
	ids, err := names(ctx, repo)
	if err != nil {
		return nil, err
	}
	list, broken := loadAll(ctx, repo, ids)
	slices.SortFunc(list, func(a, b *Snapshot) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return list, broken
}

func names(ctx context.Context, repo *repository.Repository) ([]string, error) {
	var ids []string
	err := repo.Storage().List(ctx, storage.Snapshot, func(i storage.Info) error {
		ids = append(ids, i.Name.ID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return ids, nil
}

// loadAll reads many snapshots at once; each is a request to the storage.
func loadAll(ctx context.Context, repo *repository.Repository, ids []string) ([]*Snapshot, error) {
	var (
		mu     sync.Mutex
		list   []*Snapshot
		broken []error
		group  errgroup.Group
	)
	group.SetLimit(4 * runtime.GOMAXPROCS(0))
	for _, id := range ids {
		group.Go(func() error {
			s, err := Load(ctx, repo, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				list = append(list, s)
			case !errors.Is(err, backup.ErrNotFound): // forgotten meanwhile
				broken = append(broken, err)
			}
			return nil
		})
	}
	_ = group.Wait() // no member fails
	return list, errors.Join(broken...)
}

// Find gives the snapshot that word names: "latest" (of those that pass f),
// a full id or an unambiguous beginning of one.
func Find(ctx context.Context, repo *repository.Repository, word string, f Filter) (*Snapshot, error) {
	if word == Latest {
		return findLatest(ctx, repo, f)
	}
	if len(word) == 2*len(Snapshot{}.Tree) {
		return Load(ctx, repo, word)
	}
	ids, err := names(ctx, repo)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return word == "" || !strings.HasPrefix(id, word) })
	switch len(ids) {
	case 0:
		return nil, fmt.Errorf("snapshot %q: %w", word, backup.ErrNotFound)
	case 1:
		return Load(ctx, repo, ids[0])
	}
	return nil, fmt.Errorf("snapshot %q names %d snapshots, give more digits: %w", word, len(ids), backup.ErrInvalid)
}

func findLatest(ctx context.Context, repo *repository.Repository, f Filter) (*Snapshot, error) {
	list, err := List(ctx, repo, f)
	if err != nil {
		return nil, fmt.Errorf("which snapshot is the latest cannot be told, name one by its id: %w", err)
	}
	if len(list) > 0 {
		return list[len(list)-1], nil
	}
	return nil, fmt.Errorf("latest snapshot: %w", backup.ErrNotFound)
}

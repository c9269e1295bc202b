package run

import (
	"context"
	"errors"
	"fmt"

	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// rest is a place where a point lies.
type rest struct {
	repository int64
	snapshot   string
	name       string // of the repository that holds a copy; empty: the point's own
}

func home(p plan.Point) rest { return rest{repository: p.Repository, snapshot: p.Snapshot} }

// copies lists where else a point rests, the newest copy first.
func (s *Repositories) copies(ctx context.Context, p plan.Point) (list []rest, err error) {
	err = s.parts.Store.Read(ctx, func(tx *store.Tx) error {
		copies, err := plan.Copies(tx, p.ID)
		if err != nil {
			return err
		}
		for _, c := range copies {
			place, err := plan.RepositoryByID(tx, c.Repository)
			if err != nil {
				return err
			}
			list = append(list, rest{c.Repository, c.Snapshot, place.Name})
		}
		return nil
	})
	return list, err
}

// load opens a place where a point rests, and the point there. Somebody waits
// for it: a place that never answers is soon given up for the next.
func (s *Repositories) load(ctx context.Context, p plan.Point, at rest) (*repository.Repository, *snapshot.Snapshot, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, at.repository)
	if err != nil {
		return nil, nil, err
	}
	repo, err := s.attended(ctx, place)
	if err != nil {
		return nil, nil, unreadable{err}
	}
	sn, err := snapshot.Load(ctx, repo, at.snapshot)
	if err != nil {
		return nil, nil, unreadable{told(closing(fmt.Errorf("load point %s: %w", p.Short(), err), repo))}
	}
	return repo, sn, nil
}

// unreadable is a failure of the place a point is read from, not of the target.
type unreadable struct{ error }

// Unwrap gives the cause.
func (u unreadable) Unwrap() error { return u.error }

// elsewhere says that a copy of the point may do better.
func elsewhere(err error) bool {
	var place unreadable
	return errors.As(err, &place) || errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrNotFound)
}

package limit

import (
	"context"
	"fmt"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Abilities that move documents or make requests one by one are passed on here
// rather than found behind this place, so that they are limited too.
var (
	_ storage.Wrapper   = (*Storage)(nil)
	_ storage.Versioned = (*Storage)(nil)
	_ storage.Retainer  = (*Storage)(nil)
	_ storage.History   = (*Storage)(nil)
)

// At gives a view that is limited as well.
func (s *Storage) At(ctx context.Context, t time.Time) (storage.Storage, error) {
	versioned, ok := storage.As[storage.Versioned](s.Storage)
	if !ok {
		return nil, fmt.Errorf("%s keeps no versions: %w", s.Location(), backup.ErrUnsupported)
	}
	var view storage.Storage
	err := s.request(ctx, func() (err error) {
		view, err = versioned.At(ctx, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return New(view, s.limiter, s.pacer), nil
}

// Older visits what lay under a name before. It is rare, and its visitor may
// make requests of its own, so it does not count as one.
func (s *Storage) Older(ctx context.Context, name storage.Name, fn func(time.Time, []byte) bool) error {
	history, ok := storage.As[storage.History](s.Storage)
	if !ok {
		return nil
	}
	ctx, _ = s.metered(ctx, name)
	return history.Older(ctx, name, fn)
}

// Period is that of the place; zero when it cannot lock.
func (s *Storage) Period() time.Duration {
	if retainer, ok := storage.As[storage.Retainer](s.Storage); ok {
		return retainer.Period()
	}
	return 0
}

// Retention asks until when a document is locked.
func (s *Storage) Retention(ctx context.Context, name storage.Name) (until time.Time, known bool, err error) {
	retainer, ok := storage.As[storage.Retainer](s.Storage)
	if !ok {
		return time.Time{}, false, fmt.Errorf("%s locks nothing: %w", s.Location(), backup.ErrUnsupported)
	}
	err = s.request(ctx, func() (err error) {
		until, known, err = retainer.Retention(ctx, name)
		return err
	})
	return until, known, err
}

// Retain locks a document.
func (s *Storage) Retain(ctx context.Context, name storage.Name, until time.Time) error {
	retainer, ok := storage.As[storage.Retainer](s.Storage)
	if !ok {
		return fmt.Errorf("%s locks nothing: %w", s.Location(), backup.ErrUnsupported)
	}
	return s.request(ctx, func() error { return retainer.Retain(ctx, name, until) })
}

package retry

import (
	"context"
	"fmt"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// The abilities of the place are passed on here rather than found behind this
// one, so that they are asked again too.
var (
	_ storage.Wrapper   = (*Storage)(nil)
	_ storage.Gate      = (*Storage)(nil)
	_ storage.Versioned = (*Storage)(nil)
	_ storage.Retainer  = (*Storage)(nil)
	_ storage.History   = (*Storage)(nil)
)

// Writable asks the place; one that cannot tell is taken at its word.
func (s *Storage) Writable(ctx context.Context) error {
	gate, ok := storage.As[storage.Gate](s.Storage)
	if !ok {
		return nil
	}
	return s.try(ctx, call{operation: "writable"}, gate.Writable)
}

// At gives a view that is asked again as well.
func (s *Storage) At(ctx context.Context, t time.Time) (storage.Storage, error) {
	versioned, ok := storage.As[storage.Versioned](s.Storage)
	if !ok {
		return nil, fmt.Errorf("%s keeps no versions: %w", s.Location(), backup.ErrUnsupported)
	}
	var view storage.Storage
	err := s.try(ctx, call{operation: "versions"}, func(ctx context.Context) (err error) {
		view, err = versioned.At(ctx, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Storage{Storage: view, policy: s.policy, answered: s.answered}, nil
}

// Older visits what lay under a name before, each content once.
func (s *Storage) Older(ctx context.Context, name storage.Name, fn func(time.Time, []byte) bool) error {
	history, ok := storage.As[storage.History](s.Storage)
	if !ok {
		return nil
	}
	visited := 0 // the past does not change, so counting is enough
	return s.try(ctx, call{operation: "versions", document: name.String(), bytes: whole}, func(ctx context.Context) error {
		n := 0
		return history.Older(ctx, name, func(written time.Time, data []byte) (more bool) {
			Alive(ctx)
			if n++; n <= visited {
				return true
			}
			visited = n
			_ = Outside(ctx, func() error { more = fn(written, data); return nil })
			return more
		})
	})
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
	err = s.try(ctx, call{operation: "retention", document: name.String()}, func(ctx context.Context) (err error) {
		until, known, err = retainer.Retention(ctx, name)
		return err
	})
	return until, known, err
}

// Retain locks a document. To do so twice is to do it once.
func (s *Storage) Retain(ctx context.Context, name storage.Name, until time.Time) error {
	retainer, ok := storage.As[storage.Retainer](s.Storage)
	if !ok {
		return fmt.Errorf("%s locks nothing: %w", s.Location(), backup.ErrUnsupported)
	}
	return s.try(ctx, call{operation: "retain", document: name.String()}, func(ctx context.Context) error {
		return retainer.Retain(ctx, name, until)
	})
}

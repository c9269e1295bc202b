package run

import (
	"context"
	"errors"

	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
)

var errSoon = errors.New("not written yet")

// Repositories makes and opens repositories with the words the box has sealed.
// Opened ones are shared and stay open until Close.
type Repositories struct {
	parts Parts
}

// NewRepositories makes the opener.
func NewRepositories(p Parts) *Repositories { return &Repositories{parts: p} }

// Create makes a repository at a new place, with a random password that only
// the box knows, and writes it down.
func (s *Repositories) Create(ctx context.Context, name, location string) (plan.Repository, error) {
	return plan.Repository{}, errSoon
}

// Adopt writes down a repository that exists already; password opens it once,
// the box adds its own key.
func (s *Repositories) Adopt(ctx context.Context, name, location string, password secret.Text) (plan.Repository, error) {
	return plan.Repository{}, errSoon
}

// Open opens a repository of the book. release is called when the work is
// done; the repository itself stays open for the next.
func (s *Repositories) Open(ctx context.Context, id int64) (repo *repository.Repository, release func(), err error) {
	return nil, nil, errSoon
}

// AddSheet adds the key of a recovery sheet and gives the sheet, to be shown
// once. It lives in memory until it is confirmed, for half an hour at most;
// making it anew removes the key of the one before, unless that was confirmed.
func (s *Repositories) AddSheet(ctx context.Context, id int64) (secret.Sheet, error) {
	return secret.Sheet{}, errSoon
}

// AskFor gives the two group numbers, from 1, that are to be typed back; they
// stay the same for one sheet.
func (s *Repositories) AskFor(id int64) (first, second int, err error) { return 0, 0, errSoon }

// ConfirmSheet takes the two groups AskFor named. Wrong groups may be typed
// five times, then the sheet must be made anew.
func (s *Repositories) ConfirmSheet(ctx context.Context, id int64, first, second string) error {
	return errSoon
}

// Space asks the place how much room it has and writes it down.
func (s *Repositories) Space(ctx context.Context, id int64) (plan.Repository, error) {
	return plan.Repository{}, errSoon
}

// Close closes every opened repository.
func (s *Repositories) Close() error { return nil }

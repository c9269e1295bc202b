package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/storage/retry"
)

// The recovery sheet is the second key of a repository, for the day the box is
// gone. It is shown once and lives nowhere but on paper: neither its groups nor
// anything they could be guessed from is written down. A group has some twenty
// bits, so even a keyed hash of one would be open to anyone who has the box.
// Until two groups have been typed back, the sheet therefore stays in memory,
// and a restart means making it anew.

const (
	sheetUser  = "recovery-sheet" // the name the key bears in the repository
	sheetLife  = 30 * time.Minute
	sheetTries = 5
)

// pendingSheet is a sheet that was shown and not yet confirmed.
type pendingSheet struct {
	sheet         secret.Sheet
	key           string
	first, second int // groups to be typed back, from 1
	tries         int
	until         time.Time
}

// AddSheet adds the key of a recovery sheet and gives the sheet, to be shown
// once. It can be confirmed for half an hour. Made anew, the key of a sheet that
// was never confirmed goes at once; a confirmed one, lost or seen by the wrong
// eyes, goes when the new one is confirmed.
func (s *Repositories) AddSheet(ctx context.Context, id int64) (secret.Sheet, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return secret.Sheet{}, err
	}
	repo, err := s.attended(ctx, place)
	if err != nil {
		return secret.Sheet{}, err
	}
	pending := &pendingSheet{sheet: secret.NewSheet(), tries: sheetTries, until: s.parts.Now().Add(sheetLife)}
	pending.first, pending.second = secret.AskFor()
	if err := closing(s.addKey(ctx, repo, place, pending), repo); err != nil {
		return secret.Sheet{}, err
	}
	s.mu.Lock()
	s.sheets[id] = pending
	s.mu.Unlock()
	return pending.sheet, nil
}

// addKey removes the key of an unconfirmed sheet, adds the new one, proves that
// it opens the repository, and notes it.
func (s *Repositories) addKey(ctx context.Context, repo *repository.Repository, place plan.Repository, p *pendingSheet) error {
	if err := dropSheet(ctx, repo, place.SheetNew); err != nil {
		return told(err)
	}
	word := p.sheet.Password().Reveal()
	key, err := repo.AddKey(ctx, word, repository.KeyHints{User: sheetUser, Host: s.parts.Host})
	if err != nil {
		return told(fmt.Errorf("add key of the recovery sheet: %w", err))
	}
	p.key = key
	if err := s.opens(ctx, place, secret.NewText(word)); err != nil {
		return told(fmt.Errorf("open with the recovery sheet: %w", err))
	}
	return s.parts.Store.Write(ctx, func(tx *store.Tx) error {
		return plan.ShowSheet(tx, place.ID, key)
	})
}

// dropSheet removes the key of a sheet that is void. Keys of sheets this box
// has not made stay: they may be confirmed ones of an earlier box.
func dropSheet(ctx context.Context, repo *repository.Repository, key string) error {
	if key == "" {
		return nil
	}
	err := repo.RemoveKey(ctx, key)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return fmt.Errorf("remove key of the sheet before: %w", err)
	}
	return nil
}

// opens proves that a word opens the repository.
func (s *Repositories) opens(ctx context.Context, place plan.Repository, word secret.Text) error {
	st, err := s.storage(ctx, place, retry.Attended())
	if err != nil {
		return err
	}
	repo, err := s.through(ctx, st, place, word)
	if err != nil {
		return err
	}
	return repo.Close()
}

// AskFor gives the two group numbers, from 1, that are to be typed back. They
// stay the same for one sheet.
func (s *Repositories) AskFor(id int64) (first, second int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pending(id)
	if err != nil {
		return 0, 0, err
	}
	return p.first, p.second, nil
}

// pending finds the sheet that waits for its confirmation; the caller holds mu.
func (s *Repositories) pending(id int64) (*pendingSheet, error) {
	p := s.sheets[id]
	if p == nil || s.parts.Now().After(p.until) || p.tries <= 0 {
		delete(s.sheets, id)
		return nil, errs.New(errs.Conflict, "plan.sheet.gone")
	}
	return p, nil
}

// ConfirmSheet takes the two groups AskFor named. Wrong groups may be typed
// five times, then the sheet must be made anew.
func (s *Repositories) ConfirmSheet(ctx context.Context, id int64, first, second string) error {
	key, err := s.confirm(id, first, second)
	if err != nil {
		return err
	}
	if err := s.voidSheet(ctx, id); err != nil {
		return err
	}
	err = s.parts.Store.Write(ctx, func(tx *store.Tx) error { return plan.ConfirmSheet(tx, id, key) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.sheets, id)
	s.mu.Unlock()
	return nil
}

// voidSheet removes the key of the sheet that was confirmed before. It goes
// first: after a crash in between, the paper just typed back opens all the same.
func (s *Repositories) voidSheet(ctx context.Context, id int64) error {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil || place.SheetKey == "" {
		return err
	}
	repo, err := s.attended(ctx, place)
	if err != nil {
		return err
	}
	return closing(told(dropSheet(ctx, repo, place.SheetKey)), repo)
}

func (s *Repositories) confirm(id int64, first, second string) (key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pending(id)
	if err != nil {
		return "", err
	}
	// Both are looked at, so that the answer does not tell which one was wrong.
	a, b := p.sheet.Confirms(p.first, first), p.sheet.Confirms(p.second, second)
	if a && b {
		return p.key, nil
	}
	p.tries--
	if p.tries == 0 {
		delete(s.sheets, id)
		return "", errs.New(errs.Conflict, "plan.sheet.gone")
	}
	return "", errs.New(errs.Invalid, "plan.sheet.wrong", "first", p.first, "second", p.second, "left", p.tries)
}

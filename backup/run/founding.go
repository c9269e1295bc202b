package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/retry"
)

// Create makes a repository at a new place, with a random password that only
// the box knows, and writes it down. The word is sealed before the repository
// exists, so a power cut in between leaves nothing that cannot be opened: the
// next Create at the same place goes on from there.
//
// A bucket is asked before what it can do; one in which no repository can live
// is refused.
func (s *Repositories) Create(ctx context.Context, p plan.Place) (plan.Repository, error) {
	row, st, err := s.place(ctx, p)
	if err != nil {
		return plan.Repository{}, err
	}
	if err := s.freePlace(ctx, p.Location); err != nil {
		return plan.Repository{}, closing(err, st)
	}
	if row, st, err = s.asked(ctx, row, p.Secret, st, true); err != nil {
		return plan.Repository{}, err
	}
	word, fresh, err := s.word(ctx, row.BoxKey)
	if err != nil {
		return plan.Repository{}, closing(err, st)
	}
	repo, err := repository.Create(ctx, st, word.Reveal(), s.engine(ctx)...)
	if errors.Is(err, backup.ErrRepositoryExists) && !fresh {
		repo, err = repository.Open(ctx, st, word.Reveal(), s.engine(ctx)...)
		if errors.Is(err, backup.ErrWrongPassword) {
			err = fmt.Errorf("%s: %w", p.Location, backup.ErrRepositoryExists)
		}
	}
	if err != nil {
		return plan.Repository{}, closing(told(err), st)
	}
	return s.enter(ctx, repo, row, p.Secret)
}

// Adopt writes down a repository that exists already. password opens it this
// once; the box adds a key of its own.
func (s *Repositories) Adopt(ctx context.Context, p plan.Place, password secret.Text) (plan.Repository, error) {
	row, st, err := s.place(ctx, p)
	if err != nil {
		return plan.Repository{}, err
	}
	if row, st, err = s.asked(ctx, row, p.Secret, st, false); err != nil {
		return plan.Repository{}, err
	}
	repo, err := repository.Open(ctx, st, password.Reveal(), s.engine(ctx)...)
	if err != nil {
		return plan.Repository{}, closing(told(err), st)
	}
	word, _, err := s.word(ctx, row.BoxKey)
	if err != nil {
		return plan.Repository{}, closing(err, repo)
	}
	if _, err := repo.AddKey(ctx, word.Reveal(), repository.KeyHints{User: "emrvault", Host: s.parts.Host}); err != nil {
		return plan.Repository{}, closing(told(err), repo)
	}
	return s.enter(ctx, repo, row, p.Secret)
}

// place checks what a person has entered and opens the storage there. The names
// of the sealed words follow from the location.
func (s *Repositories) place(ctx context.Context, p plan.Place) (plan.Repository, storage.Storage, error) {
	if !plan.GoodName(p.Name) {
		return plan.Repository{}, nil, errs.New(errs.Invalid, "plan.invalid.name", "value", p.Name)
	}
	row, st, err := s.reach(ctx, p)
	if err != nil {
		return row, nil, err
	}
	list, err := s.parts.Book.Repositories(ctx)
	if err != nil {
		return row, nil, closing(err, st)
	}
	for _, other := range list {
		if other.Name == p.Name || other.Location == row.Location {
			return row, nil, closing(errs.New(errs.Conflict, "plan.repository.taken", "name", other.Name, "location", other.Location), st)
		}
	}
	return row, st, nil
}

// reach opens the storage of what a person has entered.
func (s *Repositories) reach(ctx context.Context, p plan.Place) (plan.Repository, storage.Storage, error) {
	row := plan.Repository{Name: p.Name, Location: p.Location, Settings: p.Settings}
	if err := sound(row, p.Secret); err != nil {
		return row, nil, err
	}
	st, err := s.open(ctx, row, p.Secret, retry.Attended())
	if err != nil {
		return row, nil, err
	}
	row.Location = st.Location()
	sum := sha256.Sum256([]byte(row.Location))
	home := "repository/" + hex.EncodeToString(sum[:8])
	row.BoxKey = home + "/password"
	if remote(row.Location) {
		row.SecretKey = home + "/secret"
	}
	return row, st, nil
}

// sound refuses what cannot be right, before anything is asked of the place.
func sound(row plan.Repository, word secret.Text) error {
	far := remote(row.Location)
	switch {
	case !far && !filepath.IsAbs(row.Location):
		return errs.New(errs.Invalid, "plan.invalid.location", "value", row.Location)
	case far && (row.Settings.AccessKey == "" || word.Reveal() == ""):
		return errs.New(errs.Invalid, "run.place.key", "location", row.Location)
	case namesPerson(row.Settings.Proxy):
		return errs.New(errs.Invalid, "run.place.proxyword")
	case !far && row.Settings.LockDays > 0:
		return errs.New(errs.Invalid, "run.place.nolock", "location", row.Location)
	}
	return row.Settings.Check()
}

// namesPerson says that the address of a proxy holds a name or a password. It is
// kept and shown as it is, so it must hold no secret.
func namesPerson(proxy string) bool { return strings.Contains(proxy, "@") }

// asked asks a bucket what it can do, and opens it once more by the answer. A
// bucket that is to be made is made before.
func (s *Repositories) asked(ctx context.Context, row plan.Repository, word secret.Text, st storage.Storage, create bool) (plan.Repository, storage.Storage, error) {
	if !remote(row.Location) {
		return row, st, nil
	}
	if create {
		if err := st.Create(ctx); err != nil && !errors.Is(err, backup.ErrRepositoryExists) {
			return row, nil, closing(told(err), st)
		}
	}
	report, err := probe.Run(ctx, st, s.parts.Now)
	if err = closing(err, st); err != nil {
		return row, nil, told(err)
	}
	if err := fit(report, row.Settings); err != nil {
		return row, nil, err
	}
	if row, err = noted(row, report); err != nil {
		return row, nil, err
	}
	st, err = s.open(ctx, row, word, retry.Attended())
	return row, st, err
}

// noted keeps an answer with the place.
func noted(row plan.Repository, report probe.Report) (plan.Repository, error) {
	text, err := json.Marshal(report)
	if err != nil {
		return row, fmt.Errorf("keep the answer of %s: %w", row.Location, err)
	}
	row.Probe, row.ProbedAt = string(text), report.Time
	return row, nil
}

// fit says whether a place can be what it is wanted for.
func fit(report probe.Report, settings plan.StorageSettings) error {
	if !report.Usable {
		why := ""
		for _, step := range report.Steps {
			if step.State == probe.Failed {
				why = step.Text
				break
			}
		}
		return errs.New(errs.Conflict, "run.place.unusable", "location", report.Location, "detail", why)
	}
	if settings.LockDays > 0 && !can(&report, probe.ObjectLock) {
		return errs.New(errs.Invalid, "run.place.nolock", "location", report.Location)
	}
	return nil
}

// word gives the sealed word of a name, a new one when there is none.
func (s *Repositories) word(ctx context.Context, key string) (word secret.Text, fresh bool, err error) {
	err = s.parts.Store.Write(ctx, func(tx *store.Tx) error {
		if word, err = s.parts.Box.Fetch(tx, key); errs.KindOf(err) != errs.NotFound {
			return err
		}
		word, fresh = secret.NewPassword(), true
		return s.parts.Box.Keep(tx, key, word)
	})
	return word, fresh, err
}

// enter writes a repository into the book, its secret sealed beside it, and
// closes it.
func (s *Repositories) enter(ctx context.Context, repo *repository.Repository, row plan.Repository, word secret.Text) (plan.Repository, error) {
	row.Repository = repo.ID()
	err := s.parts.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if row.SecretKey != "" {
			if err := s.parts.Box.Keep(tx, row.SecretKey, word); err != nil {
				return err
			}
		}
		row.ID, err = plan.InsertRepository(tx, row)
		return err
	})
	if err = closing(err, repo); err != nil {
		return plan.Repository{}, err
	}
	return s.Space(ctx, row.ID)
}

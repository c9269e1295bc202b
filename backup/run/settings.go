package run

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/storage"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/retry"
)

// Probe 测试连接 asks a place what it can do, before anything is made there. What
// the place cannot do is told in the report and is no error.
func (s *Repositories) Probe(ctx context.Context, p plan.Place) (probe.Report, error) {
	row, st, err := s.reach(ctx, p)
	if err != nil {
		return probe.Report{}, err
	}
	if !remote(row.Location) {
		if err := s.freePlace(ctx, row.Location); err != nil {
			return probe.Report{}, closing(err, st)
		}
		made, err := makeFolder(row.Location)
		defer removeFolders(made)
		if err != nil {
			return probe.Report{}, closing(told(err), st)
		}
	}
	return s.ask(ctx, st)
}

// makeFolder makes a folder to be tried, and names those it has made, the
// innermost first.
func makeFolder(folder string) (made []string, err error) {
	for dir := folder; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		made = append(made, dir)
	}
	return made, os.MkdirAll(folder, 0o700)
}

// removeFolders removes the folders that were made for a trial. What is not
// empty stays: it has come to be used.
func removeFolders(made []string) {
	for _, dir := range made {
		if os.Remove(dir) != nil {
			return
		}
	}
}

// ask runs the questions and closes the storage.
func (s *Repositories) ask(ctx context.Context, st storage.Storage) (probe.Report, error) {
	report, err := probe.Run(ctx, st, s.parts.Now)
	if err = closing(err, st); err != nil {
		return report, told(err)
	}
	return report, nil
}

// ProbeAgain asks a place of the book once more and keeps the answer.
func (s *Repositories) ProbeAgain(ctx context.Context, id int64) (probe.Report, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return probe.Report{}, err
	}
	st, err := s.storage(ctx, place, retry.Attended())
	if err != nil {
		return probe.Report{}, err
	}
	report, err := s.ask(ctx, st)
	if err != nil {
		return report, err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return report, fmt.Errorf("keep the answer of %s: %w", place.Location, err)
	}
	err = s.parts.Store.Write(ctx, func(tx *store.Tx) error { return plan.SetProbe(tx, id, string(text)) })
	s.retire(context.WithoutCancel(ctx), id)
	return report, err
}

// Change says anew how a place is reached and looked after. An empty secret
// keeps the one that is sealed. When the way to the place changes, it is proven
// first: a slip of the pen must not cost tonight's backup.
func (s *Repositories) Change(ctx context.Context, id int64, settings plan.StorageSettings, word secret.Text) (plan.Repository, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return place, err
	}
	changed := place
	changed.Settings = settings
	if err := s.provenWay(ctx, place, changed, word); err != nil {
		return place, err
	}
	err = s.parts.Store.Write(ctx, func(tx *store.Tx) error {
		if changed.SecretKey != "" && word.Reveal() != "" {
			if err := s.parts.Box.Keep(tx, changed.SecretKey, word); err != nil {
				return err
			}
		}
		return plan.SetSettings(tx, id, settings, changed.SecretKey)
	})
	if err != nil {
		return place, err
	}
	s.retire(context.WithoutCancel(ctx), id)
	return s.parts.Book.RepositoryByID(ctx, id)
}

// provenWay refuses settings that are wrong, and a way that does not lead to the
// repository.
func (s *Repositories) provenWay(ctx context.Context, place, changed plan.Repository, word secret.Text) error {
	_, kept, err := s.words(ctx, place)
	if err != nil {
		return err
	}
	sameWord := word.Reveal() == ""
	if sameWord {
		word = kept
	}
	if err := sound(changed, word); err != nil {
		return err
	}
	if said := Probed(place); changed.Settings.LockDays > place.Settings.LockDays && said != nil {
		if err := fit(*said, changed.Settings); err != nil {
			return err
		}
	}
	st, err := s.open(ctx, changed, word, retry.Attended())
	if err != nil {
		return err
	}
	if sameWord && sameWay(place.Settings, changed.Settings) {
		return st.Close()
	}
	return s.leads(ctx, st, place)
}

// sameWay says that only the care of the place has changed.
func sameWay(a, b plan.StorageSettings) bool {
	return a.AccessKey == b.AccessKey && a.Region == b.Region && a.Style == b.Style && a.CA == b.CA && a.Proxy == b.Proxy
}

// leads opens the repository of a place over a storage, and closes both.
func (s *Repositories) leads(ctx context.Context, st storage.Storage, place plan.Repository) error {
	password, _, err := s.words(ctx, place)
	if err != nil {
		return closing(err, st)
	}
	repo, err := s.through(ctx, st, place, password)
	if err != nil {
		return err
	}
	return repo.Close()
}

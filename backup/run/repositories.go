package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	storages "emrvault/backup/storage/all"
)

// Repositories makes and opens repositories with the words the box has sealed.
// Jobs that write open their own; whoever reads shares one that stays open
// until a job has changed the repository.
type Repositories struct {
	parts Parts

	mu     sync.Mutex
	shared map[int64]*shared
	sheets map[int64]*pendingSheet
}

// shared is an opened repository with those who use it.
type shared struct {
	once    sync.Once
	repo    *repository.Repository
	err     error
	index   []string // the index files that were there when it was opened
	users   int
	retired bool // close when the last user has gone
}

// NewRepositories makes the opener.
func NewRepositories(p Parts) *Repositories {
	return &Repositories{parts: p, shared: map[int64]*shared{}, sheets: map[int64]*pendingSheet{}}
}

// Create makes a repository at a new place, with a random password that only
// the box knows, and writes it down. The word is sealed before the repository
// exists, so a power cut in between leaves nothing that cannot be opened: the
// next Create at the same place goes on from there.
func (s *Repositories) Create(ctx context.Context, name, location string) (plan.Repository, error) {
	st, key, err := s.place(ctx, name, location)
	if err != nil {
		return plan.Repository{}, err
	}
	if err := s.freePlace(ctx, location); err != nil {
		return plan.Repository{}, closing(err, st)
	}
	word, fresh, err := s.word(ctx, key)
	if err != nil {
		return plan.Repository{}, closing(err, st)
	}
	repo, err := repository.Create(ctx, st, word.Reveal(), s.parts.Engine...)
	if errors.Is(err, backup.ErrRepositoryExists) && !fresh {
		repo, err = repository.Open(ctx, st, word.Reveal(), s.parts.Engine...)
		if errors.Is(err, backup.ErrWrongPassword) {
			err = fmt.Errorf("%s: %w", location, backup.ErrRepositoryExists)
		}
	}
	if err != nil {
		return plan.Repository{}, closing(told(err), st)
	}
	return s.enter(ctx, repo, plan.Repository{Name: name, Location: st.Location(), BoxKey: key})
}

// Adopt writes down a repository that exists already. password opens it this
// once; the box adds a key of its own.
func (s *Repositories) Adopt(ctx context.Context, name, location string, password secret.Text) (plan.Repository, error) {
	st, key, err := s.place(ctx, name, location)
	if err != nil {
		return plan.Repository{}, err
	}
	repo, err := repository.Open(ctx, st, password.Reveal(), s.parts.Engine...)
	if err != nil {
		return plan.Repository{}, closing(told(err), st)
	}
	word, _, err := s.word(ctx, key)
	if err != nil {
		return plan.Repository{}, closing(err, repo)
	}
	if _, err := repo.AddKey(ctx, word.Reveal(), repository.KeyHints{User: "emrvault", Host: s.parts.Host}); err != nil {
		return plan.Repository{}, closing(told(err), repo)
	}
	return s.enter(ctx, repo, plan.Repository{Name: name, Location: st.Location(), BoxKey: key})
}

// place checks name and location and opens the storage there. The name of the
// sealed word follows from the location.
func (s *Repositories) place(ctx context.Context, name, location string) (storage.Storage, string, error) {
	if !plan.GoodName(name) {
		return nil, "", errs.New(errs.Invalid, "plan.invalid.name", "value", name)
	}
	if !remote(location) && !filepath.IsAbs(location) {
		return nil, "", errs.New(errs.Invalid, "plan.invalid.location", "value", location)
	}
	list, err := s.parts.Book.Repositories(ctx)
	if err != nil {
		return nil, "", err
	}
	st, err := storages.Open(ctx, location)
	if err != nil {
		return nil, "", told(err)
	}
	for _, other := range list {
		if other.Name == name || other.Location == st.Location() {
			return nil, "", closing(errs.New(errs.Conflict, "plan.repository.taken", "name", other.Name, "location", other.Location), st)
		}
	}
	sum := sha256.Sum256([]byte(st.Location()))
	return st, "repository/" + hex.EncodeToString(sum[:8]) + "/password", nil
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

// enter writes a repository into the book and closes it.
func (s *Repositories) enter(ctx context.Context, repo *repository.Repository, row plan.Repository) (plan.Repository, error) {
	row.Repository = repo.ID()
	err := s.parts.Store.Write(ctx, func(tx *store.Tx) (err error) {
		row.ID, err = plan.InsertRepository(tx, row)
		return err
	})
	if err = closing(err, repo); err != nil {
		return plan.Repository{}, err
	}
	return s.Space(ctx, row.ID)
}

// fresh opens a repository for one user alone, who closes it.
func (s *Repositories) fresh(ctx context.Context, place plan.Repository) (*repository.Repository, error) {
	var word secret.Text
	err := s.parts.Store.Read(ctx, func(tx *store.Tx) (err error) {
		word, err = s.parts.Box.Fetch(tx, place.BoxKey)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("password of repository %s: %w", place.Name, err)
	}
	st, err := storages.Open(ctx, place.Location)
	if err != nil {
		return nil, told(err)
	}
	repo, err := repository.Open(ctx, st, word.Reveal(), s.parts.Engine...)
	if err != nil {
		return nil, closing(told(fmt.Errorf("open repository %s at %s: %w", place.Name, place.Location, err)), st)
	}
	if repo.ID() != place.Repository {
		return nil, closing(errs.New(errs.Conflict, "run.repository.other", "name", place.Name, "location", place.Location), repo)
	}
	return repo, nil
}

// Open opens a repository of the book for reading, its index loaded. release
// is called when the work is done; the repository stays open for the next.
func (s *Repositories) Open(ctx context.Context, id int64) (repo *repository.Repository, release func(), err error) {
	repo, sh, release, err := s.share(ctx, id)
	if err != nil || !s.outdated(ctx, sh) {
		return repo, release, err
	}
	s.retireIf(ctx, id, sh)
	release()
	repo, _, release, err = s.share(ctx, id)
	return repo, release, err
}

// outdated says that another process has replaced the index since sh was
// opened, as a prune does before it removes packs. When that cannot be found
// out, reading will tell.
func (s *Repositories) outdated(ctx context.Context, sh *shared) bool {
	now, err := indexFiles(ctx, sh.repo)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(sh.index, func(id string) bool { return !slices.Contains(now, id) })
}

func indexFiles(ctx context.Context, repo *repository.Repository) (ids []string, err error) {
	err = repo.Storage().List(ctx, storage.Index, func(info storage.Info) error {
		ids = append(ids, info.Name.ID)
		return nil
	})
	return ids, err
}

// share joins those who use an opened repository, or opens it.
func (s *Repositories) share(ctx context.Context, id int64) (repo *repository.Repository, sh *shared, release func(), err error) {
	s.mu.Lock()
	sh = s.shared[id]
	if sh == nil {
		sh = &shared{}
		s.shared[id] = sh
	}
	sh.users++
	s.mu.Unlock()
	release = sync.OnceFunc(func() { s.leave(ctx, id, sh) })
	// One opens, the others wait. A person who gives up must not spoil it
	// for those who wait.
	sh.once.Do(func() { sh.repo, sh.index, sh.err = s.openLoaded(context.WithoutCancel(ctx), id) })
	if sh.err != nil {
		s.retireIf(ctx, id, sh)
		release()
		return nil, nil, nil, sh.err
	}
	return sh.repo, sh, release, nil
}

func (s *Repositories) openLoaded(ctx context.Context, id int64) (repo *repository.Repository, index []string, err error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	repo, err = s.fresh(ctx, place)
	if err != nil {
		return nil, nil, err
	}
	// Listed before it is read: what changes in between counts as changed.
	if index, err = indexFiles(ctx, repo); err != nil {
		return nil, nil, closing(told(err), repo)
	}
	damage, err := repo.SalvageIndex(ctx)
	if err != nil {
		return nil, nil, closing(told(err), repo)
	}
	for _, d := range damage { // whoever looks can read on; the check of the repository makes it known
		s.parts.Log.WarnContext(ctx, "read around damage in the index", "repository", place.Name, "error", d)
	}
	return repo, index, nil
}

func (s *Repositories) leave(ctx context.Context, id int64, sh *shared) {
	s.mu.Lock()
	sh.users--
	last := sh.users == 0 && sh.retired
	s.mu.Unlock()
	if last {
		s.shut(ctx, id, sh)
	}
}

// retire lets the next reader open the repository anew, because what it holds
// has changed.
func (s *Repositories) retire(ctx context.Context, id int64) {
	s.mu.Lock()
	sh := s.shared[id]
	s.mu.Unlock()
	if sh != nil {
		s.retireIf(ctx, id, sh)
	}
}

// retireIf retires sh where nobody else has done so before.
func (s *Repositories) retireIf(ctx context.Context, id int64, sh *shared) {
	s.mu.Lock()
	last := false
	if s.shared[id] == sh {
		delete(s.shared, id)
		sh.retired = true
		last = sh.users == 0
	}
	s.mu.Unlock()
	if last {
		s.shut(ctx, id, sh)
	}
}

func (s *Repositories) shut(ctx context.Context, id int64, sh *shared) {
	if sh.repo == nil {
		return
	}
	if err := sh.repo.Close(); err != nil {
		s.parts.Log.WarnContext(ctx, "close repository", "repository", id, "error", err)
	}
}

// Close closes every opened repository; those in use close when their last
// user has gone.
func (s *Repositories) Close() error {
	s.mu.Lock()
	ids := make([]int64, 0, len(s.shared))
	for id := range s.shared {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.retire(context.Background(), id)
	}
	return nil
}

// Space asks the place how much room it has and writes it down.
func (s *Repositories) Space(ctx context.Context, id int64) (plan.Repository, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return place, err
	}
	st, err := storages.Open(ctx, place.Location)
	if err != nil {
		return place, told(err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := s.noteSpace(ctx, place, st); err != nil {
		return place, err
	}
	return s.parts.Book.RepositoryByID(ctx, id)
}

// noteSpace writes down the room of an opened place, where it can tell.
func (s *Repositories) noteSpace(ctx context.Context, place plan.Repository, st storage.Storage) error {
	room, ok := storage.As[storage.Space](st)
	if !ok {
		return nil
	}
	free, total, err := room.Space(ctx)
	if err != nil {
		return told(fmt.Errorf("free space of repository %s: %w", place.Name, err))
	}
	return s.parts.Store.Write(ctx, func(tx *store.Tx) error { return plan.SetSpace(tx, place.ID, free, total) })
}

// Fresh opens a repository of the book for one user alone, who closes it: jobs
// that write, or that read for so long that others may change what is there.
func (s *Repositories) Fresh(ctx context.Context, id int64) (*repository.Repository, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.fresh(ctx, place)
}

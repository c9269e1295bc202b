package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/retry"
)

// Repositories makes and opens repositories with the words the box has sealed.
// Jobs that write open their own; whoever reads shares one that stays open
// until a job has changed the repository.
type Repositories struct {
	parts  Parts
	limits *limit.Registry // all places keep together to what an endpoint and a line allow

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
	return &Repositories{parts: p, limits: limit.NewRegistry(p.Now), shared: map[int64]*shared{}, sheets: map[int64]*pendingSheet{}}
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
	repo, err = s.attended(ctx, place)
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
	st, err := s.storage(ctx, place, retry.Attended())
	if err != nil {
		return place, err
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

package repository_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/retry"
)

// safe is a place in memory with object lock.
type safe struct {
	*mem.Storage
	period time.Duration

	mu     sync.Mutex
	locked map[storage.Name]time.Time
	silent map[storage.Name]bool // the place does not tell how long they are locked
	broken map[storage.Name]bool // asking fails
	asked  int
}

func (s *safe) Period() time.Duration { return s.period }

func (s *safe) Retention(_ context.Context, name storage.Name) (time.Time, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.broken[name] {
		return time.Time{}, false, errors.New("the server stumbles")
	}
	return s.locked[name], !s.silent[name], nil
}

func (s *safe) Retain(_ context.Context, name storage.Name, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked[name] = until
	return nil
}

func (s *safe) questions() int {
	n := s.asked
	s.asked = 0
	return n
}

const month = 30 * 24 * time.Hour

// vault makes a repository in a safe; everything is locked for a month from
// began on.
func vault(t *testing.T, began time.Time) (*safe, []storage.Name) {
	t.Helper()
	st := &safe{Storage: mem.New(), period: month, locked: map[storage.Name]time.Time{}, silent: map[storage.Name]bool{}, broken: map[storage.Name]bool{}}
	write(t, create(t, st, repository.WithPackSize(20_000)), sample(1, 60))
	var all []storage.Name
	for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Index, storage.Pack} {
		all = append(all, names(t, st, kind)...)
	}
	for _, name := range all {
		st.locked[name] = began.Add(month)
	}
	return st, all
}

func protect(t *testing.T, st *safe, cache string, now time.Time) repository.ProtectReport {
	t.Helper()
	var opts []repository.Option
	if cache != "" {
		opts = append(opts, repository.WithCache(cache, 1<<20))
	}
	report, err := open(t, st, opts...).Protect(t.Context(), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestLocksAreProlongedWhenHalfIsOver(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		cache bool
	}{{"with memory", true}, {"without", false}} {
		t.Run(tt.name, func(t *testing.T) {
			st, all := vault(t, began)
			cache := ""
			if tt.cache {
				cache = t.TempDir()
			}
			n := int64(len(all))
			for _, night := range []struct {
				after           time.Duration
				asked, extended int64
			}{
				{0, n, 0},
				{24 * time.Hour, 0, 0},
				{month/2 - time.Hour, 0, 0},
				{month/2 + time.Hour, n, n},
				{month, 0, 0}, // prolonged on the night before
				{2 * month, n, n},
			} {
				r := protect(t, st, cache, began.Add(night.after))
				if !tt.cache {
					night.asked = n
				}
				if r.Documents != n || r.Asked != night.asked || r.Extended != night.extended || int64(st.questions()) != night.asked {
					t.Errorf("after %s: got %+v, want %d documents, %d asked, %d extended", night.after, r, n, night.asked, night.extended)
				}
			}
			for _, name := range all {
				if want := began.Add(3 * month); st.locked[name] != want {
					t.Errorf("%s is locked until %s, want %s", name, st.locked[name], want)
				}
			}
		})
	}
}

func TestOnlyWhatIsNewIsAskedFor(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	st, all := vault(t, began)
	cache := t.TempDir()
	protect(t, st, cache, began)
	write(t, open(t, st), sample(2, 60))
	st.asked = 0
	r := protect(t, st, cache, began.Add(time.Hour))
	if r.Asked == 0 || r.Asked != r.Documents-int64(len(all)) || r.Extended != r.Asked {
		t.Errorf("got %+v, want only the new documents asked for, and locked", r)
	}
}

func TestLocksOfTheRepositoryStayFree(t *testing.T) {
	st, _ := vault(t, time.Now())
	r := open(t, st)
	lock, err := r.Lock(t.Context(), repository.Append)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Protect(lock.Context(), time.Now().Add(month), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, st, storage.Lock) {
		if until, ok := st.locked[name]; ok {
			t.Errorf("%s is locked until %s", name, until)
		}
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestWhatThePlaceDoesNotTellIsExtended(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	st, all := vault(t, began)
	st.silent[all[0]] = true
	cache := t.TempDir()
	if r := protect(t, st, cache, began.Add(time.Hour)); r.Unknown != 1 || r.Extended != 1 {
		t.Errorf("got %+v, want one extended", r)
	}
	if r := protect(t, st, cache, began.Add(2*time.Hour)); r.Asked != 0 {
		t.Errorf("got %+v, want nothing asked for again", r)
	}
}

func TestOneStubbornDocumentDoesNotStopTheOthers(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	st, all := vault(t, began)
	st.broken[all[1]] = true
	cache := t.TempDir()
	r, err := open(t, st, repository.WithCache(cache, 1<<20)).Protect(t.Context(), began.Add(month), nil)
	if err == nil || r.Failed != 1 || r.Extended != int64(len(all))-1 {
		t.Errorf("got %+v, %v; want one failure and all others extended", r, err)
	}
	st.questions()
	delete(st.broken, all[1])
	if r := protect(t, st, cache, began.Add(month)); r.Asked != 1 || r.Extended != 1 {
		t.Errorf("the next run: got %+v, want the one that failed", r)
	}
}

func TestPlacesWithoutLocks(t *testing.T) {
	for _, st := range []storage.Storage{mem.New(), &safe{Storage: mem.New()}, retry.New(mem.New(), retry.Night())} {
		r, err := create(t, st).Protect(t.Context(), time.Now(), nil)
		if err != nil || r != (repository.ProtectReport{}) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

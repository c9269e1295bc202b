package repository_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

func lock(t *testing.T, r *repository.Repository, mode repository.LockMode) *repository.Lock {
	t.Helper()
	l, err := r.Lock(t.Context(), mode)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func unlock(t *testing.T, l *repository.Lock) {
	t.Helper()
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

// foreign writes the lock of another program.
func foreign(t *testing.T, r *repository.Repository, fields map[string]any) string {
	t.Helper()
	all := map[string]any{"time": time.Now(), "exclusive": false, "hostname": "elsewhere", "username": "restic", "pid": 4711}
	for k, v := range fields {
		all[k] = v
	}
	id, err := r.SaveUnpacked(t.Context(), storage.Lock, all)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func TestWhoMayLockBesideWhom(t *testing.T) {
	modes := map[string]repository.LockMode{"read": repository.Read, "append": repository.Append, "exclusive": repository.Exclusive}
	for heldName, held := range modes {
		for name, mode := range modes {
			t.Run(heldName+" then "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := mem.New()
					r := create(t, st)
					l := lock(t, r, held)
					second, err := open(t, st).Lock(t.Context(), mode)
					refused := held == repository.Exclusive || mode == repository.Exclusive
					if errors.Is(err, backup.ErrLocked) != refused {
						t.Errorf("got %v, want refused: %v", err, refused)
					}
					if second != nil {
						unlock(t, second)
					}
					unlock(t, l)
					if got := len(names(t, st, storage.Lock)); got != 0 {
						t.Errorf("%d locks are left", got)
					}
				})
			})
		}
	}
}

func TestLockedErrorNamesHolderAndNextStep(t *testing.T) {
	tests := []struct {
		name   string
		fields map[string]any
		says   []string
	}{
		{"alive", map[string]any{"exclusive": true}, []string{"exclusively by restic@elsewhere (process 4711) since 2000-01-01", "wait"}},
		{"stale", map[string]any{"time": time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)}, []string{"since 1999-12-31", "repo unlock"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := mem.New()
				r := create(t, st)
				foreign(t, r, tt.fields)
				_, err := r.Lock(t.Context(), repository.Exclusive)
				var locked *repository.LockedError
				if !errors.As(err, &locked) || !errors.Is(err, backup.ErrLocked) {
					t.Fatalf("got %v, want a LockedError", err)
				}
				for _, part := range tt.says {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("got %q, want it to say %q", err, part)
					}
				}
			})
		})
	}
}

// Two that lock in the same moment must not both get it.
func TestConflictSeenOnlyAfterWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		r := create(t, st)
		go func() {
			time.Sleep(100 * time.Millisecond) // the first look was free
			foreign(t, r, map[string]any{"exclusive": true})
		}()
		if _, err := r.Lock(t.Context(), repository.Append); !errors.Is(err, backup.ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
		if got := len(names(t, st, storage.Lock)); got != 1 {
			t.Errorf("got %d locks, want only the other one", got)
		}
	})
}

func TestLockIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		r := create(t, st)
		l := lock(t, r, repository.Append)
		seen := map[string]bool{}
		for range 12 {
			time.Sleep(5*time.Minute + 30*time.Second)
			held := names(t, st, storage.Lock)
			if len(held) != 1 {
				t.Fatalf("got %d locks, want 1", len(held))
			}
			seen[held[0].ID] = true
			locks, err := r.Locks(t.Context())
			if err != nil || time.Since(locks[0].Time) > 5*time.Minute+30*time.Second {
				t.Errorf("got %v, %v; want a fresh lock", locks, err)
			}
		}
		if len(seen) < 11 {
			t.Errorf("saw %d names in an hour, want a new one each time", len(seen))
		}
		if err := l.Context().Err(); err != nil {
			t.Errorf("the lock was lost: %v", context.Cause(l.Context()))
		}
		unlock(t, l)
		unlock(t, l)
		if got := len(names(t, st, storage.Lock)); got != 0 {
			t.Errorf("%d locks are left", got)
		}
	})
}

// moody can be told to refuse saves, or to hang.
type moody struct {
	*mem.Storage
	refuse, hang atomic.Bool
}

func (m *moody) Save(ctx context.Context, name storage.Name, data []byte) error {
	if m.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if m.refuse.Load() {
		return errors.New("the network is down")
	}
	return m.Storage.Save(ctx, name, data)
}

func TestLockIsLostWhenItCannotBeRefreshed(t *testing.T) {
	tests := map[string]func(m *moody){
		"refused": func(m *moody) { m.refuse.Store(true) },
		"hanging": func(m *moody) { m.hang.Store(true) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &moody{Storage: mem.New()}
				l := lock(t, create(t, st), repository.Append)
				spoil(st)
				start := time.Now()
				<-l.Context().Done()
				if cause := context.Cause(l.Context()); !errors.Is(cause, backup.ErrLockLost) {
					t.Errorf("got %v, want ErrLockLost", cause)
				}
				if after := time.Since(start); after < 22*time.Minute || after > 23*time.Minute {
					t.Errorf("lost after %v, want 22.5 minutes", after)
				}
				unlock(t, l)
			})
		})
	}
}

func TestShortOutageDoesNotLoseTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &moody{Storage: mem.New()}
		l := lock(t, create(t, st), repository.Append)
		for range 5 {
			st.refuse.Store(true)
			time.Sleep(20 * time.Minute)
			st.refuse.Store(false)
			time.Sleep(time.Minute)
		}
		if err := l.Context().Err(); err != nil {
			t.Errorf("got %v, want the lock held", context.Cause(l.Context()))
		}
		unlock(t, l)
		if got := len(names(t, st.Storage, storage.Lock)); got != 0 {
			t.Errorf("%d locks are left", got)
		}
	})
}

func TestRemovedLockIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		r := create(t, st)
		l := lock(t, r, repository.Append)
		if removed, err := r.RemoveAllLocks(t.Context()); err != nil || removed != 1 {
			t.Fatalf("got %d, %v; want 1", removed, err)
		}
		<-l.Context().Done()
		if cause := context.Cause(l.Context()); !errors.Is(cause, backup.ErrLockLost) {
			t.Errorf("got %v, want ErrLockLost", cause)
		}
		unlock(t, l)
	})
}

func TestLockEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		r := create(t, st)
		ctx, cancel := context.WithCancel(t.Context())
		l, err := r.Lock(ctx, repository.Append)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-l.Context().Done()
		unlock(t, l) // works although the context has ended
		if got := len(names(t, st, storage.Lock)); got != 0 {
			t.Errorf("%d locks are left", got)
		}
	})
}

// frozen is read-only media.
type frozen struct{ storage.Storage }

func (frozen) Writable(context.Context) error { return backup.ErrReadOnly }

func (frozen) Save(context.Context, storage.Name, []byte) error { return backup.ErrReadOnly }

func (frozen) Remove(context.Context, storage.Name) error { return backup.ErrReadOnly }

func TestReadOnlyMediaNeedNoLock(t *testing.T) {
	c := sample(1, 5)
	st := filled(t, c)
	foreign(t, open(t, st), map[string]any{"exclusive": true}) // left behind by somebody
	r := open(t, frozen{st})
	for name, mode := range map[string]repository.LockMode{"read": repository.Read, "check": repository.Exclusive} {
		start := time.Now()
		l, err := r.Lock(t.Context(), mode)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if l.Held() || l.Context().Err() != nil {
			t.Errorf("%s: held %v, context %v; want none needed", name, l.Held(), l.Context().Err())
		}
		if waited := time.Since(start); waited > 150*time.Millisecond {
			t.Errorf("%s: waited %v", name, waited)
		}
		unlock(t, l)
	}
	if _, err := r.Lock(t.Context(), repository.Append); !errors.Is(err, backup.ErrReadOnly) {
		t.Errorf("append: got %v, want ErrReadOnly", err)
	}
	if errs, _ := findings(t, r); len(errs) > 0 {
		t.Errorf("check finds %v", errs)
	}
	wantBlobs(t, r, c)
	if _, err := tryWrite(t.Context(), r, sample(2, 1)); !errors.Is(err, backup.ErrReadOnly) {
		t.Errorf("write: got %v, want ErrReadOnly", err)
	}
}

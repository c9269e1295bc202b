package repository_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// What was saved before a Flush can be read by another process although the
// writing never ends well.
func TestFlushMakesDurable(t *testing.T) {
	t.Parallel()
	st := mem.New()
	repo := create(t, st)
	broken := errors.New("broken off")
	var saved []blob.ID
	err := repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		for round := range 3 {
			var mu sync.Mutex
			var savers sync.WaitGroup
			for i := range 40 {
				savers.Go(func() {
					s, err := w.Save(ctx, blob.Data, []byte{byte(round), byte(i), 1, 2, 3})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Errorf("save: %v", err)
					}
					saved = append(saved, s.ID)
				})
			}
			savers.Wait()
			if err := w.Flush(ctx); err != nil {
				return err
			}
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	again := open(t, st)
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range saved {
		if _, err := again.LoadBlob(t.Context(), blob.DataHandle(id), nil); err != nil {
			t.Errorf("after the flush: %v", err)
		}
	}
}

// Saving and flushing at once neither hangs nor loses anything.
func TestFlushWhileOthersSave(t *testing.T) {
	t.Parallel()
	st := mem.New()
	repo := create(t, st, repository.WithPackSize(4<<10))
	err := repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				for i := range 300 {
					if _, err := w.Save(ctx, blob.Data, append(make([]byte, 500), byte(g), byte(i), byte(i>>8))); err != nil {
						t.Errorf("save: %v", err)
						return
					}
				}
			})
		}
		all.Go(func() {
			for range 20 {
				if err := w.Flush(ctx); err != nil {
					t.Errorf("flush: %v", err)
				}
			}
		})
		all.Wait()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, st)
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 1200 {
		id := blob.Hash(append(make([]byte, 500), byte(i/300), byte(i%300), byte(i%300>>8)))
		if !again.Has(blob.DataHandle(id)) {
			t.Fatalf("blob %d of 1200 is in no index", i)
		}
	}
}

// noting tells when what was written.
type noting struct {
	storage.Storage
	mu   sync.Mutex
	when map[storage.Kind]time.Time
}

func (n *noting) Unwrap() storage.Storage { return n.Storage }

func (n *noting) Save(ctx context.Context, name storage.Name, data []byte) error {
	n.mu.Lock()
	if _, before := n.when[name.Kind]; !before {
		n.when[name.Kind] = time.Now()
	}
	n.mu.Unlock()
	return n.Storage.Save(ctx, name, data)
}

// Under a lock that was taken early nothing is written before others had their
// time to see it.
func TestLockEarlyWritesLate(t *testing.T) {
	t.Parallel()
	st := &noting{Storage: mem.New(), when: map[storage.Kind]time.Time{}}
	repo := create(t, st)
	began := time.Now()
	lock, err := repo.LockEarly(t.Context(), repository.Append, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 150*time.Millisecond {
		t.Errorf("the lock took %v, want it at once", took)
	}
	err = repo.Write(lock.Context(), func(ctx context.Context, w *repository.Writer) error {
		_, err := w.Save(ctx, blob.Data, []byte("early"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []storage.Kind{storage.Pack, storage.Index} {
		if after := st.when[kind].Sub(st.when[storage.Lock]); after < 190*time.Millisecond {
			t.Errorf("%s was written %v after the lock, want 200ms", kind, after)
		}
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

// What was read early and has been replaced ends the work before it wrote
// anything; so does a lock that another wrote at the same moment.
func TestLockEarlyInVain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		still error
		other bool
		want  error
	}{
		{"replaced", repository.ErrMoved, false, repository.ErrMoved},
		{"locked", nil, true, backup.ErrLocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := &noting{Storage: mem.New(), when: map[storage.Kind]time.Time{}}
			repo := create(t, st)
			lock, err := repo.LockEarly(t.Context(), repository.Append, func(context.Context) error { return tt.still })
			if err != nil {
				t.Fatal(err)
			}
			if tt.other {
				foreign := map[string]any{"time": time.Now(), "exclusive": true, "hostname": "elsewhere", "username": "u", "pid": 1}
				if _, err := repo.SaveUnpacked(t.Context(), storage.Lock, foreign); err != nil {
					t.Fatal(err)
				}
			}
			err = repo.Write(lock.Context(), func(ctx context.Context, w *repository.Writer) error {
				_, err := w.Save(ctx, blob.Data, []byte("early"))
				return err
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if _, wrote := st.when[storage.Pack]; wrote {
				t.Error("a pack was written")
			}
			if err := lock.Unlock(); err != nil {
				t.Error(err)
			}
		})
	}
}

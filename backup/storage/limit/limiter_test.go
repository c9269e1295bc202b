package limit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func TestLimitIsAStorage(t *testing.T) {
	s, err := limit.ParseSchedule("1GiB", nil)
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Run(t, func(*testing.T) storage.Storage {
		return limit.New(mem.New(), limit.NewLimiter(), limit.NewPacer(s, nil))
	})
	storagetest.Run(t, func(*testing.T) storage.Storage { return limit.New(mem.New(), nil, nil) })
}

// server bears only so many requests at once; each takes a second.
type server struct {
	storage.Storage
	bears         int32
	after         time.Duration
	running, most atomic.Int32
	refused, done atomic.Int32
}

func (s *server) Stat(ctx context.Context, _ storage.Name) (storage.Info, error) {
	n := s.running.Add(1)
	defer s.running.Add(-1)
	for old := s.most.Load(); n > old && !s.most.CompareAndSwap(old, n); old = s.most.Load() {
	}
	if n > s.bears {
		s.refused.Add(1)
		return storage.Info{}, fmt.Errorf("stat: %w", &storage.Throttled{After: s.after, Err: errors.New("SlowDown")})
	}
	time.Sleep(time.Second)
	s.done.Add(1)
	return storage.Info{}, ctx.Err()
}

// ask makes requests from so many goroutines for a while.
func ask(t *testing.T, st storage.Storage, clients int, span time.Duration) {
	t.Helper()
	until := time.Now().Add(span)
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for time.Now().Before(until) {
				if _, err := st.Stat(t.Context(), storage.Name{Kind: storage.Pack}); err != nil {
					time.Sleep(100 * time.Millisecond) // as the wrapper above would
				}
			}
		})
	}
	wait.Wait()
}

func TestTheLimiterFindsWhatAnEndpointBears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := limit.NewRegistry(nil)
		one, two := &server{Storage: mem.New(), bears: 4}, registry.Limiter("https://HOST/")
		st := limit.New(one, two, nil)
		ask(t, st, 32, 5*time.Minute)
		if got := two.Allowed(); got < 2 || got > 6 {
			t.Errorf("after five minutes %d requests at once are allowed, want about 4", got)
		}
		if got := one.done.Load(); got < 4*300*6/10 {
			t.Errorf("%d requests succeeded, want at least 60%% of the 1200 that the server could serve", got)
		}
		if refused := one.refused.Load(); refused > one.done.Load()/4 {
			t.Errorf("%d were refused beside %d that succeeded", refused, one.done.Load())
		}
		if registry.Limiter("https://host") != two {
			t.Error("the endpoint has two limiters")
		}
		one.bears = 40
		ask(t, st, 32, 5*time.Minute)
		if got := two.Allowed(); got < 30 {
			t.Errorf("the server has grown, but only %d requests at once are allowed", got)
		}
	})
}

func TestRequestsThatFailTogetherAreOneLesson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLimiter()
		st := limit.New(&server{Storage: mem.New(), bears: 0}, l, nil)
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() { _, _ = st.Stat(t.Context(), storage.Name{}) })
		}
		wait.Wait()
		if got := l.Allowed(); got != 8 {
			t.Errorf("after one refusal of 16 requests %d are allowed, want 8", got)
		}
	})
}

func TestRetryAfterIsObeyedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLimiter()
		busy := limit.New(&server{Storage: mem.New(), after: 30 * time.Second}, l, nil)
		_, err := busy.Stat(t.Context(), storage.Name{})
		if throttled := new(storage.Throttled); !errors.As(err, &throttled) {
			t.Fatal(err)
		}
		began := time.Now()
		st := limit.New(mem.New(), l, nil) // another bucket there
		if err := st.Create(t.Context()); err != nil || time.Since(began) != 30*time.Second {
			t.Errorf("the next request began after %s (%v), want 30s", time.Since(began), err)
		}
		_, _ = busy.Stat(t.Context(), storage.Name{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := st.Create(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's end", err)
		}
		began = time.Now()
		if err := st.Remove(t.Context(), storage.Name{Kind: storage.Lock}); time.Since(began) != 0 {
			t.Errorf("a lock waited for %s (%v)", time.Since(began), err)
		}
	})
}

func TestAnEndpointCannotStopUsForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLimiter()
		_, _ = limit.New(&server{Storage: mem.New(), after: 48 * time.Hour}, l, nil).Stat(t.Context(), storage.Name{})
		began := time.Now()
		if err := limit.New(mem.New(), l, nil).Create(t.Context()); err != nil || time.Since(began) != 5*time.Minute {
			t.Errorf("waited for %s (%v), want 5m", time.Since(began), err)
		}
	})
}

// TestRequestsWithinAList would not end if a listing kept its place.
func TestRequestsWithinAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, l := mem.New(), limit.NewLimiter()
		inner.Put(storagetest.Document(storage.Index, []byte("x")), []byte("x"))
		for range 6 { // down to one at a time
			_, _ = limit.New(&server{Storage: inner}, l, nil).Stat(t.Context(), storage.Name{})
			time.Sleep(time.Second)
		}
		if got := l.Allowed(); got != 1 {
			t.Fatalf("got %d at once, want 1", got)
		}
		st := limit.New(inner, l, nil)
		err := st.List(t.Context(), storage.Index, func(info storage.Info) error {
			_, err := st.Load(t.Context(), info.Name, nil, 0, -1)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

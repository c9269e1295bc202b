package limit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/storagetest"
)

func pacer(t *testing.T, schedule string) *limit.Pacer {
	t.Helper()
	s, err := limit.ParseSchedule(schedule, nil)
	if err != nil {
		t.Fatal(err)
	}
	return limit.NewRegistry(nil).Pacer("https://host", s)
}

// near tells whether a span is right to a twentieth.
func near(got, want time.Duration) bool { return (got - want).Abs() <= want/20 }

func TestBytesArePaced(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 5<<20)
	name := storagetest.Document(storage.Pack, data)
	tests := []struct {
		name string
		do   func(ctx context.Context, st storage.Storage) error
		want time.Duration
	}{
		{"save", func(ctx context.Context, st storage.Storage) error { return st.Save(ctx, name, data) }, 5 * time.Second},
		{"load", func(ctx context.Context, st storage.Storage) error {
			_, err := st.Load(ctx, name, nil, 0, -1)
			return err
		}, 5 * time.Second},
		{"load a part", func(ctx context.Context, st storage.Storage) error {
			_, err := st.Load(ctx, name, nil, 0, 1<<20)
			return err
		}, time.Second},
		{"stat", func(ctx context.Context, st storage.Storage) error { _, err := st.Stat(ctx, name); return err }, 0},
		{"a lock", func(ctx context.Context, st storage.Storage) error {
			return st.Save(ctx, storagetest.Document(storage.Lock, data), data)
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := mem.New()
				inner.Put(name, data)
				began := time.Now()
				if err := tt.do(t.Context(), limit.New(inner, nil, pacer(t, "1MiB"))); err != nil || !near(time.Since(began), tt.want) {
					t.Errorf("took %s (%v), want %s", time.Since(began), err, tt.want)
				}
			})
		})
	}
}

func TestAllWhoShareALineArePacedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := limit.NewRegistry(nil)
		s, err := limit.ParseSchedule("1MiB", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() {
				data := bytes.Repeat([]byte{byte(i)}, 2<<20)
				st := limit.New(mem.New(), nil, registry.Pacer("https://host", s))
				if err := st.Save(t.Context(), storagetest.Document(storage.Pack, data), data); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if took := time.Since(began); !near(took, 8*time.Second) {
			t.Errorf("4 times 2 MiB took %s, want 8s", took)
		}
	})
}

func TestThePaceChangesWithTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight, 2000-01-01 UTC
		data := bytes.Repeat([]byte("x"), 10<<20)
		time.Sleep(6*time.Hour - 4*time.Second)
		began := time.Now()
		st := limit.New(mem.New(), nil, pacer(t, "00:00-06:00 1MiB, else 2MiB"))
		if err := st.Save(t.Context(), storagetest.Document(storage.Pack, data), data); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); !near(took, 7*time.Second) {
			t.Errorf("took %s, want 4s for 4 MiB before six and 3s for 6 MiB after", took)
		}
	})
}

func TestPacingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		data := bytes.Repeat([]byte("x"), 10<<20)
		began := time.Now()
		err := limit.New(mem.New(), nil, pacer(t, "1MiB")).Save(ctx, storagetest.Document(storage.Pack, data), data)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
	})
}

// line is a transport that takes no time and notes when bytes came.
type line struct {
	came []time.Time
	sent int
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(strings.Repeat("y", 2<<20)))}
	if r.Body == nil {
		return resp, nil
	}
	defer r.Body.Close()
	for buf := make([]byte, 1<<20); ; {
		n, err := r.Body.Read(buf)
		if n > 0 {
			l.came = append(l.came, time.Now())
			l.sent += n
		}
		if err != nil {
			resp.Body = http.NoBody
			return resp, nil //nolint:nilerr // The end of the body.
		}
	}
}

// web is a place that sends and fetches over HTTP.
type web struct {
	storage.Storage
	transport http.RoundTripper
}

func (w web) Save(ctx context.Context, name storage.Name, data []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://host/", bytes.NewReader(data))
	if err != nil {
		return err
	}
	_, err = w.transport.RoundTrip(r)
	return errors.Join(err, w.Storage.Save(ctx, name, data))
}

func (w web) Load(ctx context.Context, _ storage.Name, _ []byte, _, _ int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://host/", nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func TestTransportPacesEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		// The attempt above allows a tenth of a second of silence: pacing is none.
		st := retry.New(limit.New(web{mem.New(), limit.Transport(l)}, nil, pacer(t, "1MiB")),
			retry.Policy{Stall: 100 * time.Millisecond, Slowest: 1 << 40})
		data := bytes.Repeat([]byte("x"), 4<<20)
		began := time.Now()
		if err := st.Save(t.Context(), storagetest.Document(storage.Pack, data), data); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); !near(took, 4*time.Second) || l.sent != len(data) {
			t.Errorf("%d bytes took %s, want 4s, and not twice", l.sent, took)
		}
		last := began
		for _, came := range l.came {
			if came.Sub(last) > 150*time.Millisecond {
				t.Errorf("nothing came for %s", came.Sub(last))
			}
			last = came
		}
		began = time.Now()
		if got, err := st.Load(t.Context(), storage.Name{Kind: storage.Pack}, nil, 0, -1); err != nil || len(got) != 2<<20 || !near(time.Since(began), 2*time.Second) {
			t.Errorf("got %d bytes, %v, after %s", len(got), err, time.Since(began))
		}
	})
}

func TestTransportWithoutLimits(t *testing.T) {
	st := web{mem.New(), limit.Transport(&line{})}
	if err := st.Save(t.Context(), storagetest.Document(storage.Pack, []byte("x")), []byte("x")); err != nil {
		t.Error(err)
	}
	if got, err := st.Load(t.Context(), storage.Name{}, nil, 0, -1); err != nil || len(got) != 2<<20 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

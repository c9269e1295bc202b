package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/storagetest"
)

var errAway = errors.New("connection refused")

// policy has no jitter: the pauses are 1, 2, 4, 8, 8 ... seconds.
func policy() retry.Policy {
	return retry.Policy{
		First: time.Second, Longest: 8 * time.Second, Overall: time.Minute, Stall: 10 * time.Second, Slowest: 1 << 10,
		Random: func() float64 { return 1 },
	}
}

func fails(n int, err error) []storagetest.Turn {
	return slices.Repeat([]storagetest.Turn{{Err: err}}, n)
}

func TestRetryIsAStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return retry.New(mem.New(), policy()) })
}

func TestAttempts(t *testing.T) {
	throttled := fmt.Errorf("503: %w", &storage.Throttled{After: 20 * time.Second, Err: errAway})
	tests := []struct {
		name     string
		script   []storagetest.Turn
		attempts int
		took     time.Duration
		err      error // nil: it works in the end
	}{
		{"at once", nil, 1, 0, nil},
		{"one failure", fails(1, errAway), 2, time.Second, nil},
		{"pauses double up to the longest", fails(6, errAway), 7, (1 + 2 + 4 + 8 + 8 + 8) * time.Second, nil},
		{"given up before the overall limit", fails(99, errAway), 10, (1 + 2 + 4 + 6*8) * time.Second, errAway},
		{"the place says how long to wait", fails(1, throttled), 2, 20 * time.Second, nil},
		{"full", fails(1, fmt.Errorf("save: %w", backup.ErrStorageFull)), 1, 0, backup.ErrStorageFull},
		{"not there", fails(1, backup.ErrNotFound), 1, 0, backup.ErrNotFound},
		{"damaged", fails(1, backup.ErrDamaged), 1, 0, backup.ErrDamaged},
		{"read-only", fails(1, backup.ErrReadOnly), 1, 0, backup.ErrReadOnly},
		{"wrong secret", fails(1, fmt.Errorf("403: %w", storage.ErrPermanent)), 1, 0, storage.ErrPermanent},
		{"first away, then full", append(fails(2, errAway), fails(1, backup.ErrStorageFull)...), 3, 3 * time.Second, backup.ErrStorageFull},
		{"hangs once", []storagetest.Turn{{Hang: true}}, 2, 11 * time.Second, nil},
		{"hangs for ever", slices.Repeat([]storagetest.Turn{{Hang: true}}, 99), 5, (5*10 + 1 + 2 + 4 + 8) * time.Second, retry.ErrStalled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				twin := &storagetest.Scripted{Storage: mem.New(), Script: tt.script}
				began := time.Now()
				err := retry.New(twin, policy()).Create(t.Context())
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				if errors.Is(err, context.Canceled) {
					t.Errorf("%v would pass for an interruption by a person", err)
				}
				if got := len(twin.Calls()); got != tt.attempts {
					t.Errorf("got %d attempts, want %d", got, tt.attempts)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Random = func() float64 { return 0 }
		began := time.Now()
		st := retry.New(&storagetest.Scripted{Storage: mem.New(), Script: fails(3, errAway)}, p)
		if err := st.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := time.Since(began), 3500*time.Millisecond; got != want {
			t.Errorf("the shortest pauses take %s, want %s", got, want)
		}
	})
}

func TestAPlaceThatNeverAnswered(t *testing.T) {
	p := policy()
	p.Hello = 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		twin := &storagetest.Scripted{Storage: mem.New(), Script: fails(99, errAway)}
		err := retry.New(twin, p).Create(t.Context())
		if got := len(twin.Calls()); !errors.Is(err, errAway) || got != 3 {
			t.Errorf("got %v after %d attempts, want 3", err, got)
		}
	})
	synctest.Test(t, func(t *testing.T) { // silence is no better than a refusal
		twin := &storagetest.Scripted{Storage: mem.New(), Script: slices.Repeat([]storagetest.Turn{{Hang: true}}, 99)}
		began := time.Now()
		_, err := retry.New(twin, p).Load(t.Context(), storage.Name{Kind: storage.Config}, nil, 0, -1)
		if took := time.Since(began); !errors.Is(err, retry.ErrStalled) || took != p.Hello {
			t.Errorf("got %v after %s, want ErrStalled after %s", err, took, p.Hello)
		}
	})
	synctest.Test(t, func(t *testing.T) { // "not found" is an answer
		twin := &storagetest.Scripted{Storage: mem.New(), Script: append([]storagetest.Turn{{Err: backup.ErrNotFound}}, fails(99, errAway)...)}
		st := retry.New(twin, p)
		_, err := st.Stat(t.Context(), storage.Name{Kind: storage.Config})
		if !errors.Is(err, backup.ErrNotFound) {
			t.Fatal(err)
		}
		if err := st.Create(t.Context()); !errors.Is(err, errAway) || len(twin.Calls()) != 1+10 {
			t.Errorf("got %v after %d attempts, want 10", err, len(twin.Calls())-1)
		}
	})
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		p := policy()
		p.First, p.Longest, p.Overall = time.Hour, time.Hour, 24*time.Hour
		began := time.Now()
		err := retry.New(&storagetest.Scripted{Storage: mem.New(), Script: fails(9, errAway)}, p).Create(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errAway) || time.Since(began) != 90*time.Second {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
	})
}

func document(text string) storage.Name { return storagetest.Document(storage.Pack, []byte(text)) }

func TestSaveIsSettled(t *testing.T) {
	data := "0123456789"
	name := document(data)
	tests := []struct {
		name   string
		before string // what lies there
		script []storagetest.Turn
		calls  string
	}{
		{"lost answer", "", []storagetest.Turn{{Err: errAway, Fault: storagetest.After}}, "save stat load"},
		{"lost request", "", []storagetest.Turn{{Err: errAway}}, "save stat save"},
		{"something short lies there", "01234", []storagetest.Turn{{Err: errAway}}, "save stat save"},
		{"something wrong of that length lies there", "01234X6789", []storagetest.Turn{{Err: errAway}}, "save stat load save"},
		{"away while looking", "", append(fails(3, errAway), storagetest.Turn{}), "save stat stat stat save"},
		{"cannot be read", "", []storagetest.Turn{{Err: errAway, Fault: storagetest.After}, {}, {Err: storage.ErrPermanent}}, "save stat load save"},
		{"too busy to begin", "", fails(2, &storage.Throttled{Err: errAway}), "save save save"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := mem.New()
				if tt.before != "" {
					inner.Put(name, []byte(tt.before))
				}
				twin := &storagetest.Scripted{Storage: inner, Script: tt.script}
				if err := retry.New(twin, policy()).Save(t.Context(), name, []byte(data)); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(twin.Calls(), " "); got != tt.calls {
					t.Errorf("got %s, want %s", got, tt.calls)
				}
				if got, err := inner.Load(t.Context(), name, nil, 0, -1); err != nil || string(got) != data {
					t.Errorf("stored is %q, %v", got, err)
				}
			})
		})
	}
}

func TestRemoveIsSettled(t *testing.T) {
	tests := []struct {
		name   string
		there  bool
		script []storagetest.Turn
		calls  int
		err    error
	}{
		{"lost answer", true, []storagetest.Turn{{Err: errAway, Fault: storagetest.After}}, 2, nil},
		{"lost request", true, []storagetest.Turn{{Err: errAway}}, 2, nil},
		{"never there", false, nil, 1, backup.ErrNotFound},
		{"never there, too busy first", false, fails(1, &storage.Throttled{Err: errAway}), 2, backup.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := mem.New()
				if tt.there {
					inner.Put(document("x"), []byte("x"))
				}
				twin := &storagetest.Scripted{Storage: inner, Script: tt.script}
				err := retry.New(twin, policy()).Remove(t.Context(), document("x"))
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || len(twin.Calls()) != tt.calls {
					t.Errorf("got %v after %v, want %v after %d calls", err, twin.Calls(), tt.err, tt.calls)
				}
			})
		})
	}
}

func TestListTellsEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := mem.New()
		for i := range 20 {
			inner.Put(document(fmt.Sprint(i)), []byte("x"))
		}
		twin := &storagetest.Scripted{Storage: inner, Script: []storagetest.Turn{{Err: errAway, Items: 7}, {Hang: true}, {Err: errAway, Items: 15}}}
		told := map[storage.Name]int{}
		err := retry.New(twin, policy()).List(t.Context(), storage.Pack, func(info storage.Info) error {
			told[info.Name]++
			time.Sleep(time.Hour) // the caller's time is not the place's
			return nil
		})
		if err != nil || len(told) != 20 || len(twin.Calls()) != 4 {
			t.Errorf("got %v, %d documents after %v", err, len(told), twin.Calls())
		}
		for name, n := range told {
			if n != 1 {
				t.Errorf("%s was told %d times", name, n)
			}
		}
	})
}

func TestTheCallersErrorIsNotRepeated(t *testing.T) {
	inner, calls := mem.New(), 0
	inner.Put(document("x"), []byte("x"))
	err := retry.New(inner, policy()).List(t.Context(), storage.Pack, func(storage.Info) error { calls++; return errAway })
	if !errors.Is(err, errAway) || calls != 1 {
		t.Errorf("got %v after %d calls, want the caller's error after 1", err, calls)
	}
}

// slow moves a byte a second and says so.
type slow struct {
	storage.Storage
	tells bool
}

func (s slow) Save(ctx context.Context, name storage.Name, data []byte) error {
	for range data {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		if s.tells {
			retry.Alive(ctx)
		}
	}
	return s.Storage.Save(ctx, name, data)
}

func TestASlowLineIsNotADeadOne(t *testing.T) {
	for _, tells := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			data := strings.Repeat("x", 600)
			err := retry.New(slow{mem.New(), tells}, policy()).Save(t.Context(), document(data), []byte(data))
			if tells && err != nil || !tells && !errors.Is(err, retry.ErrStalled) {
				t.Errorf("tells %v: got %v", tells, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // what tells nothing has time by its bytes
		data := strings.Repeat("x", 600)
		p := policy()
		p.Slowest = 1
		if err := retry.New(slow{mem.New(), false}, p).Save(t.Context(), document(data), []byte(data)); err != nil {
			t.Error(err)
		}
	})
}

func TestTroubleIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported, heard []string
		note := func(list *[]string) func(retry.Event) {
			return func(e retry.Event) {
				*list = append(*list, fmt.Sprintf("%s %d %s %s %v %v", e.Operation, e.Attempt, e.Wait, e.Trouble, e.Err, e.Over))
			}
		}
		p := policy()
		p.Report = note(&reported)
		ctx := retry.Listen(t.Context(), note(&heard))
		if err := retry.New(&storagetest.Scripted{Storage: mem.New(), Script: fails(2, errAway)}, p).Create(ctx); err != nil {
			t.Fatal(err)
		}
		want := []string{"create 1 1s 0s connection refused false", "create 2 2s 1s connection refused false", "create 3 0s 3s <nil> true"}
		if !slices.Equal(reported, want) || !slices.Equal(heard, want) {
			t.Errorf("reported %q, heard %q; want %q", reported, heard, want)
		}
	})
}

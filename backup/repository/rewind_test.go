package repository_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/storagetest"
)

// timeline is a place that keeps every state of the documents.
type timeline struct {
	*mem.Storage // today
	states       []state
}

type state struct {
	at   time.Time
	then *mem.Storage
}

// noonOf is the moment of a state.
func noonOf(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }

// keep ends a day.
func (l *timeline) keep() time.Time {
	at := noonOf(len(l.states) + 1)
	l.states = append(l.states, state{at, l.Storage.Clone()})
	return at
}

func (l *timeline) Location() string { return "timeline" }

func (l *timeline) At(_ context.Context, t time.Time) (storage.Storage, error) {
	v := &moment{Storage: mem.New()}
	for _, s := range l.states {
		if !s.at.After(t) {
			v.Storage, v.older = s.then, append([]state{s}, v.older...)
		}
	}
	return v, nil
}

// moment is a timeline as it was.
type moment struct {
	*mem.Storage
	older []state // newest first
}

func (m *moment) Older(ctx context.Context, name storage.Name, fn func(time.Time, []byte) bool) error {
	for _, s := range m.older {
		if data, err := s.then.Load(ctx, name, nil, 0, -1); err == nil && !fn(s.at, data) {
			return nil
		}
	}
	return ctx.Err()
}

// history is a repository of two days; on the third nothing happened.
func history(t *testing.T) (l *timeline, first, both contents) {
	t.Helper()
	l = &timeline{Storage: mem.New()}
	r := create(t, l, repository.WithPackSize(20_000))
	first, both = sample(1, 40), sample(1, 40)
	write(t, r, first)
	l.keep()
	second := sample(2, 40)
	write(t, r, second)
	for h, plain := range second {
		both[h] = plain
	}
	l.keep()
	l.keep()
	return l, first, both
}

func rewind(t *testing.T, l *timeline, to time.Time, target storage.Storage) repository.RewindReport {
	t.Helper()
	report, err := repository.Rewind(t.Context(), retry.New(l, retry.Night()), password, to, target, nil, cheap())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// documents counts what a repository is made of.
func documents(t *testing.T, st storage.Storage) (n int64) {
	t.Helper()
	for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Pack, storage.Index, storage.Snapshot} {
		n += int64(len(names(t, st, kind)))
	}
	return n
}

// target is an empty place that is not called like the others.
type target struct{ *mem.Storage }

func (target) Location() string { return "target" }

func TestRewind(t *testing.T) {
	l, first, both := history(t)
	for i, want := range []contents{first, both, both} {
		st := target{mem.New()}
		r := rewind(t, l, noonOf(i+1), st)
		if n := documents(t, l.states[i].then); r.Documents != n || documents(t, st) != n || !r.Sound() || len(r.Replaced)+len(r.Rubbish) != 0 || r.Resumed != 0 {
			t.Errorf("day %d: got %+v, want %d documents", i+1, r, n)
		}
		wantSound(t, st, want)
	}
}

func TestAnAttackIsUndone(t *testing.T) {
	l, _, both := history(t)
	for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Pack, storage.Index} {
		for i, name := range names(t, l.Storage, kind) {
			if i%2 == 0 && kind != storage.Config {
				l.Put(name, []byte("your files are encrypted"))
			} else if err := l.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.keep()
	st := target{mem.New()}
	if r := rewind(t, l, noonOf(3), st); !r.Sound() || len(r.Replaced) != 0 {
		t.Errorf("got %+v", r)
	}
	wantSound(t, st, both)
}

func TestRubbishOnTopIsLookedBeneath(t *testing.T) {
	l, _, both := history(t)
	var touched []storage.Name
	for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Pack, storage.Index} {
		list := names(t, l.Storage, kind)
		touched = append(touched, list[:(len(list)+1)/2]...)
	}
	for _, name := range touched {
		l.Put(name, []byte("rubbish"))
	}
	invented := storagetest.Document(storage.Pack, []byte("nobody wrote this"))
	l.Put(invented, []byte("rubbish"))
	at := l.keep()
	st := target{mem.New()}
	r := rewind(t, l, at, st)
	if !r.Sound() || len(r.Replaced) != len(touched) || !slices.Equal(r.Rubbish, []storage.Name{invented}) {
		t.Errorf("got %+v, want %d replaced and one that never was", r, len(touched))
	}
	wantSound(t, st, both)
}

func TestAConfigThatIsGoneIsFound(t *testing.T) {
	l, _, both := history(t)
	if err := l.Remove(t.Context(), storage.Name{Kind: storage.Config}); err != nil {
		t.Fatal(err)
	}
	st := target{mem.New()}
	if r := rewind(t, l, l.keep(), st); len(r.Replaced) != 1 {
		t.Errorf("got %+v", r)
	}
	wantSound(t, st, both)
}

func TestWhatIsLostIsTold(t *testing.T) {
	l, _, _ := history(t)
	pack := names(t, l.Storage, storage.Pack)[0]
	for _, s := range l.states { // destroyed on every day
		s.then.Put(pack, []byte("rubbish"))
	}
	r := rewind(t, l, noonOf(3), target{mem.New()})
	if r.Sound() || !slices.Equal(r.Rubbish, []storage.Name{pack}) || r.Findings[0].Kind != repository.PackMissing {
		t.Errorf("got %+v, want the missing pack told", r)
	}
}

func TestRewindGoesOnWhereItEnded(t *testing.T) {
	l, _, both := history(t)
	all := documents(t, l.Storage)
	inner := target{mem.New()}
	for at := 1; ; at += 3 {
		st := &storagetest.Faulty{Storage: inner, At: at, Dead: true}
		_, err := repository.Rewind(t.Context(), l, password, noonOf(3), st, nil, cheap())
		if err == nil {
			break
		}
		if !errors.Is(err, storagetest.ErrFault) {
			t.Fatal(err)
		}
		if _, err := repository.Open(t.Context(), inner, password); !errors.Is(err, backup.ErrNoRepository) {
			t.Fatalf("a target that is not complete opens: %v", err)
		}
	}
	torn := names(t, inner, storage.Pack)[0]
	inner.Put(torn, []byte("torn"))
	if r := rewind(t, l, noonOf(3), inner); r.Documents != all || r.Resumed != all-2 {
		t.Errorf("got %+v, want all of %d documents resumed but the config and a torn pack", r, all)
	}
	wantSound(t, inner, both)
}

func TestRewindRefuses(t *testing.T) {
	l, _, _ := history(t)
	foreign := target{mem.New()}
	create(t, foreign)
	strange := target{mem.New()}
	strange.Put(storagetest.Document(storage.Pack, []byte("x")), []byte("x"))
	tests := []struct {
		name, password string
		st             storage.Storage
		to             time.Time
		target         storage.Storage
		want           error
	}{
		{"a wrong password", "wrong", l, noonOf(3), target{mem.New()}, backup.ErrWrongPassword},
		{"a time before the beginning", password, l, noonOf(0), target{mem.New()}, backup.ErrNoRepository},
		{"a place without versions", password, mem.New(), noonOf(3), target{mem.New()}, backup.ErrUnsupported},
		{"the place itself", password, l, noonOf(3), l, backup.ErrInvalid},
		{"another repository", password, l, noonOf(3), foreign, backup.ErrRepositoryExists},
		{"a place with something else", password, l, noonOf(3), strange, backup.ErrTargetNotEmpty},
		{"a full place", password, l, noonOf(3), full{mem.New()}, backup.ErrStorageFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := documents(t, tt.target)
			_, err := repository.Rewind(t.Context(), tt.st, tt.password, tt.to, tt.target, nil, cheap())
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if after := documents(t, tt.target); after != before {
				t.Errorf("the target had %d documents and has %d", before, after)
			}
		})
	}
}

// full is a place with a byte of room.
type full struct{ *mem.Storage }

func (full) Location() string { return "full" }

func (full) Space(context.Context) (free, total uint64, err error) { return 1, 1, nil }

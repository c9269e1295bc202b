package repository_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// manyPacks is a repository of some packs of about the same size.
func manyPacks(t *testing.T, n int) *mem.Storage {
	t.Helper()
	st := mem.New()
	r := create(t, st)
	for i := range n {
		c := contents{}
		c.add(blob.Data, noise(uint64(500+i), 1000))
		write(t, r, c)
	}
	return st
}

const aDay = 24 * time.Hour

// readDates tells a test which packs are read.
type readDates struct {
	*mem.Storage
	now  time.Time
	mu   sync.Mutex
	last map[string]time.Time
}

func (s *readDates) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name.Kind == storage.Pack && s.last != nil {
		s.mu.Lock()
		s.last[name.ID] = s.now
		s.mu.Unlock()
	}
	return s.Storage.Load(ctx, name, buf, offset, length)
}

func verify(t *testing.T, r *repository.Repository, opts repository.RollingOptions) (report repository.RollingReport, found []string) {
	t.Helper()
	report, err := r.VerifyRolling(t.Context(), opts, func(f repository.Finding) { found = append(found, f.Kind) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report, found
}

// With a run a night, a few left out and packs that come and go, no pack stays
// unread for longer than asked for, and no night reads much more than its share.
func TestRollingReadsEverythingInTime(t *testing.T) {
	st := &readDates{Storage: manyPacks(t, 60)}
	dir := t.TempDir()
	start := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	seen := map[string]time.Time{}
	for _, name := range names(t, st, storage.Pack) {
		seen[name.ID] = start
	}
	for night := range 100 {
		if night%17 == 5 {
			continue // the machine was off
		}
		st.now, st.last = start.Add(time.Duration(night)*aDay), seen
		r := open(t, st, repository.WithCache(dir, 1<<20))
		report, found := verify(t, r, repository.RollingOptions{Every: 30 * aDay, Now: st.now})
		if len(found) > 0 {
			t.Fatalf("night %d: %v", night, found)
		}
		if report.Packs < 1 || report.Packs > 8 {
			t.Errorf("night %d: %d of %d packs read at once", night, report.Packs, report.TotalPacks)
		}
		for id, when := range seen {
			if age := st.now.Sub(when); age > 30*aDay {
				t.Fatalf("night %d: pack %.8s was not read for %v", night, id, age)
			}
		}
		if night > 31 && (report.Overdue > 0 || report.Never > 0 || report.Covered < 100 || st.now.Sub(report.Oldest) > 30*aDay) {
			t.Fatalf("night %d: got %+v, want all covered", night, report)
		}
	}
}

func TestRollingKeepsToItsBudget(t *testing.T) {
	st := manyPacks(t, 20)
	cached := repository.WithCache(t.TempDir(), 1<<20)
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	report, _ := verify(t, open(t, st, cached), repository.RollingOptions{Every: aDay, Budget: 5000, Now: now})
	if report.Packs < 1 || report.Bytes > 7000 {
		t.Errorf("got %+v, want about 5000 bytes read", report)
	}
	report, _ = verify(t, open(t, st, cached), repository.RollingOptions{Every: aDay, Budget: 1, Now: now.Add(3 * aDay)})
	if report.Packs < 1 || report.Overdue < 15 || report.OverdueB == 0 {
		t.Errorf("got %+v, want most overdue", report)
	}
}

// A pack that is damaged is told each time, and is never taken for verified.
func TestRollingTellsOfDamage(t *testing.T) {
	st := manyPacks(t, 5)
	victim := first(t, st, storage.Pack)
	data := load(t, st, victim)
	data[40] ^= 1
	st.Put(victim, data)
	gone := slices.DeleteFunc(names(t, st, storage.Pack), func(n storage.Name) bool { return n == victim })[0]
	remove(t, st, gone)
	cached := repository.WithCache(t.TempDir(), 1<<20)
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	for range 2 {
		report, found := verify(t, open(t, st, cached), repository.RollingOptions{Every: time.Hour, Now: now})
		if !slices.Contains(found, repository.PackDamaged) || !slices.Contains(found, repository.PackMissing) {
			t.Errorf("got %v, want the damaged and the missing pack", found)
		}
		if report.Never != 1 {
			t.Errorf("got %+v, want the damaged pack counted as never verified", report)
		}
		now = now.Add(2 * time.Hour)
	}
}

// A lost or damaged record only means reading again; without a place for it,
// it is said at once.
func TestRollingWithoutItsRecord(t *testing.T) {
	st := manyPacks(t, 3)
	dir := t.TempDir()
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	r := open(t, st, repository.WithCache(dir, 1<<20))
	verify(t, r, repository.RollingOptions{Every: aDay, Now: now})
	if err := r.Cache().Put(cache.State, "rolling", []byte("no book at all")); err != nil {
		t.Fatal(err)
	}
	if report, _ := verify(t, r, repository.RollingOptions{Every: aDay, Now: now.Add(time.Hour)}); report.Packs != 3 {
		t.Errorf("got %+v, want all three packs read again", report)
	}
	_, err := open(t, st).VerifyRolling(t.Context(), repository.RollingOptions{}, func(repository.Finding) {}, nil)
	if !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

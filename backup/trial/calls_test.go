package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// history is a repository with points, and what they hold.
type history struct {
	st     *mem.Storage
	dir    string           // the source, as it is now
	now    files            //
	points map[string]files // by id; the oldest has been forgotten
}

// lived makes three points of a changing folder and forgets the first, so that
// a backup finds a parent and a prune something to copy and to remove.
func lived(t *testing.T) *history {
	t.Helper()
	h := &history{st: founded(t), now: grown(1), points: map[string]files{}}
	h.dir = folder(t, h.now)
	first := ""
	for i := range 3 {
		for name, data := range grown(uint64(2 + i)) {
			if len(name)%3 == i || name == "dump.sql" {
				h.now[name] = data
				put(t, h.dir, name, data)
			}
		}
		res, err := backedUp(t.Context(), h.st, h.dir)
		must(t, err)
		h.points[res.Snapshot.ID] = maps.Clone(h.now)
		if i == 0 {
			first = res.Snapshot.ID
		}
	}
	delete(h.points, first)
	must(t, h.st.Remove(t.Context(), storage.Name{Kind: storage.Snapshot, ID: first}))
	put(t, h.dir, "new/today.xml", []byte("new today"))
	h.now["new/today.xml"] = []byte("new today")
	return h
}

// all proves every point.
func (h *history) all(ctx context.Context, st storage.Storage, points map[string]files) error {
	for id, want := range points {
		if err := whole(ctx, st, id, h.dir, want); err != nil {
			return err
		}
	}
	return nil
}

// wound is a call that goes wrong.
type wound struct {
	at    int // of all calls, from 1
	fault storagetest.Fault
	dead  bool // and all that follow, as when the program is killed or the line is cut
}

func (w wound) on(st storage.Storage) *storagetest.Faulty {
	return &storagetest.Faulty{Storage: st, At: w.at, Fault: w.fault, Dead: w.dead, CountReads: true}
}

// everyCall tries a work with an error at each of its storage calls in turn,
// before and after the effect, once or from then on. try tells whether the
// call was reached.
func everyCall(t *testing.T, try func(ctx context.Context, w wound) (reached bool, err error)) {
	t.Helper()
	var mu sync.Mutex
	tried, began := 0, time.Now()
	for _, how := range []wound{{fault: storagetest.Before}, {fault: storagetest.After}, {fault: storagetest.Before, dead: true}, {fault: storagetest.After, dead: true}} {
		var group errgroup.Group
		group.SetLimit(16) // each waits for its locks most of the time
		end, step := false, 1
		if testing.Short() {
			step = 9
		}
		for at := 1; ; at += step {
			mu.Lock()
			over := end
			mu.Unlock()
			if over {
				break
			}
			w := how
			w.at = at
			group.Go(func() error {
				reached, err := try(t.Context(), w)
				mu.Lock()
				defer mu.Unlock()
				end = end || !reached || err != nil
				if reached {
					tried++
				}
				if err != nil {
					return fmt.Errorf("error at call %d, %+v: %w", at, how, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	}
	figures(t, "%s: %d errors at storage calls, %s", t.Name(), tried, time.Since(began).Round(time.Second))
	if tried < 40 && !testing.Short() {
		t.Errorf("only %d calls were tried", tried)
	}
}

var errNone = errors.New("no error")

// orNone is an error to be told.
func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// A backup whose storage fails once says so, or has made its point all the same;
// either way nothing that was there is touched, and the next one succeeds.
func TestErrorAtEveryCallOfABackup(t *testing.T) {
	t.Parallel()
	h := lived(t)
	everyCall(t, func(ctx context.Context, w wound) (bool, error) {
		st := h.st.Clone()
		faulty := w.on(st)
		res, failed := backedUp(ctx, faulty, h.dir)
		bury(t, st)
		if err := h.all(ctx, st, h.points); err != nil {
			return true, err
		}
		if failed == nil {
			if err := whole(ctx, st, res.Snapshot.ID, h.dir, h.now); err != nil {
				return true, fmt.Errorf("success was said: %w", err)
			}
		}
		next, err := backedUp(ctx, st, h.dir)
		if err != nil {
			return true, fmt.Errorf("after %w the next backup: %w", orNone(failed), err)
		}
		if err := whole(ctx, st, next.Snapshot.ID, h.dir, h.now); err != nil {
			return true, err
		}
		return faulty.Calls() >= w.at, sound(ctx, st)
	})
}

// The same for a prune: whatever fails, no point loses anything, and the next
// prune ends what was begun.
func TestErrorAtEveryCallOfAPrune(t *testing.T) {
	t.Parallel()
	h := littered(t)
	prune := func(ctx context.Context, st storage.Storage) error {
		repo, err := opened(ctx, st)
		if err != nil {
			return err
		}
		report, err := snapshot.Prune(ctx, repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
		if err == nil && (report.PacksRepacked == 0 || report.PacksRemoved == 0 || report.PacksLeft > 0) && report.Postponed == "" {
			err = errNothing
		}
		return err
	}
	everyCall(t, func(ctx context.Context, w wound) (bool, error) {
		st := h.st.Clone()
		faulty := w.on(st)
		failed := prune(ctx, faulty)
		bury(t, st)
		if errors.Is(failed, errNothing) {
			return true, failed
		}
		if err := errors.Join(h.all(ctx, st, h.points), sound(ctx, st)); err != nil {
			return true, fmt.Errorf("after %w: %w", orNone(failed), err)
		}
		if err := prune(ctx, st); err != nil && !errors.Is(err, errNothing) {
			return true, fmt.Errorf("after %w the next prune: %w", orNone(failed), err)
		}
		if orphans, err := unused(ctx, st); err != nil || orphans > 0 {
			return true, fmt.Errorf("after %w and one more prune there are still %d blobs nobody needs, %w", orNone(failed), orphans, orNone(err))
		}
		return faulty.Calls() >= w.at, errors.Join(h.all(ctx, st, h.points), sound(ctx, st))
	})
}

// littered is a history with packs to remove and packs to write anew. Where
// files are cut follows from the key that was drawn, and with it what shares a
// pack; so some histories leave a prune with only one of the two.
func littered(t *testing.T) *history {
	t.Helper()
	for range 20 {
		h := lived(t)
		repo, err := opened(t.Context(), h.st)
		must(t, err)
		report, err := snapshot.Prune(t.Context(), repo, repository.PruneOptions{DryRun: true, MaxUnusedPercent: -1}, nil)
		must(t, err)
		if report.PacksRepacked > 0 && report.PacksRemoved > 0 {
			return h
		}
	}
	t.Fatal("twenty histories left a prune too little to do")
	return nil
}

var errNothing = errors.New("the prune had too little to do for this test")

// unused counts what a prune would still find.
func unused(ctx context.Context, st storage.Storage) (int64, error) {
	repo, err := opened(ctx, st)
	if err != nil {
		return 0, err
	}
	report, err := snapshot.Prune(ctx, repo, repository.PruneOptions{DryRun: true, MaxUnusedPercent: -1}, nil)
	return report.UnusedBlobs + report.PacksOrphans, err
}

// The same for a copy, with errors on either side.
func TestErrorAtEveryCallOfACopy(t *testing.T) {
	t.Parallel()
	h := lived(t)
	empty := founded(t)
	for _, side := range []string{"from", "to"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			everyCall(t, func(ctx context.Context, w wound) (bool, error) {
				from, to := h.st.Clone(), empty.Clone()
				faulty := w.on(to)
				first, second := storage.Storage(from), storage.Storage(faulty)
				if side == "from" {
					faulty = w.on(from)
					first, second = faulty, to
				}
				_, failed := copied(ctx, first, second)
				bury(t, from)
				bury(t, to)
				if err := errors.Join(h.all(ctx, from, h.points), sound(ctx, to)); err != nil {
					return true, fmt.Errorf("after %w: %w", orNone(failed), err)
				}
				if failed == nil {
					if err := h.hasAll(ctx, to); err != nil {
						return true, fmt.Errorf("success was said: %w", err)
					}
				}
				if _, err := copied(ctx, from, to); err != nil {
					return true, fmt.Errorf("after %w the next copy: %w", orNone(failed), err)
				}
				return faulty.Calls() >= w.at, errors.Join(h.hasAll(ctx, to), sound(ctx, to))
			})
		})
	}
}

func copied(ctx context.Context, from, to storage.Storage) (snapshot.CopyReport, error) {
	one, err := opened(ctx, from)
	if err != nil {
		return snapshot.CopyReport{}, err
	}
	two, err := opened(ctx, to)
	if err != nil {
		return snapshot.CopyReport{}, err
	}
	return snapshot.Copy(ctx, one, two, snapshot.CopyOptions{}, nil)
}

// hasAll wants each point once in a second repository.
func (h *history) hasAll(ctx context.Context, st storage.Storage) error {
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	if err != nil || len(list) != len(h.points) {
		return fmt.Errorf("got %d points, %w, want %d", len(list), err, len(h.points))
	}
	for _, sn := range list {
		if err := whole(ctx, st, sn.ID, h.dir, h.points[sn.Original.String()]); err != nil {
			return err
		}
	}
	return nil
}

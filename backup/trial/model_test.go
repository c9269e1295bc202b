package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// life is a source, a repository, its second copy, and a model that knows what
// every acknowledged point must give back.
type life struct {
	t        *testing.T
	random   *rand.Rand
	st       *mem.Storage
	two      *mem.Storage
	dir      string
	cache    string
	now      files
	points   map[string]files // acknowledged in the first repository
	copies   map[string]files // acknowledged in the second
	clock    time.Time        // as the machine believes; it jumps
	met      map[string]int
	number   int
	stranger bool // somebody elsewhere holds a lock in the first repository
}

func newModel(t *testing.T, seed uint64) *life {
	t.Helper()
	l := &life{
		t: t, random: rand.New(rand.NewPCG(seed, 23)), st: founded(t), two: founded(t), cache: t.TempDir(), now: grown(seed),
		points: map[string]files{}, copies: map[string]files{}, clock: day(int(seed % 300)), met: map[string]int{},
	}
	l.dir = folder(t, l.now)
	return l
}

// step does one thing, drawn at random, and looks whether all is well.
func (l *life) step(ctx context.Context) error {
	type act struct {
		name string
		odds int
		do   func(context.Context) error
	}
	acts := []act{
		{"backup", 6, l.backup}, {"forget", 3, l.forget}, {"prune", 3, l.prune}, {"copy", 2, l.copy},
		{"clock jump", 2, l.jump}, {"stranger", 1, l.meet}, {"prune of the second", 1, l.pruneSecond},
	}
	odds := 0
	for _, a := range acts {
		odds += a.odds
	}
	at := l.random.IntN(odds)
	for _, a := range acts {
		if at -= a.odds; at < 0 {
			l.met[a.name]++
			if err := a.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			break
		}
	}
	return l.well(ctx)
}

// struck gives a storage that dies at a random call, or one that does not; and
// whether it died. What a dead program has locked, the next one on its machine
// removes; here, where all are one process, it is buried.
func (l *life) struck(st *mem.Storage, kind string) (storage.Storage, func(error) error) {
	if l.random.IntN(3) > 0 {
		return st, func(err error) error { return err }
	}
	dying := &storagetest.Faulty{
		Storage: st, At: 1 + l.random.IntN(60), Fault: storagetest.Fault(l.random.IntN(2)), Dead: l.random.IntN(2) == 0, CountReads: true,
	}
	held := map[storage.Name]bool{}
	for _, name := range names(l.t, st, storage.Lock) {
		held[name] = true
	}
	return dying, func(err error) error {
		for _, name := range names(l.t, st, storage.Lock) {
			if !held[name] {
				_ = st.Remove(context.Background(), name) // it may be gone
			}
		}
		if dying.Calls() < dying.At || err == nil {
			return err
		}
		l.met["killed "+kind]++
		return nil
	}
}

// backup changes the source a little and makes a point of it, with this
// machine's cache, as every night.
func (l *life) backup(ctx context.Context) error {
	l.change()
	st, outlived := l.struck(l.st, "backup")
	repo, err := opened(ctx, st, repository.WithCache(l.cache, 64<<20))
	if err != nil {
		return outlived(err)
	}
	res, err := archive.Run(ctx, repo, archive.Options{Host: "h", Time: l.clock}, func(ctx context.Context, sink source.Sink) error {
		return sink.Files(ctx, source.FileSet{Paths: []string{l.dir}})
	})
	if err == nil {
		l.points[res.Snapshot.ID] = maps.Clone(l.now)
	}
	return outlived(err)
}

// change lets files come, go, grow, be overwritten and get another time.
func (l *life) change() {
	for range 1 + l.random.IntN(4) {
		l.number++
		some := slices.Sorted(maps.Keys(l.now))
		name := some[l.random.IntN(len(some))]
		switch l.random.IntN(5) {
		case 0:
			name = fmt.Sprintf("病房 %d/%d.xml", l.random.IntN(6), l.number)
			l.write(name, l.noise(1+l.random.IntN(60_000)))
		case 1:
			if len(l.now) > 12 {
				delete(l.now, name)
				must(l.t, os.Remove(filepath.Join(l.dir, filepath.FromSlash(name))))
			}
		case 2:
			l.write(name, append(slices.Clone(l.now[name]), l.noise(1+l.random.IntN(2000))...))
		case 3: // in place, as databases do: the same length
			data := slices.Clone(l.now[name])
			for i := range min(len(data), 50) {
				data[i] ^= byte(1 + l.random.IntN(255))
			}
			l.write(name, data)
		case 4: // a time far off, as broken clocks leave
			at := day(l.random.IntN(20_000) - 10_000)
			must(l.t, os.Chtimes(filepath.Join(l.dir, filepath.FromSlash(name)), at, at))
		}
	}
}

func (l *life) write(name string, data []byte) {
	l.now[name] = data
	put(l.t, l.dir, name, data)
}

func (l *life) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(l.random.Uint32())
	}
	return b
}

// forget removes some points from either repository.
func (l *life) forget(ctx context.Context) error {
	for _, side := range []struct {
		st     *mem.Storage
		points map[string]files
	}{{l.st, l.points}, {l.two, l.copies}} {
		repo, err := opened(ctx, side.st)
		if err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(side.points)) {
			if l.random.IntN(3) == 0 || len(side.points) > 8 {
				delete(side.points, id)
				if err := snapshot.Remove(ctx, repo, id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (l *life) prune(ctx context.Context) error {
	st, outlived := l.struck(l.st, "prune")
	return outlived(l.pruneOf(ctx, st, repository.WithCache(l.cache, 64<<20)))
}

func (l *life) pruneSecond(ctx context.Context) error {
	st, outlived := l.struck(l.two, "prune")
	return outlived(l.pruneOf(ctx, st))
}

func (l *life) pruneOf(ctx context.Context, st storage.Storage, opts ...repository.Option) error {
	repo, err := opened(ctx, st, opts...)
	if err != nil {
		return err
	}
	report, err := snapshot.Prune(ctx, repo, repository.PruneOptions{MaxUnusedPercent: float64(l.random.IntN(20) - 5)}, nil)
	if report.Postponed != "" || errors.Is(err, backup.ErrLocked) {
		l.met["prune postponed"]++
		if !l.stranger {
			return fmt.Errorf("nobody was in the way: %q, %w", report.Why, err)
		}
		return nil
	}
	return err
}

func (l *life) copy(ctx context.Context) error {
	from, outlived := l.struck(l.st, "copy")
	to, outlivedToo := l.struck(l.two, "copy")
	report, err := copied(ctx, from, to)
	for _, c := range report.Copied {
		if files, known := l.points[c.From]; known {
			l.copies[c.To] = files
		}
	}
	return outlived(outlivedToo(err))
}

// jump sets the clock of backups forward or back, far or a little.
func (l *life) jump(context.Context) error {
	l.clock = l.clock.Add(time.Duration(l.random.Int64N(int64(800*24*time.Hour))) - 400*24*time.Hour)
	return nil
}

// meet lets somebody elsewhere take a lock, by a clock that is wrong, or give
// it back.
func (l *life) meet(ctx context.Context) error {
	bury(l.t, l.st)
	if l.stranger = !l.stranger; !l.stranger {
		return nil
	}
	repo, err := opened(ctx, l.st)
	if err != nil {
		return err
	}
	_, err = repo.SaveUnpacked(ctx, storage.Lock, map[string]any{
		"time": time.Now().Add(time.Duration(l.random.IntN(100)-50) * time.Hour), "hostname": "elsewhere", "username": "root", "pid": 4711,
	})
	return err
}

// well looks at everything: all points are there and whole, nothing else is,
// and a check of every byte finds nothing.
func (l *life) well(ctx context.Context) error {
	for _, side := range []struct {
		name   string
		st     *mem.Storage
		points map[string]files
	}{{"the first", l.st, l.points}, {"the second", l.two, l.copies}} {
		if err := sound(ctx, side.st); err != nil {
			return fmt.Errorf("%s repository: %w", side.name, err)
		}
		if err := l.holds(ctx, side.st, side.points); err != nil {
			return fmt.Errorf("%s repository: %w", side.name, err)
		}
	}
	return nil
}

func (l *life) holds(ctx context.Context, st storage.Storage, points map[string]files) error {
	ids := slices.Sorted(maps.Keys(points))
	if len(ids) == 0 {
		return nil
	}
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(list, func(sn *snapshot.Snapshot) bool { return sn.ID == id }) {
			return fmt.Errorf("point %s was acknowledged and is gone", id)
		}
	}
	id := ids[l.random.IntN(len(ids))] // the check has seen to the rest
	return whole(ctx, st, id, l.dir, points[id])
}

// stock asks restic for its opinion of both repositories.
func (l *life) stock(ctx context.Context) error {
	binary := os.Getenv("RESTIC_BIN")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("restic"); err != nil {
			l.met["restic is not installed"]++
			return nil
		}
	}
	for _, st := range []*mem.Storage{l.st, l.two} {
		dir := l.t.TempDir()
		for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Index, storage.Snapshot, storage.Pack} {
			for _, name := range names(l.t, st, kind) {
				data, err := st.Load(ctx, name, nil, 0, -1)
				if err != nil {
					return err
				}
				put(l.t, dir, name.Path(), data)
			}
		}
		cmd := exec.CommandContext(ctx, binary, "-r", dir, "--no-cache", "--no-lock", "check", "--read-data")
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("restic check: %w: %s", err, out)
		}
		must(l.t, os.RemoveAll(dir))
		l.met["restic"]++
	}
	return nil
}

// modelTime is how long lives are lived: ten seconds for a merge, an hour in a
// campaign, by EMRVAULT_MODEL_TIME.
func modelTime(t *testing.T) time.Duration {
	t.Helper()
	if testing.Short() {
		return time.Second
	}
	text := os.Getenv("EMRVAULT_MODEL_TIME")
	if text == "" {
		return 10 * time.Second
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("EMRVAULT_MODEL_TIME: %v", err)
	}
	return span
}

// TestLives lives several random lives at once, each a repository with a second
// copy: backups, deletions, prunes and copies that are killed at any storage
// call, clocks that jump, locks of strangers. After every step all that was
// acknowledged must be there. Lives end after some steps and others begin, so
// that there are many beginnings, too.
func TestLives(t *testing.T) {
	t.Parallel()
	const lives, steps = 8, 120
	end, seed := time.Now().Add(modelTime(t)), firstSeed(t)-1
	var mu sync.Mutex
	met, lived := map[string]int{}, 0
	next := func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		seed++
		return seed
	}
	live := func(seed uint64) error {
		l := newModel(t, seed)
		done := 0
		for ; done < steps && time.Now().Before(end); done++ {
			if err := l.step(t.Context()); err != nil {
				return fmt.Errorf("seed %d, step %d: %w", seed, done, err)
			}
		}
		err := l.stock(t.Context())
		mu.Lock()
		defer mu.Unlock()
		lived++
		met["steps"] += done
		for what, n := range l.met {
			met[what] += n
		}
		return errors.Join(err, os.RemoveAll(l.dir), os.RemoveAll(l.cache))
	}
	var group errgroup.Group
	for range lives {
		group.Go(func() error {
			for time.Now().Before(end) {
				if err := live(next()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, group.Wait())
	figures(t, "%d lives in %s: %v", lived, modelTime(t), met)
}

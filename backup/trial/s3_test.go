package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/all"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

// line is a repository in a bucket that is reached over a bad line. Its points
// are read over a good one, so that what the line does is not taken for what
// lies there.
type line struct {
	t        *testing.T
	bad      *s3test.Proxy
	settings s3.Settings // over the good line
	dir      string
	now      files
	points   map[string]files
	failed   map[string]int // by what was tried
}

// reach opens the bucket over a line. What is stored is read back, and nobody
// waits for long in a test.
func (l *line) reach(ctx context.Context, endpoint string) (storage.Storage, error) {
	settings := l.settings
	settings.Endpoint = endpoint
	patience := retry.Policy{First: time.Millisecond, Longest: 20 * time.Millisecond, Overall: 20 * time.Second, Stall: 5 * time.Second}
	return all.Open(ctx, settings.Location(), all.WithS3(func(s *s3.Settings) { *s = settings; s.Through = limit.Transport }),
		all.WithEnvironment(func(name string) string {
			return map[string]string{"AWS_ACCESS_KEY_ID": settings.AccessKey, "AWS_SECRET_ACCESS_KEY": settings.SecretKey, "AWS_REGION": settings.Region}[name]
		}),
		all.WithPatience(patience), all.WithReadBack(readback.All), all.WithRegistry(limit.NewRegistry(nil)))
}

// over does something over the bad line or the good one.
func (l *line) over(ctx context.Context, endpoint string, fn func(storage.Storage) error) (err error) {
	st, err := l.reach(ctx, endpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return fn(st)
}

func newLine(ctx context.Context, t *testing.T, seed uint64, share float64) (*line, error) {
	t.Helper()
	l := &line{t: t, settings: s3test.Shared(t).Settings(t), now: grown(seed), points: map[string]files{}, failed: map[string]int{}}
	l.bad = s3test.NewProxy(t, l.settings.Endpoint)
	l.bad.Delay, l.bad.After = 5*time.Millisecond, 0
	if share > 0 {
		l.bad.Random(seed, share, s3test.Faults()...)
	}
	l.dir = folder(t, l.now)
	return l, l.over(ctx, l.settings.Endpoint, func(st storage.Storage) error {
		_, err := repository.Create(ctx, st, password, cheap())
		return err
	})
}

// run is one day over the bad line: a backup, a restore of its point, a check.
// Afterwards everything is proven over the good line.
func (l *line) run(ctx context.Context, day int) error {
	name := fmt.Sprintf("病历/day %d.xml", day)
	l.now[name] = []byte(strings.Repeat(name, 300+day))
	put(l.t, l.dir, name, l.now[name])
	point, err := l.backup(ctx, l.bad.URL())
	if err != nil {
		l.failed["backup"]++
		if point, err = l.backup(ctx, l.settings.Endpoint); err != nil {
			return fmt.Errorf("the backup after one that failed: %w", err)
		}
	}
	if err := l.restore(ctx, l.bad.URL(), point); err != nil {
		l.failed["restore"]++
		if errors.Is(err, errWrong) {
			return err
		}
	}
	if err := l.over(ctx, l.bad.URL(), func(st storage.Storage) error { return sound(ctx, st) }); err != nil {
		l.failed["check"]++
	}
	return l.proven(ctx)
}

var errWrong = errors.New("something wrong was given for right")

func (l *line) backup(ctx context.Context, endpoint string) (id string, err error) {
	err = l.over(ctx, endpoint, func(st storage.Storage) error {
		res, err := backedUp(ctx, st, l.dir)
		if err == nil {
			id = res.Snapshot.ID
			l.points[id] = maps.Clone(l.now)
		}
		return err
	})
	return id, err
}

// restore reads a point; what comes back must be right.
func (l *line) restore(ctx context.Context, endpoint, id string) error {
	return l.over(ctx, endpoint, func(st storage.Storage) error {
		repo, err := opened(ctx, st)
		if err != nil {
			return err
		}
		if err := repo.LoadIndex(ctx); err != nil {
			return err
		}
		sn, err := snapshot.Load(ctx, repo, id)
		if err != nil {
			return err
		}
		got, lost, err := content(ctx, repo, sn, l.dir)
		for name, data := range got {
			if string(data) != string(l.points[id][name]) {
				return fmt.Errorf("%s: %w", name, errWrong)
			}
		}
		if err == nil && len(lost) == 0 && len(got) < len(l.points[id]) {
			return fmt.Errorf("of %d files only %d came, and none was told lost: %w", len(l.points[id]), len(got), errWrong)
		}
		if err == nil && len(lost) > 0 {
			err = backup.ErrDamaged
		}
		return err
	})
}

// proven wants every acknowledged point to be whole and nothing to be damaged.
func (l *line) proven(ctx context.Context) error {
	return l.over(ctx, l.settings.Endpoint, func(st storage.Storage) error {
		for id, want := range l.points {
			if err := whole(ctx, st, id, l.dir, want); err != nil {
				return err
			}
		}
		return sound(ctx, st)
	})
}

// days lives through some days; it returns the requests of the bad line.
func (l *line) days(ctx context.Context, n int) (requests int, err error) {
	for day := range n {
		if err := l.run(ctx, day); err != nil {
			return 0, fmt.Errorf("day %d: %w", day, err)
		}
	}
	return l.bad.Requests(""), nil
}

// TestRunsOverABadLine backs up to, restores from and checks a bucket of a real
// server over a line on which every tenth request meets something: a server
// that wants patience, cuts, torn uploads, lost answers, requests that arrive
// twice, listings of the past, turned bits. Each run succeeds or says that it
// did not, and then the next does; nothing is damaged; and the requests are
// less than twice those that a good line needs.
func TestRunsOverABadLine(t *testing.T) {
	t.Parallel()
	const perBucket, share = 10, 0.1
	if testing.Short() {
		t.Skip("skipped with -short: a hundred backups over a bad line")
	}
	all, first := rounds(t, "EMRVAULT_S3_RUNS", 100), firstSeed(t)
	s3test.Shared(t) // or skip, aloud
	good, err := newLine(t.Context(), t, 0, 0)
	must(t, err)
	needed, err := good.days(t.Context(), perBucket)
	must(t, err)
	var mu sync.Mutex
	failed, met, requests, buckets, began := map[string]int{}, map[s3test.Fault]int{}, 0, max(1, all/perBucket), time.Now()
	var group errgroup.Group
	group.SetLimit(4)
	for i := range uint64(buckets) {
		group.Go(func() error {
			l, err := newLine(t.Context(), t, first+i, share)
			if err != nil {
				return err
			}
			n, err := l.days(t.Context(), perBucket)
			mu.Lock()
			defer mu.Unlock()
			requests += n
			for what, n := range l.failed {
				failed[what] += n
			}
			for _, f := range s3test.Faults() {
				met[f] += l.bad.Met(f)
			}
			if err != nil {
				return fmt.Errorf("seed %d: %w", first+i, err)
			}
			return nil
		})
	}
	must(t, group.Wait())
	ratio := float64(requests) / float64(needed*buckets)
	figures(t, "%d runs over a bad line, %s: 0 damage, ended with an error %v, requests %.2f times what is needed, faults met %v",
		buckets*perBucket, time.Since(began).Round(time.Second), failed, ratio, met)
	if ratio >= 2 {
		t.Errorf("%d requests for %d that are needed, want less than twice as many", requests, needed*buckets)
	}
	for _, f := range s3test.Faults() {
		if met[f] == 0 {
			t.Errorf("no request met %q", f)
		}
	}
}

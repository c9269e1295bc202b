package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), path, time.Now)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	return st
}

// box is a Manager that may be stopped and started over one database.
type box struct {
	t    testing.TB
	st   *store.Store
	m    *jobs.Manager
	stop func() error
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// newBox opens a database; the kinds must be registered before start.
func newBox(t testing.TB, path string, opts jobs.Options) *box {
	t.Helper()
	opts.Log = quiet()
	st := open(t, path)
	return &box{t: t, st: st, m: jobs.New(st, opts)}
}

func (b *box) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.m.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return <-done
	}
}

func (b *box) close() {
	b.t.Helper()
	if b.stop != nil {
		if err := b.stop(); err != nil {
			b.t.Errorf("run: %v", err)
		}
	}
	if err := b.st.Close(); err != nil {
		b.t.Errorf("close store: %v", err)
	}
}

func (b *box) submit(kind, key string, params any) jobs.Job {
	b.t.Helper()
	job, err := b.m.Submit(context.Background(), jobs.Request{Kind: kind, Key: key, Params: params, By: "王敏"})
	if err != nil {
		b.t.Fatalf("submit %s: %v", kind, err)
	}
	return job
}

func (b *box) wait(id int64) jobs.Job {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	job, err := b.m.Wait(ctx, id)
	for ; errs.KindOf(err) == errs.NotFound && ctx.Err() == nil; job, err = b.m.Wait(ctx, id) {
		time.Sleep(time.Millisecond) // the box is still settling what it found
	}
	if err != nil {
		b.t.Fatalf("wait for job %d: %v", id, err)
	}
	return job
}

func (b *box) lines(id int64) []string {
	b.t.Helper()
	list, err := b.m.Events(context.Background(), id, 0)
	if err != nil {
		b.t.Fatalf("events of job %d: %v", id, err)
	}
	var out []string
	for i, e := range list {
		if e.Seq != int64(i+1) {
			b.t.Errorf("event %d has number %d", i+1, e.Seq)
		}
		out = append(out, e.Tell(locale.English))
	}
	return out
}

// bubble runs a test in its own time, with a fresh database and a running box.
func bubble(t *testing.T, opts jobs.Options, kinds []jobs.Kind, test func(t *testing.T, b *box)) {
	path := filepath.Join(t.TempDir(), "box.db")
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, path, opts)
		for _, k := range kinds {
			b.m.Register(k)
		}
		b.start()
		defer b.close()
		test(t, b)
	})
}

func TestJobEnds(t *testing.T) {
	gap := errors.New("two files could not be read")
	kinds := []jobs.Kind{
		{Name: "good", Run: func(_ context.Context, r *jobs.Run) error {
			var n int
			if err := r.Params(&n); err != nil {
				return err
			}
			return r.SetResult(map[string]int{"twice": 2 * n})
		}},
		{Name: "gaps", Partial: func(err error) bool { return errors.Is(err, gap) },
			Run: func(_ context.Context, r *jobs.Run) error {
				r.Problem("/病历/1.xml", errs.New(errs.Busy, "job.over", "id", 7))
				return fmt.Errorf("read: %w", gap)
			}},
		{Name: "told", Run: func(context.Context, *jobs.Run) error { return errs.New(errs.Conflict, "job.over", "id", 9) }},
		{Name: "panics", Run: func(context.Context, *jobs.Run) error { panic("no such thing") }},
	}
	for _, c := range []struct {
		kind   string
		state  jobs.State
		result string
		text   string
		detail string
	}{
		{kind: "good", state: jobs.Succeeded, result: `{"twice":42}`},
		{kind: "gaps", state: jobs.Partial, result: "null", text: "程序内部出错", detail: "two files"},
		{kind: "told", state: jobs.Failed, result: "null", text: "任务 9 已经结束", detail: "job 9"},
		{kind: "panics", state: jobs.Failed, result: "null", text: "程序内部出错", detail: "no such thing"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			bubble(t, jobs.Options{}, kinds, func(t *testing.T, b *box) {
				job := b.wait(b.submit(c.kind, "k", 21).ID)
				if job.State != c.state || string(job.Result) != c.result {
					t.Errorf("ended %s with result %s, want %s with %s", job.State, job.Result, c.state, c.result)
				}
				if got := job.Failure.Tell(locale.Chinese); !strings.HasPrefix(got, c.text) || (got == "") != (c.text == "") {
					t.Errorf("failure = %q, want %q", got, c.text)
				}
				if job.Failure != nil && !strings.Contains(job.Failure.Detail, c.detail) {
					t.Errorf("detail = %q, want it to say %q", job.Failure.Detail, c.detail)
				}
				if c.kind == "panics" && !strings.Contains(job.Failure.Stack, "jobs_test.go") {
					t.Errorf("stack = %q, want the place of the panic", job.Failure.Stack)
				}
			})
		})
	}
}

func TestProblemIsToldInBothLanguages(t *testing.T) {
	kind := jobs.Kind{Name: "k", Run: func(_ context.Context, r *jobs.Run) error {
		r.Problem("a.xml", errs.New(errs.Busy, "job.over", "id", 7))
		return nil
	}}
	bubble(t, jobs.Options{}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
		job := b.wait(b.submit("k", "", nil).ID)
		list, err := b.m.Events(t.Context(), job.ID, 2)
		if err != nil || len(list) != 2 {
			t.Fatalf("events after 2: %v %v, want problem and end", list, err)
		}
		if got, want := list[0].Tell(locale.Chinese), "a.xml：任务 7 已经结束，无法取消。"; got != want {
			t.Errorf("in Chinese %q, want %q", got, want)
		}
		if got, want := list[0].Tell(locale.English), "a.xml: job 7 has ended and cannot be cancelled"; got != want {
			t.Errorf("in English %q, want %q", got, want)
		}
		if job.Problems != 1 {
			t.Errorf("problems = %d, want 1", job.Problems)
		}
	})
}

// held is a kind that works until it is let go or its context ends.
func held(name string, letGo <-chan struct{}) jobs.Kind {
	return jobs.Kind{Name: name, Resubmit: true, Run: func(ctx context.Context, r *jobs.Run) error {
		r.Stage("read")
		select {
		case <-letGo:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

func TestOneOfAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		b := newBox(t, path, jobs.Options{})
		b.m.Register(held("k", letGo))
		b.start()
		defer b.close()
		first := b.submit("k", "plan/1", nil)
		other, err := b.m.Submit(t.Context(), jobs.Request{Kind: "k", Key: "plan/1"})
		if errs.KindOf(err) != errs.Busy || other.ID != first.ID {
			t.Errorf("second of one key: job %d, %v; want busy with job %d", other.ID, err, first.ID)
		}
		b.submit("k", "plan/2", nil)
		b.submit("k", "", nil)
		b.submit("k", "", nil)
		synctest.Wait()
		running, total, err := b.m.List(t.Context(), jobs.Filter{States: []jobs.State{jobs.Running}})
		if err != nil || total != 2 || running[0].ID != 2 {
			t.Errorf("running: %v (%d in all, %v), want jobs 2 and 1", running, total, err)
		}
		close(letGo)
		b.wait(4)
		if again := b.submit("k", "plan/1", nil); again.ID != 5 {
			t.Errorf("after the end job %d was submitted, want 5", again.ID)
		}
		b.wait(5)
	})
}

func TestUnknownKind(t *testing.T) {
	bubble(t, jobs.Options{}, nil, func(t *testing.T, b *box) {
		if _, err := b.m.Submit(t.Context(), jobs.Request{Kind: "nothing"}); errs.KindOf(err) != errs.Invalid {
			t.Errorf("submit: %v, want invalid", err)
		}
		if _, err := b.m.Get(t.Context(), 99); errs.KindOf(err) != errs.NotFound {
			t.Errorf("get: %v, want not found", err)
		}
	})
}

func TestCancel(t *testing.T) {
	bubble(t, jobs.Options{Workers: 1}, []jobs.Kind{held("k", nil)}, func(t *testing.T, b *box) {
		var heard atomic.Int32
		b.m.OnEnd(func(context.Context, jobs.Job) { heard.Add(1) })
		running, waiting := b.submit("k", "a", nil), b.submit("k", "b", nil)
		synctest.Wait()
		for _, id := range []int64{waiting.ID, running.ID} {
			if err := b.m.Cancel(t.Context(), id, "李强"); err != nil {
				t.Fatalf("cancel job %d: %v", id, err)
			}
			if job := b.wait(id); job.State != jobs.Cancelled || job.Failure != nil {
				t.Errorf("job %d ended %s (%v), want cancelled", id, job.State, job.Failure)
			}
			list, err := b.m.Events(t.Context(), id, 0)
			if err != nil {
				t.Fatal(err)
			}
			if last := list[len(list)-1]; last.Key != "cancelled" || !slices.Contains(last.Args, any("李强")) {
				t.Errorf("last line of job %d = %v, want who cancelled", id, last)
			}
		}
		if err := b.m.Cancel(t.Context(), running.ID, "李强"); errs.KindOf(err) != errs.Conflict {
			t.Errorf("cancel an ended job: %v, want conflict", err)
		}
		synctest.Wait()
		if heard.Load() != 2 {
			t.Errorf("listeners heard %d ends, want 2", heard.Load())
		}
	})
}

func TestHeartbeatAndFrames(t *testing.T) {
	kind := jobs.Kind{Name: "k", Run: func(_ context.Context, r *jobs.Run) error {
		r.Stage("read")
		r.Total(100, 1000)
		for range 100 {
			r.Add(1, 10)
			r.Current("a.xml")
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}}
	bubble(t, jobs.Options{}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
		job := b.submit("k", "", nil)
		ch, leave := b.m.Subscribe(job.ID)
		defer leave()
		moves, last := 0, jobs.Event{}
		for e := range ch {
			if e.Type == jobs.Moved {
				moves++
			}
			last = e
			if share, known := e.Progress.Share(); moves == 20 && e.Type == jobs.Moved && (!known || share < 0.4 || share > 0.6) {
				t.Errorf("share after half the frames = %v", share)
			}
		}
		if moves < 35 || moves > 42 {
			t.Errorf("%d frames in ten seconds, want about 40", moves)
		}
		if last.State != jobs.Succeeded || last.Progress.Files != 100 {
			t.Errorf("last event = %+v, want the end with all files", last)
		}
		end, err := b.m.Get(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if took := end.Ended.Sub(end.Heartbeat); took > 5*time.Second || end.Heartbeat.Equal(end.Started) {
			t.Errorf("last heartbeat %v before the end, want at most 5 s", took)
		}
		if got := end.Took(time.Now()); got != 10*time.Second {
			t.Errorf("took %v, want 10 s", got)
		}
	})
}

func TestLinesAreBounded(t *testing.T) {
	kind := jobs.Kind{Name: "k", Run: func(_ context.Context, r *jobs.Run) error {
		for i := range 50 {
			r.Problem(fmt.Sprintf("%d.xml", i), errors.New("gone"))
		}
		return nil
	}}
	bubble(t, jobs.Options{MaxEvents: 10}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
		job := b.wait(b.submit("k", "", nil).ID)
		lines := b.lines(job.ID)
		if len(lines) != 13 || !strings.Contains(lines[11], "only counted") || job.Problems != 50 {
			t.Errorf("%d lines, %d problems: %q", len(lines), job.Problems, lines)
		}
	})
}

func TestSlowReaderHoldsNothingUp(t *testing.T) {
	kind := jobs.Kind{Name: "k", Run: func(_ context.Context, r *jobs.Run) error {
		for i := range 500 {
			r.Log("job.repeated", "id", i)
		}
		return nil
	}}
	bubble(t, jobs.Options{}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
		job := b.submit("k", "", nil)
		ch, leave := b.m.Subscribe(job.ID)
		defer leave()
		all, leaveAll := b.m.Subscribe(0)
		defer leaveAll()
		synctest.Wait() // the job has ended although nobody read
		var last jobs.Event
		for e := range ch {
			last = e
		}
		if last.Key != string(jobs.Succeeded) {
			t.Errorf("last event heard = %+v, want the end", last)
		}
		for range len(all) {
			last = <-all
		}
		if last.Key != string(jobs.Succeeded) {
			t.Errorf("last event heard of all jobs = %+v, want the end", last)
		}
		if n := len(b.lines(job.ID)); n != 503 {
			t.Errorf("%d lines kept, want 503", n)
		}
		over, leaveOver := b.m.Subscribe(job.ID)
		defer leaveOver()
		if _, open := <-over; open {
			t.Error("the channel of an ended job is open, want it closed")
		}
	})
}

// TestLineArguments holds that lengths, moments and counts tell the same text
// after they were kept.
func TestLineArguments(t *testing.T) {
	at := time.Date(2026, 11, 22, 22, 0, 0, 0, time.FixedZone("", 8*3600))
	for _, c := range []struct {
		name string
		arg  any
		want string
	}{
		{"count", int64(1) << 60, "1152921504606846976"},
		{"length of time", 90 * time.Minute, "1 小时 30 分"},
		{"moment", at, "2026 年 11 月 22 日 22:00"},
		{"error", errors.New("连不上"), "连不上"},
		{"word of a type", jobs.Failed, "failed"},
		{"broken text", "a\xff", "a\uFFFD"},
		{"long text", strings.Repeat("长", 1000), strings.Repeat("长", 666) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind := jobs.Kind{Name: "k", Run: func(_ context.Context, r *jobs.Run) error {
				r.Log("job.repeated", "id", c.arg)
				return nil
			}}
			bubble(t, jobs.Options{}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
				job := b.wait(b.submit("k", "", nil).ID)
				list, err := b.m.Events(t.Context(), job.ID, 0)
				if err != nil {
					t.Fatal(err)
				}
				want := "任务被中断，已自动重新提交为任务 " + c.want + "。"
				if got := list[2].Tell(locale.Chinese); got != want {
					t.Errorf("line = %q, want %q", got, want)
				}
			})
		})
	}
}

func TestList(t *testing.T) {
	kinds := []jobs.Kind{
		{Name: "a", Run: func(context.Context, *jobs.Run) error { return nil }},
		{Name: "b", Run: func(context.Context, *jobs.Run) error { return errors.New("no") }},
	}
	bubble(t, jobs.Options{Workers: 1}, kinds, func(t *testing.T, b *box) {
		begun := time.Now()
		for i := range 10 {
			time.Sleep(time.Second)
			b.wait(b.submit([]string{"a", "b"}[i%2], fmt.Sprint("key", i%3), nil).ID)
		}
		for _, c := range []struct {
			name   string
			filter jobs.Filter
			total  int
			first  int64
		}{
			{"all", jobs.Filter{}, 10, 10},
			{"one kind", jobs.Filter{Kinds: []string{"a"}}, 5, 9},
			{"one state", jobs.Filter{States: []jobs.State{jobs.Failed, jobs.Cancelled}}, 5, 10},
			{"one key", jobs.Filter{Key: "key0"}, 4, 10},
			{"since", jobs.Filter{Since: begun.Add(8 * time.Second)}, 3, 10},
			{"before", jobs.Filter{Before: 4}, 3, 3},
			{"second page", jobs.Filter{Limit: 3, Offset: 3}, 10, 7},
			{"none", jobs.Filter{Key: "key9"}, 0, 0},
		} {
			list, total, err := b.m.List(t.Context(), c.filter)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			var first int64
			if len(list) > 0 {
				first = list[0].ID
			}
			if total != c.total || first != c.first {
				t.Errorf("%s: %d in all beginning with %d, want %d with %d", c.name, total, first, c.total, c.first)
			}
		}
	})
}

func TestOldLinesGo(t *testing.T) {
	kind := jobs.Kind{Name: "k", Run: func(context.Context, *jobs.Run) error { return nil }}
	bubble(t, jobs.Options{KeepLines: 36 * time.Hour}, []jobs.Kind{kind}, func(t *testing.T, b *box) {
		time.Sleep(time.Minute)
		old := b.wait(b.submit("k", "", nil).ID)
		time.Sleep(24 * time.Hour)
		young := b.wait(b.submit("k", "", nil).ID)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(b.lines(old.ID)); n != 0 {
			t.Errorf("%d lines of the old job are kept, want 0", n)
		}
		if n := len(b.lines(young.ID)); n != 3 {
			t.Errorf("%d lines of the young job are kept, want 3", n)
		}
		if _, err := b.m.Get(t.Context(), old.ID); err != nil {
			t.Errorf("the old job itself: %v", err)
		}
	})
}

func TestIdleWaitsForWhatFollows(t *testing.T) {
	b := newBox(t, filepath.Join(t.TempDir(), "box.db"), jobs.Options{})
	var ended atomic.Int32
	b.m.Register(jobs.Kind{Name: "drill", Run: func(context.Context, *jobs.Run) error {
		time.Sleep(20 * time.Millisecond)
		ended.Add(1)
		return nil
	}})
	b.m.Register(jobs.Kind{Name: "backup", Run: func(ctx context.Context, _ *jobs.Run) error {
		_, err := b.m.Submit(ctx, jobs.Request{Kind: "drill"})
		return err
	}})
	b.start()
	defer b.close()
	b.submit("backup", "", nil)
	if err := b.m.Idle(t.Context()); err != nil || ended.Load() != 1 {
		t.Errorf("idle: %v after %d drills, want one", err, ended.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.submit("backup", "", nil)
	if err := b.m.Idle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("idle when nobody waits any more: %v", err)
	}
}

// Work that cannot begin ends whoever waits for its jobs, with the reason.
func TestOnDemandThatCannotBegin(t *testing.T) {
	b := newBox(t, filepath.Join(t.TempDir(), "box.db"), jobs.Options{})
	t.Cleanup(b.close)
	b.m.Register(jobs.Kind{Name: "backup", Run: func(context.Context, *jobs.Run) error { return nil }})
	why := errors.New("the scratch folder is read-only")
	finish := b.m.OnDemand(t.Context(), func(context.Context) error { return why })
	job := b.submit("backup", "plan/1", nil)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if _, err := b.m.Wait(ctx, job.ID); !errors.Is(err, why) {
		t.Errorf("wait: got %v, want why it cannot begin", err)
	}
	if err := finish(); !errors.Is(err, why) {
		t.Errorf("finish: got %v, want why it cannot begin", err)
	}
}

func TestOnDemandWaitsForItsJobs(t *testing.T) {
	b := newBox(t, filepath.Join(t.TempDir(), "box.db"), jobs.Options{})
	t.Cleanup(b.close)
	b.m.Register(jobs.Kind{Name: "backup", Run: func(context.Context, *jobs.Run) error { return nil }})
	idle := b.m.OnDemand(t.Context(), func(context.Context) error { return errors.New("nothing was handed in") })
	if err := idle(); err != nil {
		t.Errorf("a verb that only looks: got %v, want nothing begun", err)
	}
	finish := b.m.OnDemand(t.Context(), b.m.Run)
	job := b.submit("backup", "plan/1", nil)
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.m.Get(t.Context(), job.ID); err != nil || got.State != jobs.Succeeded {
		t.Errorf("got %s, %v; want succeeded", got.State, err)
	}
}

// A lane of its own neither waits for the common one nor takes its workers.
func TestLaneOfItsOwn(t *testing.T) {
	st := open(t, filepath.Join(t.TempDir(), "jobs.db"))
	m := jobs.New(st, jobs.Options{Workers: 1})
	hold := make(chan struct{})
	var slow atomic.Int32
	m.Register(jobs.Kind{Name: "slow", Lane: "night", Run: func(ctx context.Context, _ *jobs.Run) error {
		slow.Add(1)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	}})
	m.Register(jobs.Kind{Name: "quick", Run: func(context.Context, *jobs.Run) error { return nil }})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	for range 2 {
		if _, err := m.Submit(ctx, jobs.Request{Kind: "slow"}); err != nil {
			t.Fatal(err)
		}
	}
	quick, err := m.Submit(ctx, jobs.Request{Kind: "quick"})
	if err != nil {
		t.Fatal(err)
	}
	if job, err := m.Wait(ctx, quick.ID); err != nil || job.State != jobs.Succeeded {
		t.Errorf("got %s, %v beside a full lane, want it done", job.State, err)
	}
	if n := slow.Load(); n > 1 {
		t.Errorf("%d jobs of one lane ran at once, want 1", n)
	}
	close(hold)
	if err := m.Idle(ctx); err != nil || slow.Load() != 2 {
		t.Errorf("%d jobs of the lane ran, %v; want both", slow.Load(), err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

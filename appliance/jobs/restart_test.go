package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
)

// childEnv makes the test binary a box that works until it is killed.
const childEnv = "EMRVAULT_TEST_JOBS_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// child runs one endless job over the database at path, and waiting ones behind
// it, and says when the job's line is on disk.
func child(path string) error {
	ctx := context.Background()
	st, err := store.Open(ctx, path, time.Now)
	if err != nil {
		return err
	}
	m := jobs.New(st, jobs.Options{Workers: 1, Beat: 20 * time.Millisecond, Frame: 5 * time.Millisecond})
	m.Register(jobs.Kind{Name: "backup", Resubmit: true, Run: func(_ context.Context, r *jobs.Run) error {
		r.Stage("read")
		for {
			r.Add(1, 1)
			time.Sleep(time.Millisecond)
		}
	}})
	job, err := m.Submit(ctx, jobs.Request{Kind: "backup", Key: "plan/1", Params: "病历", Trigger: jobs.Schedule})
	if err != nil {
		return err
	}
	if _, err := m.Submit(ctx, jobs.Request{Kind: "backup", Key: "plan/2"}); err != nil {
		return err
	}
	go announce(m, job.ID)
	return m.Run(ctx)
}

func announce(m *jobs.Manager, id int64) {
	for {
		if list, err := m.Events(context.Background(), id, 2); err == nil && len(list) > 0 {
			fmt.Println("running")
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// kill starts a child over path and kills it in the middle of its job.
func kill(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killed := cmd.Process.Kill(); killed != nil {
		t.Fatalf("kill the child: %v", killed)
	}
	var exit *exec.ExitError
	if waited := cmd.Wait(); !errors.As(waited, &exit) || line != "running\n" {
		t.Fatalf("child said %q (%v) and ended with %v, want running and killed", line, err, waited)
	}
}

// ears remember which ends were heard, in order.
type ears struct {
	mu    sync.Mutex
	heard []string
}

func (e *ears) hear(_ context.Context, job jobs.Job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprintf("%d %s", job.ID, job.State))
}

func TestKilledJobIsToldAndRepeated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	kill(t, path)
	b := newBox(t, path, jobs.Options{Workers: 1})
	var e ears
	b.m.OnEnd(e.hear)
	var params []string
	b.m.Register(jobs.Kind{Name: "backup", Resubmit: true, Run: func(_ context.Context, r *jobs.Run) error {
		var p string
		err := r.Params(&p)
		params = append(params, p)
		return err
	}})
	b.start()
	repeat := b.wait(3)
	b.close()
	if want := []string{"1 interrupted", "2 succeeded", "3 succeeded"}; !slices.Equal(e.heard, want) {
		t.Errorf("listeners heard %q, want %q", e.heard, want)
	}
	if repeat.Trigger != jobs.AfterCrash || repeat.Follows != 1 || repeat.Attempt != 2 || repeat.Key != "plan/1" {
		t.Errorf("repeated job = %+v, want it to follow job 1 after a crash", repeat)
	}
	if want := []string{"", "病历"}; !slices.Equal(params, want) {
		t.Errorf("parameters = %q, want %q", params, want)
	}
}

func TestKilledJobKeepsItsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	kill(t, path)
	b := newBox(t, path, jobs.Options{})
	b.m.Register(jobs.Kind{Name: "backup", Run: func(context.Context, *jobs.Run) error { return nil }})
	b.start()
	dead := b.wait(1)
	lines := b.lines(1)
	b.wait(2)
	_, total, err := b.m.List(t.Context(), jobs.Filter{})
	b.close()
	if dead.State != jobs.Interrupted || dead.Stage != "read" || dead.Ended.IsZero() {
		t.Errorf("killed job = %+v, want interrupted in its stage", dead)
	}
	if len(lines) != 4 || !strings.Contains(lines[3], "interrupted") {
		t.Errorf("lines of the killed job = %q", lines)
	}
	if err != nil || total != 2 {
		t.Errorf("%d jobs (%v), want 2: the kind does not ask for a repeat", total, err)
	}
}

// TestKillerJobIsGivenUp kills the box with the same job again and again.
func TestKillerJobIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("kills four processes: run without -short")
	}
	path := filepath.Join(t.TempDir(), "box.db")
	kill(t, path)
	for range 2 {
		if err := resurrect(t, path); err != nil {
			t.Fatal(err)
		}
	}
	b := newBox(t, path, jobs.Options{})
	b.m.Register(jobs.Kind{Name: "backup", Resubmit: true, Run: func(context.Context, *jobs.Run) error { return nil }})
	third, _, err := b.m.List(t.Context(), jobs.Filter{Key: "plan/1", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	b.start()
	b.wait(third[0].ID)
	_, total, err := b.m.List(t.Context(), jobs.Filter{Key: "plan/1"})
	list, listErr := b.m.Events(t.Context(), third[0].ID, 0)
	b.close()
	if err != nil || listErr != nil || total != 3 {
		t.Fatalf("%d runs of the killer (%v, %v), want 3", total, err, listErr)
	}
	if last := list[len(list)-1]; last.Key != "job.gave_up" {
		t.Errorf("last line of the third run = %v, want that it was given up", last)
	}
}

// resurrect plays the life of a box that dies in the middle of the oldest
// waiting job: a process that never comes back is a Manager that is left alone.
func resurrect(t *testing.T, path string) error {
	st := open(t, path)
	defer st.Close() // the process is meant to be dead
	begun := make(chan struct{}, 8)
	m := jobs.New(st, jobs.Options{Log: quiet()})
	m.Register(jobs.Kind{Name: "backup", Resubmit: true, Run: func(_ context.Context, r *jobs.Run) error {
		if r.Job().Key == "plan/2" {
			return nil
		}
		begun <- struct{}{}
		select {}
	}})
	go m.Run(context.Background())
	select {
	case <-begun:
		return nil
	case <-time.After(time.Minute):
		return errors.New("the job was not repeated")
	}
}

func TestStopIsCaughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	synctest.Test(t, func(t *testing.T) {
		var e ears
		for range 5 { // more often than a crash would be forgiven
			b := newBox(t, path, jobs.Options{})
			b.m.OnEnd(e.hear)
			b.m.Register(held("k", nil))
			b.start()
			if len(e.heard) == 0 {
				b.submit("k", "plan/1", nil)
			}
			synctest.Wait()
			begun := time.Now()
			b.close()
			if took := time.Since(begun); took > time.Second {
				t.Errorf("stop took %v, want it at once", took)
			}
		}
		want := []string{"1 interrupted", "2 interrupted", "3 interrupted", "4 interrupted", "5 interrupted"}
		if !slices.Equal(e.heard, want) {
			t.Errorf("listeners heard %q, want %q", e.heard, want)
		}
		done := make(chan struct{})
		close(done)
		b := newBox(t, path, jobs.Options{})
		b.m.Register(held("k", done))
		b.start()
		defer b.close()
		job := b.wait(6)
		if job.State != jobs.Succeeded || job.Trigger != jobs.CatchUp || job.Attempt != 1 {
			t.Errorf("caught-up job = %+v", job)
		}
	})
}

func TestStubbornJobIsLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		b := newBox(t, path, jobs.Options{})
		b.m.Register(jobs.Kind{Name: "deaf", Run: func(context.Context, *jobs.Run) error {
			<-letGo
			return nil
		}})
		b.start()
		id := b.submit("deaf", "plan/1", nil).ID
		synctest.Wait()
		begun := time.Now()
		if err := b.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("stop took %v, want at most 10 s", took)
		}
		job, err := b.m.Get(t.Context(), id)
		if err != nil || job.State != jobs.Interrupted {
			t.Errorf("deaf job ended %s (%v), want interrupted", job.State, err)
		}
		close(letGo)
		synctest.Wait() // its late end changes nothing
		if job, err = b.m.Get(t.Context(), id); err != nil || job.State != jobs.Interrupted {
			t.Errorf("after its late end it is %s (%v), want interrupted", job.State, err)
		}
		b.stop = nil
		b.close()
	})
}

func TestUnheardEndIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, path, jobs.Options{})
		b.m.Register(jobs.Kind{Name: "k", Run: func(context.Context, *jobs.Run) error { return nil }})
		b.m.OnEnd(func(context.Context, jobs.Job) { panic("listener") })
		b.start()
		b.wait(b.submit("k", "", nil).ID)
		synctest.Wait()
		if err := b.st.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE jobs SET told = 0`) // as if power had gone before the listener
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b.close()
		var e ears
		b = newBox(t, path, jobs.Options{})
		b.m.OnEnd(e.hear)
		b.start()
		synctest.Wait()
		b.close()
		if want := []string{"1 succeeded"}; !slices.Equal(e.heard, want) {
			t.Errorf("listeners heard %q, want %q", e.heard, want)
		}
	})
}

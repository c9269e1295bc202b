package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
)

// errStopping is the cause of a job's context when the box stops.
var errStopping = errors.New("the box is stopping")

// cancelled is the cause of a job's context when a person wished it.
type cancelled struct{ by string }

func (c cancelled) Error() string { return "cancelled by " + c.by }

// panicked carries a panic of a kind as an error.
type panicked struct {
	value any
	stack []byte
}

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

const (
	tidyEvery  = 24 * time.Hour
	retryAfter = 5 * time.Second // a database that refused may be full for a while
)

// Run settles what an earlier process left, then runs jobs until ctx is done,
// and waits for them to stop. Jobs that have not stopped when the grace is
// over are written down as interrupted.
func (m *Manager) Run(ctx context.Context) error {
	if err := m.settle(ctx); ctx.Err() != nil {
		return nil // stopped before it began; the next start settles
	} else if err != nil {
		return fmt.Errorf("settle interrupted jobs: %w", err)
	}
	var working sync.WaitGroup
	lanes := m.lanes()
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	m.tidy(ctx)
	for {
		wait := m.begin(ctx, lanes, &working)
		select {
		case <-ctx.Done():
			return m.halt(ctx, &working)
		case <-m.wake:
		case <-wait:
		case <-tidy.C:
			m.tidy(ctx)
		}
	}
}

// begin starts waiting jobs while there is room. When the database refuses, the
// returned channel says when to try again; otherwise it is nil.
func (m *Manager) begin(ctx context.Context, lanes []lane, working *sync.WaitGroup) <-chan time.Time {
	for _, l := range lanes {
		if wait := m.fill(ctx, l, working); wait != nil {
			return wait
		}
	}
	return nil
}

// fill is begin for one lane.
func (m *Manager) fill(ctx context.Context, l lane, working *sync.WaitGroup) <-chan time.Time {
	for ctx.Err() == nil {
		select {
		case l.free <- struct{}{}:
		default:
			return nil
		}
		r, jobCtx, found, err := m.take(ctx, l)
		if !found {
			<-l.free
			if err != nil && ctx.Err() == nil {
				m.opts.Log.Error("no job could be begun", "error", err)
				return time.After(retryAfter)
			}
			return nil
		}
		working.Go(func() {
			defer m.nudge()
			defer func() { <-l.free }()
			m.carryOut(jobCtx, r)
		})
	}
	return nil
}

// take claims the oldest waiting job of a lane and makes its context.
func (m *Manager) take(ctx context.Context, l lane) (r *Run, jobCtx context.Context, found bool, err error) {
	var job Job
	var event Event
	// The job's context ends by a cause of its own, so that its end can be told.
	jobCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	err = m.store.Write(ctx, func(tx *store.Tx) error {
		if job, event, found, err = claim(tx, m.owner, l); err != nil || !found {
			return err
		}
		// Known before others can see that it runs: a Cancel that reads the
		// new state must find whom to stop.
		r = newRun(m, job, event, stop)
		m.mu.Lock()
		m.active[job.ID] = r
		m.mu.Unlock()
		return nil
	})
	if err != nil || !found {
		stop(nil)
		m.forget(job.ID)
		return nil, nil, false, err
	}
	m.hub.publish(event, false)
	return r, jobCtx, true, nil
}

// carryOut does a job from its claim to its end.
func (m *Manager) carryOut(ctx context.Context, r *Run) {
	defer r.stop(nil)
	reporting, done := context.WithCancel(context.WithoutCancel(ctx))
	var reporter sync.WaitGroup
	reporter.Go(func() { r.report(reporting, m.store) })

	err := m.call(ctx, r)

	done()
	reporter.Wait()
	job, by := m.verdict(ctx, r, err)
	m.end(context.WithoutCancel(ctx), r, job, by)
}

// call runs the kind; a panic becomes an error.
func (m *Manager) call(ctx context.Context, r *Run) (err error) {
	kind, ok := m.kind(r.began.Kind)
	if !ok {
		return errs.New(errs.Invalid, "job.unknown_kind", "kind", r.began.Kind)
	}
	defer func() {
		if v := recover(); v != nil {
			p := panicked{v, debug.Stack()}
			m.opts.Log.Error("a job panicked", "job", r.began.ID, "kind", r.began.Kind, "panic", v, "stack", string(p.stack))
			err = p
		}
	}()
	return kind.Run(ctx, r)
}

// verdict says how a job ended, and by whom it was cancelled. Once the context
// is done the error is a consequence of it, whatever it says.
func (m *Manager) verdict(ctx context.Context, r *Run, err error) (job Job, by string) {
	job = r.snapshot()
	job.Ended = r.now()
	kind, _ := m.kind(job.Kind)
	var wish cancelled
	switch cause := context.Cause(ctx); {
	case err == nil:
		job.State = Succeeded
		return job, ""
	case errors.As(cause, &wish):
		job.State = Cancelled
		return job, wish.by
	case errors.Is(cause, errStopping):
		job.State = Interrupted
		return job, ""
	case kind.Partial != nil && kind.Partial(err):
		job.State = Partial
	default:
		job.State = Failed
	}
	job.Failure = failureOf(err)
	return job, ""
}

func failureOf(err error) *Failure {
	f := &Failure{Kind: string(errs.KindOf(err)), Text: map[locale.Lang]string{}, Detail: clip(err.Error())}
	for _, lang := range locale.Languages() {
		f.Text[lang] = clip(lang.Error(err))
	}
	var p panicked
	if errors.As(err, &p) {
		f.Stack = string(p.stack)
	}
	return f
}

// end writes the end down, however often the database refuses, and tells it.
func (m *Manager) end(ctx context.Context, r *Run, job Job, by string) {
	var event Event
	r.mu.Lock()
	lines := r.pending
	r.mu.Unlock()
	for {
		err := m.store.Write(ctx, func(tx *store.Tx) (err error) {
			event, err = finish(tx, job, lines, by)
			return err
		})
		if err == nil {
			break
		}
		m.opts.Log.Error("end of a job not written", "job", job.ID, "state", job.State, "error", err)
		if m.abandoned(r) {
			return // the next start will see it as interrupted
		}
		time.Sleep(retryAfter)
	}
	m.forget(job.ID)
	if event.Seq == 0 {
		return // it was given up at a stop and has ended in the books
	}
	m.hub.publish(event, true)
	m.opts.Log.Info("job ended", "job", job.ID, "kind", job.Kind, "key", job.Key, "state", job.State, "took", job.Took(job.Ended))
	m.tell(ctx, job)
}

// abandoned says that the Manager has stopped and waits for r no longer.
func (m *Manager) abandoned(r *Run) bool { return m.activeRun(r.began.ID) != r }

func (m *Manager) forget(id int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.active, id)
}

// tell lets the listeners hear of an end and writes down that they have.
func (m *Manager) tell(ctx context.Context, job Job) {
	m.mu.Lock()
	listeners := m.listeners
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.opts.Grace)
	defer cancel()
	for _, fn := range listeners {
		m.hear(ctx, fn, job)
	}
	err := m.store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE jobs SET told = 1 WHERE id = ?`, job.ID)
		return err
	})
	if err != nil {
		m.opts.Log.Error("listeners of a job will hear again", "job", job.ID, "error", err)
	}
}

func (m *Manager) hear(ctx context.Context, fn func(context.Context, Job), job Job) {
	defer func() {
		if v := recover(); v != nil {
			m.opts.Log.Error("a listener panicked", "job", job.ID, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	fn(ctx, job)
}

// halt asks running jobs to stop and waits for them, within the grace.
func (m *Manager) halt(ctx context.Context, working *sync.WaitGroup) error {
	m.mu.Lock()
	for _, r := range m.active {
		r.stop(errStopping)
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		working.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(m.opts.Grace):
	}
	return m.abandon(context.WithoutCancel(ctx))
}

// abandon writes down as interrupted what would not stop.
func (m *Manager) abandon(ctx context.Context) error {
	m.mu.Lock()
	var left []*Run
	for id, r := range m.active {
		left = append(left, r)
		delete(m.active, id)
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, r := range left {
		job := r.snapshot()
		job.State, job.Ended = Interrupted, r.now()
		m.opts.Log.Warn("a job would not stop", "job", job.ID, "kind", job.Kind, "stage", job.Stage)
		var event Event
		err := m.store.Write(ctx, func(tx *store.Tx) (err error) {
			event, err = finish(tx, job, nil, "")
			return err
		})
		if err != nil {
			return fmt.Errorf("give up job %d: %w", job.ID, err)
		}
		m.hub.publish(event, true)
	}
	return nil
}

// tidy deletes the lines of jobs that ended long ago; the jobs stay.
func (m *Manager) tidy(ctx context.Context) {
	err := m.store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM job_events WHERE job IN (SELECT id FROM jobs WHERE ended < ?)`,
			store.Stamp(tx.Now.Add(-m.opts.KeepLines)))
		return err
	})
	if err != nil && ctx.Err() == nil {
		m.opts.Log.Error("old lines of jobs not deleted", "error", err)
	}
}

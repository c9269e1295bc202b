package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// Options of a Manager; the zero value is what the box uses.
type Options struct {
	Workers   int           // jobs at once; 0: 2
	Grace     time.Duration // how long a stop waits for jobs; 0: 9 s
	Beat      time.Duration // between durable heartbeats; 0: 5 s
	Frame     time.Duration // between progress events; 0: 250 ms
	Attempts  int           // runs of one request that keeps crashing; 0: 3
	MaxEvents int           // rows kept for one job; 0: 2000
	KeepLines time.Duration // rows of ended jobs are deleted after; 0: 90 days
	Log       *slog.Logger  // nil: slog.Default
}

func (o Options) filled() Options {
	fill := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	count := func(v *int, n int) {
		if *v <= 0 {
			*v = n
		}
	}
	count(&o.Workers, 2)
	count(&o.Attempts, 3)
	count(&o.MaxEvents, 2000)
	fill(&o.Grace, 9*time.Second)
	fill(&o.Beat, 5*time.Second)
	fill(&o.Frame, 250*time.Millisecond)
	fill(&o.KeepLines, 90*24*time.Hour)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Manager keeps the list and runs what is on it.
type Manager struct {
	store *store.Store
	opts  Options
	owner string // this process, as no other one was or will be called
	hub   *hub
	wake  chan struct{} // something may be ready to begin
	dead  death         // nothing will ever begin

	mu        sync.Mutex
	kinds     map[string]Kind
	listeners []func(context.Context, Job)
	active    map[int64]*Run
}

// New makes a Manager over an open store. Kinds and listeners are added before
// Run is called.
func New(st *store.Store, opts Options) *Manager {
	return &Manager{
		store:  st,
		opts:   opts.filled(),
		owner:  fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()),
		hub:    newHub(),
		wake:   make(chan struct{}, 1),
		dead:   death{done: make(chan struct{})},
		kinds:  map[string]Kind{},
		active: map[int64]*Run{},
	}
}

// Register adds a kind of job; a later one of the same name replaces it.
func (m *Manager) Register(kind Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kinds[kind.Name] = kind
}

// OnEnd adds a listener that hears of every job that ended, once its end is
// on disk; after a crash it may hear of the same end again. It is called with
// a context that outlives the job, and may submit jobs.
func (m *Manager) OnEnd(fn func(ctx context.Context, job Job)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listeners = append(m.listeners, fn)
}

func (m *Manager) kind(name string) (Kind, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.kinds[name]
	return k, ok
}

func (m *Manager) activeRun(id int64) *Run {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active[id]
}

// Submit writes a request down; a running Manager begins it as soon as there is
// room. When a job of the same key waits or runs, the answer is errs.Busy and
// the Job is that other one.
func (m *Manager) Submit(ctx context.Context, req Request) (Job, error) {
	if _, ok := m.kind(req.Kind); !ok {
		return Job{}, errs.New(errs.Invalid, "job.unknown_kind", "kind", req.Kind)
	}
	params, err := json.Marshal(req.Params)
	if err != nil {
		return Job{}, fmt.Errorf("keep parameters of a %s job: %w", req.Kind, err)
	}
	if req.Trigger == "" {
		req.Trigger = Manual
	}
	job := Job{Kind: req.Kind, Key: req.Key, Params: params, Trigger: req.Trigger, By: req.By, Attempt: 1}
	var event Event
	err = m.store.Write(ctx, func(tx *store.Tx) error {
		if other, found, err := unfinished(tx, req.Key); err != nil || found {
			job = other
			return orBusy(err, other)
		}
		event, err = insert(tx, &job)
		return err
	})
	if err != nil {
		return job, err
	}
	m.hub.publish(event, false)
	m.nudge()
	return job, nil
}

func orBusy(err error, other Job) error {
	if err != nil {
		return err
	}
	return errs.New(errs.Busy, "job.busy", "kind", other.Kind, "id", other.ID, "key", other.Key)
}

// nudge wakes the loop; one waiting nudge is enough for all.
func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Cancel ends a waiting job at once and asks a running one to stop; by is the
// person who wishes it. A job that has ended is errs.Conflict.
func (m *Manager) Cancel(ctx context.Context, id int64, by string) error {
	var job Job
	var event Event
	err := m.store.Write(ctx, func(tx *store.Tx) (err error) {
		if job, err = get(tx, id); err != nil {
			return err
		}
		if job.State.Ended() {
			return errs.New(errs.Conflict, "job.over", "id", id)
		}
		if job.State == Queued {
			job.State, job.Ended = Cancelled, tx.Now
			event, err = finish(tx, job, nil, by)
		}
		return err
	})
	if err != nil {
		return err
	}
	if job.State == Cancelled {
		m.hub.publish(event, true)
		m.tell(ctx, job)
		return nil
	}
	if r := m.activeRun(id); r != nil {
		r.stop(cancelled{by})
	}
	return nil
}

// Get reads one job; a running one with its progress of this moment.
func (m *Manager) Get(ctx context.Context, id int64) (job Job, err error) {
	err = m.store.Read(ctx, func(tx *store.Tx) error {
		job, err = get(tx, id)
		return err
	})
	if err != nil {
		return Job{}, err
	}
	m.refresh(&job)
	return job, nil
}

// refresh brings a running job's figures up to this moment.
func (m *Manager) refresh(job *Job) {
	if job.State != Running {
		return
	}
	if r := m.activeRun(job.ID); r != nil {
		now := r.snapshot()
		job.Stage, job.Progress, job.Problems = now.Stage, now.Progress, now.Problems
	}
}

// List reads jobs, newest first, and how many match in all.
func (m *Manager) List(ctx context.Context, f Filter) (list []Job, total int, err error) {
	err = m.store.Read(ctx, func(tx *store.Tx) error {
		list, total, err = find(tx, f)
		return err
	})
	for i := range list {
		m.refresh(&list[i])
	}
	return list, total, err
}

// Events reads the kept events of a job with a sequence number above after.
func (m *Manager) Events(ctx context.Context, id, after int64) (list []Event, err error) {
	err = m.store.Read(ctx, func(tx *store.Tx) error {
		list, err = events(tx, id, after)
		return err
	})
	return list, err
}

// Subscribe hears what happens in a job from now on; id 0 hears of all jobs.
// The channel of one job is closed after the event of its end, or at once when
// it has ended already. Call the function when done.
func (m *Manager) Subscribe(id int64) (<-chan Event, func()) {
	return m.subscribe(context.Background(), id)
}

func (m *Manager) subscribe(ctx context.Context, id int64) (<-chan Event, func()) {
	ch, leave := m.hub.join(id)
	if id != 0 {
		// Joined first, asked second: an end in between is heard twice, not never.
		if job, err := m.Get(ctx, id); err != nil || job.State.Ended() {
			leave()
		}
	}
	return ch, leave
}

// Wait returns the job once it has ended. When OnDemand could not begin the
// work, it ends with that error.
func (m *Manager) Wait(ctx context.Context, id int64) (Job, error) {
	for {
		job, err := m.follow(ctx, id)
		if err != nil || job.State.Ended() {
			return job, err
		}
		// It was handed in between the look that did not find it and this one.
	}
}

// follow returns the job as it is when nothing more is heard of it.
func (m *Manager) follow(ctx context.Context, id int64) (Job, error) {
	ch, leave := m.subscribe(ctx, id)
	defer leave()
	for {
		select {
		case _, open := <-ch:
			if !open {
				return m.Get(ctx, id)
			}
		case <-m.dead.done:
			return m.outlived(ctx, id)
		case <-ctx.Done():
			return Job{}, ctx.Err()
		}
	}
}

// Idle returns once no job waits or runs: those that ended jobs hand in, as
// a backup its drill, are waited for too.
func (m *Manager) Idle(ctx context.Context) error {
	ch, leave := m.Subscribe(0)
	defer leave()
	for {
		_, left, err := m.List(ctx, Filter{States: []State{Queued, Running}, Limit: 1})
		if err != nil || left == 0 {
			return err
		}
		for changed := false; !changed; {
			select {
			case e := <-ch:
				changed = e.Type == StateChanged
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"emrvault/appliance/store"
)

// Options of a Manager; the zero value is what the box uses.
type Options struct {
	Workers   int           // jobs at once; 0: 2
	Grace     time.Duration // how long a stop waits for jobs; 0: 9 s
	Beat      time.Duration // between durable heartbeats; 0: 5 s
	Frame     time.Duration // between progress events; 0: 250 ms
	Attempts  int           // runs of one request that keeps being interrupted; 0: 3
	MaxEvents int           // rows kept for one job; 0: 2000
	KeepLines time.Duration // rows of ended jobs are deleted after; 0: 90 days
	Log       *slog.Logger  // nil: slog.Default
}

// Manager keeps the list and runs what is on it.
type Manager struct{}

// New makes a Manager over an open store. Kinds and listeners are added before
// Run is called.
func New(st *store.Store, opts Options) *Manager { return &Manager{} }

var errSoon = errors.New("not built yet")

// Register adds a kind of job.
func (m *Manager) Register(kind Kind) {}

// OnEnd adds a listener that hears of every job that ended, once its end is
// on disk; after a crash it may hear of the same end again. It is called with
// a context that outlives the job.
func (m *Manager) OnEnd(fn func(ctx context.Context, job Job)) {}

// Submit writes a request down; a running Manager begins it as soon as there is
// room. When a job of the same key waits or runs, the answer is errs.Busy and
// the Job is that other one.
func (m *Manager) Submit(ctx context.Context, req Request) (Job, error) { return Job{}, errSoon }

// Cancel ends a waiting job at once and asks a running one to stop.
func (m *Manager) Cancel(ctx context.Context, id int64, by string) error { return errSoon }

// Get reads one job; a running one with its progress of this moment.
func (m *Manager) Get(ctx context.Context, id int64) (Job, error) { return Job{}, errSoon }

// List reads jobs, newest first, and how many match in all.
func (m *Manager) List(ctx context.Context, f Filter) ([]Job, int, error) { return nil, 0, errSoon }

// Events reads the kept events of a job with a sequence number above after.
func (m *Manager) Events(ctx context.Context, id, after int64) ([]Event, error) { return nil, errSoon }

// Subscribe hears what happens in a job from now on; id 0 hears of all jobs.
// The channel of one job is closed after the event of its end. Call the
// function when done.
func (m *Manager) Subscribe(id int64) (<-chan Event, func()) { return nil, func() {} }

// Wait returns the job once it has ended.
func (m *Manager) Wait(ctx context.Context, id int64) (Job, error) { return Job{}, errSoon }

// Run settles what an earlier process left, then runs jobs until ctx is done,
// and waits for them to stop.
func (m *Manager) Run(ctx context.Context) error { return errSoon }

// Run is what a kind sees of its job while it works. Its methods may be called
// from many goroutines and return quickly. It fits backup.Progress.
type Run struct{}

// Job gives the job as it was when it began.
func (r *Run) Job() Job { return Job{} }

// Params reads the request's parameters.
func (r *Run) Params(into any) error { return errSoon }

// SetResult keeps a result, as JSON, with the end of the job.
func (r *Run) SetResult(v any) error { return errSoon }

// Stage says that the named stage begins.
func (r *Run) Stage(name string) {}

// Total tells how much there is to do; a later call replaces an earlier one.
func (r *Run) Total(files, bytes int64) {}

// Add tells how much has been done since the last call.
func (r *Run) Add(files, bytes int64) {}

// Current names the file or object at work.
func (r *Run) Current(name string) {}

// Problem reports something that went wrong while the work goes on.
func (r *Run) Problem(name string, err error) {}

// Log keeps a line; key is the key of a text, args are name, value pairs.
func (r *Run) Log(key string, args ...any) {}

package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"emrvault/appliance/locale"
	"emrvault/appliance/store"
)

// Run is what a kind sees of its job while it works. Its methods may be called
// from many goroutines and return quickly: they touch memory, and a goroutine
// of the job writes and publishes. It fits backup.Progress.
type Run struct {
	began Job // as it was claimed
	opts  Options
	hub   *hub
	now   func() time.Time
	stop  context.CancelCauseFunc

	mu      sync.Mutex
	state   Job     // began, with the figures of this moment
	pending []Event // lines not yet in the database
	seq     int64   // of the last line
	kept    int     // lines so far
	moved   bool    // figures changed since the last frame
}

func newRun(m *Manager, job Job, event Event, stop context.CancelCauseFunc) *Run {
	return &Run{began: job, opts: m.opts, hub: m.hub, now: m.store.Now, stop: stop, state: job, seq: event.Seq}
}

// Job gives the job as it was when it began.
func (r *Run) Job() Job { return r.began }

// Params reads the request's parameters.
func (r *Run) Params(into any) error {
	if err := json.Unmarshal(r.began.Params, into); err != nil {
		return fmt.Errorf("read parameters of job %d: %w", r.began.ID, err)
	}
	return nil
}

// SetResult keeps a result, as JSON, with the end of the job.
func (r *Run) SetResult(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("keep result of job %d: %w", r.began.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Result = text
	return nil
}

// Stage says that the named stage begins; its counts begin at zero.
func (r *Run) Stage(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Stage, r.state.Progress = name, Progress{}
	r.line(StageBegan, name, nil)
}

// Total tells how much there is to do; a later call replaces an earlier one.
func (r *Run) Total(files, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Progress.TotalFiles, r.state.Progress.TotalBytes, r.moved = files, bytes, true
}

// Add tells how much has been done since the last call.
func (r *Run) Add(files, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Progress.Files += files
	r.state.Progress.Bytes += bytes
	r.moved = true
}

// Current names the file or object at work.
func (r *Run) Current(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Progress.Current, r.moved = clip(name), true
}

// Problem reports something that went wrong while the work goes on.
func (r *Run) Problem(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Problems++
	r.line(Trouble, "job.problem", []any{
		"name", clip(name), "error", clip(locale.English.Detail(err)), "zh", clip(locale.Chinese.Detail(err)),
	})
}

// Log keeps a line; key is the key of a text, args are name, value pairs.
func (r *Run) Log(key string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	safe := make([]any, len(args))
	for i, v := range args {
		safe[i] = plain(v)
	}
	r.line(Line, key, safe)
}

// line adds a line and tells subscribers; the caller holds mu. Past the bound
// one last line says that there were more.
func (r *Run) line(kind EventType, key string, args []any) {
	r.kept++
	switch {
	case r.kept == r.opts.MaxEvents:
		kind, key, args = Line, "job.more_lines", []any{"n", r.opts.MaxEvents}
	case r.kept > r.opts.MaxEvents:
		r.moved = true
		return
	}
	r.seq++
	e := Event{Job: r.began.ID, Seq: r.seq, At: r.now(), Type: kind, Key: key, Args: args}
	r.pending = append(r.pending, e)
	r.hub.publish(r.state.mark(e), false)
}

// snapshot gives the job with the figures of this moment.
func (r *Run) snapshot() Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// report writes lines and heartbeats and publishes figures until ctx is done.
// What is left then goes with the end of the job.
func (r *Run) report(ctx context.Context, st *store.Store) {
	frame := time.NewTicker(r.opts.Frame)
	defer frame.Stop()
	last := r.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-frame.C:
		}
		r.frame()
		if r.waiting() || r.now().Sub(last) >= r.opts.Beat {
			last = r.now()
			r.flush(ctx, st)
		}
	}
}

// frame publishes the figures if they have moved.
func (r *Run) frame() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved {
		r.moved = false
		r.hub.publish(r.state.mark(Event{Job: r.began.ID, At: r.now(), Type: Moved}), false)
	}
}

func (r *Run) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending) > 0
}

// flush writes down what is pending. Lines that could not be written stay for
// the next time.
func (r *Run) flush(ctx context.Context, st *store.Store) {
	r.mu.Lock()
	state, lines := r.state, r.pending
	r.mu.Unlock()
	err := st.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return beat(tx, state, lines) })
	if err != nil {
		r.opts.Log.Error("heartbeat of a job not written", "job", r.began.ID, "error", err)
		return
	}
	r.written(len(lines))
}

func (r *Run) written(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = r.pending[n:]
}

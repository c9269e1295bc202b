package retry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStalled says that an attempt was given up because nothing moved.
var ErrStalled = errors.New("the storage does not answer")

// watch ends the context of an attempt in which nothing moves.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration

	mu    sync.Mutex
	timer *time.Timer
	until time.Time // nothing is suspected before
	away  int       // so many queue or let the caller work; while any does, nothing is suspected
	left  time.Time // when away began
	total time.Duration
}

// newWatch begins to watch. allowance is what the bytes of the call may take
// beyond stall, for those who do not tell when something moves.
func newWatch(ctx context.Context, stall, allowance time.Duration) *watch {
	w := &watch{stall: stall, until: time.Now().Add(stall + allowance)}
	w.ctx, w.cancel = context.WithCancelCause(context.WithValue(ctx, watchKey{}, w))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(stall+allowance, w.look)
	return w
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// look is called when the time may be over.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := time.Until(w.until)
	switch {
	case w.away > 0:
		w.timer.Reset(w.stall)
	case left > 0:
		w.timer.Reset(left)
	default:
		w.cancel(ErrStalled)
	}
}

// alive gives the attempt another span.
func (w *watch) alive() {
	next := time.Now().Add(w.stall)
	w.mu.Lock()
	defer w.mu.Unlock()
	if next.After(w.until) {
		w.until = next
	}
}

// leave says that the place is not waited for until back.
func (w *watch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away == 0 {
		w.left = time.Now()
	}
	w.away++
}

func (w *watch) back() {
	w.alive()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away--; w.away == 0 {
		w.total += time.Since(w.left)
	}
}

// outside is how long the place was not waited for.
func (w *watch) outside() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

type watchKey struct{}

// Alive tells the attempt that ctx belongs to that something moved, so that a
// slow transfer is not taken for a dead one. Without an attempt it does nothing.
func Alive(ctx context.Context) {
	if w, ok := ctx.Value(watchKey{}).(*watch); ok {
		w.alive()
	}
}

// Outside runs fn, during which the attempt that ctx belongs to does not wait
// for the place: it stands in a queue of ours, or the caller is at work.
func Outside(ctx context.Context, fn func() error) error {
	if w, ok := ctx.Value(watchKey{}).(*watch); ok {
		w.leave()
		defer w.back()
	}
	return fn()
}

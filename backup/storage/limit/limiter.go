package limit

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"emrvault/backup/storage"
)

// Bounds of a Limiter, in requests at once.
const (
	fewest = 1
	begin  = 16 // more than one backup's uploads: who never meets a limit never feels one
	most   = 64
)

// longestPause bounds what an endpoint may ask for at a time.
const longestPause = 5 * time.Minute

// Limiter lets as many requests through at once as an endpoint takes. It is
// fair: who came first goes first.
type Limiter struct {
	mu      sync.Mutex
	allowed float64 // requests at once; the fraction is how near the next one is
	running int
	queue   list.List // of chan struct{}, closed when it is one's turn
	pause   time.Time // nobody starts before
	cut     time.Time // when allowed was halved last
	alarm   *time.Timer
}

// NewLimiter makes a limiter that knows nothing of its endpoint yet.
func NewLimiter() *Limiter { return &Limiter{allowed: begin} }

// Allowed tells how many requests may run at once.
func (l *Limiter) Allowed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.allowed)
}

// acquire waits for one's turn and tells when it came.
func (l *Limiter) acquire(ctx context.Context) (started time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return started, err
	}
	turn := make(chan struct{})
	l.mu.Lock()
	place := l.queue.PushBack(turn)
	l.admit()
	l.mu.Unlock()
	select {
	case <-turn:
		return time.Now(), nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // came at the same moment: give it on
		l.running--
		l.admit()
	default:
		l.queue.Remove(place)
	}
	return started, ctx.Err()
}

// release ends a request.
func (l *Limiter) release(good bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Only who uses all that is allowed learns that more may be.
	if good && l.running >= int(l.allowed) {
		l.allowed = min(most, l.allowed+1/l.allowed)
	}
	l.running--
	l.admit()
}

// learn draws the lesson from a request's end.
func (l *Limiter) learn(started time.Time, err error) {
	var throttled *storage.Throttled
	if !errors.As(err, &throttled) {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	// Requests that ran together are told together; that is one lesson.
	if started.After(l.cut) {
		l.allowed = max(fewest, l.allowed/2)
		l.cut = now
	}
	if until := now.Add(min(throttled.After, longestPause)); until.After(l.pause) {
		l.pause = until
	}
	l.admit()
}

// admit lets those in front of the queue go.
func (l *Limiter) admit() {
	if wait := time.Until(l.pause); wait > 0 {
		if l.alarm != nil {
			l.alarm.Stop()
		}
		if l.queue.Len() > 0 {
			l.alarm = time.AfterFunc(wait, l.wake)
		}
		return
	}
	for l.queue.Len() > 0 && l.running < int(l.allowed) {
		front := l.queue.Front()
		l.queue.Remove(front)
		l.running++
		close(front.Value.(chan struct{}))
	}
}

func (l *Limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admit()
}

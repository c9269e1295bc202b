package limit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/retry"
)

// direction is the way that bytes go.
type direction int

const (
	up direction = iota
	down
	directions
)

// Pacer lets bytes through as a schedule wants, evenly, for all who share a
// line, each direction for itself.
type Pacer struct {
	schedule Schedule
	now      func() time.Time // the clock on the wall; pauses are measured by the machine's

	mu   sync.Mutex
	free [directions]time.Time // when the line has carried all that was let through
}

// NewPacer makes a pacer. now nil: time.Now.
func NewPacer(s Schedule, now func() time.Time) *Pacer {
	if now == nil {
		now = time.Now
	}
	return &Pacer{schedule: s, now: now}
}

// Rate tells how many bytes a second may pass now; zero for no limit.
func (p *Pacer) Rate() int64 { return p.schedule.Rate(p.now()) }

// A tenth of a second's bytes pass at a time, so that an hour that begins and a
// context that ends are noticed at once.
const (
	beats     = 10
	leastBeat = 512
	mostBeat  = 256 << 10
)

func beat(rate int64) int {
	return int(min(max(rate/beats, leastBeat), mostBeat))
}

// wait returns when n bytes may have crossed the line.
func (p *Pacer) wait(ctx context.Context, d direction, n int) error {
	for n > 0 {
		rate := p.Rate()
		if rate == 0 {
			return nil
		}
		part := min(n, beat(rate))
		if err := sleep(ctx, p.reserve(d, part, rate)); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// reserve books the line for n bytes and tells in how long they have crossed it.
func (p *Pacer) reserve(d direction, n int, rate int64) time.Duration {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free[d].Before(now) {
		p.free[d] = now
	}
	p.free[d] = p.free[d].Add(time.Duration(n) * time.Second / time.Duration(rate))
	return p.free[d].Sub(now)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// meter counts what of a document has been paced on its way. A nil meter
// neither counts nor paces.
type meter struct {
	pacer  *Pacer
	passed [directions]atomic.Int64
}

type meterKey struct{}

// metered gives a context whose transfers Transport paces. Locks are not paced:
// they are small, and must not be late.
func (s *Storage) metered(ctx context.Context, name storage.Name) (context.Context, *meter) {
	if s.pacer == nil || name.Kind == storage.Lock {
		return ctx, nil
	}
	m := &meter{pacer: s.pacer}
	return context.WithValue(ctx, meterKey{}, m), m
}

// pass paces n bytes on their way.
func (m *meter) pass(ctx context.Context, d direction, n int) error {
	if m == nil {
		return nil
	}
	m.passed[d].Add(int64(n))
	return m.pay(ctx, d, n)
}

// settle waits for what was not paced on its way.
func (m *meter) settle(ctx context.Context, d direction, n int) error {
	if m == nil {
		return nil
	}
	return m.pay(ctx, d, n-int(m.passed[d].Load()))
}

func (m *meter) pay(ctx context.Context, d direction, n int) error {
	return retry.Outside(ctx, func() error { return m.pacer.wait(ctx, d, n) })
}

// share is how much may be read at once.
func (m *meter) share(n int) int {
	if m == nil {
		return n
	}
	if rate := m.pacer.Rate(); rate > 0 {
		return min(n, beat(rate))
	}
	return n
}

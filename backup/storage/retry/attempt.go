package retry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// call is one call to the place, with all its attempts.
type call struct {
	operation string
	document  string
	bytes     int64         // that cross the line, as far as is known
	since     time.Time     // when its trouble began
	outside   time.Duration // of this, spent in queues and by the caller
}

// begin notes that the first attempt has failed. To a person who waits for the
// first answer of a place, this attempt was trouble, too.
func (c *call) begin(began time.Time, answered bool) {
	c.since = began
	if answered {
		c.since, c.outside = time.Now(), 0
	}
}

// lasted is how long the place has been failing the call.
func (c *call) lasted() time.Duration { return time.Since(c.since) - c.outside }

// try makes a call until it succeeds, fails for good, or has been in trouble
// for too long.
func (s *Storage) try(ctx context.Context, c call, fn func(context.Context) error) error {
	began := time.Now()
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, &c, fn)
		switch {
		case err == nil:
			s.answered.Store(true)
			if attempt > 1 {
				s.tell(ctx, Event{Operation: c.operation, Document: c.document, Attempt: attempt, Trouble: c.lasted(), Over: true})
			}
			return nil
		case final(err):
			s.answered.Store(true)
			return err
		case ctx.Err() != nil:
			return ended(ctx, err)
		case refused(err):
			s.answered.Store(true)
		}
		if attempt == 1 {
			c.begin(began, s.answered.Load())
		}
		if err := s.rest(ctx, &c, attempt, err); err != nil {
			return err
		}
	}
}

// rest waits before the next attempt, or says that there is none.
func (s *Storage) rest(ctx context.Context, c *call, attempt int, err error) error {
	lasted, wait := c.lasted(), s.policy.pause(attempt, err)
	if limit := s.limit(); lasted+wait > limit {
		return fmt.Errorf("given up after %d attempts in %s: %w", attempt, lasted.Round(time.Second), err)
	}
	s.tell(ctx, Event{Operation: c.operation, Document: c.document, Attempt: attempt, Err: err, Wait: wait, Trouble: lasted})
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx, err)
	}
}

func (s *Storage) limit() time.Duration {
	if s.answered.Load() {
		return s.policy.Overall
	}
	return s.policy.Hello
}

// ended is the error of a call whose context ended while it was in trouble.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w, while in trouble: %w", ctx.Err(), err)
}

// once makes one attempt under the eyes of a watch.
func (s *Storage) once(ctx context.Context, c *call, fn func(context.Context) error) error {
	silence, allowance := s.policy.Stall, time.Duration(c.bytes/s.policy.Slowest)*time.Second
	if !s.answered.Load() && s.policy.Hello < silence {
		silence, allowance = s.policy.Hello, 0 // A first call is small; and who waits does not wait for ever.
	}
	w := newWatch(ctx, silence, allowance)
	defer w.stop()
	err := fn(w.ctx)
	c.outside += w.outside()
	if err != nil && ctx.Err() == nil && w.ctx.Err() != nil {
		// What the place says is only that it was told to stop.
		return fmt.Errorf("%w: %v", context.Cause(w.ctx), err) //nolint:errorlint // It must not pass for a person's interruption.
	}
	return err
}

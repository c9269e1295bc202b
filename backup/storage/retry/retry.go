// Package retry makes a place out of one that sometimes does not answer.
//
// A night's backup must survive a router that restarts. So every call that
// fails is made again, after pauses that grow and are drawn at random a little,
// until it has been in trouble for longer than the Policy allows. What a
// repetition cannot cure is told at once: a full store, a wrong secret, a
// document that is not there, damage, a read-only place.
//
// A call whose answer was lost may have had its effect. Save looks whether the
// document lies there already before it sends it a second time; Remove takes
// "not there" for success when an earlier attempt may have removed it; List
// begins anew and does not tell anything twice.
//
// An attempt in which nothing moves is given up, however long the place keeps
// the line open. Whoever moves bytes says so with Alive; so a slow line is not
// mistaken for a dead one. What did not hear of Alive has a time by the number
// of its bytes.
package retry

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Policy says how patient to be. The zero value of a field means its value in
// Night.
type Policy struct {
	First   time.Duration // the first pause; each further one is twice as long
	Longest time.Duration // but no longer than this
	Overall time.Duration // trouble of one call for longer than this ends it
	Hello   time.Duration // the same while the place has never answered, with its first silence; zero: Overall
	Stall   time.Duration // an attempt in which nothing moves for so long is given up
	Slowest int64         // bytes a second that a slow but working line moves at least

	Report func(Event)    // hears of trouble; may be nil; is called from many goroutines
	Random func() float64 // in [0,1), for the jitter; nil: drawn at random
}

// Night is the policy for work without a person: a quarter of an hour.
func Night() Policy {
	return Policy{
		First: 500 * time.Millisecond, Longest: 30 * time.Second, Overall: 15 * time.Minute,
		Stall: 2 * time.Minute, Slowest: 32 << 10,
	}
}

// Attended is the policy for a person who waits: as patient as Night, but a
// place that has never answered is most likely written wrong.
func Attended() Policy {
	p := Night()
	p.Hello = 20 * time.Second
	return p
}

func (p Policy) filled() Policy {
	n := Night()
	p.First, p.Longest = cmp.Or(p.First, n.First), cmp.Or(p.Longest, n.Longest)
	p.Overall, p.Stall = cmp.Or(p.Overall, n.Overall), cmp.Or(p.Stall, n.Stall)
	p.Hello, p.Slowest = cmp.Or(p.Hello, p.Overall), cmp.Or(p.Slowest, n.Slowest)
	if p.Random == nil {
		p.Random = rand.Float64
	}
	return p
}

// pause is how long to wait after so many failures in a row: between half of
// a span that doubles and all of it.
func (p Policy) pause(failures int, err error) time.Duration {
	span := min(p.First, p.Longest)
	for i := 1; i < failures && span < p.Longest; i++ {
		span = min(2*span, p.Longest)
	}
	wait := span/2 + time.Duration(p.Random()*float64(span/2))
	var throttled *storage.Throttled
	if errors.As(err, &throttled) {
		wait = max(wait, throttled.After)
	}
	return wait
}

// final lists what no repetition cures.
func final(err error) bool {
	for _, end := range []error{
		storage.ErrPermanent, backup.ErrNotFound, backup.ErrStorageFull, backup.ErrReadOnly, backup.ErrDamaged,
		backup.ErrRepositoryExists, backup.ErrUnsupported, backup.ErrInvalid,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// refused tells whether the place did nothing because it is too busy.
func refused(err error) bool {
	var throttled *storage.Throttled
	return errors.As(err, &throttled)
}

// Storage is a place that is asked again.
type Storage struct {
	storage.Storage
	policy   Policy
	answered *atomic.Bool // the place has answered at least once
}

// New wraps a place.
func New(st storage.Storage, p Policy) *Storage {
	return &Storage{Storage: st, policy: p.filled(), answered: new(atomic.Bool)}
}

// Unwrap gives what is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }

// Event is one failed attempt, or with Over the success after such.
type Event struct {
	Operation string        // save, load, stat, list, remove, ...
	Document  string        // empty for the place as a whole
	Attempt   int           // from 1
	Err       error         // why it failed; nil with Over
	Wait      time.Duration // until the next attempt
	Trouble   time.Duration // how long it has lasted
	Over      bool          // it works again
}

type listenKey struct{}

// Listen lets fn hear of the trouble that work with this context meets, beside
// Policy.Report. Like that it is called from many goroutines.
func Listen(ctx context.Context, fn func(Event)) context.Context {
	return context.WithValue(ctx, listenKey{}, fn)
}

func (s *Storage) tell(ctx context.Context, e Event) {
	if s.policy.Report != nil {
		s.policy.Report(e)
	}
	if fn, ok := ctx.Value(listenKey{}).(func(Event)); ok {
		fn(e)
	}
}

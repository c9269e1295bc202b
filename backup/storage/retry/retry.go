package retry

import (
	"context"
	"time"

	"emrvault/backup/storage"
)

// Policy says how patient to be. The zero value of a field means its value in
// Night.
type Policy struct {
	First   time.Duration // the first pause; each further one is twice as long
	Longest time.Duration // but no longer than this
	Overall time.Duration // trouble of one call for longer than this ends it
	Hello   time.Duration // the same while the place has never answered; zero: Overall
	Stall   time.Duration // an attempt in which nothing moves for so long is given up
	Slowest int64         // bytes a second that a slow but working line moves at least

	Report func(Event)    // hears of trouble; may be nil; is called from many goroutines
	Random func() float64 // in [0,1), for the jitter; nil: drawn at random
}

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

// Storage is a place that is asked again.
type Storage struct {
	storage.Storage
	policy Policy
}

// New wraps a place.
func New(st storage.Storage, p Policy) *Storage { return &Storage{Storage: st, policy: p} }

// Night is the policy for work without a person: a quarter of an hour.
func Night() Policy {
	return Policy{
		First: 500 * time.Millisecond, Longest: 30 * time.Second, Overall: 15 * time.Minute,
		Stall: 2 * time.Minute, Slowest: 32 << 10,
	}
}

// Attended is the policy for a person who waits: as patient as Night, but a
// place that never answered is most likely written wrong.
func Attended() Policy {
	p := Night()
	p.Hello = 20 * time.Second
	return p
}

// Listen lets fn hear of the trouble that work with this context meets, beside
// Policy.Report.
func Listen(ctx context.Context, fn func(Event)) context.Context { return ctx }

// Alive tells the attempt that ctx belongs to that something moved, so that a
// slow transfer is not taken for a dead one. Without an attempt it does nothing.
func Alive(ctx context.Context) {}

// Unwrap gives what is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }

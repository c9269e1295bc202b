// Package limit keeps a place from being asked more than it can bear, and a
// line from being filled when others need it.
//
// Requests: every endpoint has one Limiter, whoever talks to it. When the
// endpoint says "slow down" (429, 503), half as many requests may run at once;
// when requests succeed while all of them are in use, slowly more again. That
// is how the senders of the internet share a line, and it finds the rate by
// itself. When the endpoint says for how long, nobody starts before.
//
// Bytes: a Schedule says how many a second may cross the line at which hour. A
// Pacer spreads them evenly, each direction for itself. A place whose HTTP
// client goes through Transport is paced while a document crosses the line; any
// other waits after each document.
//
// Both live in a Registry that the process makes once and hands to all places.
package limit

import (
	"context"
	"strings"
	"sync"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/retry"
)

// Registry holds one Limiter per endpoint and one Pacer per line for all
// storages of the process. Make it with NewRegistry.
type Registry struct {
	now func() time.Time

	mu       sync.Mutex
	limiters map[string]*Limiter
	pacers   map[line]*Pacer
}

type line struct{ endpoint, schedule string }

// NewRegistry makes an empty registry. now is the clock of the schedules; nil:
// time.Now.
func NewRegistry(now func() time.Time) *Registry {
	if now == nil {
		now = time.Now
	}
	return &Registry{now: now, limiters: make(map[string]*Limiter), pacers: make(map[line]*Pacer)}
}

// Limiter gives the one limiter of an endpoint such as "https://host:9000".
func (r *Registry) Limiter(endpoint string) *Limiter {
	endpoint = strings.ToLower(strings.TrimRight(endpoint, "/"))
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.limiters[endpoint]
	if !ok {
		l = NewLimiter()
		r.limiters[endpoint] = l
	}
	return l
}

// Pacer gives the one pacer of an endpoint and a schedule.
func (r *Registry) Pacer(endpoint string, s Schedule) *Pacer {
	key := line{strings.ToLower(strings.TrimRight(endpoint, "/")), s.String() + " " + s.zone.String()}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pacers[key]
	if !ok {
		p = NewPacer(s, r.now)
		r.pacers[key] = p
	}
	return p
}

// Storage is a place whose requests and bytes are limited.
type Storage struct {
	storage.Storage
	limiter *Limiter
	pacer   *Pacer
}

// New wraps a place. Either of limiter and pacer may be nil.
func New(st storage.Storage, limiter *Limiter, pacer *Pacer) *Storage {
	return &Storage{Storage: st, limiter: limiter, pacer: pacer}
}

// Unwrap gives what is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }

// request runs fn when the endpoint may take another request.
func (s *Storage) request(ctx context.Context, fn func() error) error {
	if s.limiter == nil {
		return fn()
	}
	started, err := s.turn(ctx)
	if err != nil {
		return err
	}
	err = fn()
	s.limiter.learn(started, err)
	s.limiter.release(err == nil)
	return err
}

// turn waits for one's turn. To stand in our own queue is no fault of the place.
func (s *Storage) turn(ctx context.Context) (started time.Time, err error) {
	err = retry.Outside(ctx, func() error {
		started, err = s.limiter.acquire(ctx)
		return err
	})
	return started, err
}

// on is request for a document. Locks do not queue: they are few and small, and
// one that is refreshed too late costs the whole work.
func (s *Storage) on(ctx context.Context, name storage.Name, fn func() error) error {
	if name.Kind == storage.Lock {
		return fn()
	}
	return s.request(ctx, fn)
}

// Create makes the layout.
func (s *Storage) Create(ctx context.Context) error {
	return s.request(ctx, func() error { return s.Storage.Create(ctx) })
}

// Save sends a document.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	ctx, m := s.metered(ctx, name)
	err := s.on(ctx, name, func() error { return s.Storage.Save(ctx, name, data) })
	if err == nil {
		err = m.settle(ctx, up, len(data))
	}
	return err
}

// Load reads from a document.
func (s *Storage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) (data []byte, err error) {
	ctx, m := s.metered(ctx, name)
	err = s.on(ctx, name, func() (err error) {
		data, err = s.Storage.Load(ctx, name, buf, offset, length)
		return err
	})
	if err == nil {
		err = m.settle(ctx, down, len(data))
	}
	return data, err
}

// Stat tells the size of a document.
func (s *Storage) Stat(ctx context.Context, name storage.Name) (info storage.Info, err error) {
	err = s.on(ctx, name, func() (err error) {
		info, err = s.Storage.Stat(ctx, name)
		return err
	})
	return info, err
}

// List visits the documents of a kind. It counts as a request until the first
// of them comes: fn may itself make requests, and must not wait for this one.
func (s *Storage) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if s.limiter == nil || kind == storage.Lock {
		return s.Storage.List(ctx, kind, fn)
	}
	started, err := s.turn(ctx)
	if err != nil {
		return err
	}
	release := sync.OnceFunc(func() { s.limiter.release(true) })
	defer release()
	err = s.Storage.List(ctx, kind, func(info storage.Info) error {
		release()
		return fn(info)
	})
	s.limiter.learn(started, err)
	return err
}

// Remove deletes a document.
func (s *Storage) Remove(ctx context.Context, name storage.Name) error {
	return s.on(ctx, name, func() error { return s.Storage.Remove(ctx, name) })
}

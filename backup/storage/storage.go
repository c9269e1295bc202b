// Package storage says what a place must offer so that a repository can rest
// there: named, immutable documents that are whole or absent.
//
// A document is written once, under a name that is (except for "config") the
// SHA-256 of its bytes, and never changed afterwards. Everything above relies
// on two promises: when Save returns nil the document survives a power cut,
// and a document that can be loaded was completely written.
package storage

import (
	"context"
	"path"
	"time"
)

// Kind is the sort of a document; it is also the name of its folder.
type Kind string

// The kinds of a restic repository, format version 2 (and 1).
const (
	Config   Kind = "config"
	Key      Kind = "keys"
	Snapshot Kind = "snapshots"
	Index    Kind = "index"
	Lock     Kind = "locks"
	Pack     Kind = "data"
)

// Scratch is the folder where a place is tried out. It is none of a
// repository's: nothing in it can be taken for a part of one, and nothing in
// it is ever locked.
const Scratch Kind = "probe"

// Name addresses one document. ID is 64 lower-case hex digits; it is empty
// for Config, of which there is one.
type Name struct {
	Kind Kind
	ID   string
}

// Path is the place of the document in restic's default layout, with slashes:
// "config", "keys/<id>", "data/<first two digits>/<id>".
func (n Name) Path() string {
	switch {
	case n.Kind == Config:
		return string(Config)
	case n.Kind == Pack && len(n.ID) > 2:
		return path.Join(string(Pack), n.ID[:2], n.ID)
	}
	return path.Join(string(n.Kind), n.ID)
}

// IsID tells whether a file's name is one: 64 lower-case hex digits.
func IsID(name string) bool {
	if len(name) != idDigits {
		return false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

const idDigits = 64

// String names the document for people.
func (n Name) String() string {
	if n.Kind == Config {
		return "config"
	}
	if len(n.ID) > 10 {
		return string(n.Kind) + "/" + n.ID[:10]
	}
	return string(n.Kind) + "/" + n.ID
}

// Info is what a listing tells about a document.
type Info struct {
	Name Name
	Size int64 // bytes as stored
}

// Storage is a place where documents rest. All methods may be called from
// many goroutines at once. An error wraps backup.ErrNotFound when the document
// is not there, backup.ErrStorageFull when there is no room, and
// backup.ErrReadOnly when the place cannot be written; any other error may
// pass if the call is repeated. Every method obeys its context.
type Storage interface {
	// Location is how a person would write the place down, without secrets.
	Location() string

	// Create makes the empty layout. It is no error if parts are there
	// already, but backup.ErrRepositoryExists if a config is.
	Create(ctx context.Context) error

	// Save stores data under name, durably, before it returns nil. Saving a
	// name that exists with the same bytes succeeds. A failed Save leaves
	// nothing that List, Stat or Load would show. data is not kept.
	Save(ctx context.Context, name Name, data []byte) error

	// Load reads length bytes from offset into buf, growing it when it is too
	// small, and returns the filled slice. A negative length means up to the
	// end. A document that ends before offset+length is an error that wraps
	// backup.ErrDamaged.
	Load(ctx context.Context, name Name, buf []byte, offset, length int64) ([]byte, error)

	// Stat tells the size of one document.
	Stat(ctx context.Context, name Name) (Info, error)

	// List calls fn for every whole document of a kind, in no order. Names
	// that do not parse as an id are passed over. It stops at fn's error. A
	// kind without any document is no error.
	List(ctx context.Context, kind Kind, fn func(Info) error) error

	// Remove deletes a document. Removing what is not there is an error that
	// wraps backup.ErrNotFound. The deletion is durable on return.
	Remove(ctx context.Context, name Name) error

	// Close releases what the place holds open.
	Close() error
}

// Space is an optional ability: a place that knows how much room it has.
type Space interface {
	// Space tells free and total bytes for the user the program runs as.
	Space(ctx context.Context) (free, total uint64, err error)
}

// Gate is an optional ability: a place that can tell beforehand whether it
// takes writes.
type Gate interface {
	// Writable returns nil, or an error that wraps backup.ErrReadOnly.
	Writable(ctx context.Context) error
}

// Sweeper is an optional ability: a place where a killed program leaves parts
// of documents that nobody can see.
type Sweeper interface {
	// Sweep removes such parts if they are older than age and tells how many.
	Sweep(ctx context.Context, age time.Duration) (int, error)
}

// Versioned is an optional ability: a place that keeps what was overwritten or
// deleted, so that an attack can be undone.
type Versioned interface {
	// At gives a view of the documents as they were at t. It can only be
	// read; writing to it is an error that wraps backup.ErrReadOnly. A place
	// that keeps no versions answers with backup.ErrUnsupported.
	At(ctx context.Context, t time.Time) (Storage, error)
}

// Retainer is an optional ability: a place that refuses to delete a document
// before a date, whoever asks (object lock).
type Retainer interface {
	// Period is how long documents are to be locked; zero: not at all. Save
	// locks what it writes for that long, except locks.
	Period() time.Duration
	// Retention tells until when a document is locked. known is false when
	// the place does not say; then it must be taken for locked.
	Retention(ctx context.Context, name Name) (until time.Time, known bool, err error)
	// Retain locks a document until a date. It never shortens a lock.
	Retain(ctx context.Context, name Name, until time.Time) error
}

// Distant is an optional ability: a place behind a network, where one document
// at a time would mean waiting for answers most of the time.
type Distant interface {
	// Uploads is how many documents are best saved at once.
	Uploads() int
}

// Remote is an optional ability: a place behind a network, where every request
// costs a round trip and what was read once is worth keeping here.
type Remote interface {
	// Remote does nothing; having it is the answer.
	Remote()
}

// Wrapper is a storage that adds something to another one.
type Wrapper interface {
	Storage
	Unwrap() Storage
}

// As finds an optional ability in a storage or in what it wraps, the outermost
// first.
func As[T any](st Storage) (ability T, ok bool) {
	for st != nil {
		if ability, ok = st.(T); ok {
			return ability, true
		}
		w, wraps := st.(Wrapper)
		if !wraps {
			break
		}
		st = w.Unwrap()
	}
	return ability, false
}

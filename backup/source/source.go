// Package source says what it means to protect something: a folder, a
// database, later a stream of logs.
//
// A source is opened from its Spec (the same settings the page edits and the
// YAML file holds). Check tells what is missing before the night it is needed.
// Capture makes one consistent view and hands it to a Sink, which turns it
// into a snapshot. Recover brings a Point back into a target.
//
// Beside its data a database source leaves "/point.json": what was captured,
// from which server and version, as of which moment, and what was found wrong.
package source

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"time"

	"emrvault/backup"
)

// PointFile is the path, inside a snapshot, of a database source's facts.
const PointFile = "/point.json"

// Spec is a source as it is written down. Unknown settings are refused by
// name; secrets are never in it, only the file or variable that holds them.
type Spec struct {
	Kind     string         `json:"kind" yaml:"kind"`
	Name     string         `json:"name" yaml:"name"` // becomes a tag of the snapshot
	Settings map[string]any `json:"settings" yaml:"settings"`
}

// Source is one protected thing.
type Source interface {
	// Check tries what Capture will need and says what right or setting is
	// missing. The error is for a check that could not be made at all.
	Check(ctx context.Context) ([]Finding, error)

	// Capture hands one consistent view to sink. It returns facts even when
	// the source is damaged: the capture is kept, marked and alarmed.
	Capture(ctx context.Context, sink Sink) (*Capture, error)

	// Recover brings point back as target says. A target that is not empty,
	// or is the live one, is refused with backup.ErrTargetNotEmpty.
	Recover(ctx context.Context, point Point, target Target) error
}

// Level orders findings.
type Level string

const (
	// Good is a thing that was tried and works.
	Good Level = "good"
	// Warning works, but not as well as it should.
	Warning Level = "warning"
	// Bad stops the capture or spoils it.
	Bad Level = "bad"
)

// Finding is one line of a check, for people: a key of the texts with its
// arguments (name, value pairs), and where it helps the statement to run.
type Finding struct {
	Level  Level          `json:"level"`
	Key    string         `json:"key"` // texts: "source.<kind>.<finding>"
	Args   map[string]any `json:"args,omitempty"`
	Remedy string         `json:"remedy,omitempty"` // a command or statement, as is
}

// Capture is what is known about a view when all of it has been handed over.
type Capture struct {
	AsOf     time.Time `json:"as_of"`   // the moment as of which the view is complete, UTC
	Began    time.Time `json:"began"`   // UTC
	Kind     string    `json:"kind"`    //
	Version  string    `json:"version"` // of the server or engine, where there is one
	Damaged  bool      `json:"damaged"` // the source itself is damaged; what could be had was captured
	Findings []Finding `json:"findings,omitempty"`

	// Details are what only the kind knows: tables and rows, log positions.
	// The kind's package says how they read; nil where there are none.
	Details json.RawMessage `json:"details,omitempty"`
}

// Sink takes a view. Its methods may be called from many goroutines.
type Sink interface {
	// Scratch is a private folder (0700) for this capture, deleted afterwards.
	Scratch() string

	// Files takes files and folders of this machine where they lie. What
	// cannot be read is reported and passed over, the rest is kept.
	Files(ctx context.Context, set FileSet) error

	// Put takes one virtual file and reads r to its end. Folders above it
	// come into being by themselves.
	Put(ctx context.Context, entry Entry, r io.Reader) error

	// Progress hears how far the capture is.
	Progress() backup.Progress
}

// FileSet is a choice of local files.
type FileSet struct {
	Paths         []string // as given: relative ones stay relative in the snapshot
	Exclude       []string // patterns as restic's users know them
	OneFileSystem bool
	Pieces        Pieces // how the files are cut
}

// Pieces says how a source wants its files to be cut. Who knows that a file is
// overwritten page by page asks for pieces of fixed length: cuts by content
// would move no better, and cost more.
type Pieces int

const (
	// PiecesByName leaves it to the ending of the name.
	PiecesByName Pieces = iota
	// PiecesChanging is for what changes in place or is dumped anew every
	// day, under whatever name: short pieces, cut by content.
	PiecesChanging
	// PiecesFixed64 cuts every 64 KiB.
	PiecesFixed64
	// PiecesFixed256 cuts every 256 KiB.
	PiecesFixed256
)

// Entry describes one virtual file.
type Entry struct {
	Path    string // absolute, slashes, clean
	Mode    fs.FileMode
	ModTime time.Time
	Size    int64 // bytes, -1 when not known before
	Pieces  Pieces
}

// Target says where a point is brought back to.
type Target struct {
	Dir      string         // folder for a data directory or file tree
	Settings map[string]any // per kind, e.g. the database name
	Confirm  bool           // the person has confirmed a target in use
	Progress backup.Progress
}

// Point is a snapshot as a source sees it when it recovers.
type Point interface {
	// Snapshot is the id, 64 hex digits.
	Snapshot() string

	// Facts are those of PointFile, or nil for a source that leaves none.
	Facts(ctx context.Context) (*Capture, error)

	// Open reads one file of the snapshot.
	Open(ctx context.Context, path string) (io.ReadCloser, error)

	// Restore writes what lies at path into dir, which is made when absent: a
	// folder's content directly, a file under its own name; "/" restores
	// everything. Content is verified while written.
	Restore(ctx context.Context, path, dir string, progress backup.Progress) error
}

// Package sqlite protects SQLite databases while they are in use.
//
// A capture copies each database page by page through SQLite's own backup
// interface into the sink's scratch folder, checks the copy there, and hands
// it on as "/database/<file name>", followed by the facts in "/point.json".
//
// Why the backup interface and not VACUUM INTO: the copy keeps every page at
// its place, so tonight's copy shares its chunks with yesterday's; hidden row
// numbers stay what they were; and a damaged database is still copied, where a
// vacuum would stop. The copy runs inside one read transaction, so it is of
// one moment, and the moment is known. With write-ahead logging nobody waits
// for us. With a rollback journal a writer cannot commit while we read: small
// databases are read in one go (some 0.2 s for 100 MiB), large ones first in
// slices between which writers get their turn; see copy.go.
//
// The source is opened read-only and its journal mode is never changed. Where
// SQLite cannot read without writing beside the database (a folder we may not
// write, a journal left by a crash), the files are copied while at rest and
// settled in scratch. Where it cannot read at all, the raw files are kept, the
// capture is marked damaged, and the findings say what is wrong.
//
// Several databases of one source are captured one after the other: each is
// consistent in itself, and AsOf is the earliest of their moments.
package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

// folder is where databases lie inside a snapshot.
const folder = "/database"

// Source is one or several database files.
type Source struct {
	paths []string
	pace  pace
}

// Kind describes the settings.
func Kind() source.Kind {
	return source.Kind{Name: "sqlite", Key: "source.kind.sqlite", Ready: true, Settings: []source.Setting{
		{Name: "path", Type: source.Paths, Required: true, Key: "source.sqlite.path"},
	}}
}

// Open makes the source; nothing is touched. Two databases of one file name
// would be one file in the snapshot, so they need two sources.
func Open(spec source.Spec) (*Source, error) {
	if err := spec.Verify(Kind()); err != nil {
		return nil, err
	}
	paths := spec.List("path")
	seen := map[string]string{}
	for _, path := range paths {
		base := filepath.Base(path)
		if base == "." || base == ".." || base == string(filepath.Separator) {
			return nil, fmt.Errorf("source %q: path %q is a folder, name the database file: %w", spec.Name, path, backup.ErrInvalid)
		}
		if other, twice := seen[base]; twice {
			return nil, fmt.Errorf("source %q: %s and %s have the same file name, make two sources of them: %w",
				spec.Name, other, path, backup.ErrInvalid)
		}
		seen[base] = path
	}
	return &Source{paths: paths, pace: usualPace()}, nil
}

// Details are what the facts of a point say about its databases.
type Details struct {
	Databases []Database `json:"databases"`
}

// DetailsOf reads the details of a point captured by this package.
func DetailsOf(c *source.Capture) (Details, error) {
	var d Details
	if c == nil || c.Kind != "sqlite" {
		return d, fmt.Errorf("point holds no SQLite databases: %w", backup.ErrInvalid)
	}
	if err := json.Unmarshal(c.Details, &d); err != nil {
		return d, fmt.Errorf("read the point's details: %w", errors.Join(backup.ErrDamaged, err))
	}
	return d, nil
}

// Capture copies, checks and hands over every database. One that cannot be
// read at all is an error when it is the only one; beside others it is told
// and marks the capture.
func (s *Source) Capture(ctx context.Context, sink source.Sink) (*source.Capture, error) {
	sink.Progress().Stage(backup.StageCapture)
	c := &source.Capture{Began: time.Now().UTC(), Kind: "sqlite"}
	var details Details
	var failed []error
	for _, path := range s.paths {
		db, findings, err := s.captureOne(ctx, path, sink)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
			sink.Progress().Problem(path, err)
			c.Damaged = true
			c.Findings = append(c.Findings, refusal(path, err))
			continue
		}
		details.Databases = append(details.Databases, db)
		c.Findings = append(c.Findings, findings...)
		c.Damaged = c.Damaged || db.Damaged
		c.Version = db.Engine
		if c.AsOf.IsZero() || db.AsOf.Before(c.AsOf) {
			c.AsOf = db.AsOf
		}
	}
	if len(details.Databases) == 0 {
		return nil, errors.Join(failed...)
	}
	return c, finish(ctx, sink, c, details)
}

func finish(ctx context.Context, sink source.Sink, c *source.Capture, details Details) error {
	text, err := json.Marshal(details)
	if err != nil {
		return fmt.Errorf("write details: %w", err)
	}
	c.Details = text
	return source.PutFacts(ctx, sink, c)
}

func finding(level source.Level, name, path string, args ...any) source.Finding {
	f := source.Finding{Level: level, Key: "source.sqlite." + name, Args: map[string]any{"path": path}}
	for i := 0; i+1 < len(args); i += 2 {
		f.Args[args[i].(string)] = args[i+1]
	}
	return f
}

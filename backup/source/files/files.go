// Package files protects folders and files of this machine.
//
// The paths of its settings go to the sink as they are written, so that a
// relative one stays relative in the snapshot. A tree has no single moment:
// every file is at least as new as the begin of the capture, and that is what
// AsOf says. A source whose every path has vanished is an error; a folder that
// is suddenly empty is captured and told, because a share that is not mounted
// looks just so.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Source is a choice of local files.
type Source struct {
	set source.FileSet
}

// Kind describes the settings.
func Kind() source.Kind {
	return source.Kind{Name: "files", Key: "source.kind.files", Ready: true, Settings: []source.Setting{
		{Name: "paths", Type: source.Paths, Required: true, Key: "source.files.paths"},
		{Name: "exclude", Type: source.Patterns, Key: "source.files.exclude"},
		{Name: "one_file_system", Type: source.Flag, Key: "source.files.one_file_system"},
	}}
}

// Open makes the source; nothing is touched.
func Open(spec source.Spec) (*Source, error) {
	if err := spec.Verify(Kind()); err != nil {
		return nil, err
	}
	return &Source{set: source.FileSet{
		Paths:         spec.List("paths"),
		Exclude:       spec.List("exclude"),
		OneFileSystem: spec.Flag("one_file_system"),
	}}, nil
}

// Capture hands the paths to sink, which reads them where they lie and reports
// what it cannot read.
func (s *Source) Capture(ctx context.Context, sink source.Sink) (*source.Capture, error) {
	began := time.Now().UTC()
	findings, err := s.vanished()
	if err != nil {
		return nil, err
	}
	if err := sink.Files(ctx, s.set); err != nil {
		return nil, err
	}
	return &source.Capture{AsOf: began, Began: began, Kind: "files", Findings: findings}, nil
}

// vanished looks for what a careful person would see at once: a path that is
// gone, a folder that is empty. It is an error when no path is left at all.
func (s *Source) vanished() ([]source.Finding, error) {
	var findings []source.Finding
	gone := 0
	for _, path := range s.set.Paths {
		_, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone++
			findings = append(findings, finding(source.Bad, "missing", path))
		case emptyFolder(path):
			findings = append(findings, finding(source.Warning, "empty", path))
		}
	}
	if gone == len(s.set.Paths) {
		return nil, fmt.Errorf("%s: nothing of the source is there; is the disk or share mounted?: %w",
			s.set.Paths[0], backup.ErrNotFound)
	}
	return findings, nil
}

func emptyFolder(path string) bool {
	entries, err := os.ReadDir(path)
	return err == nil && len(entries) == 0
}

// Recover writes the whole tree into the target folder.
func (s *Source) Recover(ctx context.Context, point source.Point, target source.Target) error {
	if err := source.ClaimTarget(target, s.set.Paths...); err != nil {
		return err
	}
	progress := target.Progress
	if progress == nil {
		progress = backup.Silent{}
	}
	if err := point.Restore(ctx, "/", target.Dir, progress); err != nil {
		return fmt.Errorf("recover files into %s: %w", target.Dir, err)
	}
	return nil
}

func finding(level source.Level, name, path string) source.Finding {
	return source.Finding{Level: level, Key: "source.files." + name, Args: map[string]any{"path": path}}
}

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Shelf keeps captures in memory. It stands in for archive and restore, with
// the same promises, so that a source can be tested alone.
type Shelf struct {
	// Room is the scratch folder of captures; empty means a fresh one each.
	Room string

	t *testing.T
	n int
}

// NewShelf makes an empty shelf.
func NewShelf(t *testing.T) *Shelf { return &Shelf{t: t} }

// Keep captures s and gives back the point. It fails the test when the source
// leaves something in scratch: the folder is cleared in any case, but a second
// database may need the room of the first.
func (s *Shelf) Keep(ctx context.Context, from source.Source) (source.Point, *source.Capture, error) {
	scratch := s.Room
	if scratch == "" {
		scratch = s.t.TempDir()
	}
	sink := &sink{scratch: scratch, files: map[string]file{}}
	c, err := from.Capture(ctx, sink)
	if err != nil {
		return nil, nil, err
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		s.t.Errorf("scratch after the capture: got %v (%v), want it empty", left, err)
	}
	s.n++
	return &Point{id: fmt.Sprintf("%064d", s.n), files: sink.files}, c, nil
}

// file is one kept entry; a folder or link is told by its mode.
type file struct {
	mode    fs.FileMode
	modTime time.Time
	data    []byte
}

// sink is the collecting side.
type sink struct {
	scratch string
	mu      sync.Mutex
	files   map[string]file
}

func (s *sink) Scratch() string           { return s.scratch }
func (s *sink) Progress() backup.Progress { return backup.Silent{} }

// Put keeps one virtual file.
func (s *sink) Put(ctx context.Context, e source.Entry, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if path.Clean(e.Path) != e.Path || !path.IsAbs(e.Path) {
		return fmt.Errorf("put %q: the path is not clean and absolute", e.Path)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if e.Size >= 0 && int64(len(data)) != e.Size {
		return fmt.Errorf("put %s: got %d bytes, %d were told", e.Path, len(data), e.Size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.files[e.Path]; twice {
		return fmt.Errorf("put %s: twice", e.Path)
	}
	s.files[e.Path] = file{mode: e.Mode, modTime: e.ModTime, data: data}
	return nil
}

// Files keeps local files under their own paths.
func (s *sink) Files(ctx context.Context, set source.FileSet) error {
	for _, root := range set.Paths {
		err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			return s.take(p, entry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) take(p string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	f := file{mode: info.Mode(), modTime: info.ModTime()}
	switch {
	case info.Mode().IsRegular():
		f.data, err = os.ReadFile(p)
	case info.Mode()&fs.ModeSymlink != 0:
		var link string
		link, err = os.Readlink(p)
		f.data = []byte(link)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files["/"+strings.TrimPrefix(filepath.ToSlash(p), "/")] = f
	return nil
}

// Point is one kept capture.
type Point struct {
	id    string
	files map[string]file
}

// Snapshot is a made-up id.
func (p *Point) Snapshot() string { return p.id }

// Paths lists what is kept, in order.
func (p *Point) Paths() []string { return slices.Sorted(maps.Keys(p.files)) }

// Facts reads the point's facts, nil when there are none.
func (p *Point) Facts(context.Context) (*source.Capture, error) {
	f, ok := p.files[source.PointFile]
	if !ok {
		return nil, nil
	}
	return source.ReadFacts(bytes.NewReader(f.data))
}

// Open reads one file.
func (p *Point) Open(_ context.Context, name string) (io.ReadCloser, error) {
	f, ok := p.files[name]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, backup.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(f.data)), nil
}

// Restore writes what lies at name into dir.
func (p *Point) Restore(ctx context.Context, name, dir string, progress backup.Progress) error {
	progress.Stage(backup.StageRestore)
	found := false
	for _, at := range p.Paths() {
		rel, below := strings.CutPrefix(at, strings.TrimSuffix(name, "/")+"/")
		if at == name {
			rel, below = path.Base(at), true
		}
		if !below {
			continue
		}
		found = true
		if err := errors.Join(ctx.Err(), restoreOne(filepath.Join(dir, filepath.FromSlash(rel)), p.files[at])); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("restore %s: %w", name, backup.ErrNotFound)
	}
	return nil
}

func restoreOne(to string, f file) error {
	if f.mode.IsDir() {
		return os.MkdirAll(to, 0o700)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if f.mode&fs.ModeSymlink != 0 {
		return os.Symlink(string(f.data), to)
	}
	if err := os.WriteFile(to, f.data, f.mode.Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, f.modTime, f.modTime)
}

package archive

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// sink takes what a source hands over; it is a source.Sink.
type sink struct {
	run    *run
	counts counts
	owners owners
	crown  *crown
	writer *repository.Writer
	pieces *pieces

	scratch func() string
	dir     string // the scratch folder, once it is made

	mu       sync.Mutex
	parent   *snapshot.Snapshot // the first one compared with
	given    []string           // absolute paths of all file sets
	excluded []string
	books    []*book
}

func newSink(r *run) *sink {
	s := &sink{run: r, crown: newCrown(), excluded: slices.Clone(r.opts.Excludes)}
	s.scratch = sync.OnceValue(s.makeScratch)
	return s
}

// collect runs the capture and stores all trees; it gives the root tree.
func (s *sink) collect(ctx context.Context, w *repository.Writer, capture func(context.Context, source.Sink) error) (blob.ID, error) {
	s.writer = w
	s.pieces = startPieces(ctx, w)
	defer s.pieces.stop()
	if err := capture(ctx, s); err != nil {
		return blob.ID{}, err
	}
	if ctx.Err() != nil {
		return blob.ID{}, context.Cause(ctx)
	}
	if s.crown.bare() && s.run.well() {
		return blob.ID{}, errNothing
	}
	return s.crown.save(ctx, w, s.run.opts.Time)
}

// Progress hears how far the capture is.
func (s *sink) Progress() backup.Progress { return s.run.opts.Progress }

// Scratch is a private folder for this capture. When it could not be made, the
// path does not exist, and the first to write there says so.
func (s *sink) Scratch() string { return s.scratch() }

func (s *sink) makeScratch() string {
	dir, err := os.MkdirTemp(s.run.opts.Scratch, "emrvault-capture-")
	if err != nil {
		s.run.opts.Progress.Problem("scratch", err)
		return path.Join(os.TempDir(), "emrvault-capture-missing", "scratch")
	}
	s.dir = dir
	return dir
}

func (s *sink) close() {
	if s.dir == "" {
		return
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.run.opts.Progress.Problem(s.dir, fmt.Errorf("delete scratch folder: %w", err))
	}
}

// Files takes files and folders of this machine.
func (s *sink) Files(ctx context.Context, set source.FileSet) error {
	targets, err := s.run.resolve(set.Paths)
	if err != nil {
		return err
	}
	excludes := append(slices.Clone(s.run.opts.Excludes), set.Exclude...)
	w := &walk{
		sink: s, repo: s.run.repo, progress: s.run.opts.Progress,
		oneFileSystem: set.OneFileSystem, cutting: set.Pieces,
	}
	if w.skip, err = newSkips(s.run.opts, excludes); err != nil {
		return err
	}
	if err := s.compareWith(ctx, w, set); err != nil {
		return err
	}
	s.run.opts.Progress.Stage(backup.StageRead)
	err = w.run(ctx, targets)
	s.run.sockets.Add(w.sockets.Load())
	return err
}

// compareWith notes the set's paths and chooses what it is compared with.
func (s *sink) compareWith(ctx context.Context, w *walk, set source.FileSet) error {
	w.paths = s.note(set)
	points, checkpoints, err := listSnapshots(ctx, s.run.repo)
	if err != nil {
		return err
	}
	broken := s.run.chooseCheckpoint(checkpoints, w.paths)
	if !s.run.opts.Force {
		parent := s.run.opts.Parent
		if parent == nil {
			parent = chooseParent(points, s.run.opts, w.paths)
		}
		w.parent, w.broken = pastOf(parent), pastOf(broken)
		s.expect(parent)
	}
	name, err := bookName(s.run.opts, set, w.paths)
	if err != nil {
		return err
	}
	s.openBook(w, name)
	return nil
}

// note writes down what a set is of, and gives its paths.
func (s *sink) note(set source.FileSet) []string {
	var paths []string
	for _, p := range set.Paths {
		paths = append(paths, absolute(p))
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, paths...)
	for _, e := range set.Exclude {
		if !slices.Contains(s.excluded, e) {
			s.excluded = append(s.excluded, e)
		}
	}
	return paths
}

// expect makes the first parent that of the snapshot. What it had is what the
// bar reckons with until the walk knows better.
func (s *sink) expect(parent *snapshot.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parent != nil || parent == nil {
		return
	}
	s.parent = parent
	if sum := parent.Summary; sum != nil {
		s.counts.expected = int64(sum.TotalFilesProcessed)
		s.run.opts.Progress.Total(s.counts.expected, int64(sum.TotalBytesProcessed))
	}
}

// paths are what the snapshot says it is of.
func (s *sink) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.given)
	if len(list) == 0 {
		for _, name := range s.crown.top() {
			list = append(list, "/"+name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (s *sink) excludes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.excluded
}

// Put takes one virtual file.
func (s *sink) Put(ctx context.Context, e source.Entry, r io.Reader) error {
	parts, err := virtualParts(e.Path)
	if err != nil {
		return err
	}
	s.run.opts.Progress.Current(e.Path)
	s.counts.met(s.run.opts.Progress, 1, max(e.Size, 0))
	content, size, err := s.pieces.cut(ctx, r, ruleFor(e.Pieces, path.Base(e.Path), e.Size), s.run)
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if e.Size >= 0 && size != e.Size {
		s.run.problem(Problem{Path: e.Path, Kept: true, Err: fmt.Errorf("%d bytes came instead of %d: %w", size, e.Size, ErrChanged)})
	}
	n := &snapshot.Node{
		Type: snapshot.File, Mode: e.Mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky),
		ModTime: snapshot.Clamp(e.ModTime), Size: uint64(size), Content: content, Links: 1,
	}
	if e.Mode == 0 {
		n.Mode = 0o600
	}
	if e.ModTime.IsZero() {
		n.ModTime = s.run.opts.Time
	}
	n.AccessTime, n.ChangeTime = n.ModTime, n.ModTime
	n.UID, n.GID = ids()
	n.User, n.Group = s.owners.user(n.UID), s.owners.group(n.GID)
	s.counts.file(fresh, n.Size)
	s.run.opts.Progress.Add(1, 0)
	return s.crown.leaf(parts, n)
}

func virtualParts(name string) ([]string, error) {
	if !strings.HasPrefix(name, "/") || path.Clean(name) != name || name == "/" || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("virtual file %q is no clean absolute path: %w", name, backup.ErrInvalid)
	}
	return strings.Split(name[1:], "/"), nil
}

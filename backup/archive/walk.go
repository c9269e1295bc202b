package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/snapshot/pattern"
	"emrvault/backup/source"
)

// walk takes the targets of one file set. Some workers list folders and decide
// what is unchanged, others read files; folders wait on a stack, so that the
// walk goes down before it goes wide and few folders are unfinished at once.
type walk struct {
	sink          *sink
	repo          *repository.Repository
	progress      backup.Progress
	exclude       pattern.List
	oneFileSystem bool
	cutting       source.Pieces
	unsettled     unsettled
	named         map[string]bool // paths of the targets

	files chan *fileJob

	mu      sync.Mutex
	wake    *sync.Cond
	stack   []*folder
	busy    int
	stopped bool
}

// fileJob is one file to be read.
type fileJob struct {
	path string
	node *snapshot.Node
	fate fate
	old  []blob.ID // its content when nothing but that can have changed
	put  func(ctx context.Context, n *snapshot.Node) error
}

func (w *walk) run(ctx context.Context, targets []target, parent *snapshot.Snapshot) error {
	w.unsettled, w.named = unsettledBy(parent), map[string]bool{}
	for _, t := range targets {
		w.named[t.path] = true
	}
	w.wake = sync.NewCond(&w.mu)
	w.files = make(chan *fileJob, 64)
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, w.stop)
	defer stop()

	cores := runtime.GOMAXPROCS(0)
	for range cores + 2 { // reading waits for the disk now and then
		group.Go(func() error { return w.readFiles(ctx) })
	}
	group.Go(func() error {
		defer close(w.files)
		for _, t := range targets {
			if err := w.target(ctx, t, parent); err != nil {
				return err
			}
		}
		listers, ctx := errgroup.WithContext(ctx)
		for range cores {
			listers.Go(func() error { return w.listFolders(ctx) })
		}
		return listers.Wait()
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(outer)
}

func (w *walk) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.wake.Broadcast()
}

func (w *walk) push(list ...*folder) {
	w.mu.Lock()
	w.stack = append(w.stack, list...)
	w.mu.Unlock()
	w.wake.Broadcast()
}

// pop waits for a folder; nil means that none will come any more.
func (w *walk) pop() *folder {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.stack) == 0 && w.busy > 0 && !w.stopped {
		w.wake.Wait()
	}
	if len(w.stack) == 0 || w.stopped {
		return nil
	}
	last := len(w.stack) - 1
	f := w.stack[last]
	w.stack[last] = nil
	w.stack = w.stack[:last]
	w.busy++
	return f
}

func (w *walk) idle() {
	w.mu.Lock()
	w.busy--
	last := w.busy == 0
	w.mu.Unlock()
	if last {
		w.wake.Broadcast()
	}
}

func (w *walk) listFolders(ctx context.Context) error {
	for f := w.pop(); f != nil; f = w.pop() {
		err := w.list(ctx, f)
		w.idle()
		if err != nil {
			w.stop()
			return err
		}
	}
	return nil
}

// target puts a target and the folders above it into the crown.
func (w *walk) target(ctx context.Context, t target, parent *snapshot.Snapshot) error {
	old, err := w.above(ctx, t, parent)
	if err != nil {
		return err
	}
	name := t.parts[len(t.parts)-1]
	deliver := func(n *snapshot.Node) error { return w.sink.crown.leaf(t.parts, n) }
	node := w.look(t.path)
	if node == nil || w.excluded(t.path) {
		return nil
	}
	node.Name = name
	known := old.find(name)
	if node.IsDir() {
		f := &folder{walk: w, path: t.path, node: node, done: deliver, device: node.DeviceID}
		f.remember(known)
		f.open.Store(1)
		w.push(f)
		return nil
	}
	return w.leaf(ctx, t.path, node, known, func(_ context.Context, n *snapshot.Node) error {
		if n == nil {
			return nil
		}
		return deliver(n)
	})
}

// above records the folders above a target and follows them in the parent.
func (w *walk) above(ctx context.Context, t target, parent *snapshot.Snapshot) (*cursor, error) {
	var tree blob.ID
	if parent != nil {
		tree = parent.Tree
	}
	old := openCursor(ctx, w.repo, tree)
	for i, dir := range t.above {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("folder above %s: %w", t.path, err)
		}
		n, err := w.followed(dir, info)
		if err != nil {
			return nil, fmt.Errorf("folder above %s: %w", t.path, err)
		}
		if err := w.sink.crown.folder(t.parts[:i+1], n); err != nil {
			return nil, err
		}
		tree = blob.ID{}
		if known := old.find(t.parts[i]); known != nil {
			tree = known.Subtree
		}
		old = openCursor(ctx, w.repo, tree)
	}
	return old, nil
}

// followed is the node of a folder that may be reached through a link.
func (w *walk) followed(dir string, info fs.FileInfo) (*snapshot.Node, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	n, err := statPath(real, info)
	if err != nil {
		return nil, err
	}
	w.own(n)
	if n.Xattrs, err = readXattrs(real); err != nil {
		return nil, err
	}
	return n, nil
}

func (f *folder) remember(old *snapshot.Node) {
	if old != nil && old.IsDir() {
		f.old = oldFolder{known: true, node: *old}
	}
}

func (w *walk) excluded(path string) bool {
	if w.exclude.Empty() {
		return false
	}
	matched, _ := w.exclude.Match(absolute(path))
	return matched
}

// list reads one folder: its names, the metadata of each, and what the parent
// snapshot knows of them.
func (w *walk) list(ctx context.Context, f *folder) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.progress.Current(f.path)
	nodes, err := w.entries(f)
	if err != nil {
		return w.refuse(ctx, f, err)
	}
	if f.node.Xattrs, err = readXattrs(f.path); err != nil {
		w.sink.run.problem(Problem{Path: f.path, Err: err, Kept: true})
	}
	f.nodes = make([]*snapshot.Node, len(nodes))
	f.open.Add(int64(len(nodes)))
	old := openCursor(ctx, w.repo, f.old.node.Subtree)
	var below []*folder
	for slot, n := range nodes {
		path := filepath.Join(f.path, n.Name)
		known := old.find(n.Name)
		if n.IsDir() {
			below = append(below, w.inner(f, slot, path, n, known))
			continue
		}
		put := func(ctx context.Context, n *snapshot.Node) error { return f.put(ctx, slot, n) }
		if err := w.leaf(ctx, path, n, known, put); err != nil {
			return err
		}
	}
	slices.Reverse(below) // the first name comes off the stack first
	w.push(below...)
	return f.release(ctx)
}

func (w *walk) inner(f *folder, slot int, path string, n, known *snapshot.Node) *folder {
	in := &folder{walk: w, path: path, node: n, up: f, slot: slot, device: f.device}
	in.remember(known)
	in.open.Store(1)
	return in
}

// refuse leaves out a folder that cannot be read.
func (w *walk) refuse(ctx context.Context, f *folder, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !errors.Is(err, fs.ErrNotExist) || f.up == nil { // a folder may vanish while we walk
		w.sink.run.problem(Problem{Path: f.path, Err: err})
	}
	if f.up == nil {
		return nil
	}
	return f.up.put(ctx, f.slot, nil)
}

// entries gives the nodes of a folder in the order of their names, without
// content, leaving out what is excluded or cannot be looked at.
func (w *walk) entries(f *folder) ([]*snapshot.Node, error) {
	if w.oneFileSystem && f.node.DeviceID != f.device {
		return nil, nil // a mount point stays as an empty folder
	}
	dir, err := openDirectory(f.path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.names()
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	slices.Sort(names)
	nodes := make([]*snapshot.Node, 0, len(names))
	var bytes, files int64
	for _, name := range names {
		path := filepath.Join(f.path, name)
		if w.excluded(path) {
			continue
		}
		n, err := dir.stat(name)
		if err != nil {
			w.unseen(path, err)
			continue
		}
		n.Name = name
		w.own(n)
		if n.Type == snapshot.File {
			files, bytes = files+1, bytes+int64(n.Size)
		}
		nodes = append(nodes, n)
	}
	w.sink.counts.met(w.progress, files, bytes)
	return nodes, nil
}

// unseen reports an entry that could not be looked at. One that is gone was
// deleted meanwhile and is no part of the folder any more, unless somebody has
// asked for it by name.
func (w *walk) unseen(path string, err error) {
	if !errors.Is(err, fs.ErrNotExist) || w.named[path] {
		w.sink.run.problem(Problem{Path: path, Err: err})
	}
}

func (w *walk) own(n *snapshot.Node) {
	n.User, n.Group = w.sink.owners.user(n.UID), w.sink.owners.group(n.GID)
}

// look gives the node of one path, or nil after reporting why not.
func (w *walk) look(path string) *snapshot.Node {
	info, err := os.Lstat(path)
	var n *snapshot.Node
	if err == nil {
		n, err = statPath(path, info)
	}
	if err != nil {
		w.sink.run.problem(Problem{Path: path, Err: err})
		return nil
	}
	w.own(n)
	if n.Type == snapshot.File {
		w.sink.counts.met(w.progress, 1, int64(n.Size))
	}
	return n
}

// leaf finishes what is no folder: content of files from the parent or by
// reading, link targets, attributes.
func (w *walk) leaf(ctx context.Context, path string, n, known *snapshot.Node, put func(context.Context, *snapshot.Node) error) error {
	if n.Type != snapshot.File {
		if err := complete(path, n); err != nil {
			w.unseen(path, err)
			n = nil
		}
		return put(ctx, n)
	}
	alike := known != nil && n.SameFile(known)
	if alike && !w.unsettled.has(n.ChangeTime) && durable(w.repo, known) {
		n.Content, n.Xattrs = known.Content, known.Xattrs
		w.sink.counts.file(same, n.Size)
		w.progress.Add(1, int64(n.Size))
		return put(ctx, n)
	}
	job := &fileJob{path: path, node: n, put: put}
	if known != nil && known.Type == snapshot.File {
		job.fate = changed
	}
	if alike {
		job.old = known.Content
	}
	select {
	case w.files <- job:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package archive

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// walk takes the targets of one file set. Some workers list folders and decide
// what is unchanged, others read files; folders wait on a stack, so that the
// walk goes down before it goes wide and few folders are unfinished at once.
type walk struct {
	sink          *sink
	repo          *repository.Repository
	progress      backup.Progress
	skip          skips
	oneFileSystem bool
	cutting       source.Pieces
	parent        past // what the new snapshot is compared with
	broken        past // what an interrupted backup has left beside it
	book          book
	paths         []string        // of the set, absolute and sorted
	named         map[string]bool // paths of the targets
	left          string          // the checkpoint made last
	sockets       atomic.Int64

	files chan *fileJob

	mu      sync.Mutex
	wake    *sync.Cond
	stack   []*folder
	tops    []*folder // folders that were given
	open    int       // of them, those not finished
	stopped bool
}

func (w *walk) run(ctx context.Context, targets []target) error {
	w.named = map[string]bool{}
	for _, t := range targets {
		w.named[t.path] = true
	}
	w.wake = sync.NewCond(&w.mu)
	w.files = make(chan *fileJob, 64)
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, w.stop)
	defer stop()
	defer w.checkpoints(ctx)()

	cores := runtime.GOMAXPROCS(0)
	for range cores + 2 { // reading waits for the disk now and then
		group.Go(func() error { return w.readFiles(ctx) })
	}
	group.Go(func() error {
		defer close(w.files)
		for _, t := range targets {
			if err := w.target(ctx, t); err != nil {
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
	if len(list) == 0 {
		return
	}
	w.mu.Lock()
	w.stack = append(w.stack, list...)
	w.mu.Unlock()
	w.wake.Broadcast()
}

// pop waits for a folder; nil means that none will come any more: all that
// were given are finished.
func (w *walk) pop() *folder {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.stack) == 0 && w.open > 0 && !w.stopped {
		w.wake.Wait()
	}
	if len(w.stack) == 0 || w.stopped {
		return nil
	}
	last := len(w.stack) - 1
	f := w.stack[last]
	w.stack[last] = nil
	w.stack = w.stack[:last]
	return f
}

// top pushes a folder that was given.
func (w *walk) top(f *folder) {
	w.mu.Lock()
	w.tops = append(w.tops, f)
	w.open++
	w.mu.Unlock()
	w.push(f)
}

// finished counts the folders that were given and are done.
func (w *walk) finished() {
	w.mu.Lock()
	w.open--
	last := w.open == 0
	w.mu.Unlock()
	if last {
		w.wake.Broadcast()
	}
}

func (w *walk) listFolders(ctx context.Context) error {
	var l listing
	for f := w.pop(); f != nil; f = w.pop() {
		if err := w.list(ctx, f, &l); err != nil {
			w.stop()
			return err
		}
	}
	return nil
}

// target puts a target and the folders above it into the crown.
func (w *walk) target(ctx context.Context, t target) error {
	old, err := w.above(ctx, t)
	if err != nil {
		return err
	}
	node := w.look(t.path)
	if node == nil || w.skip.target(t.path, node) {
		return nil
	}
	node.Name = t.parts[len(t.parts)-1]
	known := old.find(node.Name)
	if !node.IsDir() {
		return w.leaf(ctx, t.path, node, known, func(_ context.Context, n *snapshot.Node) error {
			if n == nil {
				return nil
			}
			return w.sink.crown.leaf(t.parts, n)
		})
	}
	f := &folder{walk: w, path: t.path, node: node, device: node.DeviceID}
	f.done = func() error {
		w.book.target(t, f.ref)
		return w.sink.crown.leaf(t.parts, f.node)
	}
	f.parts = t.parts
	f.remember(known)
	f.page = w.book.of(t, f.old.tree)
	f.open.Store(1)
	w.top(f)
	return nil
}

// above records the folders above a target and follows them in the parent.
func (w *walk) above(ctx context.Context, t target) (*cursors, error) {
	old := openCursors(ctx, w.repo, w.parent.root(), w.broken.root())
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
		known := old.find(t.parts[i])
		old = openCursors(ctx, w.repo, known.tree(), known.brokenTree())
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
		w.attributeless(dir, n, err)
	}
	return n, nil
}

// attributeless tells that an entry lacks attributes which it has, and that it
// is to be looked at again next time.
func (w *walk) attributeless(path string, n *snapshot.Node, err error) {
	n.Error = errAttributes.Error()
	w.sink.run.problem(Problem{Path: path, Err: err, Kept: true})
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

package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"emrvault/backup/archive/recall"
	"emrvault/backup/snapshot"
)

// errListing says that a listing and a book do not fit together.
var errListing = errors.New("entry out of place")

// list looks at one folder: at its names and the metadata of each. If that is
// what the last snapshot's book says, nothing in the folder needs to be asked
// for; else the entries are compared with the old tree, one by one.
func (w *walk) list(ctx context.Context, f *folder, l *listing) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.progress.Current(f.path)
	f.begin()
	l.reset()
	if err := w.entries(f, l); err != nil {
		return w.refuse(ctx, f, err)
	}
	w.sink.counts.met(w.progress, l.files, l.bytes)
	w.sockets.Add(int64(l.sockets))
	if w.book.next != nil {
		f.digest = l.digest(f.node.DeviceID)
	}
	if page, ok := w.book.last.Page(f.page); ok {
		if !l.unsettled && page.Digest == f.digest && f.digest != (recall.Digest{}) && w.keep(ctx, f, page, l) {
			return f.release(ctx)
		}
		return w.compare(ctx, f, page.Children(), l)
	}
	return w.compare(ctx, f, nil, l)
}

// keep takes a folder over as the book has it. Its tree stays, unless that of
// a folder in it changes. It says no when the book is torn here.
func (w *walk) keep(ctx context.Context, f *folder, page recall.Page, l *listing) bool {
	var below []*folder
	pages, broken := page.Children(), openCursor(ctx, w.repo, f.broken)
	err := l.folders(func(n *snapshot.Node) error {
		slot := len(below)
		if slot >= len(pages) {
			return errListing
		}
		child, ok := w.book.last.Page(pages[slot])
		if !ok {
			return errListing
		}
		in := w.inner(f, slot, n)
		in.page, in.old = pages[slot], oldFolder{known: true, tree: child.Tree}
		in.attributesKnown = true
		if left := broken.find(n.Name); left != nil {
			in.broken = left.Subtree
		}
		below = append(below, in)
		return nil
	})
	if err != nil || len(below) != len(pages) {
		return false
	}
	w.attributes(f)
	f.mu.Lock()
	f.kept = &keptFolder{tree: page.Tree, files: l.files, bytes: l.bytes}
	f.mu.Unlock()
	w.sink.counts.same(l.files, l.bytes)
	w.progress.Add(l.files, l.bytes)
	f.open.Add(int64(len(below)))
	slices.Reverse(below) // the first name comes off the stack first
	w.push(below...)
	return true
}

// compare goes through a folder entry by entry. pages are those of the folders
// in the old tree, if the book has them.
func (w *walk) compare(ctx context.Context, f *folder, pages []recall.Ref, l *listing) error {
	w.attributes(f)
	f.open.Add(int64(l.count()))
	f.tree.Expect(l.count())
	old := openCursors(ctx, w.repo, f.old.tree, f.broken)
	var below []*folder
	slot := -1
	err := l.each(func(n *snapshot.Node) error {
		slot++
		w.own(n)
		known := old.find(n.Name)
		if n.IsDir() {
			in := w.inner(f, slot, n)
			in.remember(known)
			if at := old.folder(); known.parent != nil && at < len(pages) {
				in.page = w.book.matching(pages[at], in.old.tree)
			}
			below = append(below, in)
			return nil
		}
		slot := slot
		put := func(ctx context.Context, n *snapshot.Node) error { return f.put(ctx, slot, n) }
		return w.leaf(ctx, filepath.Join(f.path, n.Name), n, known, put)
	})
	if err != nil {
		return err
	}
	slices.Reverse(below)
	w.push(below...)
	return f.release(ctx)
}

func (w *walk) inner(f *folder, slot int, n *snapshot.Node) *folder {
	in := &folder{walk: w, path: filepath.Join(f.path, n.Name), node: n, up: f, slot: slot, device: f.device}
	in.open.Store(1)
	return in
}

// attributes reads those of the folder itself, unless its entry stays as the
// folder above has it.
func (w *walk) attributes(f *folder) {
	if f.attributesKnown {
		return
	}
	list, err := readXattrs(f.path)
	f.mu.Lock()
	f.node.Xattrs = list
	f.mu.Unlock()
	if err != nil {
		f.doubtful()
		w.sink.run.problem(Problem{Path: f.path, Err: err, Kept: true})
	}
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
		w.finished()
		return nil
	}
	return f.up.lose(ctx, f)
}

// entries looks at what is in a folder, in the order of the names, leaving out
// what is excluded or cannot be looked at.
func (w *walk) entries(f *folder, l *listing) error {
	if w.oneFileSystem && f.node.DeviceID != f.device {
		return nil // a mount point stays as an empty folder
	}
	dir, err := openDirectory(f.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.names()
	if err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	slices.Sort(names)
	l.note(dir, f.node.DeviceID)
	skip := w.skip.in(f.path, names)
	for _, name := range names {
		if skip.name(name) {
			continue
		}
		if err := l.look(dir, name); err != nil {
			f.spoiled = true
			w.unseen(filepath.Join(f.path, name), err)
			continue
		}
		if bytes, isFile := l.size(); isFile && w.skip.long(bytes) {
			continue
		}
		l.keep(name, w.parent.unsettled)
	}
	return nil
}

// unseen reports an entry that could not be looked at. One that is gone was
// deleted meanwhile and is no part of the folder any more, unless somebody has
// asked for it by name.
func (w *walk) unseen(path string, err error) {
	if !errors.Is(err, fs.ErrNotExist) || w.named[path] {
		w.sink.run.problem(Problem{Path: path, Err: err})
	}
}

// leaf finishes what is no folder: content of files from an older snapshot or
// by reading, link targets, attributes.
func (w *walk) leaf(ctx context.Context, path string, n *snapshot.Node, known known, put func(context.Context, *snapshot.Node) error) error {
	if n.Type != snapshot.File {
		if err := complete(path, n); errors.Is(err, errAttributes) {
			w.attributeless(path, n, err)
		} else if err != nil {
			w.unseen(path, err)
			n = nil
		}
		return put(ctx, n)
	}
	job := &fileJob{path: path, node: n, put: put}
	if old := known.parent; old != nil && old.Type == snapshot.File {
		job.fate = changed
		if n.SameFile(old) {
			if w.parent.proves(w.repo, n, old) {
				return w.taken(ctx, job, old, same)
			}
			job.old = old.Content
		}
	}
	if old := known.broken; old != nil && n.SameFile(old) && w.broken.proves(w.repo, n, old) {
		return w.taken(ctx, job, old, job.fate)
	}
	select {
	case w.files <- job:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// taken puts a file with the content an older snapshot has of it.
func (w *walk) taken(ctx context.Context, job *fileJob, old *snapshot.Node, f fate) error {
	n := job.node
	n.Content, n.Xattrs = old.Content, old.Xattrs
	w.sink.counts.file(f, n.Size)
	w.progress.Add(1, int64(n.Size))
	return job.put(ctx, n)
}

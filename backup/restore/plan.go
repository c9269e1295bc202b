package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// A batch is restored as soon as it holds so much; this bounds the memory.
const (
	batchFiles  = 1 << 15
	batchPieces = 1 << 17
)

// planner walks the trees and sorts out what is to be done.
type planner struct {
	run     *run
	top     *snapshot.Node
	at      *folder
	batch   *batch
	out     chan *batch
	folders []*folder // in the order of the walk: a folder before what is in it
	others  []*entry
	links   []*entry
	inodes  map[inode]*file
	names   []*listing // of the folders from the target to here, when deleting

	expectFiles, expectBytes int64
	fixedTotal               bool
}

// listing is what the snapshot has in a folder. When not all of it could be
// read, nothing there is deleted.
type listing struct {
	names   map[string]bool
	partial bool
}

// entry is something that is no folder, and for a link the file it leads to.
type entry struct {
	in    *folder
	node  *snapshot.Node
	first *file
}

func (e *entry) path() string { return path.Join(e.in.path, e.node.Name) }

type inode struct{ device, number uint64 }

// carryOut walks in one goroutine and restores batches in another.
func (p *planner) carryOut(ctx context.Context) error {
	p.inodes, p.batch = map[inode]*file{}, &batch{}
	p.out = make(chan *batch)
	p.total()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(p.out)
		if err := p.walk(ctx); err != nil {
			return err
		}
		return p.flush(ctx)
	})
	group.Go(func() error {
		for b := range p.out {
			if err := p.run.restore(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// total tells what the snapshot itself says, when all of it is restored.
func (p *planner) total() {
	o := p.run.opts
	sum := p.run.sn.Summary
	whole := p.top.Subtree == p.run.sn.Tree && len(o.Include)+len(o.Exclude) == 0
	if p.fixedTotal = whole && sum != nil; p.fixedTotal {
		o.Progress.Total(int64(sum.TotalFilesProcessed), int64(sum.TotalBytesProcessed))
	}
}

func (p *planner) walk(ctx context.Context) error {
	base := path.Clean("/" + p.run.opts.Subtree)
	if !p.top.IsDir() {
		p.at = &folder{path: path.Dir(base)}
		return p.entry(ctx, base, p.top)
	}
	p.at = &folder{path: base, node: p.top}
	p.enter()
	if base == "/" {
		p.at.node = nil // the target's own metadata is not the snapshot's business
	}
	p.folders = append(p.folders, p.at)
	w := snapshot.Walker{
		Visit: func(name string, n *snapshot.Node) error {
			if n.IsDir() {
				return p.folder(name, n)
			}
			return p.entry(ctx, name, n)
		},
		Leave:   func(string, *snapshot.Node) error { return p.leave() },
		Problem: p.problem,
	}
	if err := w.Walk(ctx, p.run.repo, base, p.top.Subtree); err != nil {
		return err
	}
	return p.clean(p.at)
}

func (p *planner) problem(name string, err error) error {
	p.run.problem(name, err)
	if len(p.names) > 0 {
		p.names[len(p.names)-1].partial = true
	}
	return nil
}

func (p *planner) enter() {
	if p.run.opts.Delete {
		p.names = append(p.names, &listing{names: map[string]bool{}})
	}
}

func (p *planner) note(name string) {
	if p.run.opts.Delete {
		p.names[len(p.names)-1].names[name] = true
	}
}

func (p *planner) folder(name string, n *snapshot.Node) error {
	p.note(n.Name)
	chosen, below := p.run.chosen.of(name)
	if !chosen && !below {
		return fs.SkipDir
	}
	if err := unsafeName(n.Name); err != nil {
		p.run.problem(name, err)
		return fs.SkipDir
	}
	f := &folder{up: p.at, name: n.Name, path: name, node: n}
	if chosen {
		if err := p.make(f); err != nil {
			return fs.SkipDir
		}
	}
	p.at = f
	p.enter()
	return nil
}

// make makes a folder and those above it, which are made only when something
// in them is wanted.
func (p *planner) make(f *folder) error {
	if f.made {
		return nil
	}
	if f.up != nil && !f.up.made {
		if err := p.make(f.up); err != nil {
			return err
		}
	}
	if err := p.run.tree.make(f); err != nil {
		p.run.problem(f.path, fmt.Errorf("make folder: %w", err))
		return err
	}
	if f.up != nil {
		p.folders = append(p.folders, f)
		p.run.dirs.Add(1)
	}
	return nil
}

func (p *planner) leave() error {
	f := p.at
	p.at = f.up
	return p.clean(f)
}

// clean removes what the snapshot does not have in a folder.
func (p *planner) clean(f *folder) error {
	if !p.run.opts.Delete {
		return nil
	}
	keep := p.names[len(p.names)-1]
	p.names = p.names[:len(p.names)-1]
	if f.up == nil {
		f.made, f.old = true, true
	}
	if !f.made || !f.old || keep.partial {
		return nil
	}
	if err := p.run.deleteOthers(f, keep.names); err != nil {
		p.run.problem(f.path, err)
	}
	return nil
}

func (r *run) deleteOthers(f *folder, keep map[string]bool) error {
	at, err := r.tree.take(f)
	if err != nil {
		return err
	}
	defer r.tree.give(f)
	dir, err := at.dir()
	if err != nil {
		return err
	}
	list, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	names, err := list.Readdirnames(-1)
	if err = errors.Join(err, list.Close()); err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	for _, name := range names {
		if chosen, _ := r.chosen.of(path.Join(f.path, name)); keep[name] || !chosen {
			continue
		}
		if err := dir.RemoveAll(name); err != nil {
			return fmt.Errorf("delete %q: %w", name, err)
		}
		r.deleted.Add(1)
	}
	return nil
}

func (p *planner) entry(ctx context.Context, name string, n *snapshot.Node) error {
	if p.at.up != nil || p.top.IsDir() {
		p.note(n.Name)
	}
	if chosen, _ := p.run.chosen.of(name); !chosen {
		return nil
	}
	if err := errors.Join(n.CheckName(), unsafeName(n.Name)); err != nil {
		p.run.problem(name, err)
		return nil
	}
	if err := p.make(p.at); err != nil {
		return nil // told already
	}
	e := &entry{in: p.at, node: n}
	if n.Type != snapshot.File {
		p.others = append(p.others, e)
		return nil
	}
	if p.linked(e) {
		return nil
	}
	return p.file(ctx, e)
}

// linked keeps a second name of a file for later.
func (p *planner) linked(e *entry) bool {
	if e.node.Links < 2 || e.node.Inode == 0 {
		return false
	}
	key := inode{e.node.DeviceID, e.node.Inode}
	first, known := p.inodes[key]
	if known && sameContent(first.node, e.node) {
		e.first = first
		p.links = append(p.links, e)
		return true
	}
	return false
}

func sameContent(a, b *snapshot.Node) bool {
	if len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if a.Content[i] != b.Content[i] {
			return false
		}
	}
	return true
}

func (p *planner) file(ctx context.Context, e *entry) error {
	f := &file{in: e.in, node: e.node, path: e.path()}
	if e.node.Links > 1 && e.node.Inode != 0 {
		p.inodes[inode{e.node.DeviceID, e.node.Inode}] = f
	}
	for _, id := range e.node.Content {
		if _, ok := p.run.repo.BlobSize(blob.DataHandle(id)); !ok {
			f.failed = true
			p.run.problem(f.path, fmt.Errorf("piece %s is missing from the repository: %w", id.Short(), backup.ErrDamaged))
			return nil
		}
	}
	p.batch.files = append(p.batch.files, f)
	p.batch.pieces += len(e.node.Content)
	p.expectFiles++
	p.expectBytes += int64(e.node.Size)
	if len(p.batch.files) < batchFiles && p.batch.pieces < batchPieces {
		return nil
	}
	return p.flush(ctx)
}

func (p *planner) flush(ctx context.Context) error {
	if !p.fixedTotal {
		p.run.opts.Progress.Total(p.expectFiles, p.expectBytes)
	}
	if len(p.batch.files) == 0 {
		return nil
	}
	b := p.batch
	p.batch = &batch{}
	select {
	case p.out <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

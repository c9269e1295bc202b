package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// planner walks the trees and sorts out what is to be done. In each folder
// files come first, then the folders in it.
type planner struct {
	run   *run
	top   *snapshot.Node
	trees *forest
	batch *batch
	limit int // entries of this batch
	out   chan *batch

	nodes  []snapshot.Node // memory for the next entries
	inodes map[inode]*file

	expectFiles, expectBytes int64
	fixedTotal               bool
}

type inode struct{ device, number uint64 }

// carryOut walks in one goroutine and restores batches in another.
func (p *planner) carryOut(ctx context.Context) error {
	p.inodes, p.batch = map[inode]*file{}, newBatch()
	if p.limit = firstBatch; p.run.distant {
		p.limit = batchFiles
	}
	p.out = make(chan *batch)
	p.total()
	group, ctx := errgroup.WithContext(ctx)
	p.trees = newForest(p.run.repo, p.run.flights)
	defer p.trees.close()
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
	o, sum := p.run.opts, p.run.sn.Summary
	whole := p.top.Subtree == p.run.sn.Tree && len(o.Include)+len(o.Exclude) == 0
	if p.fixedTotal = whole && sum != nil; p.fixedTotal {
		o.Progress.Total(int64(sum.TotalFilesProcessed), int64(sum.TotalBytesProcessed))
	}
}

func (p *planner) walk(ctx context.Context) error {
	base := path.Clean("/" + p.run.opts.Subtree)
	if !p.top.IsDir() {
		in := &folder{label: path.Dir(base)}
		name, err := p.named(newNamer(p.run.portable), in, p.top)
		if err != nil {
			p.run.problem(base, err)
			return nil
		}
		return p.entry(ctx, in, name, p.top)
	}
	f := &folder{label: base, bytes: len(base), node: p.top}
	if base == "/" {
		f.node = nil // the target's own metadata is not the snapshot's business
	} else {
		p.run.base = f
	}
	if err := p.run.tree.make(f); err != nil {
		return fmt.Errorf("open target: %w", err)
	}
	return p.folder(ctx, f, p.top.Subtree)
}

// sub is a folder in a folder, to be walked when the one above has been read.
type sub struct {
	folder *folder
	tree   blob.ID
}

// folder reads a folder's tree and then those below it.
func (p *planner) folder(ctx context.Context, f *folder, id blob.ID) error {
	subs, keep, whole, err := p.read(ctx, f, id)
	if err != nil {
		return err
	}
	if p.run.opts.Delete && whole && f.made && f.old {
		if err := p.run.deleteOthers(f, keep); err != nil {
			p.run.problem(f.path(), err)
		}
	}
	g := &grove{ids: make([]blob.ID, len(subs))}
	for i, s := range subs {
		g.ids[i] = s.tree
	}
	for i, s := range subs {
		p.trees.ahead(ctx, g)
		if err := p.folder(ctx, s.folder, s.tree); err != nil {
			return err
		}
		subs[i].folder = nil // its memory is not needed any more
	}
	if !f.made || f.up == nil && f.node == nil {
		return nil
	}
	p.batch.left = append(p.batch.left, f)
	return p.full(ctx)
}

// read goes through one tree. keep are the names in it when others are to be
// deleted; whole says that all of it could be read.
func (p *planner) read(ctx context.Context, f *folder, id blob.ID) (subs []sub, keep names, whole bool, err error) {
	data, err := p.trees.take(ctx, id)
	if ctx.Err() != nil {
		return nil, keep, false, context.Cause(ctx)
	}
	if err != nil {
		p.run.problem(f.path(), fmt.Errorf("read tree: %w", err))
		return nil, keep, false, nil
	}
	if p.run.opts.Delete {
		keep = names{map[string]bool{}, p.run.able.folds || suitsWindows(false)}
	}
	namer, d := newNamer(p.run.portable), snapshot.NewDecoder(data)
	for {
		n := p.node()
		err := d.Next(n)
		if errors.Is(err, io.EOF) {
			return subs, keep, true, nil
		}
		if err == nil && f.bytes+1+len(n.Name) > snapshot.MaxPath {
			err = fmt.Errorf("path longer than %d bytes: %w", snapshot.MaxPath, backup.ErrUnsafe)
		}
		if err != nil {
			p.run.problem(f.path(), err)
			return subs, keep, false, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, keep, false, context.Cause(ctx)
		}
		name, err := p.named(namer, f, n)
		keep.add(name)
		if err != nil {
			p.run.problem(f.path()+"/"+n.Name, err)
			continue
		}
		if !n.IsDir() {
			if err := p.entry(ctx, f, name, n); err != nil {
				return nil, keep, false, err
			}
			continue
		}
		if s, err := p.sub(f, name, n); err != nil {
			return nil, keep, false, err
		} else if s.folder != nil {
			subs = append(subs, s)
		}
	}
}

// node is memory for an entry.
func (p *planner) node() *snapshot.Node {
	const slab = 64
	if len(p.nodes) == 0 {
		p.nodes = make([]snapshot.Node, slab)
	}
	n := &p.nodes[0]
	p.nodes = p.nodes[1:]
	return n
}

// named gives the name in the target and tells when it is another than the
// snapshot's.
func (p *planner) named(namer *namer, f *folder, n *snapshot.Node) (string, error) {
	if err := n.CheckName(); err != nil {
		return "", err
	}
	if f.up == nil && n.Name == markName {
		p.run.skip(path.Join(f.path(), n.Name), errMark)
		return "", nil
	}
	name := namer.name(n.Name)
	if name != n.Name {
		p.run.renamed(path.Join(f.path(), n.Name), name)
	}
	return name, nil
}

// sub makes a folder, when it is wanted. An empty result means that nothing
// in it is.
func (p *planner) sub(f *folder, name string, n *snapshot.Node) (sub, error) {
	if name == "" {
		return sub{}, nil
	}
	in := f.below(name, n)
	chosen, below := p.run.chosen.ofFolder(in)
	if !chosen && !below {
		return sub{}, nil
	}
	if chosen {
		if err := p.make(in); full(err) {
			return sub{}, err
		} else if err != nil {
			return sub{}, nil
		}
	}
	return sub{in, n.Subtree}, nil
}

// make makes a folder and those above it, which are made only when something
// in them is wanted.
func (p *planner) make(f *folder) error {
	if f.made || f.wrong != nil {
		return f.wrong
	}
	if f.up != nil {
		if err := p.make(f.up); err != nil {
			f.wrong = err
			return err
		}
	}
	if err := p.run.tree.make(f); err != nil {
		p.run.problem(f.path(), fmt.Errorf("make folder: %w", err))
		return err
	}
	if f.up != nil {
		p.run.dirs.Add(1)
	}
	return nil
}

func (p *planner) entry(ctx context.Context, f *folder, name string, n *snapshot.Node) error {
	if name == "" {
		return nil
	}
	if !p.run.chosen.all {
		if chosen, _ := p.run.chosen.of(path.Join(f.path(), n.Name)); !chosen {
			return nil
		}
	}
	if err := p.make(f); full(err) {
		return err
	} else if err != nil {
		return nil // told already
	}
	switch {
	case n.Type != snapshot.File:
		p.other(&entry{in: f, node: n, name: name})
	case p.linked(f, name, n):
	default:
		p.file(&file{in: f, node: n, name: name})
	}
	return p.full(ctx)
}

// other keeps an entry for the end of the batch. Links and pipes can have
// second names, too.
func (p *planner) other(e *entry) {
	p.batch.others = append(p.batch.others, e)
	if e.node.Links < 2 || e.node.Inode == 0 {
		return
	}
	if e.first = p.first(e.node); e.first == nil {
		e.self = &file{in: e.in, node: e.node, name: e.name}
		p.inodes[inode{e.node.DeviceID, e.node.Inode}] = e.self
	}
}

// linked keeps a second name of a file for later.
func (p *planner) linked(f *folder, name string, n *snapshot.Node) bool {
	first := p.first(n)
	if first != nil {
		p.batch.links = append(p.batch.links, &entry{in: f, node: n, name: name, first: first})
	}
	return first != nil
}

// first gives what a node is another name of, or nil.
func (p *planner) first(n *snapshot.Node) *file {
	if n.Links < 2 || n.Inode == 0 {
		return nil
	}
	first := p.inodes[inode{n.DeviceID, n.Inode}]
	if first == nil || !sameContent(first.node, n) {
		return nil
	}
	return first
}

func sameContent(a, b *snapshot.Node) bool {
	if a.Type != b.Type || a.LinkTarget != b.LinkTarget || a.Device != b.Device || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if a.Content[i] != b.Content[i] {
			return false
		}
	}
	return true
}

func (p *planner) file(f *file) {
	if f.node.Links > 1 && f.node.Inode != 0 {
		p.inodes[inode{f.node.DeviceID, f.node.Inode}] = f
	}
	missing, ok := p.batch.add(f, func(h blob.Handle) (blob.ID, uint32, bool) {
		pack, _, _, plain, ok := p.run.repo.Locate(h)
		return pack, plain, ok
	})
	if !ok {
		f.failed.Store(true)
		p.run.problem(f.path(), fmt.Errorf("piece %s is missing from the repository: %w", missing.Short(), backup.ErrDamaged))
		return
	}
	p.expectFiles++
	p.expectBytes += f.size
}

// full sends the batch on its way when it holds enough.
func (p *planner) full(ctx context.Context) error {
	if p.batch.entries() < p.limit && len(p.batch.pieces) < batchPieces {
		return nil
	}
	p.limit = min(4*p.limit, batchFiles)
	return p.flush(ctx)
}

func (p *planner) flush(ctx context.Context) error {
	if !p.fixedTotal {
		p.run.opts.Progress.Total(p.expectFiles, p.expectBytes)
	}
	if p.batch.entries() == 0 {
		return nil
	}
	b := p.batch
	p.batch = newBatch()
	select {
	case p.out <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// finish makes what is no file, and gives folders their metadata: all that is
// in them is there. Links are made when no file of the batch is written any
// more. None can be written through later either, as every folder is opened by
// one name and not through a link.
func (r *run) finish(ctx context.Context, b *batch) error {
	for _, list := range [][]*entry{b.links, b.others} {
		for _, e := range list {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.entry(e); full(err) {
				return fmt.Errorf("restore %s: %w", e.path(), err)
			} else if err != nil {
				r.problem(e.path(), err)
			}
		}
	}
	for _, f := range b.left { // what is in a folder comes before it
		if err := errors.Join(r.folderMeta(f), r.tree.leave(f)); err != nil {
			r.problem(f.path(), err)
		}
	}
	return nil
}

func (r *run) entry(e *entry) error {
	if !e.node.Type.Known() {
		return fmt.Errorf("unknown type %q: %w", e.node.Type, backup.ErrDamaged)
	}
	at, err := r.tree.take(e.in)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	if e.first != nil {
		return r.link(at, e)
	}
	if e.node.Type != snapshot.Symlink {
		return r.special(at, e)
	}
	if err := at.clear(e.name); err != nil {
		return err
	}
	if err := at.symlink(e.node.LinkTarget, e.name); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	r.others.Add(1)
	return r.entryMeta(at, e)
}

// link gives a file its second name.
func (r *run) link(at *place, e *entry) error {
	if e.first.failed.Load() {
		return fmt.Errorf("its other name %s was not restored: %w", e.first.path(), backup.ErrDamaged)
	}
	if e.in.old && r.linkStands(at, e) {
		r.kept.Add(1)
	} else {
		if err := at.clear(e.name); err != nil {
			return err
		}
		name := e.in.rel() + string(os.PathSeparator) + e.name
		if err := r.tree.root.Link(e.first.in.rel()+string(os.PathSeparator)+e.first.name, name); err != nil {
			return fmt.Errorf("link to %s: %w", e.first.path(), err)
		}
	}
	r.meter.files.Add(1)
	r.meter.bytes.Add(int64(e.node.Size))
	return nil
}

// linkStands says whether the second name is there already.
func (r *run) linkStands(at *place, e *entry) bool {
	in, err := r.tree.take(e.first.in)
	if err != nil {
		return false
	}
	defer r.tree.give(in)
	one, err := in.look(e.first.name)
	if err != nil {
		return false
	}
	two, err := at.look(e.name)
	return err == nil && one.inode.number != 0 && one.inode == two.inode
}

// Reasons for leaving an entry out.
var (
	errSocket  = errors.New("sockets are made anew by the program that listens")
	errDevice  = errors.New("device nodes are made only on request, by root")
	errForeign = errors.New("this system has no such entries")
)

func (r *run) special(at *place, e *entry) error {
	isDevice := e.node.Type == snapshot.Device || e.node.Type == snapshot.CharDevice
	switch {
	case e.node.Type == snapshot.Socket:
		r.skip(e.path(), errSocket)
		return nil
	case isDevice && (!r.opts.Devices || !r.root):
		r.skip(e.path(), errDevice)
		return nil
	}
	if err := at.clear(e.name); err != nil {
		return err
	}
	err := makeSpecial(at, e.name, e.node)
	if errors.Is(err, backup.ErrUnsupported) {
		r.skip(e.path(), errForeign)
		return nil
	}
	if err != nil {
		return err
	}
	r.others.Add(1)
	return r.entryMeta(at, e)
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
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
				if e.self != nil {
					e.self.failed.Store(true)
				}
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
	if e.first != nil && (e.node.Type == snapshot.File || !e.first.failed.Load()) {
		return r.link(at, e)
	}
	if e.node.Type != snapshot.Symlink {
		return r.special(at, e)
	}
	if err := at.clear(e.name); err != nil {
		return err
	}
	if err := at.symlink(e.node.LinkTarget, e.name); lacking(err) {
		r.able.noLinks = true
		r.leaveOut(e, errNoLinks)
		return nil
	} else if err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	r.others.Add(1)
	return r.entryMeta(at, e)
}

// leaveOut tells why an entry is not made, and those that are it by another
// name.
func (r *run) leaveOut(e *entry, why error) {
	if e.self != nil {
		e.self.failed.Store(true)
	}
	r.skip(e.path(), why)
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
		err := r.tree.root.Link(e.first.in.rel()+string(os.PathSeparator)+e.first.name, name)
		if lacking(err) {
			return r.instead(at, e, err)
		}
		if err != nil {
			return fmt.Errorf("link to %s: %w", e.first.path(), err)
		}
	}
	r.linked(e)
	return nil
}

func (r *run) linked(e *entry) {
	if e.node.Type != snapshot.File {
		r.others.Add(1)
		return
	}
	r.meter.files.Add(1)
	r.meter.bytes.Add(int64(e.node.Size))
}

// instead makes the entry once more where it cannot have a second name: not all
// file systems know them, and others have a limit.
func (r *run) instead(at *place, e *entry, why error) error {
	if e.node.Type != snapshot.File {
		again := *e
		again.first = nil
		return r.entry(&again)
	}
	if err := r.held(seconds, e.path, why); err != nil {
		return err
	}
	if err := r.copyFirst(at, e); err != nil {
		return fmt.Errorf("copy %s: %w", e.first.path(), err)
	}
	r.linked(e)
	return nil
}

func (r *run) copyFirst(at *place, e *entry) error {
	in, err := r.tree.take(e.first.in)
	if err != nil {
		return err
	}
	defer r.tree.give(in)
	from, err := in.input(e.first.name)
	if err != nil {
		return err
	}
	defer from.Close() // only read
	to, err := at.output(e.name, true, secret)
	if err != nil {
		return err
	}
	if _, err = io.Copy(io.NewOffsetWriter(to, 0), from); err == nil {
		err = r.settle(&file{in: e.in, node: e.node, name: e.name}, to, false)
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, at.remove(e.name))
	}
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
	errForeign = errors.New("the target has no such entries")
	errNoLinks = errors.New("the target has no symbolic links")
)

func (r *run) special(at *place, e *entry) error {
	isDevice := e.node.Type == snapshot.Device || e.node.Type == snapshot.CharDevice
	switch {
	case e.node.Type == snapshot.Socket:
		r.leaveOut(e, errSocket)
		return nil
	case isDevice && (!r.opts.Devices || !r.root):
		r.leaveOut(e, errDevice)
		return nil
	}
	if err := at.clear(e.name); err != nil {
		return err
	}
	err := makeSpecial(at, e.name, e.node)
	if errors.Is(err, backup.ErrUnsupported) || lacking(err) {
		r.leaveOut(e, errForeign)
		return nil
	}
	if err != nil {
		return err
	}
	r.others.Add(1)
	return r.entryMeta(at, e)
}

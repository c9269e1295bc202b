package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// finish makes what is no file, and gives folders their metadata. Symbolic
// links come when no file is written any more, so none can be written through.
func (r *run) finish(ctx context.Context, p *planner) error {
	for _, list := range [][]*entry{p.links, p.others} {
		for _, e := range list {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.entry(e); err != nil {
				r.problem(e.path(), err)
			}
		}
	}
	for i := len(p.folders) - 1; i >= 0; i-- { // what is in a folder comes behind it
		f := p.folders[i]
		if f.node == nil {
			continue
		}
		if err := r.folderMeta(f); err != nil {
			r.problem(f.path, err)
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
	defer r.tree.give(e.in)
	if e.first != nil {
		return r.link(at, e)
	}
	if e.node.Type != snapshot.Symlink {
		return r.special(at, e)
	}
	if err := at.clear(e.in, e.node.Name); err != nil {
		return err
	}
	if err := at.symlink(e.node.LinkTarget, e.node.Name); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	r.others.Add(1)
	return r.entryMeta(at, e)
}

// link gives a file its second name.
func (r *run) link(at *place, e *entry) error {
	if e.first.failed {
		return fmt.Errorf("its other name %s was not restored: %w", e.first.path, backup.ErrDamaged)
	}
	if err := at.clear(e.in, e.node.Name); err != nil {
		return err
	}
	name := e.in.rel() + string(os.PathSeparator) + e.node.Name
	if err := r.tree.root.Link(e.first.in.rel()+string(os.PathSeparator)+e.first.node.Name, name); err != nil {
		return fmt.Errorf("link to %s: %w", e.first.path, err)
	}
	r.files.Add(1)
	r.opts.Progress.Add(1, int64(e.node.Size))
	return nil
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
	if err := at.clear(e.in, e.node.Name); err != nil {
		return err
	}
	err := makeSpecial(at, e.node)
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

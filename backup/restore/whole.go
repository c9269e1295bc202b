package restore

import (
	"errors"
	"fmt"
	"io/fs"
)

// whole makes a file that comes in one go.
func (r *run) whole(f *file, plain []byte) error {
	if f.failed.Load() {
		return nil
	}
	if f.stands { // compared, and every piece is right
		r.end(f)
		return nil
	}
	if err := r.inOne(f, plain); err != nil {
		if full(err) {
			return fmt.Errorf("restore %s: %w", f.path(), err)
		}
		r.fail(f, err)
		return nil
	}
	r.finished(f, len(plain))
	return nil
}

func (r *run) inOne(f *file, plain []byte) error {
	at, err := r.tree.take(f.in)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	if err := at.clear(f.name); err != nil {
		return err
	}
	mode, born := r.birth(f)
	handle, err := at.output(f.name, true, mode)
	if err != nil {
		return unmade(err)
	}
	if err = r.put(handle, plain, 0, true); err == nil && r.opts.Sparse {
		err = r.length(f, handle)
	}
	if err == nil {
		err = r.settle(f, handle, born)
	}
	if err = errors.Join(err, handle.Close()); err != nil {
		return errors.Join(err, at.remove(f.name))
	}
	return nil
}

// birth gives the mode to make a file with, and whether that is all there is
// to say about its owner and mode: in a folder that adds nothing of its own a
// file is born as it is to be, which spares two calls of the system of six.
func (r *run) birth(f *file) (mode fs.FileMode, born bool) {
	n := f.node
	bits := n.Mode & settable
	if !f.in.exact || bits&^fs.ModePerm != 0 || bits&r.umask != 0 || len(n.Xattrs) > 0 {
		return secret, false
	}
	if r.root && (n.UID != r.uid || n.GID != r.gid) {
		return secret, false
	}
	return bits, true
}

// secret is the mode of files while they are written.
const secret fs.FileMode = 0o600

package restore

import (
	"errors"
	"fmt"
	"io/fs"

	"emrvault/backup/repository/blob"
)

// compare looks at what stands where a file is to come. When it is right, or a
// part of it is, that need not be written again.
//
// A file is written piece by piece in any order, and gets its time at the end.
// Size and time as in the snapshot therefore mean that an earlier restore got
// to the end with it, unless there is doubt (see markText); then, and where
// they differ, the pieces tell by their hashes.
func (r *run) compare(f *file) error {
	at, err := r.tree.take(f.in)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	was, err := at.look(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at what is there: %w", err)
	case !was.mode.IsRegular():
		return nil // gives way
	}
	done := was.size == f.size && sameMoment(f.node.ModTime, was.modTime, r.able.grain)
	if done && !r.doubt {
		r.meter.bytes.Add(f.size)
		return r.keep(at, f, was)
	}
	if !r.doubt && len(f.node.Content) < 2 {
		return nil // writing it is as quick as reading it
	}
	if err := r.pieces(at, f, min(was.size, f.size)); err != nil {
		return err
	}
	if f.stands && f.waiting.Load() == 0 && done {
		return r.keep(at, f, was)
	}
	return nil
}

// keep leaves a file alone that is right, but for owner and mode if somebody
// has changed them.
func (r *run) keep(at *place, f *file, was seen) error {
	if !r.sameRights(f.node, was) {
		handle, err := at.input(f.name)
		if err != nil {
			return fmt.Errorf("open file: %w", err)
		}
		err = errors.Join(r.inputMeta(f, handle), handle.Close())
		if err != nil {
			return err
		}
	}
	r.kept.Add(1)
	r.meter.files.Add(1)
	f.kept = true
	return nil
}

// pieces finds out which pieces stand in their places. A file that has a second
// name is never written into: the other name may lie outside of the target.
func (r *run) pieces(at *place, f *file, size int64) error {
	handle, err := at.both(f.name)
	if err != nil {
		return nil // cannot be opened, so it gives way
	}
	alone, err := handle.alone()
	if err == nil && alone {
		r.match(handle, f, size)
	}
	return errors.Join(err, handle.Close())
}

func (r *run) match(handle output, f *file, size int64) {
	f.right = make([]bool, len(f.node.Content))
	f.stands = true
	var buf []byte
	var offset int64
	for i, id := range f.node.Content {
		length, _ := r.repo.BlobSize(blob.DataHandle(id))
		end := offset + int64(length)
		if end > size {
			return
		}
		if cap(buf) < length {
			buf = make([]byte, length)
		}
		n, err := handle.ReadAt(buf[:length], offset)
		if err == nil && n == length && blob.Hash(buf[:length]) == id {
			f.right[i] = true
			f.waiting.Add(-1)
			r.meter.bytes.Add(int64(length))
		}
		offset = end
	}
}

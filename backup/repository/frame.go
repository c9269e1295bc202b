package repository

import (
	"bytes"
	"context"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// SaveFrame stores a blob whose content has the form in which it rests already:
// a zstd frame that expands to plain bytes, or with plain 0 the bytes
// themselves. The caller has proven that they are the blob of that name, so
// nothing is compressed or hashed again; it is sealed in the caller's
// goroutine. frame is the caller's again when SaveFrame returns.
func (w *Writer) SaveFrame(ctx context.Context, h blob.Handle, frame []byte, plain uint32) (fresh bool, err error) {
	return w.saveFrame(ctx, h, frame, plain, false)
}

// saveFrame stores the blob even if the repository has it, when again is set:
// the pack it lies in will go.
func (w *Writer) saveFrame(ctx context.Context, h blob.Handle, frame []byte, plain uint32, again bool) (fresh bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if plain > 0 && w.repo.config.Version < newestVersion {
		return false, fmt.Errorf("compressed %s in a repository of format version 1: %w", h, backup.ErrUnsupported)
	}
	if !w.claim(h, again) {
		return false, nil
	}
	if err := w.sealFrame(h, frame, plain); err != nil {
		w.fail(err) // others rely on this blob by now
		return false, err
	}
	w.counts.add(h.Type, plainLength(frame, plain))
	return true, nil
}

func plainLength(frame []byte, plain uint32) int {
	if plain > 0 {
		return int(plain)
	}
	return len(frame)
}

func (w *Writer) sealFrame(h blob.Handle, frame []byte, plain uint32) error {
	s, err := w.sealer()
	if err != nil {
		return err
	}
	defer w.sealers.Put(s)
	s.trim()
	if s.sealed, err = w.repo.key.Seal(s.sealed[:0], frame); err != nil {
		return err
	}
	if w.verifies() {
		s.packed, err = w.repo.key.Open(s.packed[:0], s.sealed)
		if err != nil || !bytes.Equal(s.packed, frame) {
			return fmt.Errorf("%s cannot be read back before it is stored: memory or processor of this machine is faulty: %w", h, backup.ErrDamaged)
		}
	}
	return w.add(h, s.sealed, plain)
}

// takeBuffers hands out memory that another call has given back.
func (r *Repository) takeBuffers() *loadBuffers {
	if buf, ok := r.buffers.Get().(*loadBuffers); ok {
		return buf
	}
	return &loadBuffers{}
}

// opened is a blob as it was read out of a pack: content is what rests there
// without its seal, plain what it stands for. Both are good during a call only.
type opened struct {
	pack.Entry
	content, plain []byte
	err            error
}

// eachFrame reads blobs of one pack with few requests and hands each over, in
// the order they lie there, opened and proven, or with the error that says what
// is wrong with this copy. The entries ascend. The calls of fn come one after
// the other, and its error ends the reading.
func (r *Repository) eachFrame(ctx context.Context, id blob.ID, entries []pack.Entry, fn func(opened) error) error {
	buf := r.takeBuffers()
	defer r.buffers.Put(buf)
	f := frames{repo: r, pack: id, buf: buf, fn: fn}
	for len(entries) > 0 {
		n := reach(entries)
		if err := f.read(ctx, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// frames is one eachFrame at work.
type frames struct {
	repo *Repository
	pack blob.ID
	buf  *loadBuffers
	fn   func(opened) error
}

// read loads a range; when that fails its blobs are tried one by one, for often
// only the last of them was cut off.
func (f *frames) read(ctx context.Context, entries []pack.Entry) error {
	first, last := entries[0], entries[len(entries)-1]
	length := int64(last.Offset) + int64(last.Length) - int64(first.Offset)
	sealed, err := f.repo.storage.Load(ctx, packName(f.pack), f.buf.sealed, int64(first.Offset), length)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && len(entries) > 1 && !absent(err):
		for i := range entries {
			if err := f.read(ctx, entries[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		for _, e := range entries {
			if err := f.fn(opened{Entry: e, err: lostPack(f.pack, err)}); err != nil {
				return err
			}
		}
		return nil
	}
	f.buf.sealed = sealed
	for _, e := range entries {
		at := e.Offset - first.Offset
		if err := f.fn(f.open(sealed[at:at+e.Length:at+e.Length], e)); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) open(sealed []byte, e pack.Entry) opened {
	o := opened{Entry: e}
	if o.content, o.err = f.repo.key.OpenInPlace(sealed); o.err == nil {
		o.plain = o.content
		if e.Compressed() {
			if o.plain, o.err = f.repo.codec.expand(f.buf.plain[:0], o.content, int(e.Plain)); o.err == nil {
				f.buf.plain = o.plain
			}
		}
	}
	if o.err == nil && blob.Hash(o.plain) != e.Handle.ID {
		o.err = fmt.Errorf("content does not hash to its name: %w", backup.ErrDamaged)
	}
	if o.err != nil {
		o.err = fmt.Errorf("pack %s: %s: %w", f.pack.Short(), e.Handle, o.err)
	}
	return o
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

func packName(id blob.ID) storage.Name {
	return storage.Name{Kind: storage.Pack, ID: id.String()}
}

// LoadBlob reads one blob into buf, growing it when it is too small:
// decrypted, decompressed, its hash proven. Every copy is tried before it
// gives up; the error wraps backup.ErrDamaged when all of them are damaged.
func (r *Repository) LoadBlob(ctx context.Context, h blob.Handle, buf []byte) ([]byte, error) {
	return r.loadBlob(ctx, h, buf, r.trees)
}

// LoadStored is LoadBlob for those who prove the storage: what this machine
// keeps of it does not count.
func (r *Repository) LoadStored(ctx context.Context, h blob.Handle, buf []byte) ([]byte, error) {
	return r.loadBlob(ctx, h, buf, nil)
}

func (r *Repository) loadBlob(ctx context.Context, h blob.Handle, buf []byte, near *treeCache) ([]byte, error) {
	copies := r.index().Copies(h)
	if len(copies) == 0 {
		return nil, fmt.Errorf("%s blob %s is in no index: %w", h.Type, h.ID, backup.ErrNotFound)
	}
	var failures []error
	for _, at := range copies {
		plain, err := r.loadNear(ctx, at, buf, near)
		if err == nil {
			return plain, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failures = append(failures, err)
	}
	return nil, gravest(failures)
}

// gravest says why no copy of a blob could be read. Damage is only what all of
// them have: one that the storage does not give for now may be whole.
func gravest(failures []error) error {
	passing := slices.DeleteFunc(slices.Clone(failures), func(err error) bool { return errors.Is(err, backup.ErrDamaged) })
	if len(passing) > 0 {
		return errors.Join(passing...)
	}
	return errors.Join(failures...)
}

// loadNear reads a copy from the cache if it is there and sound.
func (r *Repository) loadNear(ctx context.Context, at index.Location, buf []byte, near *treeCache) ([]byte, error) {
	if sealed, ok := near.load(ctx, at); ok {
		if plain, err := r.openBlob(buf, sealed, at.Entry); err == nil {
			return plain, nil
		}
		if err := near.forget(at); err != nil {
			return nil, err
		}
	}
	return r.loadCopy(ctx, at, buf)
}

func (r *Repository) loadCopy(ctx context.Context, at index.Location, buf []byte) ([]byte, error) {
	return twice(ctx, func() ([]byte, error) {
		sealed, err := r.storage.Load(ctx, packName(at.Pack), nil, int64(at.Offset), int64(at.Length))
		if err != nil {
			return nil, lostPack(at.Pack, err)
		}
		plain, err := r.openBlob(buf, sealed, at.Entry)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", at.Pack.Short(), err)
		}
		return plain, nil
	})
}

// lostPack says that a pack the index knows is missing, or passes on what else
// went wrong: to the reader of a blob a missing pack is damage.
func lostPack(id blob.ID, err error) error {
	if absent(err) {
		return fmt.Errorf("pack %s is missing from the storage: %w", id.Short(), backup.ErrDamaged)
	}
	return fmt.Errorf("read pack %s: %w", id.Short(), err)
}

// openBlob decrypts within sealed, expands into buf and proves the hash.
func (r *Repository) openBlob(buf, sealed []byte, e pack.Entry) ([]byte, error) {
	content, err := r.key.OpenInPlace(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Handle, err)
	}
	var plain []byte
	if e.Compressed() {
		plain, err = r.codec.expand(buf[:0], content, int(e.Plain))
	} else {
		plain = append(buf[:0], content...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Handle, err)
	}
	if blob.Hash(plain) != e.Handle.ID {
		return nil, fmt.Errorf("%s: content does not hash to its name: %w", e.Handle, backup.ErrDamaged)
	}
	return plain, nil
}

const (
	// maxGap is what is read and thrown away rather than asking once more.
	maxGap = 128 << 10
	// maxRange is the most that one request reads, unless a single blob is
	// longer. It bounds the memory of a LoadPack.
	maxRange = 4 << 20
)

// LoadPack reads the wanted blobs of one pack with few requests and hands each
// to fn, in the order they lie in the pack; plain is only good during the
// call. What does not lie there, or is damaged there, is read from another
// copy if there is one; if not, it is handed over with its error. fn's own
// error stops the work. The calls of fn come one after the other.
func (r *Repository) LoadPack(ctx context.Context, packID blob.ID, want []blob.Handle, fn func(h blob.Handle, plain []byte, err error) error) error {
	buf := r.takeBuffers()
	defer r.buffers.Put(buf)
	return r.loadPack(ctx, &packLoad{repo: r, pack: packID, fn: fn, loadBuffers: buf}, want)
}

// Memory is what one LoadPackIn after the other works in. The zero value is
// ready; it grows to the largest range read, and the longest blob in plain.
type Memory struct{ buffers loadBuffers }

// LoadPackIn is LoadPack for those who read many packs and keep the memory for
// it in between: what the repository itself keeps is gone with each collection
// of garbage.
func (r *Repository) LoadPackIn(ctx context.Context, m *Memory, packID blob.ID, want []blob.Handle, fn func(h blob.Handle, plain []byte, err error) error) error {
	return r.loadPack(ctx, &packLoad{repo: r, pack: packID, fn: fn, loadBuffers: &m.buffers}, want)
}

func (r *Repository) loadPack(ctx context.Context, l *packLoad, want []blob.Handle) error {
	var here []pack.Entry
	for _, h := range want {
		e, ok := r.index().In(l.pack, h)
		if ok {
			here = append(here, e)
		} else if err := l.elsewhere(ctx, h); err != nil {
			return err
		}
	}
	slices.SortFunc(here, func(a, b pack.Entry) int { return int(int64(a.Offset) - int64(b.Offset)) })
	here = slices.Compact(here)
	for len(here) > 0 {
		n := reach(here)
		if err := l.read(ctx, here[:n]); err != nil {
			return err
		}
		here = here[n:]
	}
	return nil
}

// reach tells how many of the entries one request should read.
func reach(entries []pack.Entry) int {
	first := entries[0]
	end := int64(first.Offset) + int64(first.Length)
	for i, e := range entries[1:] {
		next := int64(e.Offset) + int64(e.Length)
		// Blobs of no pack overlap, but a stranger's index may say so.
		if int64(e.Offset) < end || int64(e.Offset)-end > maxGap || next-int64(first.Offset) > maxRange {
			return i + 1
		}
		end = next
	}
	return len(entries)
}

// packLoad is one LoadPack at work.
type packLoad struct {
	repo *Repository
	pack blob.ID
	fn   func(h blob.Handle, plain []byte, err error) error
	*loadBuffers
}

// loadBuffers go from one LoadPack to the next.
type loadBuffers struct {
	sealed, plain []byte
}

// read loads a range and hands over the blobs in it.
func (l *packLoad) read(ctx context.Context, entries []pack.Entry) error {
	first, last := entries[0], entries[len(entries)-1]
	length := int64(last.Offset) + int64(last.Length) - int64(first.Offset)
	l.sealed = room(l.sealed, int(length))
	sealed, err := l.repo.storage.Load(ctx, packName(l.pack), l.sealed, int64(first.Offset), length)
	if err != nil {
		return l.eachElsewhere(ctx, entries)
	}
	l.sealed = sealed
	for _, e := range entries {
		at := e.Offset - first.Offset
		if err := l.hand(ctx, sealed[at:at+e.Length:at+e.Length], e); err != nil {
			return err
		}
	}
	return nil
}

func (l *packLoad) hand(ctx context.Context, sealed []byte, e pack.Entry) error {
	plain, err := l.open(sealed, e)
	if err != nil {
		return l.elsewhere(ctx, e.Handle)
	}
	return l.fn(e.Handle, plain, nil)
}

// open is openBlob without a copy of what was stored raw.
func (l *packLoad) open(sealed []byte, e pack.Entry) ([]byte, error) {
	plain, err := l.repo.key.OpenInPlace(sealed)
	if err == nil && e.Compressed() {
		l.plain = room(l.plain, min(int(e.Plain), maxRatio*len(plain))+slack)
		if plain, err = l.repo.codec.expand(l.plain[:0], plain, int(e.Plain)); err == nil {
			l.plain = plain
		}
	}
	if err == nil && blob.Hash(plain) != e.Handle.ID {
		err = fmt.Errorf("%s: content does not hash to its name: %w", e.Handle, backup.ErrDamaged)
	}
	return plain, err
}

// room gives memory for so many bytes, and rather more than a little more of it
// each time.
func room(buf []byte, length int) []byte {
	if cap(buf) >= length {
		return buf
	}
	const least = 64 << 10
	return make([]byte, 0, 1<<bits.Len(uint(max(length, least)-1)))
}

func (l *packLoad) eachElsewhere(ctx context.Context, entries []pack.Entry) error {
	for _, e := range entries {
		if err := l.elsewhere(ctx, e.Handle); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere tries every copy, this pack's included: what failed as part of a
// range may be readable alone, and its error names what is wrong.
func (l *packLoad) elsewhere(ctx context.Context, h blob.Handle) error {
	plain, err := l.repo.LoadBlob(ctx, h, l.plain)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return l.fn(h, nil, err)
	}
	l.plain = plain
	return l.fn(h, plain, nil)
}

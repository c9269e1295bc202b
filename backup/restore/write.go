package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// restore brings a batch into the target: files first, then what is none, and
// last the metadata of the folders that the walk has left.
func (r *run) restore(ctx context.Context, b *batch) error {
	if err := r.standing(ctx, b); err != nil {
		return err
	}
	loads, first := b.sorted()
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.flights)
	for _, f := range b.files {
		if f.waiting.Load() == 0 && !f.kept && !f.failed.Load() { // blank, or all of it was there
			group.Go(func() error { return r.whole(f, nil) })
		}
	}
	for _, l := range loads {
		if len(l.want) > 0 {
			group.Go(func() error { return r.fetch(ctx, b, l, first) })
		}
	}
	if err := group.Wait(); err != nil {
		r.abandon(b)
		return err
	}
	return r.finish(outer, b)
}

// standing deals with files whose names are taken in the target.
func (r *run) standing(ctx context.Context, b *batch) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range b.files {
		if !f.in.old || !r.resume {
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.compare(f); err != nil {
				r.fail(f, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (r *run) fetch(ctx context.Context, b *batch, l load, first map[blob.ID]int32) error {
	m := &r.large
	if r.long(l) {
		r.heavy.Lock()
		defer r.heavy.Unlock()
	} else {
		m = r.memory()
		defer r.putMemory(m)
	}
	return r.repo.LoadPackIn(ctx, m, l.pack, l.want, func(h blob.Handle, plain []byte, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if told, _ := r.repo.BlobSize(h); err == nil && told != len(plain) {
			err = wrongLength(told, len(plain))
		}
		for no := first[h.ID]; no >= 0; no = b.pieces[no].next {
			if err := r.deliver(&b.pieces[no], h, plain, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// longBlob is the length from which blobs are expanded one at a time. Nobody
// cuts files so; but a gigabyte of zeros takes little room in a repository made
// to harm, and would be there once for each pack in flight.
const longBlob = 64 << 20

func (r *run) long(l load) bool {
	for _, h := range l.want {
		if size, _ := r.repo.BlobSize(h); size > longBlob {
			return true
		}
	}
	return false
}

// memory hands out what another pack was read in. No more come into being than
// packs are read at once.
func (r *run) memory() *repository.Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.spare)
	if n == 0 {
		return &repository.Memory{}
	}
	m := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return m
}

func (r *run) putMemory(m *repository.Memory) {
	r.mu.Lock()
	r.spare = append(r.spare, m)
	r.mu.Unlock()
}

// deliver writes a piece to one of its places. Only what stops the whole
// restore is an error.
func (r *run) deliver(p *piece, h blob.Handle, plain []byte, err error) error {
	f := p.file
	switch {
	case err != nil:
		r.fail(f, fmt.Errorf("piece %s: %w", h.ID.Short(), err))
	case f.single():
		return r.whole(f, plain)
	default:
		if err := r.write(p, plain); err != nil {
			if full(err) {
				return fmt.Errorf("restore %s: %w", f.path(), err)
			}
			r.fail(f, err)
		}
	}
	if f.waiting.Add(-1) == 0 {
		r.end(f)
	}
	return nil
}

// wrongLength says that the index misled those who worked out where a piece and
// all behind it belong.
func wrongLength(told, is int) error {
	return fmt.Errorf("the index tells %d bytes, the piece has %d: %w", told, is, backup.ErrDamaged)
}

func unmade(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("another entry of the folder has the same name here: %w", err)
	}
	return fmt.Errorf("make file: %w", err)
}

func (r *run) write(p *piece, plain []byte) error {
	f := p.file
	if err := r.begin(f); err != nil {
		return err
	}
	defer r.rest(f)
	if err := r.put(f.handle, plain, p.offset, !f.stands); err != nil {
		return err
	}
	r.meter.bytes.Add(int64(len(plain)))
	return nil
}

var errFailed = errors.New("failed before")

// begin makes sure that the file is open. The descriptor stays until the file
// is finished: opening is what restoring small files spends its time with.
func (r *run) begin(f *file) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed.Load() {
		return errFailed
	}
	if f.open {
		f.users++
		return nil
	}
	r.meter.current.Store(f)
	at, err := r.tree.take(f.in)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	fresh := !f.begun && !f.stands
	if fresh {
		if err := at.clear(f.name); err != nil {
			return err
		}
	}
	handle, err := at.output(f.name, fresh, secret)
	if err != nil {
		return unmade(err)
	}
	f.handle, f.open, f.begun = handle, true, true
	r.waiting.Add(1)
	f.users++
	return nil
}

// maxWaiting bounds the descriptors of files that wait for further packs.
const maxWaiting = 256

// rest ends one use of the file. Its descriptor is closed early only when too
// many files wait for packs that come later.
func (r *run) rest(f *file) {
	f.mu.Lock()
	f.users--
	var err error
	if f.users == 0 && f.open && r.waiting.Load() > maxWaiting {
		err = r.shut(f)
	}
	f.mu.Unlock()
	if err != nil {
		r.fail(f, err)
	}
}

// shut closes the descriptor; the caller holds the file.
func (r *run) shut(f *file) error {
	err := f.handle.Close()
	f.open = false
	r.waiting.Add(-1)
	return err
}

// end sets the metadata of a file that has all its content. Nobody else is at
// work on it any more.
func (r *run) end(f *file) {
	if f.failed.Load() {
		r.discard(f)
		return
	}
	err := r.begin(f) // it may have been closed to save descriptors
	if err == nil {
		f.mu.Lock()
		if err = r.length(f, f.handle); err == nil {
			err = r.settle(f, f.handle, false)
		}
		err = errors.Join(err, r.shut(f))
		f.mu.Unlock()
	}
	if err != nil {
		r.fail(f, err)
		r.discard(f)
		return
	}
	r.finished(f, 0)
}

// length cuts off what stood behind the end, and makes the hole at the end of
// a sparse file.
func (r *run) length(f *file, handle output) error {
	if !f.stands && !r.opts.Sparse {
		return nil
	}
	if err := handle.Truncate(f.size); err != nil {
		return fmt.Errorf("set length: %w", err)
	}
	return nil
}

// settle sets the metadata, the time as the last: until then size and time of
// the file are not those of the snapshot. born says that owner and mode are
// right.
func (r *run) settle(f *file, handle output, born bool) error {
	if err := r.fileMeta(f, handle, born); err != nil || r.opts.Temporary {
		return err
	}
	return handle.durable()
}

func (r *run) finished(f *file, bytes int) {
	r.meter.current.Store(f)
	r.meter.files.Add(1)
	r.meter.bytes.Add(int64(bytes))
}

// fail names a file that cannot be restored whole.
func (r *run) fail(f *file, err error) {
	if !f.failed.Swap(true) {
		r.problem(f.path(), err)
	}
}

// discard removes what there is of a failed file: half a document must not
// look like a whole one.
func (r *run) discard(f *file) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open {
		if err := r.shut(f); err != nil {
			r.problem(f.path(), err)
		}
	}
	if !f.begun {
		return
	}
	at, err := r.tree.take(f.in)
	if err == nil {
		err = at.remove(f.name)
		r.tree.give(at)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.problem(f.path(), fmt.Errorf("remove the damaged file: %w", err))
	}
}

// abandon closes the unfinished files of a batch that was broken off. Where
// the mark tells that the restore is unfinished they stay for the next run,
// which writes only what they lack; else they are removed.
func (r *run) abandon(b *batch) {
	for _, f := range b.files {
		f.mu.Lock()
		unfinished := f.open || f.begun && f.waiting.Load() > 0
		if f.open && r.marked && !f.failed.Load() {
			if err := r.shut(f); err != nil {
				r.problem(f.path(), err)
			}
		}
		f.mu.Unlock()
		if unfinished && (!r.marked || f.failed.Load()) {
			r.discard(f)
		}
	}
}

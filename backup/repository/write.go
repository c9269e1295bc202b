package repository

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// Writer stores blobs; it lives inside Write.
//
// The way of a blob: the caller's goroutine hashes it, asks whether the
// repository has it or it is on its way, and hands a copy to one of as many
// workers as there are cores. A worker compresses, seals, verifies and appends
// it to the open pack of its type. An uploader ends full packs and stores
// them; what it stored is written into index files. One is enough: a local
// disk takes packs faster than the cores make them.
//
// Memory: plaintext on its way (16 MiB, or 4 MiB a core if that is more), what
// workers are busy with (three times their largest blob, kept up to 2 MiB),
// and a pack of 17 MiB each of data and trees that is being filled, and one
// that is being stored. With two cores that stays below 80 MiB, whatever is
// backed up, and is 50 MiB with files of usual sizes.
type Writer struct {
	repo     *Repository
	ctx      context.Context // ends with the first error, which is its cause
	fail     context.CancelCauseFunc
	room     *semaphore.Weighted // bytes of plaintext on their way
	roomSize int64
	jobs     chan job
	spare    chan []byte        // buffers for plaintext
	builders chan *pack.Builder // packs not in use; as many as may exist
	full     chan *pack.Builder
	finish   chan struct{} // closed when fn has returned
	packers  [blob.Types]packer
	journal  journal
	counts   counts
	sample   atomic.Uint32

	mu      sync.Mutex
	pending map[blob.Handle]struct{} // saved, but not yet in a durable index file
}

// job is a blob on its way to a worker.
type job struct {
	handle blob.Handle
	plain  []byte
}

const (
	uploaders   = 1 // packs that are being stored, each in memory
	minRoom     = 16 << 20
	roomPerCore = 4 << 20
	keepBuffer  = 2 << 20 // longer buffers are left to the collector
)

// Saved tells what became of a blob. How many bytes it takes as stored is not
// known yet when Save returns; see Stats.
type Saved struct {
	ID  blob.ID
	New bool // the repository did not have it, nor was it on its way
}

// Write runs fn with a Writer whose workers live inside the call. When it
// returns nil, every pack and index file is durable. The first error ends all
// of them and is returned; packs that are stored by then stay behind unlisted,
// and the next prune collects them. fn must wait for goroutines it starts, and
// use the context it is given.
func (r *Repository) Write(ctx context.Context, fn func(ctx context.Context, w *Writer) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	w := r.newWriter(ctx, fail, runtime.GOMAXPROCS(0))
	var workers, uploads sync.WaitGroup
	for range cap(w.jobs) {
		workers.Go(w.work)
	}
	for range uploaders {
		uploads.Go(w.upload)
	}
	if err := fn(ctx, w); err != nil {
		fail(err)
	}
	close(w.finish)
	workers.Wait()
	w.endPacks()
	close(w.full)
	uploads.Wait()
	if ctx.Err() == nil {
		if err := w.commit(w.journal.take()); err != nil {
			fail(err)
		}
	}
	return context.Cause(ctx)
}

func (r *Repository) newWriter(ctx context.Context, fail context.CancelCauseFunc, workers int) *Writer {
	w := &Writer{
		repo: r, ctx: ctx, fail: fail,
		roomSize: max(minRoom, int64(workers)*roomPerCore),
		jobs:     make(chan job, workers),
		spare:    make(chan []byte, 4*workers),
		builders: make(chan *pack.Builder, blob.Types+uploaders),
		full:     make(chan *pack.Builder),
		finish:   make(chan struct{}),
		pending:  make(map[blob.Handle]struct{}),
	}
	w.room = semaphore.NewWeighted(w.roomSize)
	for range cap(w.builders) {
		w.builders <- pack.NewBuilder(nil)
	}
	return w
}

// Save stores a blob unless the repository has it. plain is the caller's again
// when Save returns. It may be called from many goroutines; the bytes are only
// durable when Write returns nil.
func (w *Writer) Save(ctx context.Context, t blob.Type, plain []byte) (Saved, error) {
	h := blob.Handle{Type: t, ID: blob.Hash(plain)}
	fresh, err := w.save(ctx, h, plain, false)
	return Saved{ID: h.ID, New: fresh}, err
}

// SaveNow is Save for callers that work on all cores themselves: the blob is
// compressed and sealed in the caller's goroutine, without a copy and without
// handing it over.
func (w *Writer) SaveNow(ctx context.Context, t blob.Type, plain []byte) (Saved, error) {
	return w.Save(ctx, t, plain)
}

// again stores a blob that the repository has, for the pack it lies in will go.
func (w *Writer) again(ctx context.Context, h blob.Handle, plain []byte) error {
	_, err := w.save(ctx, h, plain, true)
	return err
}

// save hands a blob to the workers unless nothing need be done.
//
//nolint:contextcheck // Waiting ends with the pipeline, whatever context the caller brings.
func (w *Writer) save(ctx context.Context, h blob.Handle, plain []byte, again bool) (fresh bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if len(plain) > pack.MaxBlob {
		return false, fmt.Errorf("%s of %d bytes: %w", h, len(plain), backup.ErrUnsupported)
	}
	if w.has(h, again) {
		return false, nil
	}
	need := w.need(len(plain))
	if err := w.room.Acquire(w.ctx, need); err != nil {
		return false, context.Cause(w.ctx)
	}
	if !w.claim(h, again) {
		w.room.Release(need)
		return false, nil
	}
	// From here on others rely on this blob; it is stored or all of it fails.
	select {
	case w.jobs <- job{handle: h, plain: append(w.buffer(), plain...)}:
		w.counts.add(h.Type, len(plain))
		return true, nil
	case <-w.ctx.Done():
		return false, context.Cause(w.ctx)
	case <-w.finish:
		err := fmt.Errorf("save %s after the end of writing: %w", h, backup.ErrInvalid)
		w.fail(err)
		return false, err
	}
}

// need is a blob's share of the room; a very long one takes all of it.
func (w *Writer) need(length int) int64 { return min(int64(length), w.roomSize) }

func (w *Writer) buffer() []byte {
	select {
	case buf := <-w.spare:
		return buf[:0]
	default:
		return nil
	}
}

// done gives back what a job held.
func (w *Writer) done(j job) {
	w.room.Release(w.need(len(j.plain)))
	if cap(j.plain) > keepBuffer {
		return
	}
	select {
	case w.spare <- j.plain:
	default:
	}
}

// known tells whether a blob is on its way or, unless it is to be stored again,
// durable. A blob ceases to be pending only after it is in the index, so asking
// in this order misses none. The caller holds mu.
func (w *Writer) known(h blob.Handle, again bool) bool {
	_, pending := w.pending[h]
	return pending || !again && w.repo.Has(h)
}

func (w *Writer) has(h blob.Handle, again bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known(h, again)
}

// claim makes a blob pending, unless another goroutine was faster.
func (w *Writer) claim(h blob.Handle, again bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known(h, again) {
		return false
	}
	w.pending[h] = struct{}{}
	return true
}

// work is a worker: it takes jobs until there are no more or something failed.
func (w *Writer) work() {
	var s sealer
	for {
		select {
		case j := <-w.jobs:
			w.process(&s, j)
		case <-w.ctx.Done():
			return
		case <-w.finish:
			w.drain(&s)
			return
		}
	}
}

func (w *Writer) drain(s *sealer) {
	for w.ctx.Err() == nil {
		select {
		case j := <-w.jobs:
			w.process(s, j)
		default:
			return
		}
	}
}

func (w *Writer) process(s *sealer, j job) {
	sealed, plain, err := s.seal(w, j)
	w.done(j)
	if err == nil {
		err = w.add(j.handle, sealed, plain)
	}
	if err != nil {
		w.fail(err)
	}
}

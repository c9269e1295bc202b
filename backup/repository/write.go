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
	"emrvault/backup/storage"
)

// Writer stores blobs; it lives inside Write.
//
// The way of a blob: the caller's goroutine hashes it and asks whether the
// repository has it or it is on its way. If not, it is compressed, sealed,
// verified and appended to the open pack of its type, by as many sealers as
// there are cores: after SaveNow in the caller's own goroutine, after Save by a
// worker that got a copy. Uploaders end full packs and store them; what they
// stored is written into index files. A local disk takes packs faster than the
// cores make them, so one uploader is enough; a storage behind a network asks
// for more, or most of the time would go into waiting for its answers.
//
// Memory: plaintext on its way (16 MiB, or 4 MiB a core if that is more), what
// the sealers are busy with (three times their largest blob, kept up to 2 MiB),
// and a pack of 17 MiB each of data and trees that is being filled, and one for
// each uploader. With two cores and a local disk that stays below 80 MiB,
// whatever is backed up, and is 50 MiB with files of usual sizes.
type Writer struct {
	repo     *Repository
	ctx      context.Context // ends with the first error, which is its cause
	fail     context.CancelCauseFunc
	room     *semaphore.Weighted // bytes of plaintext on their way
	roomSize int64
	jobs     chan job
	spare    chan []byte        // buffers for plaintext
	tokens   chan struct{}      // the right to seal; one for each core
	sealers  sync.Pool          // of *sealer, those not at work
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

// job is a blob on its way to a sealer.
type job struct {
	handle blob.Handle
	plain  []byte
	sum    uint32 // of plain, when every blob is verified
}

const (
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
	// Opening a repository leaves garbage: scrypt's 32 MiB, the text of the
	// index. It is better gone before packs take their memory.
	runtime.GC()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	w := r.newWriter(ctx, fail, runtime.GOMAXPROCS(0))
	var workers, uploads sync.WaitGroup
	for range cap(w.jobs) {
		workers.Go(w.work)
	}
	for range cap(w.builders) - blob.Types {
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
	w.builders = nil // the text of the last index file takes their place
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
		tokens:   make(chan struct{}, workers),
		builders: make(chan *pack.Builder, blob.Types+r.uploads()),
		full:     make(chan *pack.Builder),
		finish:   make(chan struct{}),
		pending:  make(map[blob.Handle]struct{}),
	}
	w.room = semaphore.NewWeighted(w.roomSize)
	for range workers {
		w.tokens <- struct{}{}
	}
	for range cap(w.builders) {
		w.builders <- pack.NewBuilder(nil)
	}
	return w
}

// uploads is how many packs are stored at once.
func (r *Repository) uploads() int {
	if r.settings.uploads > 0 {
		return r.settings.uploads
	}
	if far, ok := storage.As[storage.Distant](r.storage); ok {
		return max(1, min(far.Uploads(), maxUploads))
	}
	return 1
}

// maxUploads bounds the memory that packs under way take.
const maxUploads = 16

// Save stores a blob unless the repository has it. plain is the caller's again
// when Save returns. It may be called from many goroutines; the bytes are only
// durable when Write returns nil.
func (w *Writer) Save(ctx context.Context, t blob.Type, plain []byte) (Saved, error) {
	j := w.newJob(t, plain)
	fresh, err := w.hand(ctx, j, false)
	return Saved{ID: j.handle.ID, New: fresh}, err
}

// SaveNow is Save for callers that work on all cores themselves: the blob is
// compressed and sealed in the caller's goroutine, while it is still in the
// processor's cache, without a copy and without waking anybody.
func (w *Writer) SaveNow(ctx context.Context, t blob.Type, plain []byte) (Saved, error) {
	j := w.newJob(t, plain)
	fresh, err := w.admit(ctx, j, false)
	if !fresh || err != nil {
		return Saved{ID: j.handle.ID}, err
	}
	defer w.room.Release(w.need(len(plain)))
	if err := w.process(j); err != nil {
		return Saved{ID: j.handle.ID}, err
	}
	return Saved{ID: j.handle.ID, New: true}, nil
}

// again stores a blob that the repository has, for the pack it lies in will go.
func (w *Writer) again(ctx context.Context, h blob.Handle, plain []byte) error {
	_, err := w.save(ctx, h, plain, true)
	return err
}

// save stores a blob that has just been proven to be the one of that name.
func (w *Writer) save(ctx context.Context, h blob.Handle, plain []byte, again bool) (fresh bool, err error) {
	return w.hand(ctx, job{handle: h, plain: plain, sum: w.sum(plain)}, again)
}

// hand gives a blob to the workers unless nothing need be done.
func (w *Writer) hand(ctx context.Context, j job, again bool) (fresh bool, err error) {
	fresh, err = w.admit(ctx, j, again)
	if !fresh || err != nil {
		return false, err
	}
	j.plain = append(w.buffer(), j.plain...)
	return true, w.send(j)
}

// admit tells whether a blob is to be stored. If so it has got its share of the
// room and is pending: others rely on it from then on, so it is stored or all of
// the writing fails.
//
//nolint:contextcheck // Waiting ends with the pipeline, whatever context the caller brings.
func (w *Writer) admit(ctx context.Context, j job, again bool) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if len(j.plain) > pack.MaxBlob {
		return false, fmt.Errorf("%s of %d bytes: %w", j.handle, len(j.plain), backup.ErrUnsupported)
	}
	if w.has(j.handle, again) {
		return false, nil
	}
	need := w.need(len(j.plain))
	if err := w.room.Acquire(w.ctx, need); err != nil {
		return false, context.Cause(w.ctx)
	}
	if w.ended() {
		return false, w.late(j.handle)
	}
	if !w.claim(j.handle, again) {
		w.room.Release(need)
		return false, nil
	}
	w.counts.add(j.handle.Type, len(j.plain))
	return true, nil
}

// send gives a job to a worker.
func (w *Writer) send(j job) error {
	select {
	case w.jobs <- j:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	case <-w.finish:
		return w.late(j.handle)
	}
}

func (w *Writer) ended() bool {
	select {
	case <-w.finish:
		return true
	default:
		return false
	}
}

// late fails the writing: somebody saves who was not waited for.
func (w *Writer) late(h blob.Handle) error {
	err := fmt.Errorf("save %s after the end of writing: %w", h, backup.ErrInvalid)
	w.fail(err)
	return err
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

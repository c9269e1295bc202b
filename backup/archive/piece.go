package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/chunk"
	"emrvault/backup/source"
)

// pieces stores the pieces of large files on all cores: the one who reads the
// file only cuts it, and hands each piece to a pool. Buffers go round, so that
// memory stays bounded however large the file is.
type pieces struct {
	writer *repository.Writer
	jobs   chan *piece
	group  sync.WaitGroup
	free   chan []byte
}

// piece is one part of a file on its way.
type piece struct {
	data []byte
	slot int
	file *pieceList
}

// pieceList gathers the ids of one file.
type pieceList struct {
	next    int // for the one who cuts
	mu      sync.Mutex
	ids     []blob.ID
	err     error
	waiting sync.WaitGroup
}

// slot is the place of the next piece.
func (l *pieceList) slot() int {
	l.next++
	return l.next - 1
}

// maxPieces is how many pieces a file may have: the list of them stands in the
// tree of its folder, and readers take no tree of more than a gigabyte. It is
// enough for 2 TiB of a dump, 15 TiB of anything else, and 120 TiB of holes. A
// file of nothing but holes can be made longer than that by anybody, in no time.
const maxPieces = 15 << 20

// ErrTooLong marks a file that has more pieces than a snapshot can list.
var ErrTooLong = fmt.Errorf("file is too long for a snapshot: %w", backup.ErrUnsupported)

// room refuses what would be too many pieces.
func (l *pieceList) room(pieces int64) error {
	if int64(l.next)+pieces > maxPieces {
		return ErrTooLong
	}
	return nil
}

func (l *pieceList) set(slot int, id blob.ID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ids) <= slot {
		l.ids = append(l.ids, blob.ID{})
	}
	l.ids[slot] = id
	if err != nil && l.err == nil {
		l.err = err
	}
}

func (l *pieceList) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func startPieces(ctx context.Context, w *repository.Writer) *pieces {
	n := runtime.GOMAXPROCS(0)
	p := &pieces{writer: w, jobs: make(chan *piece), free: make(chan []byte, 2*n)}
	for range n {
		p.group.Go(func() { p.work(ctx) })
	}
	return p
}

func (p *pieces) stop() {
	close(p.jobs)
	p.group.Wait()
}

func (p *pieces) work(ctx context.Context) {
	for job := range p.jobs {
		saved, err := p.writer.SaveNow(ctx, blob.Data, job.data)
		job.file.set(job.slot, saved.ID, err)
		p.give(job.data)
		job.file.waiting.Done()
	}
}

func (p *pieces) buffer() []byte {
	select {
	case buf := <-p.free:
		return buf
	default:
		return nil
	}
}

func (p *pieces) give(buf []byte) {
	select {
	case p.free <- buf[:0]:
	default:
	}
}

var errNotRegular = fmt.Errorf("no regular file any more: %w", backup.ErrUnsupported)

// errAttributes marks a failure to read extended attributes. It costs them, and
// not the entry: a document without them is a document.
var errAttributes = errors.New("extended attributes")

// errStore marks a failure of the repository's side, which ends the run, where
// a failure to read only costs one file.
var errStore = errors.New("store")

// ruleFor is how a file is cut: as its source asks, or else by its name.
func ruleFor(asked source.Pieces, name string, size int64) chunk.Rule {
	switch asked {
	case source.PiecesChanging:
		return chunk.Database
	case source.PiecesFixed64:
		return chunk.Fixed
	case source.PiecesFixed256:
		return chunk.Fixed256
	}
	return chunk.RuleFor(name, size)
}

// cut reads r to its end and gives the ids of its pieces and its length.
func (p *pieces) cut(ctx context.Context, r io.Reader, rule chunk.Rule, run *run) ([]blob.ID, int64, error) {
	list := &pieceList{ids: []blob.ID{}}
	feed := feed{pieces: p, list: list, progress: run.opts.Progress, reader: r}
	feed.chunker = chunk.New(r, run.repo.ChunkTable(), rule)
	if f, ok := r.(*file); ok && f.holed() {
		feed.sparse = f
	}
	total, readErr := feed.run(ctx)
	list.waiting.Wait()
	if err := list.failed(); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errStore, err)
	}
	if readErr != nil {
		return nil, 0, readErr
	}
	return list.ids, total, nil
}

// feed cuts one file and hands its pieces on.
type feed struct {
	*pieces
	list     *pieceList
	progress backup.Progress
	reader   io.Reader
	chunker  *chunk.Chunker

	total  int64
	sparse *file   // has holes; nil: there are none
	zeros  blob.ID // of a piece inside a hole
	length int64   // of such a piece; 0: not known yet
}

func (f *feed) run(ctx context.Context) (total int64, err error) {
	for f.list.failed() == nil {
		if err := f.holes(ctx); err != nil {
			return f.total, err
		}
		data, err := f.chunker.Next(f.buffer())
		if errors.Is(err, io.EOF) {
			return f.total, nil
		}
		if err != nil {
			return f.total, err
		}
		if err := f.hand(ctx, data); err != nil {
			return f.total, err
		}
		f.count(int64(len(data)))
	}
	return f.total, nil
}

func (f *feed) hand(ctx context.Context, data []byte) error {
	if err := f.list.room(1); err != nil {
		return err
	}
	job := &piece{data: data, slot: f.list.slot(), file: f.list}
	f.list.waiting.Add(1)
	select {
	case f.jobs <- job:
		return nil
	case <-ctx.Done():
		f.list.waiting.Done()
		return context.Cause(ctx)
	}
}

func (f *feed) count(n int64) {
	f.total += n
	f.progress.Add(0, n)
}

// holes passes over the pieces that lie inside a hole. All of them are the same
// run of zeros, because where a piece is cut depends on nothing but its own
// bytes; so the first tells what the others are, and reading a sparse file of a
// terabyte costs its data. What comes out is what reading would give.
func (f *feed) holes(ctx context.Context) error {
	if f.sparse == nil {
		return nil
	}
	end := f.sparse.hole(f.total)
	if end <= f.total {
		return nil
	}
	if f.length == 0 {
		if err := f.learnZeros(ctx); err != nil {
			return err
		}
	}
	pieces := (end - f.total) / f.length
	if pieces == 0 {
		return nil
	}
	if err := f.list.room(pieces); err != nil {
		return err
	}
	for range pieces {
		f.list.set(f.list.slot(), f.zeros, nil)
	}
	f.count(pieces * f.length)
	f.sparse.jump(f.total)
	f.chunker.Reset(f.reader)
	return nil
}

// learnZeros cuts a run of zeros and stores its first piece.
func (f *feed) learnZeros(ctx context.Context) error {
	data := f.chunker.Zeros(f.buffer())
	saved, err := f.writer.SaveNow(ctx, blob.Data, data)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	f.zeros, f.length = saved.ID, int64(len(data))
	f.give(data)
	return nil
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

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
	mu      sync.Mutex
	ids     []blob.ID
	err     error
	waiting sync.WaitGroup
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
	chunker := chunk.New(r, run.repo.ChunkTable(), rule)
	total, readErr := p.feed(ctx, chunker, list, run)
	list.waiting.Wait()
	if err := list.failed(); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errStore, err)
	}
	if readErr != nil {
		return nil, 0, readErr
	}
	return list.ids, total, nil
}

func (p *pieces) feed(ctx context.Context, chunker *chunk.Chunker, list *pieceList, run *run) (total int64, err error) {
	for slot := 0; list.failed() == nil; slot++ {
		data, err := chunker.Next(p.buffer())
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		list.waiting.Add(1)
		select {
		case p.jobs <- &piece{data: data, slot: slot, file: list}:
		case <-ctx.Done():
			list.waiting.Done()
			return total, context.Cause(ctx)
		}
		total += int64(len(data))
		run.opts.Progress.Add(0, int64(len(data)))
	}
	return total, nil
}

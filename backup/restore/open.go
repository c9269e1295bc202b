package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// ahead is how many pieces are fetched before they are asked for, as long as
// the file is read in order.
const ahead = 3

// aheadBytes bounds them: our pieces have 8 MiB at most, a stranger's may have a
// gigabyte.
const aheadBytes = ahead * 8 << 20

// Open reads one file of a snapshot piece by piece, each proven before any of
// it is given. The repository's index must be loaded. The reader keeps a few
// pieces in memory; it is for one goroutine.
func Open(ctx context.Context, repo *repository.Repository, n *snapshot.Node) (io.ReadSeekCloser, error) {
	if n.Type != snapshot.File {
		return nil, fmt.Errorf("open %q: it is a %s, not a file: %w", n.Name, n.Type, backup.ErrInvalid)
	}
	r := &reader{repo: repo, name: n.Name, content: n.Content, ends: make([]int64, len(n.Content)), coming: map[int]chan fetched{}}
	var end int64
	for i, id := range n.Content {
		size, ok := repo.BlobSize(blob.DataHandle(id))
		if !ok {
			return nil, fmt.Errorf("open %q: piece %s is missing from the repository: %w", n.Name, id.Short(), backup.ErrDamaged)
		}
		end += int64(size)
		r.ends[i] = end
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r, nil
}

type fetched struct {
	data []byte
	err  error
}

type reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	repo   *repository.Repository
	name   string

	content []blob.ID
	ends    []int64 // offset behind each piece
	pos     int64

	coming  map[int]chan fetched // pieces on their way
	fetches sync.WaitGroup
	slot    int    // of data
	data    []byte // the piece at hand, nil before the first
}

func (r *reader) size() int64 {
	if len(r.ends) == 0 {
		return 0
	}
	return r.ends[len(r.ends)-1]
}

// Read gives the next bytes.
func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.pos >= r.size() {
		return 0, io.EOF
	}
	slot := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > r.pos })
	if err := r.load(slot); err != nil {
		return 0, err
	}
	start := r.ends[slot] - int64(len(r.data))
	n := copy(p, r.data[r.pos-start:])
	r.pos += int64(n)
	return n, nil
}

// load makes the piece the one at hand, and sends for those behind it when the
// file is read in order.
func (r *reader) load(slot int) error {
	if r.data != nil && r.slot == slot {
		return nil
	}
	inOrder := r.data == nil && slot == 0 || r.data != nil && slot == r.slot+1
	r.send(slot)
	if inOrder {
		for i := slot + 1; i <= min(slot+ahead, len(r.content)-1) && r.ends[i]-r.ends[slot] <= aheadBytes; i++ {
			r.send(i)
		}
	} else {
		for other := range r.coming { // those fetches end in their own channels
			if other != slot {
				delete(r.coming, other)
			}
		}
	}
	got := <-r.coming[slot]
	delete(r.coming, slot)
	start := int64(0)
	if slot > 0 {
		start = r.ends[slot-1]
	}
	if told := int(r.ends[slot] - start); got.err == nil && told != len(got.data) {
		got.err = wrongLength(told, len(got.data))
	}
	if got.err != nil {
		return fmt.Errorf("read %q: %w", r.name, got.err)
	}
	r.slot, r.data = slot, got.data
	return nil
}

func (r *reader) send(slot int) {
	if _, known := r.coming[slot]; known {
		return
	}
	ch := make(chan fetched, 1)
	r.coming[slot] = ch
	r.fetches.Go(func() {
		data, err := r.repo.LoadBlob(r.ctx, blob.DataHandle(r.content[slot]), nil)
		ch <- fetched{data, err}
	})
}

var errSeek = errors.New("seek before the beginning")

// Seek moves the place of the next Read.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size()
	}
	if offset < 0 {
		return r.pos, errSeek
	}
	r.pos = offset
	return offset, nil
}

// Close waits for pieces on their way; it does not fail.
func (r *reader) Close() error {
	r.cancel()
	r.fetches.Wait()
	r.data, r.coming = nil, nil
	return nil
}

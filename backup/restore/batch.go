package restore

import (
	"context"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// A batch is restored as soon as it holds so much; this bounds the memory. The
// first of a repository at hand are small, so that writing begins while the
// walk goes on; where each request is a round trip, a pack is to be fetched
// for as many files as possible.
const (
	firstBatch  = 1 << 11
	batchFiles  = 1 << 15
	batchPieces = 1 << 17
)

// file is one file on its way into the target.
type file struct {
	in    *folder
	node  *snapshot.Node
	name  string // in the target
	size  int64  // of its pieces together
	first int    // its pieces in the batch

	stands bool   // there is a file of that name: its pieces are compared first
	right  []bool // pieces that stand there already; nil: none
	kept   bool   // all of it was there: nothing is to be done

	waiting atomic.Int32 // pieces that are not written yet
	failed  atomic.Bool

	mu     sync.Mutex // of what follows
	handle output
	open   bool
	users  int
	begun  bool
}

func (f *file) path() string { return path.Join(f.in.path(), f.node.Name) }

// single says that the file comes in one go: opened, written and closed by
// whoever has its only piece.
func (f *file) single() bool { return len(f.node.Content) == 1 && !f.stands }

// entry is something that is no folder.
type entry struct {
	in    *folder
	node  *snapshot.Node
	name  string
	first *file // this is another name of it
	self  *file // how others know this entry as their first; nil: it has one name
}

func (e *entry) path() string { return path.Join(e.in.path(), e.node.Name) }

// piece is a place in a file that wants a blob.
type piece struct {
	file   *file
	offset int64
	pack   int32 // of the batch's packs
	next   int32 // another piece that wants the same blob; -1: none
}

// batch is a part of the snapshot restored together, so that each pack is
// fetched once for all of it. Folders get their metadata with the batch in
// which the walk has left them: all that is in them came in it or before.
type batch struct {
	files  []*file
	pieces []piece
	others []*entry
	links  []*entry
	left   []*folder // a folder behind those in it

	packs  []blob.ID
	number map[blob.ID]int32
	last   blob.ID // pack found last, and its number
	lastNo int32
}

func newBatch() *batch { return &batch{number: map[blob.ID]int32{}, lastNo: -1} }

func (b *batch) entries() int { return len(b.files) + len(b.others) + len(b.links) + len(b.left) }

// pack gives the number of a pack in the batch.
func (b *batch) pack(id blob.ID) int32 {
	if b.lastNo >= 0 && b.last == id {
		return b.lastNo
	}
	no, known := b.number[id]
	if !known {
		no = int32(len(b.packs))
		b.number[id] = no
		b.packs = append(b.packs, id)
	}
	b.last, b.lastNo = id, no
	return no
}

// add takes a file in. It is refused with the blob that the repository lacks.
func (b *batch) add(f *file, locate func(blob.Handle) (blob.ID, uint32, bool)) (missing blob.ID, ok bool) {
	f.first, f.size = len(b.pieces), 0
	for _, id := range f.node.Content {
		pack, plain, ok := locate(blob.DataHandle(id))
		if !ok {
			b.pieces = b.pieces[:f.first]
			return id, false
		}
		b.pieces = append(b.pieces, piece{file: f, offset: f.size, pack: b.pack(pack), next: -1})
		f.size += int64(plain)
	}
	f.waiting.Store(int32(len(f.node.Content)))
	b.files = append(b.files, f)
	return missing, true
}

// load is a pack and the blobs wanted from it.
type load struct {
	pack blob.ID
	want []blob.Handle
}

// sorted is the batch by packs, in the order in which files first need them,
// so that files are finished one after the other. first leads from a blob to
// the first of the pieces that want it.
func (b *batch) sorted() (loads []load, first map[blob.ID]int32) {
	first = make(map[blob.ID]int32, len(b.pieces))
	loads = make([]load, len(b.packs))
	for i := range loads {
		loads[i].pack = b.packs[i]
	}
	for _, f := range b.files {
		if f.kept || f.failed.Load() {
			continue
		}
		for k, id := range f.node.Content {
			if f.right != nil && f.right[k] {
				continue
			}
			no := int32(f.first + k)
			p := &b.pieces[no]
			if head, known := first[id]; known {
				p.next, b.pieces[head].next = b.pieces[head].next, no
				continue
			}
			first[id] = no
			loads[p.pack].want = append(loads[p.pack].want, blob.DataHandle(id))
		}
	}
	return loads, first
}

// meter gathers what has been done and tells it a few times a second: a lock
// for each file would cost more than small files do.
type meter struct {
	files, bytes atomic.Int64
	current      atomic.Pointer[file]
	told         struct{ files, bytes int64 }
}

func (m *meter) tell(to backup.Progress) {
	files, bytes := m.files.Load(), m.bytes.Load()
	if f := m.current.Load(); f != nil {
		to.Current(f.path())
	}
	if files != m.told.files || bytes != m.told.bytes {
		to.Add(files-m.told.files, bytes-m.told.bytes)
	}
	m.told.files, m.told.bytes = files, bytes
}

// run tells until the context ends, and once more.
func (m *meter) run(ctx context.Context, ticks <-chan time.Time, to backup.Progress) {
	for {
		select {
		case <-ctx.Done():
			m.tell(to)
			return
		case <-ticks:
			m.tell(to)
		}
	}
}

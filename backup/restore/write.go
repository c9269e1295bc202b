package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// file is one file on its way into the target.
type file struct {
	in   *folder
	node *snapshot.Node
	path string

	waiting atomic.Int64 // pieces that are not written yet

	mu     sync.Mutex
	handle output
	open   bool
	users  int
	begun  bool
	failed bool
}

// batch is some files restored together, so that each pack is fetched once.
type batch struct {
	files  []*file
	pieces int
}

// spot is a place that wants a piece.
type spot struct {
	file   *file
	offset int64
}

// load is a pack, the pieces wanted from it, and where they go.
type load struct {
	pack  blob.ID
	want  []blob.Handle
	spots map[blob.Handle][]spot
}

// restore writes the files of a batch. Packs come in the order in which files
// first need them, so that files are finished one after the other.
func (r *run) restore(ctx context.Context, b *batch) error {
	loads, blank := r.sortOut(b)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0) + 2)
	for _, f := range blank {
		if err := r.begin(f); err != nil {
			r.fail(f, err)
			continue
		}
		r.end(f)
	}
	for _, l := range loads {
		group.Go(func() error { return r.fetch(ctx, l) })
	}
	if err := group.Wait(); err != nil {
		r.abandon(b)
		return err
	}
	return nil
}

// sortOut turns files into packs; blank are those without content.
func (r *run) sortOut(b *batch) (loads []*load, blank []*file) {
	byPack := map[blob.ID]*load{}
	for _, f := range b.files {
		f.waiting.Store(int64(len(f.node.Content)))
		if len(f.node.Content) == 0 {
			blank = append(blank, f)
		}
		var offset int64
		for _, id := range f.node.Content {
			h := blob.DataHandle(id)
			pack, _, _, plain, _ := r.repo.Locate(h) // the planner asked already
			l := byPack[pack]
			if l == nil {
				l = &load{pack: pack, spots: map[blob.Handle][]spot{}}
				byPack[pack] = l
				loads = append(loads, l)
			}
			if _, known := l.spots[h]; !known {
				l.want = append(l.want, h)
			}
			l.spots[h] = append(l.spots[h], spot{f, offset})
			offset += int64(plain)
		}
	}
	return loads, blank
}

func (r *run) fetch(ctx context.Context, l *load) error {
	return r.repo.LoadPack(ctx, l.pack, l.want, func(h blob.Handle, plain []byte, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if told, _ := r.repo.BlobSize(h); err == nil && told != len(plain) {
			err = wrongLength(told, len(plain))
		}
		for _, s := range l.spots[h] {
			if err != nil {
				r.fail(s.file, fmt.Errorf("piece %s: %w", h.ID.Short(), err))
			} else if err := r.write(s, plain); err != nil {
				if full(err) {
					return fmt.Errorf("restore %s: %w", s.file.path, err)
				}
				r.fail(s.file, err)
			}
			if s.file.waiting.Add(-1) == 0 {
				r.end(s.file)
			}
		}
		return nil
	})
}

// wrongLength says that the index misled those who worked out where a piece and
// all behind it belong.
func wrongLength(told, is int) error {
	return fmt.Errorf("the index tells %d bytes, the piece has %d: %w", told, is, backup.ErrDamaged)
}

func (r *run) write(s spot, plain []byte) error {
	f := s.file
	if err := r.begin(f); err != nil {
		return err
	}
	defer r.rest(f)
	if r.opts.Sparse && zero(plain) {
		r.done(plain)
		return nil
	}
	if _, err := f.handle.WriteAt(plain, s.offset); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	r.done(plain)
	return nil
}

func (r *run) done(plain []byte) {
	r.bytes.Add(int64(len(plain)))
	r.opts.Progress.Add(0, int64(len(plain)))
}

func zero(plain []byte) bool {
	for _, c := range plain {
		if c != 0 {
			return false
		}
	}
	return true
}

var errFailed = errors.New("failed before")

// begin makes sure that the file is open. The descriptor stays until the file
// is finished: opening is what restoring small files spends its time with.
func (r *run) begin(f *file) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		return errFailed
	}
	if f.open {
		f.users++
		return nil
	}
	at, err := r.tree.take(f.in)
	if err != nil {
		return err
	}
	defer r.tree.give(f.in)
	if !f.begun {
		if err := at.clear(f.in, f.node.Name); err != nil {
			return err
		}
	}
	handle, err := at.output(f.node.Name, !f.begun)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("another entry of the folder has the same name here: %w", err)
	}
	if err != nil {
		return fmt.Errorf("make file: %w", err)
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
	defer f.mu.Unlock()
	f.users--
	if f.users > 0 || !f.open {
		return
	}
	if r.waiting.Load() <= maxWaiting {
		return
	}
	if err := r.shut(f); err != nil {
		f.failed = true
		r.problem(f.path, err)
	}
}

// shut closes the descriptor; the caller holds the file.
func (r *run) shut(f *file) error {
	err := f.handle.Close()
	f.open = false
	r.waiting.Add(-1)
	return err
}

// end sets the metadata of a file that has all its content.
func (r *run) end(f *file) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		r.discard(f)
		return
	}
	if !f.open { // closed to save descriptors
		f.mu.Unlock()
		err := r.begin(f)
		f.mu.Lock()
		if err != nil {
			r.problem(f.path, err)
			return
		}
	}
	err := r.settle(f)
	if err = errors.Join(err, r.shut(f)); err != nil {
		r.problem(f.path, err)
	}
	r.files.Add(1)
	r.opts.Progress.Add(1, 0)
}

func (r *run) settle(f *file) error {
	if r.opts.Sparse {
		if err := f.handle.Truncate(int64(f.node.Size)); err != nil {
			return fmt.Errorf("set length: %w", err)
		}
	}
	if err := r.fileMeta(f); err != nil || r.opts.Temporary {
		return err
	}
	return f.handle.durable()
}

// fail names a file that cannot be restored whole.
func (r *run) fail(f *file, err error) {
	f.mu.Lock()
	first := !f.failed
	f.failed = true
	f.mu.Unlock()
	if first {
		r.problem(f.path, err)
	}
}

// discard removes what there is of a failed file: half a document must not
// look like a whole one.
func (r *run) discard(f *file) {
	if f.open {
		if err := r.shut(f); err != nil {
			r.problem(f.path, err)
		}
	}
	if !f.begun {
		return
	}
	at, err := r.tree.take(f.in)
	if err == nil {
		err = at.remove(f.node.Name)
		r.tree.give(f.in)
	}
	if err != nil {
		r.problem(f.path, fmt.Errorf("remove the damaged file: %w", err))
	}
}

// abandon removes the unfinished files of a batch that was broken off.
func (r *run) abandon(b *batch) {
	for _, f := range b.files {
		f.mu.Lock()
		if f.open || f.begun && f.waiting.Load() > 0 {
			r.discard(f)
		}
		f.mu.Unlock()
	}
}

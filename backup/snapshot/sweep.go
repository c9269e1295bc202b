package snapshot

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// place is a tree that waits to be read, and the way to it. Ways are chained,
// so that a deep tree costs a name a level and not a path a level.
type place struct {
	id    blob.ID
	name  string
	up    *place
	owner int32 // whose tree it is, and whether it is met first: see ledger
	first bool
}

// path is built only when somebody has to read it.
func (p *place) path() string {
	var parts []string
	for ; p.up != nil && len(parts) < 1000; p = p.up {
		parts = append(parts, p.name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString("/" + parts[i])
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// sweep reads every tree below some roots once, on all cores. Folders shared
// by many snapshots, nearly all of them, cost one reading.
type sweep struct {
	repo *repository.Repository
	// enter is asked of every tree that is met, one at a time, whether it is to
	// be read; nil: when it is met first.
	enter func(at *place) bool
	// tree hears of every tree before it is read; node of every node in it.
	// Both are called from many goroutines.
	tree func(id blob.ID)
	node func(at *place, before string, n *Node) // before: the name read just before, or ""
	// stored: trees are read from the storage, whatever this machine keeps.
	stored bool
	// broken hears of a tree that cannot be read; an error ends the sweep.
	broken func(at *place, err error) error

	mu      sync.Mutex
	wake    *sync.Cond
	waiting []*place // the last is read first, which keeps the list short
	seen    map[blob.ID]struct{}
	busy    int
	failed  bool
}

func (s *sweep) run(ctx context.Context, roots []*place) error {
	s.wake = sync.NewCond(&s.mu)
	if s.enter == nil {
		s.enter = s.first
	}
	s.push(roots)
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, s.fail)
	defer stop()
	for range 2 * runtime.GOMAXPROCS(0) { // reading waits for the disk now and then
		group.Go(func() error {
			err := s.work(ctx)
			if err != nil {
				s.fail()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(outer)
}

func (s *sweep) fail() {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	s.wake.Broadcast()
}

// first tells whether a tree is met for the first time.
func (s *sweep) first(at *place) bool {
	if s.seen == nil {
		s.seen = map[blob.ID]struct{}{}
	}
	_, known := s.seen[at.id]
	s.seen[at.id] = struct{}{}
	return !known
}

func (s *sweep) push(list []*place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		if s.enter(p) {
			s.waiting = append(s.waiting, p)
			s.wake.Signal()
		}
	}
}

// pop waits for a tree; nil means that none will come any more.
func (s *sweep) pop() *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && s.busy > 0 && !s.failed {
		s.wake.Wait()
	}
	if len(s.waiting) == 0 || s.failed {
		return nil
	}
	last := len(s.waiting) - 1
	p := s.waiting[last]
	s.waiting[last] = nil
	s.waiting = s.waiting[:last]
	s.busy++
	return p
}

func (s *sweep) done() {
	s.mu.Lock()
	s.busy--
	idle := s.busy == 0
	s.mu.Unlock()
	if idle {
		s.wake.Broadcast()
	}
}

// keepTree is the longest tree whose memory is kept for the next one: that of
// a folder of a million files is not needed twice.
const keepTree = 8 << 20

func (s *sweep) work(ctx context.Context) error {
	var buf []byte
	for p := s.pop(); p != nil; p = s.pop() {
		below, grown, err := s.read(ctx, p, buf)
		if buf = grown; cap(buf) > keepTree {
			buf = nil
		}
		s.push(below)
		s.done()
		if err != nil {
			return err
		}
	}
	return nil
}

// read goes through one tree and collects the folders in it.
func (s *sweep) read(ctx context.Context, p *place, buf []byte) (below []*place, grown []byte, err error) {
	if s.tree != nil {
		s.tree(p.id)
	}
	load := s.repo.LoadBlob
	if s.stored {
		load = s.repo.LoadStored
	}
	data, err := load(ctx, blob.TreeHandle(p.id), buf)
	if err != nil {
		if ctx.Err() != nil {
			return nil, buf, context.Cause(ctx)
		}
		return nil, buf, s.broken(p, err)
	}
	d, before := NewDecoder(data).Lean(), ""
	for {
		var n Node
		err := d.Next(&n)
		if errors.Is(err, io.EOF) {
			return below, data, nil
		}
		if err != nil {
			return below, data, s.broken(p, err)
		}
		s.node(p, before, &n)
		before = n.Name
		if n.IsDir() && !n.Subtree.IsZero() {
			below = append(below, &place{id: n.Subtree, name: n.Name, up: p, owner: p.owner})
		}
	}
}

package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// maxAhead bounds the trees that are read before the walk asks for them.
const maxAhead = 32 << 20

// forest reads trees ahead of a walk. The trees of the folders in a folder lie
// side by side in packs as a rule, so a few requests fetch hundreds of them
// where the walk alone would ask, and wait, for one after the other.
type forest struct {
	repo    *repository.Repository
	slots   chan struct{} // packs being read
	readers sync.WaitGroup

	mu     sync.Mutex
	coming map[blob.ID]*tree
	held   int
}

// tree is one on its way.
type tree struct {
	wanted int // how often it will be asked for
	size   int
	done   chan struct{}
	data   []byte
	err    error
}

func newForest(repo *repository.Repository, flights int) *forest {
	return &forest{repo: repo, slots: make(chan struct{}, flights), coming: map[blob.ID]*tree{}}
}

// grove is the trees that the walk will ask for next, in their order.
type grove struct {
	ids  []blob.ID
	next int
}

// ahead sends for trees of the grove as far as there is room for them.
func (f *forest) ahead(ctx context.Context, g *grove) {
	if g.next == len(g.ids) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held > maxAhead/2 {
		return
	}
	var packs []blob.ID
	want := map[blob.ID]map[blob.ID]*tree{}
	for ; g.next < len(g.ids); g.next++ {
		id := g.ids[g.next]
		if t := f.coming[id]; t != nil {
			t.wanted++
			continue
		}
		pack, _, _, plain, ok := f.repo.Locate(blob.TreeHandle(id))
		if !ok || int(plain) > maxAhead/4 {
			continue // asked for when its turn comes
		}
		if f.held+int(plain) > maxAhead {
			break
		}
		f.held += int(plain)
		f.coming[id] = &tree{wanted: 1, size: int(plain), done: make(chan struct{})}
		if want[pack] == nil {
			want[pack] = map[blob.ID]*tree{}
			packs = append(packs, pack)
		}
		want[pack][id] = f.coming[id]
	}
	for _, pack := range packs {
		f.readers.Go(func() { f.read(ctx, pack, want[pack]) })
	}
}

var errUnread = errors.New("tree was not read")

func (f *forest) read(ctx context.Context, pack blob.ID, waiting map[blob.ID]*tree) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	want := make([]blob.Handle, 0, len(waiting))
	for id := range waiting {
		want = append(want, blob.TreeHandle(id))
	}
	err := f.repo.LoadPack(ctx, pack, want, func(h blob.Handle, plain []byte, err error) error {
		t := waiting[h.ID]
		delete(waiting, h.ID)
		t.data, t.err = bytes.Clone(plain), err
		close(t.done)
		return nil
	})
	for _, t := range waiting {
		t.err = errors.Join(errUnread, err)
		close(t.done)
	}
}

// take gives a tree. What is asked for once is kept no longer.
func (f *forest) take(ctx context.Context, id blob.ID) ([]byte, error) {
	if id.IsZero() {
		return nil, errNoTree
	}
	f.mu.Lock()
	t := f.coming[id]
	if t != nil {
		if t.wanted--; t.wanted == 0 {
			delete(f.coming, id)
			f.held -= t.size
		}
	}
	f.mu.Unlock()
	if t != nil {
		<-t.done
	}
	if t != nil && t.err == nil {
		return t.data, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f.repo.LoadBlob(ctx, blob.TreeHandle(id), nil)
}

// close waits for those who read; the context they were given must be over, or
// all they read taken.
func (f *forest) close() { f.readers.Wait() }

var errNoTree = fmt.Errorf("folder without a tree: %w", backup.ErrDamaged)

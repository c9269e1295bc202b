package repository

import (
	"context"
	"strconv"
	"sync"

	"golang.org/x/sync/singleflight"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
	"emrvault/backup/repository/index"
	"emrvault/backup/storage"
)

// treeCache spares a repository behind a network the reading of tree after
// tree: each is a few kilobytes and a round trip, and those of neighbouring
// folders lie side by side. It reads windows of packs, keeps them on this
// machine as they are, and the latest of them in memory. Nothing is proven
// here; that is done for each blob when it is opened.
type treeCache struct {
	repo    *Repository
	flights singleflight.Group // one reading of a window, however many wait for it

	mu     sync.Mutex
	recent []window // the latest first
}

// window is a part of a pack.
type window struct {
	pack   blob.ID
	number uint32
	bytes  []byte
}

const (
	windowLength = 1 << 20
	// maxCached is the longest tree that comes from windows; longer ones are
	// worth a request of their own.
	maxCached = 4 * windowLength
	// maxRecent bounds the memory: 16 MiB.
	maxRecent = 16
)

// newTreeCache gives nil where trees are near anyway.
func newTreeCache(r *Repository) *treeCache {
	if _, far := storage.As[storage.Remote](r.storage); !far || r.cache == nil {
		return nil
	}
	return &treeCache{repo: r}
}

// load gives the sealed bytes of a tree; ok is false when it must be read from
// the storage.
func (t *treeCache) load(ctx context.Context, at index.Location) (sealed []byte, ok bool) {
	if t == nil || at.Handle.Type != blob.Tree || at.Length > maxCached {
		return nil, false
	}
	end := uint64(at.Offset) + uint64(at.Length)
	sealed = make([]byte, 0, at.Length)
	for from := uint64(at.Offset); from < end; {
		n := from / windowLength
		bytes, ok := t.window(ctx, at.Pack, uint32(n))
		start, stop := from-n*windowLength, min(windowLength, end-n*windowLength)
		if !ok || stop > uint64(len(bytes)) {
			return nil, false
		}
		sealed = append(sealed, bytes[start:stop]...)
		from = n*windowLength + stop
	}
	return sealed, true
}

// forget drops what a damaged tree was read from.
func (t *treeCache) forget(at index.Location) error {
	last := (uint64(at.Offset) + uint64(at.Length) - 1) / windowLength
	for n := uint64(at.Offset) / windowLength; n <= last; n++ {
		t.mu.Lock()
		t.recent = nil
		t.mu.Unlock()
		if err := t.repo.cache.Remove(cache.Tree, windowName(at.Pack, uint32(n))); err != nil {
			return err
		}
	}
	return nil
}

func windowName(pack blob.ID, number uint32) string {
	return pack.String() + "/" + strconv.FormatUint(uint64(number), 10)
}

func (t *treeCache) window(ctx context.Context, pack blob.ID, number uint32) ([]byte, bool) {
	if bytes, ok := t.remembered(pack, number); ok {
		return bytes, true
	}
	name := windowName(pack, number)
	v, err, _ := t.flights.Do(name, func() (any, error) {
		bytes, ok := t.repo.cache.Get(cache.Tree, name)
		if !ok {
			var err error
			if bytes, err = t.fetch(ctx, pack, number); err != nil {
				return nil, err
			}
			if err := t.repo.cache.Put(cache.Tree, name, bytes); err != nil {
				return nil, err
			}
		}
		t.remember(window{pack: pack, number: number, bytes: bytes})
		return bytes, nil
	})
	bytes, _ := v.([]byte)
	// An error is met again, and told, when the tree is read by itself.
	return bytes, err == nil
}

// fetch reads a window from the storage: as much of it as holds blobs.
func (t *treeCache) fetch(ctx context.Context, pack blob.ID, number uint32) ([]byte, error) {
	from := int64(number) * windowLength
	length := min(windowLength, int64(t.repo.index().PackEnd(pack))-from)
	return t.repo.storage.Load(ctx, packName(pack), nil, from, max(0, length))
}

func (t *treeCache) remembered(pack blob.ID, number uint32) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.recent {
		if w.pack == pack && w.number == number {
			copy(t.recent[1:i+1], t.recent[:i])
			t.recent[0] = w
			return w.bytes, true
		}
	}
	return nil, false
}

func (t *treeCache) remember(w window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.recent) < maxRecent {
		t.recent = append(t.recent, window{})
	}
	copy(t.recent[1:], t.recent)
	t.recent[0] = w
}

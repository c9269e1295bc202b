package repository_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// far is a storage behind a network that counts what is read from it.
type far struct {
	storage.Storage
	mu    sync.Mutex
	loads map[storage.Kind]int
}

func (f *far) Remote() {}

func (f *far) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	f.mu.Lock()
	f.loads[name.Kind]++
	f.mu.Unlock()
	return f.Storage.Load(ctx, name, buf, offset, length)
}

// count tells how often fn reads documents of a kind.
func (f *far) count(kind storage.Kind, fn func()) int {
	f.loads = map[storage.Kind]int{}
	fn()
	return f.loads[kind]
}

func damageCache(t *testing.T, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text[len(text)/2] ^= 1
		files++
		return os.WriteFile(path, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestIndexComesFromTheCache(t *testing.T) {
	dir, want := t.TempDir(), sample(1, 30)
	st := &far{Storage: mem.New(), loads: map[storage.Kind]int{}}
	cached := repository.WithCache(dir, 64<<20)
	write(t, create(t, st, cached), want)
	opened := func() { wantBlobs(t, open(t, st, cached), want) }
	if n := st.count(storage.Index, opened); n != 0 {
		t.Errorf("after writing: got %d index files read, want none", n)
	}
	if damageCache(t, dir) == 0 {
		t.Fatal("nothing was cached")
	}
	if n := st.count(storage.Index, opened); n != 1 {
		t.Errorf("with a damaged cache: got %d index files read, want 1", n)
	}
	if n := st.count(storage.Index, opened); n != 0 {
		t.Errorf("after that: got %d index files read, want none", n)
	}
	write(t, open(t, st), sample(2, 5)) // another machine
	if n := st.count(storage.Index, opened); n != 1 {
		t.Errorf("after another machine's backup: got %d index files read, want 1", n)
	}
}

// A check looks at the storage, whatever this machine remembers.
func TestCheckLooksPastTheCache(t *testing.T) {
	dir, want := t.TempDir(), sample(1, 10)
	inner := mem.New()
	st := &far{Storage: inner, loads: map[storage.Kind]int{}}
	cached := repository.WithCache(dir, 64<<20)
	r := create(t, st, cached)
	write(t, r, want)
	wantBlobs(t, r, want) // now trees are remembered too
	for _, kind := range []storage.Kind{storage.Index, storage.Pack} {
		for _, name := range names(t, inner, kind) {
			text, err := inner.Load(t.Context(), name, nil, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			inner.Put(name, text)
		}
	}
	if errors, _ := findings(t, r); len(errors) < 2 {
		t.Errorf("got %v, want index and packs found damaged", errors)
	}
	damaged := 0
	for h, plain := range want {
		if _, err := r.LoadStored(t.Context(), h, nil); err != nil {
			damaged++
		} else if got, err := r.LoadBlob(t.Context(), h, nil); err != nil || string(got) != string(plain) {
			t.Errorf("%s: got %v", h, err)
		}
	}
	if damaged != 2 { // the one in the middle of each pack
		t.Errorf("got %d damaged blobs past the cache, want 2", damaged)
	}
}

func TestTreesOfAFarStorageAreKept(t *testing.T) {
	dir, want := t.TempDir(), contents{}
	for i := range 300 {
		want.add(blob.Tree, noise(uint64(i), 10_000)) // three windows
	}
	huge := want.add(blob.Tree, noise(1000, 5<<20))
	st := &far{Storage: mem.New(), loads: map[storage.Kind]int{}}
	write(t, create(t, st), want)
	r := open(t, st, repository.WithCache(dir, 64<<20))
	if n := st.count(storage.Pack, func() { wantBlobs(t, r, want) }); n > 15 {
		t.Errorf("the first time: got %d requests for 301 trees, want one for each window of a MiB", n)
	}
	delete(want, huge)
	again := open(t, st, repository.WithCache(dir, 64<<20))
	if n := st.count(storage.Pack, func() { wantBlobs(t, again, want) }); n != 0 {
		t.Errorf("the second time: got %d requests, want none", n)
	}
	damageCache(t, dir)
	third := open(t, st, repository.WithCache(dir, 64<<20))
	if n := st.count(storage.Pack, func() { wantBlobs(t, third, want) }); n == 0 || n > 15 {
		t.Errorf("with a damaged cache: got %d requests, want one for each window", n)
	}
	near := open(t, st.Storage, repository.WithCache(t.TempDir(), 64<<20))
	wantBlobs(t, near, want)
}

// What was kept of a pack that has changed since is not believed, and errors
// of the storage come through.
func TestTreesThatCannotBeRead(t *testing.T) {
	want := contents{}
	h := want.add(blob.Tree, noise(1, 1000))
	inner := mem.New()
	st := &far{Storage: inner, loads: map[storage.Kind]int{}}
	write(t, create(t, st), want)
	r := open(t, st, repository.WithCache(t.TempDir(), 64<<20))
	for _, name := range names(t, st, storage.Pack) {
		if err := inner.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.LoadBlob(t.Context(), h, nil); err == nil {
		t.Error("a tree of a pack that is gone was read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.LoadBlob(ctx, h, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
}

package cache_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/backup/repository/cache"
	"emrvault/backup/repository/crypto"
)

func key(t *testing.T) *crypto.Key {
	t.Helper()
	k, err := crypto.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t *testing.T, dir, repository string, k *crypto.Key, limit int64) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, repository, k, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, c *cache.Cache, kind cache.Kind, name string, data []byte) {
	t.Helper()
	if err := c.Put(kind, name, data); err != nil {
		t.Fatal(err)
	}
}

// files lists what lies below a folder.
func files(t *testing.T, dir string) (paths []string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "CACHEDIR") {
			return err
		}
		info, err := e.Info()
		paths, size = append(paths, path), size+info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths, size
}

func TestEntriesComeBack(t *testing.T) {
	dir, k := t.TempDir(), key(t)
	c := open(t, dir, "r1", k, 1<<20)
	for _, data := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("patient Wang"), 10_000)} {
		put(t, c, cache.Stat, "/home/wang", data)
		for who, reader := range map[string]*cache.Cache{"the writer": c, "another process": open(t, dir, "r1", k, 1<<20)} {
			got, ok := reader.Get(cache.Stat, "/home/wang")
			if !ok || !bytes.Equal(got, data) {
				t.Errorf("%s: got %d bytes, %v; want %d", who, len(got), ok, len(data))
			}
			if size, ok := reader.Size(cache.Stat, "/home/wang"); !ok || size != int64(len(data)) {
				t.Errorf("%s: got size %d, %v; want %d", who, size, ok, len(data))
			}
		}
	}
	for _, miss := range []struct {
		kind cache.Kind
		name string
	}{{cache.Stat, "/home/li"}, {cache.Tree, "/home/wang"}} {
		if _, ok := c.Get(miss.kind, miss.name); ok {
			t.Errorf("%s %s was never put", miss.kind, miss.name)
		}
	}
	if err := c.Remove(cache.Stat, "/home/wang"); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get(cache.Stat, "/home/wang"); ok {
		t.Error("a removed entry comes back")
	}
	if err := c.Remove(cache.Stat, "/home/wang"); err != nil {
		t.Errorf("removing it twice: %v", err)
	}
}

func TestReadUsesItsBuffer(t *testing.T) {
	c := open(t, t.TempDir(), "r1", key(t), 1<<20)
	put(t, c, cache.Index, "a", make([]byte, 1000))
	buf := make([]byte, 0, 4096)
	data, grown, ok := c.Read(cache.Index, "a", buf)
	if !ok || len(data) != 1000 || cap(grown) != cap(buf) {
		t.Errorf("got %d bytes, %v, a buffer of %d; want 1000 in one of %d", len(data), ok, cap(grown), cap(buf))
	}
}

func TestNoCacheIsAlwaysEmpty(t *testing.T) {
	var c *cache.Cache
	put(t, c, cache.State, "a", []byte("x"))
	if _, ok := c.Get(cache.State, "a"); ok {
		t.Error("a nil cache gives an entry")
	}
	if _, ok := c.Size(cache.State, "a"); ok {
		t.Error("a nil cache knows a size")
	}
	c.Retain(cache.Index, nil)
	if err := c.Remove(cache.State, "a"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	k, dir := key(t), t.TempDir()
	for _, tt := range []struct {
		name, dir, id string
		limit         int64
	}{
		{"no folder", "", "r1", 1}, {"no id", dir, "", 1}, {"an id that leads out", dir, "../r1", 1},
		{"an id that is a path", dir, "a/b", 1}, {"no room", dir, "r1", 0},
	} {
		if _, err := cache.Open(tt.dir, tt.id, k, tt.limit); err == nil {
			t.Errorf("%s: got no error", tt.name)
		}
	}
}

// What lies on the disk must tell nobody anything, and nobody can change it
// unnoticed.
func TestEntriesAreSealed(t *testing.T) {
	dir, k := t.TempDir(), key(t)
	c := open(t, dir, "r1", k, 1<<20)
	secret := []byte("patient Wang Xiaoming, 32 years")
	put(t, c, cache.Stat, "/home/wang", secret)
	put(t, c, cache.Stat, "/home/li", []byte("another one of 31 bytes, indeed"))
	paths, _ := files(t, filepath.Join(dir, "r1"))
	if len(paths) != 2 {
		t.Fatalf("got %d files, want 2", len(paths))
	}
	var texts [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
		if bytes.Contains(text, []byte("Wang")) || strings.Contains(path, "wang") {
			t.Errorf("%s shows a name", path)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
		}
	}
	damaged := func(what string, change func(n int) []byte) {
		t.Helper()
		for n, path := range paths {
			if err := os.WriteFile(path, change(n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"/home/wang", "/home/li"} {
			if got, ok := c.Get(cache.Stat, name); ok {
				t.Errorf("%s: got %q for %s", what, got, name)
			}
		}
		if left, _ := files(t, dir); len(left) > 0 {
			t.Errorf("%s: %d damaged entries stay", what, len(left))
		}
	}
	damaged("swapped", func(n int) []byte { return texts[1-n] })
	damaged("cut", func(n int) []byte { return texts[n][:len(texts[n])-1] })
	damaged("empty", func(int) []byte { return nil })
	damaged("a flipped bit", func(n int) []byte {
		bad := bytes.Clone(texts[n])
		bad[20+n] ^= 4
		return bad
	})
	damaged("sealed by the repository for something else", func(int) []byte {
		sealed, err := k.Seal(nil, bytes.Repeat([]byte("document"), 10))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	})
}

func TestLimitHoldsForAllRepositories(t *testing.T) {
	const limit = 1 << 20
	dir, k := t.TempDir(), key(t)
	var group sync.WaitGroup
	for n := range 4 { // as many processes, two to a repository
		c := open(t, dir, fmt.Sprintf("r%d", n/2), k, limit)
		group.Go(func() {
			for i := range 100 {
				if err := c.Put(cache.Tree, fmt.Sprint(n, i), make([]byte, 30_000)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if _, size := files2(dir); size > limit {
						t.Errorf("got %d bytes, want at most %d", size, limit)
					}
				}
			}
		})
	}
	group.Wait()
	if _, size := files(t, dir); size > limit || size < limit/3 {
		t.Errorf("got %d bytes, want between a third and all of %d", size, limit)
	}
}

// files2 is files while others write and remove.
func files2(dir string) (count int, size int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				count, size = count+1, size+info.Size()
			}
		}
		return nil
	})
	return count, size
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	const limit, each = 1 << 20, 60_000
	dir, k := t.TempDir(), key(t)
	c := open(t, dir, "r1", k, limit)
	put(t, c, cache.State, "probe", make([]byte, each))
	for i := range 12 {
		put(t, c, cache.Tree, fmt.Sprint(i), make([]byte, each))
		paths, _ := files(t, dir)
		for _, path := range paths { // as if each had been put an hour after the one before
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			at := info.ModTime().Add(-time.Hour)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, ok := c.Get(cache.Tree, "0"); !ok { // and now it is the youngest
		t.Fatal("entry 0 is gone too early")
	}
	for i := range 4 {
		put(t, c, cache.Tree, fmt.Sprint("new", i), make([]byte, each))
	}
	for name, want := range map[string]bool{"0": true, "1": false, "2": false, "11": true, "new3": true} {
		if _, ok := c.Get(cache.Tree, name); ok != want {
			t.Errorf("entry %s: got %v, want %v", name, ok, want)
		}
	}
	if _, ok := c.Get(cache.State, "probe"); !ok {
		t.Error("state was evicted")
	}
	if err := c.Put(cache.Tree, "huge", make([]byte, limit)); err != nil {
		t.Errorf("an entry beyond the limit: got %v, want it passed over", err)
	}
	if _, ok := c.Get(cache.Tree, "huge"); ok {
		t.Error("an entry beyond the limit was kept")
	}
}

func TestStateIsCountedAndToldOf(t *testing.T) {
	c := open(t, t.TempDir(), "r1", key(t), 1<<20)
	for i := range 8 {
		put(t, c, cache.State, fmt.Sprint(i), make([]byte, 100_000))
	}
	put(t, c, cache.Tree, "tree", make([]byte, 200_000))
	if _, ok := c.Get(cache.Tree, "tree"); ok {
		t.Error("a tree was kept where state takes all the room")
	}
	if err := c.Put(cache.State, "more", make([]byte, 200_000)); err == nil {
		t.Error("state beyond the limit: got no error")
	}
}

func TestLeftoversAreSwept(t *testing.T) {
	dir, k := t.TempDir(), key(t)
	open(t, dir, "r1", k, 1<<20)
	for name, age := range map[string]time.Duration{"tmp-old": 2 * time.Hour, "tmp-new": time.Minute} {
		path := filepath.Join(dir, "r1", "tree", name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir, "r2", k, 1<<20)
	if paths, _ := files(t, dir); len(paths) != 1 || filepath.Base(paths[0]) != "tmp-new" {
		t.Errorf("got %v, want tmp-new alone", paths)
	}
}

func TestRetain(t *testing.T) {
	c := open(t, t.TempDir(), "r1", key(t), 1<<20)
	for _, name := range []string{"a", "b", "c"} {
		put(t, c, cache.Index, name, []byte(name))
	}
	put(t, c, cache.Stat, "a", []byte("a"))
	c.Retain(cache.Index, []string{"b", "x"})
	for _, tt := range []struct {
		kind cache.Kind
		name string
		want bool
	}{{cache.Index, "a", false}, {cache.Index, "b", true}, {cache.Index, "c", false}, {cache.Stat, "a", true}} {
		if _, ok := c.Get(tt.kind, tt.name); ok != tt.want {
			t.Errorf("%s %s: got %v, want %v", tt.kind, tt.name, ok, tt.want)
		}
	}
}

// Deleting the cache under a running program costs it nothing.
func TestDeletedAtWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c := open(t, dir, "r1", key(t), 1<<20)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	put(t, c, cache.Tree, "a", []byte("x"))
	if _, ok := c.Get(cache.Tree, "a"); !ok {
		t.Error("the entry is not kept")
	}
}

// A place that cannot be written is a cache that keeps nothing.
func TestPlaceThatTakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c := open(t, dir, "r1", key(t), 1<<20)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file in its place
		t.Fatal(err)
	}
	put(t, c, cache.Tree, "a", []byte("x"))
	if _, ok := c.Get(cache.Tree, "a"); ok {
		t.Error("an entry came from nowhere")
	}
	if err := c.Put(cache.State, "a", []byte("x")); err == nil {
		t.Error("state that cannot be kept: got no error")
	}
}

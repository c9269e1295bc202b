//go:build linux

package restore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// Frames that are not what the index says of them cost their file, and no more
// memory than an honest piece. This test is not parallel: it counts.
func TestBombs(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	must(t, err)
	defer encoder.Close() // only in memory
	zeros := encoder.EncodeAll(make([]byte, 200<<20), nil)
	four := encoder.EncodeAll([]byte("four"), nil)
	claim := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0} // of a tebibyte, with nothing in it
	for _, tt := range []struct {
		name  string
		frame []byte
		plain uint32
	}{
		{"200 MiB told as four bytes", zeros, 4},
		{"200 MiB told as most of a blob", zeros, 8 << 20},
		{"four bytes told as 8 MiB", four, 8 << 20},
		{"four bytes told as five", four, 5},
		{"four bytes told as three", four, 3},
		{"a frame that claims a tebibyte", claim, 4096},
		{"no frame at all", []byte("nonsense"), 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := inMemory(t)
			id := blob.Hash([]byte(tt.name))
			must(t, repo.LoadIndex(t.Context()))
			must(t, repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
				_, err := w.SaveFrame(ctx, blob.DataHandle(id), tt.frame, tt.plain)
				return err
			}))
			bomb := node("bomb", "file", fmt.Sprintf(`"size":9223372036854775807,"content":["%s"]`, id))
			sn := forge(t, repo, bomb+","+node("good", "file", evil()))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			target := t.TempDir()
			res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Sparse: true})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, backup.ErrDamaged) || len(res.Problems) != 1 {
				t.Errorf("got %v, problems %v, want one damaged file", err, res.Problems)
			}
			const bound = 96 << 20
			if used := after.TotalAlloc - before.TotalAlloc; used > bound {
				t.Errorf("took %d MiB, want at most %d", used>>20, bound>>20)
			}
			if exists(filepath.Join(target, "bomb")) || !exists(filepath.Join(target, "good")) {
				t.Error("want the good file and no trace of the bomb")
			}
		})
	}
}

// A forged index can say that a tree lies where the tree above it does: the
// hash tells that it does not.
func TestCycleByIndex(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("inner", "file", evil()), node("loop", "dir", `"content":null,"subtree":"%s"`))
	tree, err := snapshot.LoadTree(t.Context(), repo, sn.Tree)
	must(t, err)
	inner := tree.Nodes[0].Subtree
	pack, offset, length, plain, _ := repo.Locate(blob.TreeHandle(sn.Tree))
	lie := fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[{"id":"%s","type":"tree","offset":%d,"length":%d,"uncompressed_length":%d},{"id":"%s","type":"tree","offset":%d,"length":%d,"uncompressed_length":%d}]}]}`,
		pack, sn.Tree, offset, length, plain, inner, offset, length, plain)
	repo = withIndex(t, repo, lie)
	target := t.TempDir()
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target}); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want damaged", err)
	}
	if list, _ := os.ReadDir(filepath.Join(target, "loop")); len(list) > 0 {
		t.Errorf("in the folder that cannot be read: got %v, want nothing", list)
	}
}

// withIndex opens the repository again with that index and no other.
func withIndex(t *testing.T, repo *repository.Repository, text string) *repository.Repository {
	t.Helper()
	st := repo.Storage()
	var old []storage.Name
	must(t, st.List(t.Context(), storage.Index, func(i storage.Info) error { old = append(old, i.Name); return nil }))
	for _, name := range old {
		must(t, st.Remove(t.Context(), name))
	}
	_, err := repo.SaveUnpacked(t.Context(), storage.Index, json.RawMessage(text))
	must(t, err)
	repo, err = repository.Open(t.Context(), st, password, repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	must(t, err)
	must(t, repo.LoadIndex(t.Context()))
	return repo
}

// The same name twice, in every mixture: the first, or none, is restored, and
// all else is told.
func TestNamesTwice(t *testing.T) {
	t.Parallel()
	empty := blob.Hash([]byte("{\"nodes\":[]}\n"))
	kinds := map[string]string{
		"file": node("twice", "file", evil()),
		"dir":  node("twice", "dir", fmt.Sprintf(`"content":null,"subtree":"%s"`, empty)),
		"link": node("twice", "symlink", `"linktarget":"/etc","content":null`),
	}
	for a, one := range kinds {
		for b, two := range kinds {
			for _, resume := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s and %s, resume %v", a, b, resume), func(t *testing.T) {
					t.Parallel()
					repo := inMemory(t)
					sn := forge(t, repo, "", one+","+two+","+node("z", "file", evil()))
					target := t.TempDir()
					_, _ = restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Resume: resume}) // may fail
					if got, err := os.ReadFile(filepath.Join(target, "z")); err != nil || string(got) != "evil" {
						t.Errorf("the file after them: got %q, %v", got, err)
					}
				})
			}
		}
	}
}

// Folders below folders, as deep as a path may be: it ends, without keeping a
// path for each.
func TestDeepFolders(t *testing.T) {
	repo := inMemory(t)
	deep := 20_000
	if testing.Short() {
		deep = 3_000
	}
	trees := []string{""}
	for range deep {
		trees = append(trees, node("d", "dir", `"content":null,"subtree":"%s"`))
	}
	sn := forge(t, repo, trees...)
	target := filepath.Join(t.TempDir(), "target")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Temporary: true})
	runtime.ReadMemStats(&after)
	if want := int64(min(deep, snapshot.MaxPath/2)); res.Dirs < want-1 {
		t.Errorf("got %d folders, want about %d", res.Dirs, want)
	}
	if tooDeep := 2*deep > snapshot.MaxPath; tooDeep != errors.Is(err, backup.ErrUnsafe) {
		t.Errorf("got %v", err)
	}
	const bound = 256 << 20
	if used := after.TotalAlloc - before.TotalAlloc; used > bound {
		t.Errorf("took %d MiB, want at most %d", used>>20, bound>>20)
	}
}

// Somebody with rights in the target changes a folder for a link and back
// while we write into it.
func TestFolderSwappedForLink(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	var list []string
	for i := range 300 {
		list = append(list, node(fmt.Sprintf("f%03d", i), "file", evil()))
	}
	sn := forge(t, repo, strings.Join(list, ","), node("sub", "dir", `"content":null,"subtree":"%s"`))
	outside, target := t.TempDir(), t.TempDir()
	sub, aside, link := filepath.Join(target, "sub"), filepath.Join(target, "aside"), filepath.Join(target, "link")
	must(t, os.Symlink(outside, link))
	ctx, cancel := context.WithCancel(t.Context())
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for ctx.Err() == nil {
			// Any of these may fail, as the restore moves too.
			_ = os.Rename(sub, aside)
			_ = os.Rename(link, sub)
			_ = os.Rename(sub, link)
			_ = os.Rename(aside, sub)
		}
	})
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		_, _ = restore.Run(t.Context(), repo, sn, restore.Options{Target: target, AllowNotEmpty: true, Temporary: true}) // may fail
	}
	cancel()
	swapper.Wait()
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("outside: got %d entries, %v, want none", len(list), err)
	}
}

// What the target does not have is not deleted elsewhere.
func TestDeleteStaysInside(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("inner", "file", evil()), node("sub", "dir", `"content":null,"subtree":"%s"`))
	outside, target := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "precious"), []byte("x"))
	must(t, os.Symlink(outside, filepath.Join(target, "sub")))
	must(t, os.Symlink(outside, filepath.Join(target, "stranger")))
	write(t, filepath.Join(target, "old"), []byte("x"))
	must(t, repo.LoadIndex(t.Context()))
	var would []string
	opts := restore.Options{Target: target, Delete: true}
	must(t, restore.Preview(t.Context(), repo, sn, opts, func(path string) error { would = append(would, path); return nil }))
	if len(would) != 2 {
		t.Errorf("preview: got %v, want old and stranger", would)
	}
	res, err := restore.Run(t.Context(), repo, sn, opts)
	if err != nil || res.Deleted != int64(len(would)) {
		t.Errorf("got %d deleted, %v, want what the preview said", res.Deleted, err)
	}
	if !exists(filepath.Join(outside, "precious")) {
		t.Error("it was deleted through a link")
	}
}

// A program of somebody else is not made to run as us.
func TestSetUserID(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root gives files to others; run the tests as root")
	}
	repo := inMemory(t)
	program := strings.Replace(node("program", "file", evil()), `"mode":420`, fmt.Sprintf(`"mode":%d`, uint32(fs.ModeSetuid|0o755)), 1)
	sn := forge(t, repo, strings.Replace(program, `"uid":0`, `"uid":1234`, 1))
	target := t.TempDir()
	_, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target})
	must(t, err)
	info := stat(t, filepath.Join(target, "program"))
	if info.Mode() != fs.ModeSetuid|0o755 {
		t.Errorf("by root: got %v, want it as it was", info.Mode())
	}
}

// An archive that broke off must not pass for whole.
func TestBrokenArchives(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("a", "file", evil())+","+node("lost", "file", `"size":1,"content":["`+strings.Repeat("ab", 32)+`"]`))
	var tarred, zipped bytes.Buffer
	if err := restore.Tar(t.Context(), repo, sn, "/", &tarred); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("tar: got %v, want damaged", err)
	}
	if err := restore.Zip(t.Context(), repo, sn, "/", &zipped); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("zip: got %v, want damaged", err)
	}
	if _, err := readTar(tarred.Bytes()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("tar: got %v, want an error from the reader", err)
	}
	if _, err := readZip(zipped.Bytes()); err == nil {
		t.Error("zip: got no error from the reader")
	}
}

// Blobs of a gigabyte that take no room where they lie must not be in memory
// all at once. This test is not parallel: it measures.
func TestLongBlobsComeOneAtATime(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: hashing 400 MiB takes seconds; run without -short")
	}
	const length, blobs = 100 << 20, 4
	encoder, err := zstd.NewWriter(nil)
	must(t, err)
	defer encoder.Close() // only in memory
	repo := inMemory(t)
	must(t, repo.LoadIndex(t.Context()))
	var list []string
	plain := make([]byte, length)
	for i := range blobs {
		plain[0] = byte(i)
		id := blob.Hash(plain)
		frame := encoder.EncodeAll(plain, nil)
		must(t, repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error { // each to a pack of its own
			_, err := w.SaveFrame(ctx, blob.DataHandle(id), frame, length)
			return err
		}))
		list = append(list, node(fmt.Sprint(i), "file", fmt.Sprintf(`"size":%d,"content":["%s"]`, length, id)))
	}
	sn := forge(t, repo, strings.Join(list, ","))
	runtime.GC()
	ctx, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	peak := uint64(0)
	watch.Go(func() {
		for ctx.Err() == nil {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
			time.Sleep(2 * time.Millisecond)
		}
	})
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: t.TempDir(), Sparse: true, Temporary: true})
	stop()
	watch.Wait()
	if err != nil || res.Files != blobs {
		t.Fatalf("got %+v, %v", res, err)
	}
	// A buffer is a power of two, and the last one may not be collected yet.
	if most := uint64(320 << 20); peak > most {
		t.Errorf("took %d MiB at once, want one blob of %d", peak>>20, length>>20)
	}
}

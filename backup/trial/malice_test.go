package trial

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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// forger makes repositories that no honest program makes. It has the key.
type forger struct {
	t    *testing.T
	repo *repository.Repository
}

func newForger(t *testing.T, st storage.Storage) *forger {
	t.Helper()
	_, err := repository.Create(t.Context(), st, password, cheap())
	must(t, err)
	f := &forger{t, nil}
	f.open(st)
	return f
}

func (f *forger) open(st storage.Storage) {
	f.t.Helper()
	repo, err := repository.Open(f.t.Context(), st, password, cheap())
	must(f.t, err)
	must(f.t, repo.LoadIndex(f.t.Context()))
	f.repo = repo
}

// trees stores trees, each the text between the brackets of "nodes", where %s
// is the id of the one before, and a snapshot of the last.
func (f *forger) trees(n int, text func(i int, before blob.ID) string) {
	f.t.Helper()
	var root blob.ID
	must(f.t, f.repo.Write(f.t.Context(), func(ctx context.Context, w *repository.Writer) error {
		if _, err := w.Save(ctx, blob.Data, []byte("evil")); err != nil {
			return err
		}
		for i := range n {
			saved, err := w.Save(ctx, blob.Tree, []byte(`{"nodes":[`+text(i, root)+"]}\n"))
			if err != nil {
				return err
			}
			root = saved.ID
		}
		return nil
	}))
	f.point(root)
}

func (f *forger) point(tree blob.ID) {
	f.t.Helper()
	must(f.t, snapshot.Save(f.t.Context(), f.repo, &snapshot.Snapshot{Time: day(0), Tree: tree, Paths: []string{"/"}, Hostname: "h"}))
}

// frame stores a frame under a name it does not hash to.
func (f *forger) frame(h blob.Handle, frame []byte, plain uint32) {
	f.t.Helper()
	must(f.t, f.repo.Write(f.t.Context(), func(ctx context.Context, w *repository.Writer) error {
		_, err := w.SaveFrame(ctx, h, frame, plain)
		return err
	}))
}

// lie replaces the index.
func (f *forger) lie(text string) {
	f.t.Helper()
	for _, name := range names(f.t, f.repo.Storage(), storage.Index) {
		must(f.t, f.repo.Storage().Remove(f.t.Context(), name))
	}
	_, err := f.repo.SaveUnpacked(f.t.Context(), storage.Index, json.RawMessage(text))
	must(f.t, err)
}

func node(name, kind, rest string) string {
	mode := uint32(0o644)
	if kind == "dir" {
		mode = uint32(fs.ModeDir | 0o755)
	}
	return fmt.Sprintf(`{"name":%q,"type":%q,"mode":%d,"mtime":"2026-01-02T03:04:05Z","atime":"2026-01-02T03:04:05Z","ctime":"2026-01-02T03:04:05Z","uid":0,"gid":0,%s}`, name, kind, mode, rest)
}

func evil() string {
	return fmt.Sprintf(`"size":4,"content":["%s"]`, blob.Hash([]byte("evil")))
}

// verbs are all that one does with a repository. outside is a folder that must
// stay empty.
var verbs = map[string]func(ctx context.Context, st storage.Storage, outside string) error{
	"check": func(ctx context.Context, st storage.Storage, _ string) error {
		_, err := faults(ctx, st)
		return err
	},
	"prune": func(ctx context.Context, st storage.Storage, _ string) error {
		repo, err := repository.Open(ctx, st, password, cheap())
		if err == nil {
			_, err = snapshot.Prune(ctx, repo, repository.PruneOptions{}, nil)
		}
		return err
	},
	"copy": func(ctx context.Context, st storage.Storage, outside string) error {
		from, err := repository.Open(ctx, st, password, cheap())
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "copy")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		place, err := local.Open(dir)
		if err != nil {
			return err
		}
		to, err := repository.Create(ctx, place, password, cheap())
		if err == nil {
			_, err = snapshot.Copy(ctx, from, to, snapshot.CopyOptions{}, nil)
		}
		return err
	},
	"list": func(ctx context.Context, st storage.Storage, _ string) error {
		return eachPoint(ctx, st, func(repo *repository.Repository, sn *snapshot.Snapshot) error {
			return snapshot.Walk(ctx, repo, sn.Tree, func(string, *snapshot.Node) error { return nil })
		})
	},
	"restore": func(ctx context.Context, st storage.Storage, outside string) error {
		target, err := os.MkdirTemp("", "target")
		if err != nil {
			return err
		}
		defer os.RemoveAll(target)
		return eachPoint(ctx, st, func(repo *repository.Repository, sn *snapshot.Snapshot) error {
			_, err := restore.Run(ctx, repo, sn, restore.Options{Target: target, AllowNotEmpty: true, Temporary: true})
			return err
		})
	},
	"tar": func(ctx context.Context, st storage.Storage, _ string) error {
		return eachPoint(ctx, st, func(repo *repository.Repository, sn *snapshot.Snapshot) error {
			return restore.Tar(ctx, repo, sn, "/", io.Discard)
		})
	},
	"repair": func(ctx context.Context, st storage.Storage, _ string) error {
		repo, err := repository.Open(ctx, st, password, cheap())
		if err != nil {
			return err
		}
		if err := healed(ctx, repo, repo); err != nil {
			return err
		}
		_, err = snapshot.Losses(ctx, repo, blob.NewSet(), func(snapshot.Loss) {})
		return err
	},
	"stats": func(ctx context.Context, st storage.Storage, _ string) error {
		repo, err := repository.Open(ctx, st, password, cheap())
		if err == nil {
			err = repo.LoadIndex(ctx)
		}
		if err != nil {
			return err
		}
		list, err := snapshot.List(ctx, repo, snapshot.Filter{})
		if err == nil {
			_, err = snapshot.Measure(ctx, repo, list)
		}
		return err
	},
}

func eachPoint(ctx context.Context, st storage.Storage, fn func(*repository.Repository, *snapshot.Snapshot) error) error {
	repo, err := repository.Open(ctx, st, password, cheap())
	if err != nil {
		return err
	}
	if _, err := repo.SalvageIndex(ctx); err != nil {
		return err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	for _, sn := range list {
		err = errors.Join(err, fn(repo, sn))
	}
	return err
}

// peak measures the most memory that fn has in use, beside what was before.
func peak(fn func()) (bytes int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	})
	fn()
	close(stop)
	watch.Wait()
	return int64(most - min(most, before))
}

// honest is a bomb that is what is said of it.
const honest = "200 MiB, told"

// bombs are frames of zstd that are not what is said of them.
func bombs(t *testing.T) map[string]struct {
	frame []byte
	plain uint32
} {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	must(t, err)
	defer encoder.Close() // only in memory
	zeros := encoder.EncodeAll(make([]byte, 200<<20), nil)
	type bomb = struct {
		frame []byte
		plain uint32
	}
	return map[string]bomb{
		"200 MiB told as ten bytes":       {zeros, 10},
		"200 MiB told as 8 MiB":           {zeros, 8 << 20},
		honest:                            {zeros, 200 << 20},
		"a few bytes told as 4 GiB":       {encoder.EncodeAll([]byte("{}"), nil), 1<<32 - 1},
		"a frame that claims a tebibyte":  {[]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0}, 1 << 20},
		"no frame at all":                 {bytes.Repeat([]byte("nonsense"), 20), 100},
		"a tree that never ends":          {encoder.EncodeAll([]byte(`{"nodes":[`+strings.Repeat(`[`, 1<<20)), nil), 10 + 1<<20},
		"a tree of one name of 64 MiB":    {encoder.EncodeAll([]byte(`{"nodes":[{"name":"`+strings.Repeat("a", 64<<20)+`","type":"file"}]}`), nil), 19 + 64<<20 + 18},
		"a tree of the same byte, 64 MiB": {encoder.EncodeAll(bytes.Repeat([]byte(`{"nodes":`), 7<<20), nil), 9 * 7 << 20},
	}
}

// endless is a repository of sixty trees in which each stands twice in the next:
// more paths than anybody can walk.
const endless = "two to the sixty folders"

// TestMaliciousRepository does everything one does with a repository to such as
// were made to do harm. Nothing crashes, hangs, takes memory without bound, or
// writes outside of its target. It is not parallel: it measures memory.
func TestMaliciousRepository(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short: measures every verb on every malice")
	}
	outside := t.TempDir()
	made := map[string]func(f *forger){
		"names that want out": func(f *forger) {
			link := node("link", "symlink", fmt.Sprintf(`"linktarget":%q,"content":null`, outside))
			f.trees(2, func(i int, before blob.ID) string {
				if i == 0 {
					return node("..", "file", evil()) + "," + node("../../x", "file", evil()) + "," + node(outside+"/x", "file", evil()) + "," + node("a\\x00", "file", evil())
				}
				below := fmt.Sprintf(`"content":null,"subtree":"%s"`, before)
				return node("..", "dir", below) + "," + link + "," + node("link", "dir", below) + "," + node("link", "file", evil())
			})
		},
		"an index of huge numbers": func(f *forger) {
			f.trees(1, func(int, blob.ID) string { return node("f", "file", evil()) })
			root := blob.Hash([]byte(`{"nodes":[` + node("f", "file", evil()) + "]}\n"))
			pack, _, _, _, _ := f.repo.Locate(blob.TreeHandle(root))
			f.lie(fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[
				{"id":"%s","type":"tree","offset":4294967295,"length":4294967295,"uncompressed_length":4294967295},
				{"id":"%s","type":"data","offset":0,"length":4294967295,"uncompressed_length":4294967295}]}]}`,
				pack, root, blob.Hash([]byte("evil"))))
		},
		"an index of numbers that are none": func(f *forger) {
			f.trees(1, func(int, blob.ID) string { return node("f", "file", evil()) })
			f.lie(`{"packs":[{"id":"` + strings.Repeat("ab", 32) + `","blobs":[{"id":"` + strings.Repeat("cd", 32) + `","type":"tree","offset":-1,"length":99999999999999999999}]}]}`)
		},
		"a cycle by the index": func(f *forger) {
			var ids []blob.ID
			f.trees(2, func(i int, before blob.ID) string {
				ids = append(ids, before)
				return node("loop", "dir", fmt.Sprintf(`"content":null,"subtree":"%s"`, before))
			})
			list, err := snapshot.List(f.t.Context(), f.repo, snapshot.Filter{})
			must(f.t, err)
			pack, offset, length, plain, _ := f.repo.Locate(blob.TreeHandle(list[0].Tree))
			entry := `{"id":"%s","type":"tree","offset":%d,"length":%d,"uncompressed_length":%d}`
			f.lie(fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[`+entry+","+entry+`]}]}`,
				pack, list[0].Tree, offset, length, plain, ids[1], offset, length, plain))
		},
		endless: func(f *forger) {
			f.trees(60, func(i int, before blob.ID) string {
				if i == 0 {
					return node("f", "file", evil())
				}
				below := fmt.Sprintf(`"content":null,"subtree":"%s"`, before)
				return node("a", "dir", below) + "," + node("b", "dir", below)
			})
		},
		"a pack whose list claims everything": func(f *forger) {
			f.trees(1, func(int, blob.ID) string { return node("f", "file", evil()) })
			pack := append(bytes.Repeat([]byte{7}, 5000), 0xff, 0xff, 0xff, 0xff)
			must(f.t, f.repo.Storage().Save(f.t.Context(), storagetest.Document(storage.Pack, pack), pack))
		},
		"a snapshot of 100 MiB": func(f *forger) {
			_, err := f.repo.SaveUnpacked(f.t.Context(), storage.Snapshot, map[string]any{
				"time": day(0), "tree": strings.Repeat("00", 32), "paths": []string{strings.Repeat("a", 100<<20)},
			})
			must(f.t, err)
		},
		"a file of a million pieces": func(f *forger) {
			f.trees(1, func(int, blob.ID) string {
				id := `"` + blob.Hash([]byte("evil")).String() + `"`
				return node("f", "file", `"size":9223372036854775807,"content":[`+strings.Repeat(id+",", 1_000_000)+id+`]`)
			})
		},
	}
	for name, bomb := range bombs(t) {
		made["a folder list: "+name] = func(f *forger) {
			id := blob.Hash([]byte(name))
			f.frame(blob.TreeHandle(id), bomb.frame, bomb.plain)
			f.point(id)
		}
		made["a piece: "+name] = func(f *forger) {
			id := blob.Hash([]byte(name))
			f.frame(blob.DataHandle(id), bomb.frame, bomb.plain)
			f.trees(1, func(int, blob.ID) string { return node("f", "file", fmt.Sprintf(`"size":10,"content":["%s"]`, id)) })
		}
	}
	most, worst := int64(0), ""
	for name, make := range made {
		t.Run(name, func(t *testing.T) {
			st := mem.New()
			f := newForger(t, st)
			make(f)
			bound := int64(640 << 20)
			if strings.HasSuffix(name, honest) {
				bound = 8 * 200 << 20 // the length is told, and less than the longest that may be: several at once have it
			}
			for verb, do := range verbs {
				own := st.Clone()
				patience := time.Minute
				if name == endless && slices.Contains([]string{"list", "tar", "restore"}, verb) {
					patience = time.Second // it has no end, so somebody calls it off
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				var err error
				began := time.Now()
				used := peak(func() { err = do(ctx, own, outside) })
				if ctx.Err() != nil && patience == time.Minute {
					t.Errorf("%s did not end within a minute: %v", verb, err)
				}
				if took := time.Since(began); took > patience+time.Minute {
					t.Errorf("%s was called off and ended only after %s", verb, took)
				}
				cancel()
				if used > bound {
					t.Errorf("%s took %d MiB, want at most %d", verb, used>>20, bound>>20)
				}
				if used > most {
					most, worst = used, verb+" of "+name
				}
			}
			if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
				t.Fatalf("outside of every target: got %v, %v, want nothing", list, err)
			}
		})
	}
	figures(t, "%d malicious repositories, %d verbs each: none crashed, hung or wrote outside; the most memory was %d MiB (%s)", len(made), len(verbs), most>>20, worst)
}

// TestDeepRepository nests folders, a million in a campaign, by
// EMRVAULT_DEEP. What needs a path gives up where no path can go; all else
// goes through, in memory that the number of folders explains.
func TestDeepRepository(t *testing.T) {
	deep := rounds(t, "EMRVAULT_DEEP", 20_000)
	dir := t.TempDir()
	st, err := local.Open(filepath.Join(dir, "repo"))
	must(t, err)
	f := newForger(t, st)
	f.trees(deep, func(i int, before blob.ID) string {
		if i == 0 {
			return ""
		}
		return node("d", "dir", fmt.Sprintf(`"content":null,"subtree":"%s"`, before))
	})
	f.repo = nil
	for _, verb := range []string{"check", "prune", "copy", "list", "stats", "restore", "tar"} {
		began := time.Now()
		used := peak(func() { err = verbs[verb](t.Context(), st, dir) })
		figures(t, "%s of %d nested folders: %d MiB, %s, unsafe %v", verb, deep, used>>20, time.Since(began).Round(time.Millisecond), errors.Is(err, backup.ErrUnsafe))
		if err != nil && !errors.Is(err, backup.ErrUnsafe) && !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: got %v, want success or that it is unsafe", verb, err)
		}
		bound := 128<<20 + int64(deep)*700
		if verb == "list" || verb == "tar" { // they hold a path for each level, until no path can be longer
			bound = 640 << 20
		}
		if used > bound {
			t.Errorf("%s took %d MiB, want at most %d", verb, used>>20, bound>>20)
		}
	}
}

//go:build linux

package restore_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage/mem"
)

// inMemory makes a repository that needs no disk.
func inMemory(t *testing.T) *repository.Repository {
	t.Helper()
	repo, err := repository.Create(t.Context(), mem.New(), password, repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	must(t, err)
	return repo
}

// forge stores trees that no honest writer makes: each is the text between the
// brackets of "nodes", where %s is the id of the tree before it.
func forge(t *testing.T, repo *repository.Repository, trees ...string) *snapshot.Snapshot {
	t.Helper()
	must(t, repo.LoadIndex(t.Context()))
	var root blob.ID
	err := repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		if _, err := w.Save(ctx, blob.Data, []byte("evil")); err != nil {
			return err
		}
		for _, text := range trees {
			text = strings.ReplaceAll(text, "%s", root.String())
			saved, err := w.Save(ctx, blob.Tree, []byte(`{"nodes":[`+text+"]}\n"))
			if err != nil {
				return err
			}
			root = saved.ID
		}
		return nil
	})
	must(t, err)
	sn := &snapshot.Snapshot{Time: time.Now(), Tree: root, Paths: []string{"/"}, Hostname: "host"}
	must(t, snapshot.Save(t.Context(), repo, sn))
	return sn
}

// node is the JSON of one entry.
func node(name, kind, rest string) string {
	mode := uint32(0o644)
	if kind == "dir" {
		mode = uint32(fs.ModeDir | 0o755)
	}
	return fmt.Sprintf(`{"name":%q,"type":%q,"mode":%d,"mtime":"2026-01-02T03:04:05Z","atime":"2026-01-02T03:04:05Z","ctime":"2026-01-02T03:04:05Z","uid":0,"gid":0,%s}`, name, kind, mode, rest)
}

func evil() string { return fmt.Sprintf(`"size":4,"content":["%s"]`, blob.Hash([]byte("evil"))) }

func TestNothingLeavesTheTarget(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for _, tt := range []struct {
		name  string
		trees []string
		want  error // nil: harmless, but nothing outside
	}{
		{"name with ..", []string{node("../escaped", "file", evil())}, backup.ErrUnsafe},
		{"folder named ..", []string{node("escaped", "file", evil()), node("..", "dir", `"content":null,"subtree":"%s"`)}, backup.ErrUnsafe},
		{"absolute path", []string{node(outside+"/escaped", "file", evil())}, backup.ErrUnsafe},
		{"empty name", []string{node("", "file", evil())}, backup.ErrUnsafe},
		{"NUL", []string{node(`a\x00b`, "file", evil())}, backup.ErrUnsafe},
		{"link, then a file through it", []string{
			node("escaped", "file", evil()),
			node("link", "symlink", fmt.Sprintf(`"linktarget":%q,"content":null`, outside)) + "," + node("link", "dir", `"content":null,"subtree":"%s"`),
		}, nil},
		{"folder, then a link in its place", []string{
			node("escaped", "file", evil()),
			node("link", "dir", `"content":null,"subtree":"%s"`) + "," + node("link", "symlink", fmt.Sprintf(`"linktarget":%q,"content":null`, outside)),
		}, nil},
		{"file through a link in a link", []string{
			node("link", "symlink", fmt.Sprintf(`"linktarget":%q,"content":null`, outside+"/escaped")) + "," + node("link", "file", evil()),
		}, nil},
		{"unknown type", []string{node("odd", "portal", `"content":null`)}, backup.ErrDamaged},
		{"folder without a tree", []string{node("hollow", "dir", `"content":null`)}, backup.ErrDamaged},
		{"missing piece", []string{node("lost", "file", `"size":1,"content":["`+strings.Repeat("ab", 32)+`"]`)}, backup.ErrDamaged},
		{"tree that is no tree", []string{`{"name":`}, backup.ErrDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := inMemory(t)
			sn := forge(t, repo, tt.trees...)
			res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: filepath.Join(t.TempDir(), "target")})
			if tt.want != nil && (!errors.Is(err, tt.want) || len(res.Problems) == 0) {
				t.Errorf("got %v, want an error that says %q and a named problem", err, tt.want)
			}
			if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
				t.Fatalf("outside of the target: got %v, %v, want nothing", list, err)
			}
		})
	}
}

func TestGoodNeighboursOfBadNames(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("../bad", "file", evil())+","+node("good", "file", evil()))
	target := filepath.Join(t.TempDir(), "target")
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target}); !errors.Is(err, backup.ErrUnsafe) {
		t.Errorf("got %v, want unsafe", err)
	}
	if got, err := os.ReadFile(filepath.Join(target, "good")); err != nil || string(got) != "evil" {
		t.Errorf("the good file: got %q, %v", got, err)
	}
	var found []string
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { found = append(found, f.Kind) }))
	if len(found) != 1 || found[0] != "node-name" {
		t.Errorf("check: got %v, want node-name", found)
	}
}

func TestDevicesOnlyOnRequest(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("null", "chardev", `"device":259,"content":null`)+","+node("socket", "socket", `"content":null`))
	target := filepath.Join(t.TempDir(), "target")
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target})
	if err != nil || len(res.Skipped) != 2 {
		t.Errorf("got %v, skipped %v, want two skipped", err, res.Skipped)
	}
	if os.Geteuid() != 0 {
		t.Log("NOT TESTED: making device nodes; run the tests as root")
		return
	}
	target = filepath.Join(t.TempDir(), "target")
	_, err = restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Devices: true})
	info, statErr := os.Lstat(filepath.Join(target, "null"))
	if err != nil || statErr != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Errorf("on request: got %v, %v, %v, want a character device", info, err, statErr)
	}
}

// A tree may be nested deeper than anything can bear; it must end with an
// answer, and soon.
func TestDeepTreeEnds(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	trees := []string{""}
	const deeper = snapshot.MaxPath/2 + 100 // than a path may be, with names of one letter
	for range deeper {
		trees = append(trees, node("d", "dir", `"content":null,"subtree":"%s"`))
	}
	sn := forge(t, repo, trees...)
	err := snapshot.Walk(t.Context(), repo, sn.Tree, func(string, *snapshot.Node) error { return nil })
	if !errors.Is(err, backup.ErrUnsafe) {
		t.Errorf("walk: got %v, want unsafe", err)
	}
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
	used, err := snapshot.Used(t.Context(), repo)
	if err != nil || used.Len() != len(trees) {
		t.Errorf("used: got %d, %v, want %d", used.Len(), err, len(trees))
	}
}

func TestTargetMustBeEmpty(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("good", "file", evil()))
	target := t.TempDir()
	write(t, filepath.Join(target, "mine"), []byte("mine"))
	write(t, filepath.Join(target, "good"), []byte("older"))
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target}); !errors.Is(err, backup.ErrTargetNotEmpty) {
		t.Fatalf("got %v, want target not empty", err)
	}
	if got, _ := os.ReadFile(filepath.Join(target, "good")); string(got) != "older" {
		t.Fatalf("a refused restore wrote %q", got)
	}
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, AllowNotEmpty: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(target, "mine")); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Delete: true})
	if err != nil || res.Deleted != 1 {
		t.Fatalf("delete: got %d deleted, %v, want 1", res.Deleted, err)
	}
	if list, _ := os.ReadDir(target); len(list) != 1 || list[0].Name() != "good" {
		t.Errorf("after delete: got %v, want only good", list)
	}
}

// What cannot be read must not be taken for what is not there.
func TestDeleteSparesWhatTheDamageHides(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("sub", "dir", `"content":null,"subtree":"`+strings.Repeat("cd", 32)+`"`))
	target := t.TempDir()
	mkdir(t, filepath.Join(target, "sub"))
	write(t, filepath.Join(target, "sub", "keep"), []byte("x"))
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Delete: true}); err == nil {
		t.Error("got no error, want one")
	}
	if _, err := os.Stat(filepath.Join(target, "sub", "keep")); err != nil {
		t.Errorf("deleted a file that the snapshot may well have: %v", err)
	}
}

func TestLinksInTheTargetAreNotFollowed(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("inner", "file", evil()), node("sub", "dir", `"content":null,"subtree":"%s"`))
	outside, target := t.TempDir(), t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(target, "sub")))
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, AllowNotEmpty: true}); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("followed a link out of the target: %v", list)
	}
	if got, err := os.ReadFile(filepath.Join(target, "sub", "inner")); err != nil || string(got) != "evil" {
		t.Errorf("got %q, %v, want the file in a folder of its own", got, err)
	}
}

// damage flips a byte in the middle of every pack.
func damage(t *testing.T, repoDir string, only func(size int64) bool) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(repoDir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || !only(info.Size()) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		must(t, os.Chmod(path, 0o600))
		return os.WriteFile(path, data, 0o600)
	})
	must(t, err)
}

func TestDamagedPieceCostsOneFile(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range 20 {
		write(t, filepath.Join(src, fmt.Sprintf("file%02d", i)), noise(rnd, 100_000))
	}
	repo, dir := newRepository(t)
	res := archiveDir(t, repo, src)
	damage(t, dir, func(size int64) bool { return size > 1<<20 })
	target := filepath.Join(t.TempDir(), "target")
	out, err := restore.Run(t.Context(), repo, res.Snapshot, restore.Options{Target: target})
	if !errors.Is(err, backup.ErrDamaged) || len(out.Problems) != 1 || out.Files != 19 {
		t.Fatalf("got %v, %d problems, %d files, want damaged, 1, 19", err, len(out.Problems), out.Files)
	}
	if _, err := os.Lstat(filepath.Join(target, out.Problems[0].Path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file was left behind: %v", err)
	}
	_, err = restore.Verify(t.Context(), repo, res.Snapshot, target, restore.VerifyOptions{})
	if !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("verify: got %v, want damaged", err)
	}
}

func TestVerifyNotices(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	write(t, filepath.Join(src, "a"), []byte("content"))
	must(t, os.Symlink("a", filepath.Join(src, "l")))
	repo := inMemory(t)
	res := archiveDir(t, repo, src)
	at := time.Unix(1, 0)
	for _, tt := range []struct {
		what   string
		change func(dir string) error
	}{
		{"missing", func(d string) error { return os.Remove(d + "/a") }},
		{"type", func(d string) error { return errors.Join(os.Remove(d+"/a"), os.Mkdir(d+"/a", 0o755)) }},
		{"size", func(d string) error { return os.WriteFile(d+"/a", []byte("content!"), 0o644) }},
		{"content", func(d string) error { return os.WriteFile(d+"/a", []byte("Content"), 0o644) }},
		{"mode", func(d string) error { return os.Chmod(d+"/a", 0o604) }},
		{"time", func(d string) error { return os.Chtimes(d+"/a", at, at) }},
		{"target", func(d string) error { return errors.Join(os.Remove(d+"/l"), os.Symlink("b", d+"/l")) }},
	} {
		t.Run(tt.what, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "target")
			if _, err := restore.Run(t.Context(), repo, res.Snapshot, restore.Options{Target: target, Subtree: src}); err != nil {
				t.Fatal(err)
			}
			opts := restore.VerifyOptions{Subtree: src}
			if _, err := restore.Verify(t.Context(), repo, res.Snapshot, target, opts); err != nil {
				t.Fatalf("before: %v", err)
			}
			must(t, tt.change(target))
			got, err := restore.Verify(t.Context(), repo, res.Snapshot, target, opts)
			if !errors.Is(err, backup.ErrDamaged) {
				t.Fatalf("got %v, want damaged", err)
			}
			for _, m := range got.Mismatches {
				if m.What == tt.what {
					return
				}
			}
			t.Errorf("got %v, want a mismatch of the %s", got.Mismatches, tt.what)
		})
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	for _, name := range []string{"a/x.xml", "a/x.tmp", "b/c/y.xml", "b/z.txt"} {
		mkdir(t, filepath.Dir(filepath.Join(src, name)))
		write(t, filepath.Join(src, name), []byte(name))
	}
	mkdir(t, filepath.Join(src, "hollow"))
	repo := inMemory(t)
	res := archiveDir(t, repo, src)
	for _, tt := range []struct {
		name             string
		include, exclude []string
		want             string
	}{
		{"include names", []string{"*.xml"}, nil, "a a/x.xml b b/c b/c/y.xml"},
		{"include a folder", []string{src + "/b"}, nil, "b b/c b/c/y.xml b/z.txt"},
		{"exclude names", nil, []string{"*.tmp", "hollow"}, "a a/x.xml b b/c b/c/y.xml b/z.txt"},
		{"both", []string{"*.xml"}, []string{"c"}, "a a/x.xml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "target")
			opts := restore.Options{Target: target, Subtree: src, Include: tt.include, Exclude: tt.exclude, Verify: true}
			if _, err := restore.Run(t.Context(), repo, res.Snapshot, opts); err != nil {
				t.Fatal(err)
			}
			var got []string
			must(t, fs.WalkDir(os.DirFS(target), ".", func(path string, _ fs.DirEntry, err error) error {
				if path != "." {
					got = append(got, path)
				}
				return err
			}))
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestOpenSeeks(t *testing.T) {
	t.Parallel()
	data := noise(rand.New(rand.NewPCG(3, 3)), 6<<20)
	repo := inMemory(t)
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "host"}, func(ctx context.Context, sink source.Sink) error {
		return sink.Put(ctx, source.Entry{Path: "/dump.sql", Size: -1, ModTime: time.Unix(1e9, 0)}, bytes.NewReader(data))
	})
	must(t, err)
	n, err := snapshot.Lookup(t.Context(), repo, res.Snapshot, "/dump.sql")
	must(t, err)
	r, err := restore.Open(t.Context(), repo, n)
	must(t, err)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read all: got %d bytes, %v, want %d equal ones", len(got), err, len(data))
	}
	rnd := rand.New(rand.NewPCG(4, 4))
	for range 60 {
		at, length := rnd.IntN(len(data)), rnd.IntN(300_000)
		if _, err := r.Seek(int64(at), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(r, int64(length)))
		if want := data[at:min(at+length, len(data))]; err != nil || !bytes.Equal(got, want) {
			t.Fatalf("at %d: got %d bytes, %v, want %d equal ones", at, len(got), err, len(want))
		}
	}
	if end, err := r.Seek(0, io.SeekEnd); err != nil || end != int64(len(data)) {
		t.Errorf("end: got %d, %v, want %d", end, err, len(data))
	}
	must(t, r.Close())
}

func TestTarAndZip(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 9)
	repo := inMemory(t)
	res := archiveDir(t, repo, src)
	var tarred, zipped bytes.Buffer
	must(t, restore.Tar(t.Context(), repo, res.Snapshot, src, &tarred))
	must(t, restore.Zip(t.Context(), repo, res.Snapshot, src, &zipped))
	want, err := os.ReadFile(filepath.Join(src, "large.bin"))
	must(t, err)
	for r := tar.NewReader(&tarred); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("tar: large.bin: %v", err)
		}
		if strings.HasSuffix(h.Name, "/large.bin") {
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("tar: large.bin: got %d bytes, %v", len(got), err)
			}
			break
		}
	}
	z, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	must(t, err)
	f, err := z.Open(strings.TrimPrefix(src, "/") + "/患者 张三.xml")
	must(t, err)
	got, err := io.ReadAll(f)
	must(t, err)
	if want, _ := os.ReadFile(filepath.Join(src, "患者 张三.xml")); !bytes.Equal(got, want) {
		t.Errorf("zip: got %d bytes, want %d equal ones", len(got), len(want))
	}
}

func TestPoint(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	facts := `{"as_of":"2026-11-22T01:30:00Z","began":"2026-11-22T01:29:00Z","kind":"sqlite","version":"3.50","damaged":true}`
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "host"}, func(ctx context.Context, sink source.Sink) error {
		return errors.Join(
			sink.Put(ctx, source.Entry{Path: source.PointFile, Size: int64(len(facts))}, strings.NewReader(facts)),
			sink.Put(ctx, source.Entry{Path: "/db/emr.sqlite", Size: 4}, strings.NewReader("data")))
	})
	must(t, err)
	if got := strings.Join(res.Snapshot.Paths, " "); got != "/db /point.json" {
		t.Errorf("paths: got %q", got)
	}
	p := restore.NewPoint(repo, res.Snapshot)
	got, err := p.Facts(t.Context())
	if err != nil || !got.Damaged || got.Kind != "sqlite" {
		t.Errorf("facts: got %+v, %v", got, err)
	}
	dir := t.TempDir()
	must(t, p.Restore(t.Context(), "/db", filepath.Join(dir, "a"), nil))
	must(t, p.Restore(t.Context(), "/db/emr.sqlite", filepath.Join(dir, "b"), nil))
	for _, name := range []string{"a/emr.sqlite", "b/emr.sqlite"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "data" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := p.Open(t.Context(), "/nothing"); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("open: got %v, want not found", err)
	}
}

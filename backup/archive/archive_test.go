//go:build linux

package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

func newRepository(t *testing.T) *repository.Repository {
	t.Helper()
	repo, err := repository.Create(t.Context(), mem.New(), "geheim", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	must(t, err)
	return repo
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func files(set source.FileSet) func(context.Context, source.Sink) error {
	return func(ctx context.Context, sink source.Sink) error { return sink.Files(ctx, set) }
}

// inside lists the paths of a snapshot.
func inside(t *testing.T, repo *repository.Repository, sn *snapshot.Snapshot) []string {
	t.Helper()
	var out []string
	must(t, snapshot.Walk(t.Context(), repo, sn.Tree, func(path string, _ *snapshot.Node) error {
		out = append(out, path)
		return nil
	}))
	return out
}

func TestPathsInTheSnapshot(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, name := range []string{"s/a/b/f", "s/a/g", "s/h", "other/i"} {
		write(t, filepath.Join(base, name), name)
	}
	t.Chdir(filepath.Join(base, "s"))
	for _, tt := range []struct {
		name  string
		paths []string
		want  string // below the root, or below base for absolute paths
	}{
		{"relative folder keeps its folders", []string{"a/b"}, "/a /a/b /a/b/f"},
		{"relative file", []string{"a/g"}, "/a /a/g"},
		{"here", []string{"."}, "/a /a/b /a/b/f /a/g /h"},
		{"upwards is dropped", []string{"../other"}, "/other /other/i"},
		{"upwards inside", []string{"a/../h"}, "/h"},
		{"two paths merged", []string{"a/b", "h", "a/g"}, "/a /a/b /a/b/f /a/g /h"},
		{"one inside the other", []string{"a", "a/b"}, "/a /a/b /a/b/f /a/g"},
		{"absolute", []string{filepath.Join(base, "s/a/b")}, base + "/s/a/b " + base + "/s/a/b/f"},
		{"absolute and its inner folder", []string{filepath.Join(base, "other"), filepath.Join(base, "other/i")}, base + "/other " + base + "/other/i"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepository(t)
			res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: tt.paths}))
			must(t, err)
			got := inside(t, repo, res.Snapshot)
			if strings.HasPrefix(tt.want, base) {
				got = slices.DeleteFunc(got, func(p string) bool { return len(p) <= len(base) || p == base+"/s" || p == base+"/s/a" })
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
			for _, p := range res.Snapshot.Paths {
				if !filepath.IsAbs(p) {
					t.Errorf("recorded path %q is not absolute", p)
				}
			}
		})
	}
}

func TestPathsThatWouldMeet(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "x/data/f"), "1")
	write(t, filepath.Join(base, "data/g"), "2")
	t.Chdir(filepath.Join(base, "x"))
	_, err := archive.Run(t.Context(), newRepository(t), archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{"data", "../data"}}))
	if !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestFoldersAboveKeepTheirMetadata(t *testing.T) {
	t.Parallel()
	base, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	write(t, filepath.Join(base, "up/f"), "1")
	must(t, os.Chmod(filepath.Join(base, "up"), 0o751))
	repo := newRepository(t)
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{filepath.Join(base, "up/f")}}))
	must(t, err)
	n, err := snapshot.Lookup(t.Context(), repo, res.Snapshot, filepath.Join(base, "up"))
	if err != nil || n.Mode.Perm() != 0o751 || n.Inode == 0 {
		t.Errorf("got %+v, %v, want mode 751 and an inode", n, err)
	}
}

func TestExcludes(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, name := range []string{"a/x.tmp", "a/x.xml", "cache/deep/f", "keep.tmp"} {
		write(t, filepath.Join(base, name), name)
	}
	repo := newRepository(t)
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h", Excludes: []string{"cache"}},
		files(source.FileSet{Paths: []string{base}, Exclude: []string{"*.tmp", "!keep.tmp"}}))
	must(t, err)
	var got []string
	for _, p := range inside(t, repo, res.Snapshot) {
		if rest, ok := strings.CutPrefix(p, base+"/"); ok {
			got = append(got, rest)
		}
	}
	if text := strings.Join(got, " "); text != "a a/x.xml keep.tmp" {
		t.Errorf("got %q", text)
	}
	if text := strings.Join(res.Snapshot.Excludes, " "); text != "cache *.tmp !keep.tmp" {
		t.Errorf("recorded excludes: got %q", text)
	}
}

func TestMissingSources(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	there := filepath.Join(t.TempDir(), "there")
	write(t, there, "x")
	gone := filepath.Join(t.TempDir(), "gone")
	_, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{gone}}))
	if !errors.Is(err, backup.ErrNotFound) || !strings.Contains(err.Error(), gone) {
		t.Errorf("all missing: got %v, want not found with the path", err)
	}
	for _, kind := range []storage.Kind{storage.Pack, storage.Index, storage.Snapshot} {
		must(t, repo.Storage().List(t.Context(), kind, func(i storage.Info) error {
			t.Errorf("all missing: wrote %s", i.Name)
			return nil
		}))
	}
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{there, gone}}))
	if !errors.Is(err, backup.ErrIncomplete) || len(res.Problems) != 1 || res.Problems[0].Path != gone {
		t.Errorf("one missing: got %v and %+v, want incomplete with one problem", err, res)
	}
	if res.Snapshot.ID == "" || !slices.Contains(inside(t, repo, res.Snapshot), there) {
		t.Error("one missing: the other one is not in the snapshot")
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		asNobody(t) // root reads everything
		return
	}
	base := t.TempDir()
	write(t, filepath.Join(base, "good"), "1")
	write(t, filepath.Join(base, "bad"), "2")
	write(t, filepath.Join(base, "dir/f"), "3")
	must(t, os.Chmod(filepath.Join(base, "bad"), 0))
	must(t, os.Chmod(filepath.Join(base, "dir"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(base, "dir"), 0o755) })
	repo := newRepository(t)
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{base}}))
	if !errors.Is(err, backup.ErrIncomplete) || len(res.Problems) != 2 {
		t.Fatalf("got %v, %+v, want incomplete with two problems", err, res)
	}
	if list := inside(t, repo, res.Snapshot); !slices.Contains(list, base+"/good") {
		t.Errorf("the readable file is missing: %q", list)
	}
}

// asNobody runs the test again as a user without rights.
func asNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "emrvault-nobody-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o777))
	self, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "test"), program, 0o755))
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "test"), "-test.run", "^"+t.Name()+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func keepWriting(path string, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, _ = f.WriteString("more")
			_ = f.Close()
		}
	}
}

// A file that is written all the time is kept as it was read, and named.
func TestFileThatKeepsChanging(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	path := filepath.Join(base, "busy.log")
	write(t, path, strings.Repeat("x", 24<<20))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 { // one alone may starve while all cores read
		writers.Go(func() { keepWriting(path, stop) })
	}
	repo := newRepository(t)
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{base}}))
	close(stop)
	writers.Wait()
	if !errors.Is(err, backup.ErrIncomplete) || len(res.Problems) != 1 || !res.Problems[0].Kept || !errors.Is(res.Problems[0].Err, archive.ErrChanged) {
		t.Fatalf("got %v, %+v, want one problem that says changed and kept", err, res)
	}
	n, err := snapshot.Lookup(t.Context(), repo, res.Snapshot, path)
	if err != nil || n.Size < 24<<20 || n.Error == "" {
		t.Errorf("got %+v, %v, want the file, marked", n, err)
	}
	// Marked files are read again next time, even if they look the same.
	again, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{base}}))
	if err != nil || again.Summary.FilesUnmodified != 0 {
		t.Errorf("next backup: got %v, %+v, want the file read again", err, again)
	}
}

func TestChangeDetection(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	path := filepath.Join(base, "f")
	at := time.Unix(1e9, 0)
	for _, tt := range []struct {
		name   string
		change func() error
		want   string
	}{
		{"nothing", func() error { return nil }, "0 0 1"},
		{"content of the same length and time", func() error {
			return errors.Join(os.WriteFile(path, []byte("bbbb"), 0o644), os.Chtimes(path, at, at))
		}, "0 1 0"},
		{"longer", func() error { return os.WriteFile(path, []byte("aaaaa"), 0o644) }, "0 1 0"},
		{"another file in its place", func() error {
			tmp := path + ".new"
			return errors.Join(os.WriteFile(tmp, []byte("aaaa"), 0o644), os.Chtimes(tmp, at, at), os.Rename(tmp, path))
		}, "0 1 0"},
		{"time only", func() error { return os.Chtimes(path, at, at.Add(1)) }, "0 1 0"},
		{"renamed", func() error { return os.Rename(path, path+"2") }, "1 0 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			must(t, os.RemoveAll(base))
			write(t, path, "aaaa")
			must(t, os.Chtimes(path, at, at))
			repo := newRepository(t)
			run := func() *archive.Result {
				res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{base}}))
				must(t, err)
				return res
			}
			run()
			time.Sleep(15 * time.Millisecond) // clocks of file systems tick slowly
			must(t, tt.change())
			s := run().Summary
			if got := fmt.Sprint(s.FilesNew, s.FilesChanged, s.FilesUnmodified); got != tt.want {
				t.Errorf("new, changed, unmodified: got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParent(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	write(t, a, "a")
	write(t, b, "b")
	repo := newRepository(t)
	run := func(host string, force bool, paths ...string) *snapshot.Snapshot {
		res, err := archive.Run(t.Context(), repo, archive.Options{Host: host, Force: force}, files(source.FileSet{Paths: paths}))
		must(t, err)
		return res.Snapshot
	}
	first := run("h1", false, a)
	both := run("h1", false, a, b)
	for _, tt := range []struct {
		name  string
		host  string
		force bool
		paths []string
		want  string
	}{
		{"same host and path", "h1", false, []string{a}, first.ID},
		{"same host and both paths", "h1", false, []string{b, a}, both.ID},
		{"a path of a larger snapshot", "h1", false, []string{b}, both.ID},
		{"another host", "h2", false, []string{a}, ""},
		{"forced", "h1", true, []string{a}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(tt.host, tt.force, tt.paths...)
			must(t, snapshot.Remove(t.Context(), repo, got.ID))
			if tt.want == "" && !got.Parent.IsZero() || tt.want != "" && got.Parent.String() != tt.want {
				t.Errorf("got %s, want %q", got.Parent, tt.want)
			}
		})
	}
}

func TestVirtualFiles(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 2<<20)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	var scratch string
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "h", Tags: []string{"emr"}}, func(ctx context.Context, sink source.Sink) error {
		scratch = sink.Scratch()
		info, err := os.Stat(scratch)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("scratch: got %v, %v, want a folder with mode 700", info, err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 9)
		for i := range 8 {
			wg.Go(func() {
				errs[i] = sink.Put(ctx, source.Entry{Path: fmt.Sprintf("/db/%d/dump.sql", i%4) + fmt.Sprint(i), Size: -1}, bytes.NewReader(data[i:]))
			})
		}
		wg.Wait()
		errs[8] = sink.Put(ctx, source.Entry{Path: source.PointFile, Size: 2}, strings.NewReader("{}"))
		return errors.Join(errs...)
	})
	must(t, err)
	if list := inside(t, repo, res.Snapshot); len(list) != 1+4+8+1 {
		t.Errorf("got %q", list)
	}
	if _, err := os.Stat(scratch); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("scratch folder is still there: %v", err)
	}
	if s := res.Summary; s.TotalFilesProcessed != 9 || s.DataAdded >= uint64(8*len(data)) {
		t.Errorf("summary: got %+v, want 9 files that share most of their pieces", s)
	}
}

func TestVirtualFilesRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"relative", "/", "/a/../b", "/a/", "/a\x00b", ""} {
		_, err := archive.Run(t.Context(), newRepository(t), archive.Options{Host: "h"}, func(ctx context.Context, sink source.Sink) error {
			return sink.Put(ctx, source.Entry{Path: path}, strings.NewReader("x"))
		})
		if !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("Put(%q): got %v, want invalid", path, err)
		}
	}
	for _, second := range []string{"/a", "/a/b"} {
		_, err := archive.Run(t.Context(), newRepository(t), archive.Options{Host: "h"}, func(ctx context.Context, sink source.Sink) error {
			return errors.Join(sink.Put(ctx, source.Entry{Path: "/a"}, strings.NewReader("x")), sink.Put(ctx, source.Entry{Path: second}, strings.NewReader("y")))
		})
		if !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("Put /a and %s: got %v, want invalid", second, err)
		}
	}
}

// broken fails in the middle of a stream.
type broken struct{ left int }

func (b *broken) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

// A capture that fails, or is called off, leaves no point and no lock, and the
// next one succeeds.
func TestFailureLeavesNoPoint(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	base := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(base, fmt.Sprint(i)), strings.Repeat(fmt.Sprint(i), 1000))
	}
	for _, tt := range []struct {
		name    string
		capture func(context.CancelFunc) func(context.Context, source.Sink) error
		want    error
	}{
		{"stream breaks", func(context.CancelFunc) func(context.Context, source.Sink) error {
			return func(ctx context.Context, sink source.Sink) error {
				return sink.Put(ctx, source.Entry{Path: "/x", Size: -1}, &broken{5 << 20})
			}
		}, io.ErrUnexpectedEOF},
		{"called off before the end", func(cancel context.CancelFunc) func(context.Context, source.Sink) error {
			return func(ctx context.Context, sink source.Sink) error {
				err := sink.Files(ctx, source.FileSet{Paths: []string{base}})
				cancel()
				return err
			}
		}, context.Canceled},
		{"called off while reading", func(cancel context.CancelFunc) func(context.Context, source.Sink) error {
			return func(ctx context.Context, sink source.Sink) error {
				time.AfterFunc(time.Millisecond, cancel)
				return errors.Join(sink.Files(ctx, source.FileSet{Paths: []string{base}}), sink.Put(ctx, source.Entry{Path: "/x", Size: -1}, &broken{1 << 40}))
			}
		}, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if res, err := archive.Run(ctx, repo, archive.Options{Host: "h"}, tt.capture(cancel)); !errors.Is(err, tt.want) || res != nil {
				t.Fatalf("got %+v, %v, want no result and %v", res, err, tt.want)
			}
			for _, kind := range []storage.Kind{storage.Snapshot, storage.Lock} {
				must(t, repo.Storage().List(t.Context(), kind, func(i storage.Info) error {
					t.Errorf("left behind: %s", i.Name)
					return nil
				}))
			}
		})
	}
	if _, err := archive.Run(t.Context(), repo, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{base}})); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
}

//go:build linux

package archive_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// remembering is a repository of which this machine keeps a cache.
type remembering struct {
	*repository.Repository
	st  storage.Storage
	dir string
}

func newRemembering(t *testing.T) *remembering {
	t.Helper()
	r := &remembering{st: mem.New(), dir: t.TempDir()}
	repo, err := repository.Create(t.Context(), r.st, "geheim", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}), repository.WithCache(r.dir, 1<<30))
	must(t, err)
	r.Repository = repo
	return r
}

// forgetful opens the same repository without a cache.
func (r *remembering) forgetful(t *testing.T) *repository.Repository {
	t.Helper()
	repo, err := repository.Open(t.Context(), r.st, "geheim")
	must(t, err)
	return repo
}

// scene is a tree of files in which everything happens that may happen to one.
type scene struct {
	t    *testing.T
	dir  string
	rng  *rand.Rand
	made int
}

func (s *scene) all() (files, folders []string) {
	folders = []string{s.dir}
	must(s.t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || path == s.dir:
		case d.IsDir():
			folders = append(folders, path)
		default:
			files = append(files, path)
		}
		return err
	}))
	return files, folders
}

func (s *scene) pick(list []string) string { return list[s.rng.IntN(len(list))] }

func (s *scene) fresh(in string) string {
	s.made++
	return filepath.Join(in, fmt.Sprintf("%c-%d.xml", 'a'+rune(s.rng.IntN(26)), s.made))
}

// mutate does one thing to the tree.
func (s *scene) mutate() {
	files, folders := s.all()
	folder := s.pick(folders)
	if len(files) == 0 {
		write(s.t, s.fresh(folder), "first")
		return
	}
	file := s.pick(files)
	old := time.Unix(1e9, 0)
	var err error
	switch s.rng.IntN(18) {
	case 0, 1:
		write(s.t, s.fresh(folder), strings.Repeat("x", s.rng.IntN(5000)))
	case 2:
		err = os.Mkdir(s.fresh(folder), 0o755)
	case 3:
		err = os.Remove(file)
	case 4:
		if folder != s.dir {
			err = os.RemoveAll(folder)
		}
	case 5:
		err = os.Rename(file, s.fresh(folder))
	case 6:
		if folder != s.dir {
			err = os.Rename(folder, s.fresh(s.dir))
		}
	case 7: // same length, same time
		var info fs.FileInfo
		if info, err = os.Lstat(file); err == nil && info.Mode().IsRegular() {
			err = errors.Join(os.WriteFile(file, []byte(strings.Repeat("y", int(info.Size()))), 0o644), os.Chtimes(file, info.ModTime(), info.ModTime()))
		}
	case 8:
		err = os.Chmod(folder, fs.FileMode(0o700+s.rng.IntN(64)))
	case 9:
		err = os.Lchown(file, s.rng.IntN(3), s.rng.IntN(3))
	case 10:
		err = unix.Lsetxattr(folder, "user.ward", []byte(fmt.Sprint(s.rng.IntN(9))), 0)
	case 11:
		if err = unix.Setxattr(file, "user.ward", []byte(fmt.Sprint(s.rng.IntN(9))), 0); errors.Is(err, unix.ENOENT) {
			err = nil // a link that leads nowhere
		}
	case 12:
		err = os.Symlink(fmt.Sprint("to-", s.rng.IntN(9)), s.fresh(folder))
	case 13:
		err = os.Link(file, s.fresh(folder))
	case 14: // another file in its place
		tmp := file + ".new"
		err = errors.Join(os.WriteFile(tmp, []byte("instead"), 0o644), os.Chtimes(tmp, old, old), os.Rename(tmp, file))
	case 15:
		if err = os.Chtimes(file, old, old); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case 16:
		err = syscall.Mkfifo(s.fresh(folder), 0o600)
	case 17: // a folder becomes a file
		if folder != s.dir {
			err = errors.Join(os.RemoveAll(folder), os.WriteFile(folder, []byte("no folder any more"), 0o600))
		}
	}
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		err = nil // not on this file system, or not for this user
	}
	must(s.t, err)
}

// Whatever happens to a tree: a snapshot that was made with what this machine
// remembers is the same, to the bit, as one that was made without.
func TestRememberedIsAsLookedUp(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	s := &scene{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 2))}
	for range 60 {
		_, folders := s.all()
		write(t, s.fresh(s.pick(folders)), "patient")
		must(t, os.MkdirAll(filepath.Join(s.pick(folders), fmt.Sprint("ward", s.rng.IntN(20))), 0o755))
	}
	r := newRemembering(t)
	capture := files(source.FileSet{Paths: []string{s.dir}})
	var kept uint64
	for round := range rounds {
		for range s.rng.IntN(4) {
			s.mutate()
		}
		if s.rng.IntN(3) > 0 {
			time.Sleep(20 * time.Millisecond) // else it is in doubt what changed in the same tick
		}
		at := time.Now()
		with, err := archive.Run(t.Context(), r.Repository, archive.Options{Host: "h", Time: at}, capture)
		must(t, err)
		without, err := archive.Run(t.Context(), r.forgetful(t), archive.Options{Host: "h", Time: at, Force: s.rng.IntN(2) == 0}, capture)
		must(t, err)
		got, want := treeOf(t, r.Repository, with, s.dir), treeOf(t, r.Repository, without, s.dir)
		if got != want {
			t.Fatalf("seed %d, round %d: with a memory\n%s\nwithout\n%s", seed, round, describe(t, r.Repository, got), describe(t, r.Repository, want))
		}
		if w, o := with.Summary, without.Summary; w.TotalFilesProcessed != o.TotalFilesProcessed || w.TotalBytesProcessed != o.TotalBytesProcessed {
			t.Fatalf("seed %d, round %d: %d files of %d bytes with a memory, %d of %d without", seed, round,
				w.TotalFilesProcessed, w.TotalBytesProcessed, o.TotalFilesProcessed, o.TotalBytesProcessed)
		}
		must(t, snapshot.Remove(t.Context(), r.Repository, without.Snapshot.ID))
		kept += with.Summary.DirsUnmodified
	}
	if kept == 0 {
		t.Errorf("seed %d: no folder was ever unmodified: this test shows nothing", seed)
	}
}

// treeOf gives the tree of a folder that was backed up; those above it belong to
// others, and change.
func treeOf(t *testing.T, repo *repository.Repository, res *archive.Result, dir string) blob.ID {
	t.Helper()
	must(t, repo.LoadIndex(t.Context()))
	n, err := snapshot.Lookup(t.Context(), repo, res.Snapshot, dir)
	must(t, err)
	return n.Subtree
}

// describe lists all that is in a tree.
func describe(t *testing.T, repo *repository.Repository, tree blob.ID) string {
	t.Helper()
	var lines []string
	must(t, snapshot.Walk(t.Context(), repo, tree, func(path string, n *snapshot.Node) error {
		text, err := snapshot.NodeText(n)
		lines = append(lines, path+" "+string(text))
		return err
	}))
	return strings.Join(lines, "\n")
}

// settled makes a small tree and a first snapshot of it.
func settled(t *testing.T, r *remembering, dir string) *archive.Result {
	t.Helper()
	for i := range 40 {
		write(t, filepath.Join(dir, fmt.Sprint("ward", i%5), "inner", fmt.Sprint(i)), fmt.Sprint("record ", i))
	}
	return run(t, r.Repository, dir, archive.Options{})
}

func run(t *testing.T, repo *repository.Repository, dir string, o archive.Options) *archive.Result {
	t.Helper()
	o.Host = "h"
	res, err := archive.Run(t.Context(), repo, o, files(source.FileSet{Paths: []string{dir}}))
	must(t, err)
	return res
}

// A book that is damaged, of another snapshot, or gone costs time and nothing
// else.
func TestBooksThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, r *remembering, dir string, first *archive.Result)
	}{
		{"untouched", func(*testing.T, *remembering, string, *archive.Result) {}},
		{"gone", func(t *testing.T, r *remembering, _ string, _ *archive.Result) {
			t.Helper()
			r.Repository = r.forgetful(t)
		}},
		{"damaged", func(t *testing.T, r *remembering, _ string, _ *archive.Result) {
			t.Helper()
			must(t, filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				must(t, err)
				if len(data) > 0 {
					data[len(data)/2] ^= 1
				}
				return os.WriteFile(path, data, 0o600)
			}))
		}},
		{"parent forgotten", func(t *testing.T, r *remembering, _ string, first *archive.Result) {
			t.Helper()
			must(t, snapshot.Remove(t.Context(), r.Repository, first.Snapshot.ID))
		}},
		{"index lost", func(t *testing.T, r *remembering, _ string, _ *archive.Result) {
			t.Helper()
			var names []storage.Name
			must(t, r.st.List(t.Context(), storage.Index, func(i storage.Info) error {
				names = append(names, i.Name)
				return nil
			}))
			for _, n := range names {
				must(t, r.st.Remove(t.Context(), n))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, dir := newRemembering(t), t.TempDir()
			first := settled(t, r, dir)
			tt.do(t, r, dir, first)
			second := run(t, r.Repository, dir, archive.Options{})
			got, want := treeOf(t, r.Repository, second, dir), treeOf(t, r.Repository, first, dir)
			if got != want {
				t.Errorf("got tree %s, want %s", got.Short(), want.Short())
			}
			must(t, snapshot.Check(t.Context(), r.Repository, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
		})
	}
}

// A folder whose entries could not all be had is looked at closely next time,
// although it shows nothing new.
func TestSpoiledFolderIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	r, dir := newRemembering(t), t.TempDir()
	secret := filepath.Join(dir, "ward", "secret")
	write(t, secret, "x")
	write(t, filepath.Join(dir, "ward", "open"), "y")
	must(t, os.Chmod(secret, 0))
	time.Sleep(2100 * time.Millisecond) // beyond doubt
	for range 2 {
		res, err := archive.Run(t.Context(), r.Repository, archive.Options{Host: "h"}, files(source.FileSet{Paths: []string{dir}}))
		if !errors.Is(err, backup.ErrIncomplete) || len(res.Problems) != 1 {
			t.Fatalf("got %v, %+v, want the unreadable file named each time", err, res)
		}
	}
}

// The tree of an unchanged folder may be lost by the time a folder in it has
// changed. Then it is listed anew, and healed.
func TestTornTreeIsMadeAnew(t *testing.T) {
	t.Parallel()
	r, dir := newRemembering(t), t.TempDir()
	settled(t, r, dir)
	time.Sleep(4200 * time.Millisecond) // nothing is in doubt
	before := run(t, r.Repository, dir, archive.Options{})
	write(t, filepath.Join(dir, "ward1", "inner", "new"), "new")
	damageTree(t, r, before.Snapshot, dir+"/ward1")
	after := run(t, r.Repository, dir, archive.Options{})
	want := []string{"inner", "new"}
	var got []string
	for _, path := range inside(t, r.Repository, after.Snapshot) {
		if rest, ok := strings.CutPrefix(path, dir+"/ward1/"); ok && slices.Contains(want, filepath.Base(rest)) {
			got = append(got, filepath.Base(rest))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if after.Summary.TotalFilesProcessed != 41 {
		t.Errorf("got %d files, want 41", after.Summary.TotalFilesProcessed)
	}
}

// damageTree spoils the stored tree of one folder.
func damageTree(t *testing.T, r *remembering, sn *snapshot.Snapshot, path string) {
	t.Helper()
	n, err := snapshot.Lookup(t.Context(), r.Repository, sn, path)
	must(t, err)
	pack, offset, _, _, ok := r.Locate(blob.TreeHandle(n.Subtree))
	if !ok {
		t.Fatalf("tree of %s is in no index", path)
	}
	name := storage.Name{Kind: storage.Pack, ID: pack.String()}
	data, err := r.st.Load(t.Context(), name, nil, 0, -1)
	must(t, err)
	data[offset+20] ^= 1
	must(t, r.st.Remove(t.Context(), name))
	must(t, r.st.Save(t.Context(), name, data))
}

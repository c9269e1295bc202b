//go:build linux

package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage/local"
)

const password = "geheim"

// newRepository makes a repository in a temporary folder.
func newRepository(t testing.TB) (*repository.Repository, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Create(t.Context(), st, password, repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	})
	return repo, dir
}

func openRepository(t *testing.T, dir string) *repository.Repository {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	})
	return repo
}

// files archives paths as they lie.
func files(set source.FileSet) func(context.Context, source.Sink) error {
	return func(ctx context.Context, sink source.Sink) error { return sink.Files(ctx, set) }
}

func archiveDir(t testing.TB, repo *repository.Repository, dir string) *archive.Result {
	t.Helper()
	res, err := archive.Run(t.Context(), repo, archive.Options{Host: "host", Program: "emrvault test"}, files(source.FileSet{Paths: []string{dir}}))
	if err != nil {
		t.Fatalf("archive: %v", err)
	}
	return res
}

// grow makes a folder with every kind of awkward thing in it.
func grow(t *testing.T, dir string, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	names := []string{
		"plain.txt", "患者 张三.xml", "full\u3000width", "no\u00a0break", "quo\"te", `back\slash`, "new\nline", "bad\xff\x01name",
		"<html>&amp;", "line\u2028sep", "'", "ﬁ", "e\u0301", "-dash", " lead", "trail ", "%s", "😀",
	}
	for i, name := range names {
		write(t, filepath.Join(dir, name), noise(rnd, rnd.IntN(3000)))
		if i%4 == 0 {
			sub := filepath.Join(dir, "dir "+name)
			mkdir(t, sub)
			write(t, filepath.Join(sub, name), noise(rnd, rnd.IntN(100)))
		}
	}
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "large.bin"), noise(rnd, 9<<20))
	write(t, filepath.Join(dir, "dump.sql"), noise(rnd, 3<<20))
	write(t, filepath.Join(dir, "zeros"), make([]byte, 5<<20))
	mkdir(t, filepath.Join(dir, "empty folder"))
	must(t, os.Link(filepath.Join(dir, "plain.txt"), filepath.Join(dir, "second name")))
	must(t, os.Symlink("plain.txt", filepath.Join(dir, "link")))
	must(t, os.Symlink("/nowhere/\xff", filepath.Join(dir, "dangling")))
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o640))
	must(t, os.Chmod(filepath.Join(dir, "empty"), 0o755|fs.ModeSetuid))
	must(t, os.Chmod(filepath.Join(dir, "empty folder"), 0o777|fs.ModeSticky))
	setXattr(t, filepath.Join(dir, "plain.txt"), "user.kind", []byte{0, 1, 0xff})
	setXattr(t, filepath.Join(dir, "plain.txt"), "user.empty", nil)
	setXattr(t, filepath.Join(dir, "empty folder"), "user.dir", []byte("folder"))
	setXattr(t, filepath.Join(dir, "dump.sql"), "system.posix_acl_access", acl())
	if os.Geteuid() == 0 {
		must(t, os.Lchown(filepath.Join(dir, "quo\"te"), 1234, 4321))
		must(t, os.Lchown(filepath.Join(dir, "link"), 1234, 4321))
	}
	old := time.Date(1999, 12, 31, 23, 59, 59, 123456789, time.UTC)
	must(t, os.Chtimes(filepath.Join(dir, "dump.sql"), old, old))
	must(t, os.Chtimes(filepath.Join(dir, "empty folder"), old, old))
	must(t, os.Chtimes(filepath.Join(dir, "plain.txt"), time.Unix(-5, 7), time.Unix(-5, 7)))
	must(t, os.Chtimes(dir, old, old))
}

// acl is a list of user::rw- user:1000:r-- group::r-- mask::r-- other::---.
func acl() []byte {
	entry := func(tag, perm uint16, id uint32) []byte {
		return []byte{byte(tag), byte(tag >> 8), byte(perm), byte(perm >> 8), byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	}
	const none = 0xffffffff
	return slices.Concat([]byte{2, 0, 0, 0}, entry(1, 6, none), entry(2, 4, 1000), entry(4, 4, none), entry(0x10, 4, none), entry(0x20, 0, none))
}

func setXattr(t *testing.T, path, name string, value []byte) {
	t.Helper()
	if err := unix.Lsetxattr(path, name, value, 0); errors.Is(err, unix.ENOTSUP) {
		t.Logf("NOT TESTED: the temporary folder's file system has no %s; set TMPDIR to ext4 or xfs", name)
	} else if err != nil {
		t.Fatal(err)
	}
}

func noise(rnd *rand.Rand, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rnd.Uint32())
	}
	return out
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o644))
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describe lists a folder: everything that a restore must bring back.
func describe(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	inodes := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		text := fmt.Sprintf("%o %d:%d %d.%d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			must(t, err)
			text += fmt.Sprintf(" -> %q", target)
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			must(t, err)
			text += fmt.Sprintf(" %d bytes %x", len(data), sum(data))
			if first, known := inodes[st.Ino]; known && st.Nlink > 1 {
				text += " = " + first
			}
			inodes[st.Ino] = rel
		}
		out[rel] = text + attributes(t, path)
		return nil
	})
	must(t, err)
	return out
}

func sum(data []byte) [2]uint64 {
	var h [2]uint64
	for i, c := range data {
		h[i&1] = h[i&1]*1099511628211 + uint64(c) + 1
	}
	return h
}

func attributes(t *testing.T, path string) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return ""
	}
	must(t, err)
	names := strings.Split(strings.Trim(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		if name == "" {
			continue
		}
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(path, name, value)
		must(t, err)
		fmt.Fprintf(&out, " %s=%x", name, value[:n])
	}
	return out.String()
}

func compare(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%q:\n got  %s\n want %s", name, got[name], text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q: not in the source", name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 1)
	repo, _ := newRepository(t)
	res := archiveDir(t, repo, src)
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
	for _, sparse := range []bool{false, true} {
		dst := filepath.Join(t.TempDir(), "dst")
		out, err := restore.Run(t.Context(), repo, res.Snapshot, restore.Options{Target: dst, Verify: true, Sparse: sparse})
		if err != nil {
			t.Fatalf("restore: %v", err)
		}
		if len(out.Problems)+len(out.Skipped) > 0 {
			t.Errorf("problems: %v, skipped: %v", out.Problems, out.Skipped)
		}
		compare(t, describe(t, src), describe(t, filepath.Join(dst, src)))
	}
}

func TestUnchangedSecondBackup(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 2)
	repo, _ := newRepository(t)
	first := archiveDir(t, repo, src)
	second := archiveDir(t, repo, src)
	was, err := snapshot.Lookup(t.Context(), repo, first.Snapshot, src)
	must(t, err)
	is, err := snapshot.Lookup(t.Context(), repo, second.Snapshot, src)
	must(t, err)
	if is.Subtree != was.Subtree {
		t.Errorf("tree: got %s, want the same as before, %s", is.Subtree, was.Subtree)
	}
	s := second.Summary
	if s.FilesNew+s.FilesChanged+s.DirsNew+s.DirsChanged != 0 || s.DataBlobs != 0 {
		t.Errorf("summary: got %+v, want everything unmodified", s)
	}
	if second.Snapshot.Parent.String() != first.Snapshot.ID {
		t.Errorf("parent: got %s, want %s", second.Snapshot.Parent, first.Snapshot.ID)
	}
}

// resticPath gives the real restic, or says aloud that it is missing.
func resticPath(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("RESTIC_BIN"); bin != "" {
		return bin
	}
	bin, err := exec.LookPath("restic")
	if err != nil {
		t.Skip("SKIPPED: no restic binary; install Debian's package restic or set RESTIC_BIN")
	}
	return bin
}

func restic(t *testing.T, repoDir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), resticPath(t), append([]string{"--no-cache", "-r", repoDir}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("restic %v: %v\n%s", args, err, out.String())
	}
	return out.String()
}

func TestResticReadsOurs(t *testing.T) {
	t.Parallel()
	resticPath(t)
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 3)
	repo, dir := newRepository(t)
	archiveDir(t, repo, src)
	restic(t, dir, "check", "--read-data")
	dst := t.TempDir()
	restic(t, dir, "restore", "latest", "--target", dst)
	compare(t, withoutRawTargets(describe(t, src)), withoutRawTargets(describe(t, filepath.Join(dst, src))))
	out := restic(t, dir, "backup", "--json", "--host", "host", src)
	for _, want := range []string{`"files_new":0`, `"files_changed":0`, `"data_blobs":0`} {
		if !strings.Contains(out, want) {
			t.Errorf("stock backup on top: want %s in\n%s", want, out[strings.LastIndexByte(strings.TrimSpace(out), '\n')+1:])
		}
	}
}

// withoutRawTargets leaves out what restic 0.14 cannot do: link targets that
// are not UTF-8, and the owner of set-user-id files restored in that order.
func withoutRawTargets(list map[string]string) map[string]string {
	delete(list, "dangling")
	return list
}

func TestWeReadRestics(t *testing.T) {
	t.Parallel()
	resticPath(t)
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	grow(t, src, 4)
	dir := filepath.Join(t.TempDir(), "repository")
	restic(t, dir, "init", "--repository-version", "2")
	time.Sleep(2100 * time.Millisecond) // what changed just before the parent was made is read again
	restic(t, dir, "backup", "--host", "host", src)
	repo := openRepository(t, dir)
	must(t, repo.LoadIndex(t.Context()))
	must(t, snapshot.Check(t.Context(), repo, func(f repository.Finding) { t.Errorf("check: %s", f.Text) }))
	sn, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{})
	must(t, err)
	dst := t.TempDir()
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: dst, Verify: true}); err != nil {
		t.Fatalf("restore: %v", err)
	}
	compare(t, withoutRawTargets(describe(t, src)), withoutRawTargets(describe(t, filepath.Join(dst, src))))
	// Our backup on top finds everything unchanged.
	res := archiveDir(t, repo, src)
	if s := res.Summary; s.FilesNew+s.FilesChanged != 0 || s.DataBlobs != 0 {
		t.Errorf("our backup on top: got %+v, want no file read", s)
	}
	restic(t, dir, "check", "--read-data")
}

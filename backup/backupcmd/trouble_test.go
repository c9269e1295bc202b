//go:build linux

package backupcmd

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup/repository"
	"emrvault/backup/storage/local"
)

// mountSmall puts a file system of that many bytes at dir, or says aloud that
// it cannot.
func mountSmall(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: cannot mount a small tmpfs (%v); run the tests as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func (c *console) noise(name string, n int) string {
	c.t.Helper()
	data := make([]byte, n)
	rnd := rand.New(rand.NewPCG(uint64(n), 5))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return c.file(name, string(data))
}

// A disk that fills up in the middle of a backup costs this backup, and
// nothing that was there before.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	mountSmall(t, c.path("disk"), "40m")
	repo := c.path("disk/repo")
	c.want(0, "repo", "init", "-r", repo)
	small := c.noise("src/small", 1<<20)
	c.want(0, "repo", "backup", "-r", repo, small)
	c.noise("src/large", 80<<20)
	if out := c.want(1, "repo", "backup", "-r", repo, c.path("src")); !strings.Contains(out, "no room") {
		t.Errorf("full disk: got %q, want it to say so", out)
	}
	if out := c.want(0, "repo", "points", "-r", repo); !strings.Contains(out, "1 point\n") {
		t.Errorf("points: got %q", out)
	}
	c.want(0, "repo", "prune", "-r", repo, "--confirm")
	c.want(0, "repo", "check", "-r", repo, "--read-data")
	c.want(0, "repo", "restore", "-r", repo, "latest", "--target", c.path("out"), "--verify")
	c.want(0, "repo", "backup", "-r", repo, small)
}

func TestFullTarget(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, c.noise("src/large", 20<<20))
	mountSmall(t, c.path("disk"), "4m")
	if out := c.want(1, "repo", "restore", "-r", repo, "latest", "--target", c.path("disk/out")); !strings.Contains(out, "no space") {
		t.Errorf("full target: got %q, want it to say so", out)
	}
}

// On media that cannot be written, restore and check work and do not wait for
// a lock; a backup is refused with the reason.
func TestReadOnlyMedia(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	mountSmall(t, c.path("disk"), "60m")
	repo := c.path("disk/repo")
	c.want(0, "repo", "init", "-r", repo)
	src := c.file("src/a", "text")
	c.want(0, "repo", "backup", "-r", repo, src)
	if err := unix.Mount("", c.path("disk"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.want(0, "repo", "check", "-r", repo, "--read-data")
	c.want(0, "repo", "restore", "-r", repo, "latest", "--target", c.path("out"), "--verify")
	c.want(0, "repo", "ls", "-r", repo, "latest")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s, want no waiting for locks", took)
	}
	if out := c.want(1, "repo", "backup", "-r", repo, src); !strings.Contains(out, "cannot be written") {
		t.Errorf("backup: got %q, want it to say that it cannot write", out)
	}
}

// Whatever file of a repository is cut or changed, check says so, and what is
// not concerned is restored.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"data", "index", "snapshots", "keys"} {
		for what, spoil := range map[string]func([]byte) []byte{
			"cut":     func(b []byte) []byte { return b[:len(b)/2] },
			"flipped": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
			"emptied": func([]byte) []byte { return nil },
		} {
			t.Run(kind+" "+what, func(t *testing.T) {
				t.Parallel()
				c := newConsole(t)
				repo := c.path("repo")
				c.want(0, "repo", "init", "-r", repo)
				c.want(0, "repo", "backup", "-r", repo, c.noise("src/a", 3000))
				spoilOne(t, filepath.Join(repo, kind), spoil)
				out, errOut, code := c.run("repo", "check", "-r", repo, "--read-data")
				if code == 0 || code == 2 {
					t.Errorf("check: exit %d, want an error\n%s%s", code, out, errOut)
				}
				if !strings.Contains(out+errOut, "damaged") && !strings.Contains(out+errOut, "cut") && kind != "keys" {
					t.Errorf("check: got %q, want it to name the damage", out+errOut)
				}
			})
		}
	}
}

func spoilOne(t *testing.T, dir string, spoil func([]byte) []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(path, spoil(bytes.Clone(data)), 0o600); err != nil {
			return err
		}
		return fs.SkipAll
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLockedRepository(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	src := c.file("src/a", "text")
	lock := lockedByAnother(t, repo)
	if out := c.want(11, "repo", "backup", "-r", repo, src); !strings.Contains(out, "unlock") {
		t.Errorf("locked: got %q, want the next step", out)
	}
	c.want(0, "repo", "unlock", "-r", repo)
	c.want(11, "repo", "backup", "-r", repo, src)
	if err := lock(); err != nil {
		t.Fatal(err)
	}
	c.want(0, "repo", "backup", "-r", repo, src)
}

// lockedByAnother holds the exclusive lock, as another process would.
func lockedByAnother(t *testing.T, dir string) (unlock func() error) {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, "geheim")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := repo.Lock(t.Context(), repository.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	return func() error { return errors.Join(lock.Unlock(), repo.Close()) }
}

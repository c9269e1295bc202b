//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage/local"
)

// sourceTree writes files of noise that fill several packs, and small ones.
func sourceTree(t *testing.T, dir string, megabytes int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(megabytes), 7))
	for i := range megabytes {
		data := make([]byte, 1_000_000)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		writeFile(t, filepath.Join(dir, fmt.Sprintf("影像-%02d.dcm", i)), data)
	}
	for i := range 20 {
		writeFile(t, filepath.Join(dir, "病历", fmt.Sprintf("病程-%02d.xml", i)), fmt.Appendf(nil, "<emr>%d</emr>", i))
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantCode runs the program and wants an exit code and words in its output.
func wantCode(t *testing.T, dir string, code int, says string, args ...string) string {
	t.Helper()
	text, got := runProgram(t, dir, args...)
	if got != code || !strings.Contains(text, says) {
		t.Errorf("emrvault %v: got exit code %d and\n%swant %d and %q", args, got, text, code, says)
	}
	return text
}

// compared counts the files of source that lie the same in restored; one that
// differs fails the test.
func compared(t *testing.T, source, restored string) (same int) {
	t.Helper()
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(restored, strings.TrimPrefix(path, filepath.Dir(source))))
		switch {
		case err == nil && !bytes.Equal(got, want):
			t.Errorf("%s differs after the restore", path)
		case err == nil:
			same++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return same
}

// TestDamage spoils one file of a repository at a time. Check and restore name
// it, and whatever does not hang on it comes back whole.
func TestDamage(t *testing.T) {
	notShort(t)
	t.Parallel()
	dir := t.TempDir()
	source, whole := filepath.Join(dir, "emr"), filepath.Join(dir, "whole")
	sourceTree(t, source, 40)
	must(t, dir, "repo", "init", "-r", whole)
	must(t, dir, "repo", "backup", "-r", whole, "emr")
	largest, smallest := packs(t, whole)
	for _, tt := range []struct {
		name, path     string
		named          string // what check and restore call it; empty: its path
		quick          bool   // check finds it without reading all data, also when a bit is flipped
		least, flipped int    // files that come back when the file is cut, and when one bit is flipped
	}{
		{"pack of files", largest, "", false, 40, 57},
		{"pack of folders", smallest, "", true, 0, 0},
		{"index", one(t, whole, "index"), "", true, 60, 60},
		{"snapshot", one(t, whole, "snapshots"), "", true, 0, 0},
		{"key", one(t, whole, "keys"), "", true, 0, 60},
		{"config", "config", "the config", true, 0, 60},
	} {
		for how, spoil := range map[string]func([]byte) []byte{
			"cut":     func(b []byte) []byte { return b[:len(b)/2] },
			"emptied": func([]byte) []byte { return nil },
			"flipped": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				t.Parallel()
				work := t.TempDir()
				repo := filepath.Join(work, "repo")
				if err := os.CopyFS(repo, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				spoilFile(t, filepath.Join(repo, tt.path), spoil)
				named := tt.named
				if named == "" {
					named = filepath.Base(tt.path)[:8]
				}
				if tt.quick || how != "flipped" {
					wantCode(t, work, 1, named, "repo", "check", "-r", repo)
				}
				wantCode(t, work, 1, named, "repo", "check", "-r", repo, "--read-data")
				if how == "flipped" && (tt.name == "key" || tt.name == "config") { // a single bit of them is undone
					must(t, work, "repo", "restore", "-r", repo, "latest", "--target", "back")
				} else {
					wantCode(t, work, 1, named, "repo", "restore", "-r", repo, "latest", "--target", "back")
				}
				least := tt.least
				if how == "flipped" {
					least = tt.flipped
				} else if how == "emptied" && least == 40 {
					least = 20
				}
				if same := compared(t, source, filepath.Join(work, "back")); same < least {
					t.Errorf("got %d of 60 files back, want at least %d", same, least)
				}
			})
		}
	}
}

// packs are the largest and the smallest pack, below the repository.
func packs(t *testing.T, repo string) (largest, smallest string) {
	t.Helper()
	var most, least int64
	err := fs.WalkDir(os.DirFS(repo), "data", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > most {
			most, largest = info.Size(), path
		}
		if least == 0 || info.Size() < least {
			least, smallest = info.Size(), path
		}
		return nil
	})
	if err != nil || largest == smallest {
		t.Fatalf("packs of %s: got %q and %q, %v, want two", repo, largest, smallest, err)
	}
	return largest, smallest
}

// one is the only file of a folder.
func one(t *testing.T, repo, folder string) string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(repo, folder))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: got %d files, %v, want one", folder, len(list), err)
	}
	return filepath.Join(folder, list[0].Name())
}

func spoilFile(t *testing.T, path string, spoil func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.WriteFile(path, spoil(data), 0o400)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mountSmall puts a file system of a size at dir, or says aloud that it cannot.
func mountSmall(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("skipped: cannot mount a small tmpfs (%v); run the tests as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// TestDiskFull lets the disk of the repository fill up in the middle of
// a backup. The backup fails and says why, the point before it is whole, and
// with more room the next backup goes on by itself.
func TestDiskFull(t *testing.T) {
	notShort(t)
	t.Parallel()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	mountSmall(t, disk, "40m")
	source, repo := filepath.Join(dir, "emr"), filepath.Join(disk, "repo")
	sourceTree(t, source, 10)
	must(t, dir, "repo", "init", "-r", repo)
	must(t, dir, "repo", "backup", "-r", repo, "emr")
	sourceTree(t, filepath.Join(source, "more"), 60)
	wantCode(t, dir, 1, "there is no room left", "repo", "backup", "-r", repo, "emr")
	wantCode(t, dir, 1, "there is no room left", "repo", "backup", "-r", repo, "emr")
	must(t, dir, "repo", "check", "-r", repo, "--read-data")
	must(t, dir, "repo", "restore", "-r", repo, "latest", "--target", "first")
	if same := compared(t, source, filepath.Join(dir, "first")); same != 30 {
		t.Errorf("the point before: got %d files, want 30", same)
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=200m"); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "repo", "backup", "-r", repo, "emr")
	must(t, dir, "repo", "restore", "-r", repo, "latest", "--target", "second")
	if same := compared(t, source, filepath.Join(dir, "second")); same != 110 {
		t.Errorf("with room: got %d files, want 110", same)
	}
	restic(t, repo, "check", "--read-data")
}

// TestReadOnlyMedium reads a repository on a medium that takes no lock, and
// does not wait for one.
func TestReadOnlyMedium(t *testing.T) {
	notShort(t)
	t.Parallel()
	dir := t.TempDir()
	source, repo, medium := filepath.Join(dir, "emr"), filepath.Join(dir, "repo"), filepath.Join(dir, "medium")
	sourceTree(t, source, 2)
	must(t, dir, "repo", "init", "-r", repo)
	must(t, dir, "repo", "backup", "-r", repo, "emr")
	if err := os.Mkdir(medium, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(repo, medium, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("skipped: cannot mount (%v); run the tests as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(medium, 0); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", medium, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	must(t, dir, "repo", "points", "-r", medium)
	must(t, dir, "repo", "check", "-r", medium, "--read-data")
	must(t, dir, "repo", "restore", "-r", medium, "latest", "--target", "back", "--verify")
	if same := compared(t, source, filepath.Join(dir, "back")); same != 22 {
		t.Errorf("got %d files, want 22", same)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %s, want no waiting for a lock", took)
	}
	wantCode(t, dir, 1, "cannot be written", "repo", "backup", "-r", medium, "emr")
	wantCode(t, dir, 1, "cannot be written", "repo", "forget", "-r", medium, "latest", "--confirm")
}

// TestForeignRepository restores a point whose names want to leave the target.
// Nothing is written outside, no device is made, and the honest files come back.
func TestForeignRepository(t *testing.T) {
	notShort(t)
	t.Parallel()
	dir := t.TempDir()
	repo, outside := filepath.Join(dir, "repo"), filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "repo", "init", "-r", repo)
	evil := func(name string) string { return forged(name, "file", "") }
	for name, tree := range map[string]string{
		"climbing name": evil("../outside/x"),
		"folder ..":     evil("..") + "," + evil("honest.txt"),
		"absolute path": evil(outside + "/x"),
		"device": forged("disk", "dev", `"device":1793`) + "," + forged("null", "chardev", `"device":259`) + "," +
			evil("honest.txt"),
		"link and then through it": forged("gate", "symlink", fmt.Sprintf(`"linktarget":%q`, outside)) + "," + evil("gate/x"),
	} {
		t.Run(name, func(t *testing.T) {
			id := forge(t, repo, tree)
			target := filepath.Join(t.TempDir(), "target")
			text, code := runProgram(t, dir, "repo", "restore", "-r", repo, id, "--target", target)
			if code == 0 && name != "device" || code < 0 || strings.Contains(text, "panic") {
				t.Errorf("got exit code %d\n%s", code, text)
			}
			if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
				t.Fatalf("outside of the target: got %v, %v, want nothing", list, err)
			}
			if strings.Contains(tree, "honest") {
				if got, err := os.ReadFile(filepath.Join(target, "honest.txt")); err != nil || string(got) != "evil" {
					t.Errorf("the honest file: got %q, %v\n%s", got, err, text)
				}
			}
			for _, name := range []string{"disk", "null"} {
				if info, err := os.Lstat(filepath.Join(target, name)); err == nil && info.Mode()&fs.ModeDevice != 0 {
					t.Errorf("%s is a device: %v", name, info.Mode())
				}
			}
		})
	}
}

func forged(name, kind, rest string) string {
	if kind == "file" {
		rest = fmt.Sprintf(`"size":4,"content":["%s"]`, blob.Hash([]byte("evil")))
	}
	return fmt.Sprintf(`{"name":%q,"type":%q,"mode":420,"mtime":"2026-01-02T03:04:05Z","uid":0,"gid":0,%s}`, name, kind, rest)
}

// forge stores a point with a tree that no honest program writes.
func forge(t *testing.T, dir, nodes string) (id string) {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, "geheim")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}()
	sn := &snapshot.Snapshot{Time: time.Now(), Paths: []string{"/"}, Hostname: "elsewhere"}
	if err = repo.LoadIndex(t.Context()); err == nil {
		err = repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
			if _, err := w.Save(ctx, blob.Data, []byte("evil")); err != nil {
				return err
			}
			saved, err := w.Save(ctx, blob.Tree, []byte(`{"nodes":[`+nodes+"]}\n"))
			sn.Tree = saved.ID
			return err
		})
	}
	if err == nil {
		err = snapshot.Save(t.Context(), repo, sn)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sn.ID
}

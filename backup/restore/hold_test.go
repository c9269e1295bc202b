//go:build linux

package restore_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup/restore"
)

// What a target cannot hold beside content must not cost the content.
func TestAttributesTooLarge(t *testing.T) {
	t.Parallel()
	const more = 64<<10 + 1 // than the kernel takes; ext4 takes 4,000 bytes, and says that the disk is full
	value := base64.StdEncoding.EncodeToString(make([]byte, more))
	attribute := fmt.Sprintf(`"extended_attributes":[{"name":"user.large","value":%q}],`, value)
	repo := inMemory(t)
	sn := forge(t, repo, node("good", "file", attribute+evil())+","+node("next", "file", evil()))
	target := t.TempDir()
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Verify: true})
	if err != nil {
		t.Fatalf("got %v, want the files", err)
	}
	for _, name := range []string{"good", "next"} {
		if got, _ := os.ReadFile(filepath.Join(target, name)); string(got) != "evil" {
			t.Errorf("%s: got %q, want its content", name, got)
		}
	}
	if len(res.Skipped) != 1 || !strings.Contains(res.Skipped[0].Err.Error(), "user.large") {
		t.Errorf("got %v, want to be told of the attribute", res.Skipped)
	}
}

const elsewhere = "EMRVAULT_TEST_ELSEWHERE"

// as runs the test once more as a process of another kind.
func as(t *testing.T, attr *syscall.SysProcAttr, target string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$") // nobody may enter its folder
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), elsewhere+"="+target), attr
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skipf("NOT TESTED: the process could not be started so: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("%v: %s", err, out)
	}
}

// In a container root may not give files to everybody; on FAT to nobody.
func TestOwnersThatCannotBe(t *testing.T) {
	target := os.Getenv(elsewhere)
	if target == "" {
		one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		as(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: one}, t.TempDir())
		return
	}
	repo := inMemory(t)
	foreign := func(n string) string { return strings.Replace(n, `"uid":0`, `"uid":1234`, 1) }
	setuid := strings.Replace(foreign(node("program", "file", evil())), `"mode":420`, fmt.Sprintf(`"mode":%d`, uint32(os.ModeSetuid|0o755)), 1)
	sn := forge(t, repo, foreign(node("document", "file", evil()))+","+foreign(node("link", "symlink", `"linktarget":"x","content":null`))+","+setuid)
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target})
	if err != nil || res.Files != 2 || res.Others != 1 {
		t.Fatalf("got %+v, %v; want everything but its owner", res, err)
	}
	if len(res.Skipped) != 1 || !strings.Contains(res.Skipped[0].Err.Error(), "3 entries") {
		t.Errorf("got %v, want to be told of three owners", res.Skipped)
	}
	info, err := os.Stat(filepath.Join(target, "program"))
	must(t, err)
	if info.Mode() != 0o755 {
		t.Errorf("got %v of a program that is not its owner's, want it not to run as us", info.Mode())
	}
}

// Who is not root loses his own right to write into a folder that gets its mode.
func TestFolderNobodyMayWriteInto(t *testing.T) {
	target := os.Getenv(elsewhere)
	if target == "" {
		const nobody = 65534
		parent, err := os.MkdirTemp("", "emrvault-restore-") // those of the test let nobody in
		must(t, err)
		t.Cleanup(func() { must(t, os.RemoveAll(parent)) })
		var attr *syscall.SysProcAttr
		if os.Geteuid() == 0 {
			must(t, os.Chown(parent, nobody, nobody))
			attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		as(t, attr, parent)
		return
	}
	repo := inMemory(t)
	closed := strings.Replace(node("closed", "dir", `"content":null,"subtree":"%s"`), fmt.Sprint(uint32(os.ModeDir|0o755)), fmt.Sprint(uint32(os.ModeDir|0o555)), 1)
	sn := forge(t, repo, node("a", "file", evil()), closed)
	opts := restore.Options{Target: filepath.Join(target, "in"), Subtree: "/closed"}
	if _, err := restore.Run(t.Context(), repo, sn, opts); err != nil {
		t.Errorf("got %v, want the folder whole", err)
	}
	info, err := os.Stat(opts.Target)
	must(t, err)
	if info.Mode().Perm() != 0o555 || exists(filepath.Join(opts.Target, mark)) {
		t.Errorf("got %v, want it closed and no mark in it", info.Mode())
	}
	opts.Resume = true
	if _, err := restore.Run(t.Context(), repo, sn, opts); err != nil {
		t.Errorf("again: got %v, want the folder whole", err)
	}
	must(t, os.Chmod(opts.Target, 0o700))
}

// Files are not all that may have several names.
func TestSecondNamesOfLinksAndPipes(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, filepath.Join(src, "sub"))
	must(t, os.Symlink("nowhere", filepath.Join(src, "link")))
	must(t, unix.Mkfifo(filepath.Join(src, "pipe"), 0o600))
	for _, name := range []string{"link", "pipe"} {
		must(t, os.Link(filepath.Join(src, name), filepath.Join(src, "sub", "second "+name)))
	}
	repo := inMemory(t)
	sn := archiveDir(t, repo, src).Snapshot
	target := t.TempDir()
	for range 2 {
		again(t, repo, sn, restore.Options{Target: target, Subtree: src, Verify: true})
		for _, name := range []string{"link", "pipe"} {
			one, err := os.Lstat(filepath.Join(target, name))
			must(t, err)
			two, err := os.Lstat(filepath.Join(target, "sub", "second "+name))
			must(t, err)
			if !os.SameFile(one, two) {
				t.Errorf("%s: got two of them, want one with two names", name)
			}
		}
	}
}

package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own, in a file, whose power can be cut.
type disk struct {
	image, mount string
}

// cutPower stops a mounted ext4 or xfs at once: nothing that was not brought to
// the disk by then will ever be there, as when the machine loses its power.
func (d disk) cutPower(t *testing.T) {
	t.Helper()
	const shutdown, withoutLogFlush = 0x8004587d, uint32(2) // _IOR('X', 125, uint32)
	f, err := os.Open(d.mount)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // only for the call
	flags := withoutLogFlush
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Fatalf("cut the power of %s: %v", d.mount, errno)
	}
}

// command runs a program of the system.
func command(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustCommand(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := command(name, args...); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// newDisk makes an empty ext4, or skips the test aloud.
func newDisk(t *testing.T) disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a power cut needs a file system of its own; run the tests as root")
	}
	dir := t.TempDir()
	d := disk{filepath.Join(dir, "image"), filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.mount, 0o755); err != nil {
		t.Fatal(err)
	}
	mustCommand(t, "truncate", "-s", "1G", d.image)
	if out, err := command("mkfs.ext4", "-q", d.image); err != nil {
		t.Skipf("SKIPPED: cannot make a file system (%v: %s); apt-get install e2fsprogs", err, out)
	}
	if out, err := command("mount", "-o", "loop", d.image, d.mount); err != nil {
		t.Skipf("SKIPPED: cannot mount a file (%v: %s); this machine has no loop devices", err, out)
	}
	return d
}

func (d disk) on(t *testing.T) {
	t.Helper()
	mustCommand(t, "mount", "-o", "loop", d.image, d.mount)
}

// off unmounts; a program that was just cut off may hold the disk for a moment.
func (d disk) off(t *testing.T) {
	t.Helper()
	var err error
	for range 100 {
		if err = unix.Unmount(d.mount, 0); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("unmount %s: %v", d.mount, err)
}

// cuts is a repository on a disk whose power is cut while it is written.
type cuts struct {
	*killing
	disk
	ends map[string]int
}

// TestPowerCut cuts the power of the repository's disk in the middle of backups
// and prunes. When it is back, every acknowledged point is there and whole, a
// check of every byte finds nothing, and the next run goes on by itself.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	all := rounds(t, "EMRVAULT_CUTS", 2)
	d := newDisk(t)
	c := &cuts{
		disk: d, ends: map[string]int{},
		killing: &killing{tree: newTree(t, uint64(time.Now().UnixNano())), repo: filepath.Join(d.mount, "repo"), known: map[string]map[string][]byte{}, hit: map[string]int{}},
	}
	t.Cleanup(func() { _ = unix.Unmount(d.mount, unix.MNT_DETACH) }) // where the test has ended early
	must(t, t.TempDir(), "repo", "init", "-r", c.repo)
	c.backup(t)
	for round := range all {
		c.change(t, round%4 == 0)
		verb := []string{"repo", "backup", "-r", c.repo, c.dir}
		if round%2 == 1 {
			c.backup(t)
			c.forget(t, min(3, len(points(t, c.repo))))
			verb = []string{"repo", "prune", "-r", c.repo, "--confirm"}
		}
		before := points(t, c.repo)
		c.cut(t, verb)
		c.aftermath(t, before)
		c.again(t, verb...)
		if round%2 == 0 {
			c.backup(t)
		}
		if round%10 == 9 {
			restic(t, c.repo, "check", "--read-data")
		}
	}
	restic(t, c.repo, "check", "--read-data")
	figures(t, "%d power cuts: %v; the slowest next run began after %d ms", all, c.ends, c.wait.Milliseconds())
	d.off(t)
}

// cut starts a verb and cuts the power while it works.
func (c *cuts) cut(t *testing.T, verb []string) {
	t.Helper()
	before := points(t, c.repo)
	child := startProgram(t, verb...)
	time.Sleep(time.Duration(c.rng.Int64N(int64(max(c.span, 300*time.Millisecond)))))
	c.cutPower(t)
	select {
	case <-child.done:
	case <-time.After(5 * time.Second):
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-child.done
	}
	c.off(t)
	c.on(t)
	end := verb[1] + " cut off"
	if child.err == nil {
		end = verb[1] + " was done"
		for _, id := range added(before, points(t, c.repo)) {
			c.known[id] = maps.Clone(c.files)
		}
		if verb[1] == "backup" && len(added(before, points(t, c.repo))) != 1 {
			t.Fatalf("a backup was acknowledged, and its point is gone:\n%s", child.said.String())
		}
	}
	c.ends[end]++
}

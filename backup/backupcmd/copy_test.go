package backupcmd

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestCopyOnceAndThenWhatIsNew(t *testing.T) {
	c := newClinic(t)
	c.stock("other", c.two)
	c.want(0, "repo", "backup", "-r", c.one, "--tag", "emr", c.src)
	c.swapped(func() {
		if out := c.want(0, "repo", "copy", "-r", c.two, "--from", c.one, "--tag", "emr"); !strings.Contains(out, "1 points copied, 0 were") {
			t.Errorf("got\n%s", out)
		}
		if out := c.want(0, "repo", "copy", "-r", c.two, "--from", c.one, "latest"); !strings.Contains(out, "0 points copied, 1 were") {
			t.Errorf("got\n%s", out)
		}
		c.want(2, "repo", "copy", "-r", c.two)
		if out := c.want(0, "repo", "points", "-r", c.two, "--json"); strings.Count(out, "\n") != 4 {
			t.Errorf("got\n%s", out)
		}
	})
	// And back: what came from here is known here.
	if out := c.want(0, "repo", "copy", "-r", c.one, "--from", c.two); !strings.Contains(out, "0 points copied, 4 were") {
		t.Errorf("got\n%s", out)
	}
}

func TestCopyLeavesOutWhatIsLost(t *testing.T) {
	c := newClinic(t)
	c.file("src/only in the last.bin", strings.Repeat("x", 3000))
	before := c.files(c.one, "data")
	c.want(0, "repo", "backup", "-r", c.one, c.src)
	for _, name := range c.files(c.one, "data") {
		if !contains(before, name) {
			c.hurt(name, lost)
		}
	}
	three := c.path("three")
	c.swapped(func() {
		c.want(0, "repo", "init", "-r", three)
		out := c.want(3, "repo", "copy", "-r", three, "--from", c.one)
		if !strings.Contains(out, "3 points copied") || !strings.Contains(out, "not copied") {
			t.Errorf("got\n%s", out)
		}
		c.want(0, "repo", "check", "-r", three, "--read-data")
	})
	c.stock("other", three)
}

func contains(list []string, name string) bool {
	for _, each := range list {
		if each == name {
			return true
		}
	}
	return false
}

func TestCopyOntoItselfIsRefused(t *testing.T) {
	c := newClinic(t)
	c.env["EMRVAULT_FROM_PASSWORD"] = "geheim"
	c.want(2, "repo", "copy", "-r", c.one, "--from", c.one)
}

// TestVersionOne reads, checks, copies, prunes and repairs what an old restic
// has made.
func TestVersionOne(t *testing.T) {
	restic, err := exec.LookPath("restic")
	if err != nil || testing.Short() {
		t.Skip("asks the real restic: `apt-get install restic`, and run without -short")
	}
	c := newClinic(t)
	old := c.path("old")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), restic, append([]string{"-r", old, "--no-cache"}, args...)...)
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=geheim")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
	}
	run("init", "--repository-version", "1")
	run("backup", c.src)
	c.file("src/folder 0/病历.bin", strings.Repeat("changed ", 9000))
	run("backup", c.src)
	c.want(0, "repo", "check", "-r", old, "--read-data")
	c.want(0, "repo", "backup", "-r", old, c.src)
	run("check", "--read-data")
	c.one = old
	c.back()

	// From version 1 to 2, and from 2 to 1.
	c.swapped(func() { c.want(0, "repo", "copy", "-r", c.two, "--from", old) })
	c.stock("other", c.two)
	c.want(0, "repo", "copy", "-r", old, "--from", c.two)
	run("check", "--read-data")

	c.want(0, "repo", "forget", "-r", old, "--keep-last", "1", "--confirm")
	c.want(0, "repo", "prune", "-r", old, "--confirm")
	run("check", "--read-data")

	for _, name := range c.files(old, "index") {
		c.hurt(name, lost)
	}
	c.want(0, "repo", "repair", "index", "-r", old)
	run("check", "--read-data")
	c.hurt(c.files(old, "data")[0], flipped(77))
	c.want(0, "repo", "repair", "packs", "-r", old, "--from", c.two, "--confirm")
	run("check", "--read-data")
	c.back()
}

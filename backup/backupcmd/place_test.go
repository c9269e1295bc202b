package backupcmd

import (
	"strings"
	"testing"
	"time"
)

func TestBandwidth(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	src := c.file("src/a.bin", strings.Repeat("x", 1000)) // packs of some hundred bytes
	began := time.Now()
	c.want(0, "repo", "probe", "-r", repo, "--bandwidth", "00:00-24:00 10MiB, else unlimited") // asks the place itself
	c.want(0, "repo", "backup", "-r", repo, "--bandwidth", "16KiB", src)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("a small backup took %s", took)
	}
	if out := c.want(2, "repo", "backup", "-r", repo, "--bandwidth", "10", src); !strings.Contains(out, "07:00-19:00") {
		t.Errorf("a wrong bandwidth: got %q, want it to say how it is written", out)
	}
}

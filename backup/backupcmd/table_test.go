package backupcmd

import (
	"strings"
	"testing"
)

// TestForeignWordsStayInTheirCell: host and tags of a snapshot come from whoever
// wrote the repository. They must not speak to the terminal.
func TestForeignWordsStayInTheirCell(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.file("src/a.txt", "one")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, "--host", "h\x1b[2J\nfake", "--tag", "t\u009b31m", c.path("src"))
	out := c.want(0, "repo", "points", "-r", repo)
	if strings.ContainsAny(out, "\x1b\u009b") || strings.Count(out, "\n") != 3 {
		t.Errorf("points: got %q, want a heading, a line and the count", out)
	}
}

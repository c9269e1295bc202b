package backupcmd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clutter is a tree with something for every way of leaving things out.
func clutter(c *console) string {
	c.t.Helper()
	for _, name := range []string{
		"src/a.xml", "src/b.tmp", "src/B.TMP", "src/keep.tmp", "src/.hidden",
		"src/cache/CACHEDIR.TAG", "src/cache/x", "src/cache/deep/y", "src/nocache/CACHEDIR.TAG", "src/nocache/z",
		"src/private/.nobackup", "src/private/secret", "src/private/deep/er", "src/log/2026/11/a.log", "src/log/2026/b.log", "src/log/c.log",
		"src/foo/bar/baz", "src/deep/foo/bar/qux", "src/deep/bar", "src/[odd]/f", "src/空 格/病历.xml",
	} {
		c.file(name, name)
	}
	c.file("src/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
	c.file("src/large", strings.Repeat("x", 3000))
	return c.path("src")
}

// taken lists what a backup of ours has stored.
func (c *console) taken(repo string) []string {
	c.t.Helper()
	var list []string
	for line := range strings.Lines(c.want(0, "repo", "ls", "-r", repo, "latest", "--json")) {
		var n struct {
			Path string `json:"path"`
		}
		if json.Unmarshal([]byte(line), &n) == nil && strings.HasPrefix(n.Path, c.path("src")) {
			list = append(list, n.Path)
		}
	}
	slices.Sort(list)
	return list
}

// resticTakes lists what restic would store.
func resticTakes(t *testing.T, bin, repo, dir string, args []string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, append([]string{"backup", "--no-cache", "--dry-run", "-vv", "--json", "-r", repo}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=geheim", "XDG_CACHE_HOME="+t.TempDir())
	cmd.Dir = filepath.Dir(dir)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("restic %q: %v\n%s", args, err, errOut.String())
	}
	var list []string
	for line := range bytes.Lines(out) {
		var n struct {
			Action string `json:"action"`
			Item   string `json:"item"`
		}
		if json.Unmarshal(line, &n) == nil && strings.HasPrefix(n.Action, "new") {
			if item := strings.TrimSuffix(n.Item, "/"); strings.HasPrefix(item, dir) {
				list = append(list, item)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Our backup leaves out what restic leaves out, for the same words.
func TestExcludesAsRestic(t *testing.T) {
	t.Parallel()
	bin := os.Getenv("RESTIC_BIN")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("restic"); err != nil {
			t.Skip("SKIPPED: no restic binary; install Debian's package restic or set RESTIC_BIN")
		}
	}
	c := newConsole(t)
	src, repo := clutter(c), c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	list := c.file("list", "# remark\n\n  *.tmp  \n!keep.tmp\n")
	cases := [][]string{
		{},
		{"-e", "*.tmp"}, {"-e", "*.tmp", "-e", "!keep.tmp"}, {"--iexclude", "*.tmp"}, {"--iexclude", "*.TMP", "-e", "log"},
		{"-e", "foo/bar"}, {"-e", "/foo"}, {"-e", src + "/foo"}, {"-e", src + "/**/bar"}, {"-e", src + "/log/**"},
		{"-e", "log/**/a.log"}, {"-e", "**/2026"}, {"-e", "b*/q*"}, {"-e", `\[odd\]`}, {"-e", "空*"}, {"-e", "?.log"},
		{"-e", "[a-c].log"}, {"-e", "log/"}, {"-e", src + "/log/*", "-e", "!" + src + "/log/c.log"}, {"-e", src + "/*", "-e", "!" + src + "/*.xml"},
		{"-e", ".*"}, {"--exclude-caches"}, {"--exclude-if-present", ".nobackup"}, {"--exclude-if-present", "CACHEDIR.TAG:Signature"},
		{"--exclude-if-present", ".nobackup", "--exclude-if-present", "CACHEDIR.TAG"}, {"--exclude-larger-than", "2k"}, {"--exclude-larger-than", "3000"},
		{"--exclude-file", list},
	}
	if testing.Short() {
		cases = cases[:6]
	}
	for _, args := range cases {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			c.t = t
			c.want(0, append([]string{"repo", "backup", "-r", repo, src}, args...)...)
			ours, theirs := c.taken(repo), resticTakes(t, bin, repo, src, append([]string{"--force", src}, args...))
			if !slices.Equal(ours, theirs) {
				t.Errorf("more than restic: %q\nless than restic: %q", without(ours, theirs), without(theirs, ours))
			}
		})
	}
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

func TestPathsFromFiles(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	src, repo := clutter(c), c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	for _, tt := range []struct {
		name, flag, text, want string
	}{
		{"wildcards", "--files-from", "# remark\n" + src + "/*.xml\n\n " + src + "/large \n", src + " " + src + "/a.xml " + src + "/large"},
		{"as they are", "--files-from-verbatim", src + "/[odd]\r\n", src + " " + src + "/[odd] " + src + "/[odd]/f"},
		{"ended by zeros", "--files-from-raw", src + "/a.xml\x00" + src + "/b.tmp\x00", src + " " + src + "/a.xml " + src + "/b.tmp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			c.want(0, "repo", "backup", "-r", repo, tt.flag, c.file("list-"+tt.name, tt.text))
			if got := strings.Join(c.taken(repo), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	c.t = t
	c.want(2, "repo", "backup", "-r", repo, "--files-from", c.file("none", src+"/nothing*\n"))
	c.want(2, "repo", "backup", "-r", repo, "--exclude-larger-than", "much", src)
	c.want(2, "repo", "backup", "-r", repo, "--time", "yesterday", src)
	c.want(2, "repo", "backup", "-r", repo, "-e", "[", src)
}

func TestStreams(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	for _, tt := range []struct {
		name  string
		input string
		args  []string
		code  int
		say   string
	}{
		{"standard input", "dump", []string{"--stdin", "--stdin-filename", "emr.sql"}, 0, ""},
		{"nothing came", "", []string{"--stdin"}, 1, "was empty"},
		{"a command", "", []string{"--stdin-from-command", "--stdin-filename", "db/emr.sql", "--", "printf", "dump"}, 0, ""},
		{"a command that fails", "", []string{"--stdin-from-command", "--", "sh", "-c", "printf half; exit 3"}, 1, "no point was made"},
		{"a command that says nothing", "", []string{"--stdin-from-command", "--", "true"}, 1, "was empty"},
		{"no such command", "", []string{"--stdin-from-command", "--", "/no/such"}, 1, "start /no/such"},
		{"stream and paths", "x", []string{"--stdin", "/etc"}, 2, "no paths"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t, c.in = t, tt.input
			said := c.want(tt.code, append([]string{"repo", "backup", "-r", repo}, tt.args...)...)
			if !strings.Contains(said, tt.say) {
				t.Errorf("got %q, want %q in it", said, tt.say)
			}
		})
	}
	c.t = t
	if got := c.want(0, "repo", "dump", "-r", repo, "latest", "/db/emr.sql"); got != "dump" {
		t.Errorf("got %q, want what the command wrote", got)
	}
	if lines := strings.Count(c.want(0, "repo", "points", "-r", repo, "--json"), "\n"); lines != 2 {
		t.Errorf("got %d points, want the two that succeeded", lines)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	src, repo := clutter(c), c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	before := everything(t, repo)
	var out struct {
		Snapshot string `json:"snapshot_id"`
		DryRun   bool   `json:"dry_run"`
		FilesNew int    `json:"files_new"`
	}
	if err := json.Unmarshal([]byte(c.want(0, "repo", "backup", "-r", repo, "--dry-run", "--json", src)), &out); err != nil {
		t.Fatal(err)
	}
	if out.Snapshot != "" || !out.DryRun || out.FilesNew != 22 {
		t.Errorf("got %+v, want 22 new files and no point", out)
	}
	if after := everything(t, repo); !slices.Equal(before, after) {
		t.Errorf("a dry run wrote %q", without(after, before))
	}
}

func everything(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

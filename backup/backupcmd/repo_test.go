package backupcmd

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/locale"
	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage/local"
)

// console runs verbs as the front door does.
type console struct {
	t   *testing.T
	dir string
	env map[string]string
	in  string // what stands in standard input
}

func newConsole(t *testing.T) *console {
	t.Helper()
	dir := t.TempDir()
	return &console{t: t, dir: dir, env: map[string]string{"EMRVAULT_PASSWORD": "geheim"}}
}

func (c *console) run(args ...string) (out, errOut string, code int) {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	env := &Env{
		Out: &stdout, Err: &stderr, In: strings.NewReader(c.in), Lang: locale.English,
		Getenv: func(name string) string { return c.env[name] }, Version: "test",
		options: []repository.Option{repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1})},
	}
	root := &cobra.Command{Use: "emrvault", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(env)...)
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(c.t.Context())
	if err != nil {
		stderr.WriteString(locale.English.Detail(err) + "\n")
	}
	return stdout.String(), stderr.String(), ExitCode(err)
}

// want runs a verb that must end with code.
func (c *console) want(code int, args ...string) string {
	c.t.Helper()
	out, errOut, got := c.run(args...)
	if got != code {
		c.t.Fatalf("%v: exit %d, want %d\n%s%s", args, got, code, out, errOut)
	}
	return out + errOut
}

func (c *console) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *console) path(name string) string { return filepath.Join(c.dir, name) }

func TestStoryOfARepository(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, src := c.path("repo"), c.path("src")
	c.file("src/a.txt", "one")
	c.file("src/sub/张三.xml", "<emr/>")
	c.file("src/sub/skip.tmp", "no")

	c.want(0, "repo", "init", "-r", repo)
	c.want(1, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, "--tag", "emr", "--host", "h1", "--exclude", "*.tmp", src)
	c.file("src/a.txt", "one and more")
	var made struct {
		ID      string `json:"snapshot_id"`
		Changed int    `json:"files_changed"`
	}
	if err := json.Unmarshal([]byte(c.want(0, "repo", "backup", "--json", "-r", repo, "--tag", "emr", "--host", "h1", "--exclude", "*.tmp", src)), &made); err != nil {
		t.Fatal(err)
	}
	if made.Changed != 1 || len(made.ID) != 64 {
		t.Errorf("second backup: got %+v, want one changed file and a full id", made)
	}
	if out := c.want(0, "repo", "points", "-r", repo, "--tag", "emr"); !strings.Contains(out, made.ID[:8]) || !strings.Contains(out, "2 points") {
		t.Errorf("points: got\n%s", out)
	}
	list := c.want(0, "repo", "ls", "-r", repo, "latest", src)
	if !strings.Contains(list, "/sub/张三.xml") || strings.Contains(list, "skip.tmp") {
		t.Errorf("ls: got\n%s", list)
	}
	if out := c.want(0, "repo", "dump", "-r", repo, made.ID[:6], src+"/a.txt"); out != "one and more" {
		t.Errorf("dump: got %q", out)
	}
	checkTar(t, c.want(0, "repo", "dump", "-r", repo, "latest", src+"/sub"), "张三.xml")
	c.want(0, "repo", "restore", "-r", repo, "latest:"+src, "--target", c.path("out"), "--verify")
	if got, err := os.ReadFile(c.path("out/a.txt")); err != nil || string(got) != "one and more" {
		t.Errorf("restored: got %q, %v", got, err)
	}
	c.want(0, "repo", "check", "-r", repo, "--read-data")
	c.want(0, "repo", "check", "-r", repo, "--read-data-subset", "50%")
	if out := c.want(0, "repo", "stats", "-r", repo, "--json"); !strings.Contains(out, `"snapshots":2`) {
		t.Errorf("stats: got %s", out)
	}
}

func checkTar(t *testing.T, data, name string) {
	t.Helper()
	r := tar.NewReader(strings.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Errorf("tar: no %q", name)
			return
		}
		if err != nil {
			t.Fatalf("tar: %v", err)
		}
		if strings.HasSuffix(h.Name, name) {
			return
		}
	}
}

func TestForgetAndPrune(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, src := c.path("repo"), c.path("src")
	c.want(0, "repo", "init", "-r", repo)
	for _, text := range []string{"one", "two", "three"} {
		c.file("src/a.txt", text)
		c.want(0, "repo", "backup", "-r", repo, src)
	}
	c.want(2, "repo", "forget", "-r", repo)
	c.want(2, "repo", "forget", "-r", repo, "--keep-last", "0")
	if out := c.want(2, "repo", "forget", "-r", repo, "--keep-last", "1"); !strings.Contains(out, "2 points would be removed") {
		t.Errorf("plan: got\n%s", out)
	}
	c.want(0, "repo", "forget", "-r", repo, "--keep-last", "1", "--dry-run")
	if out := c.want(0, "repo", "points", "-r", repo); !strings.Contains(out, "3 points") {
		t.Errorf("an unconfirmed forget changed something:\n%s", out)
	}
	c.want(2, "repo", "prune", "-r", repo)
	c.want(0, "repo", "forget", "-r", repo, "--keep-last", "1", "--prune", "--confirm")
	if out := c.want(0, "repo", "points", "-r", repo); !strings.Contains(out, "1 point\n") {
		t.Errorf("forget: got\n%s", out)
	}
	c.want(0, "repo", "check", "-r", repo, "--read-data")
}

// What the law protects is not removed by name, except for recent duplicates,
// and rules below its floor are refused.
func TestForgetKeepsMedicalRecords(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	agePoints(t, repo) // the newest of 2026-11-22
	var newestOf2025 string
	for line := range strings.Lines(c.want(0, "repo", "points", "-r", repo, "--json")) {
		var p struct {
			ID   string    `json:"id"`
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		if p.Time.Local().Year() == 2025 {
			newestOf2025 = p.ID // the newest comes last
		}
	}
	c.want(1, "repo", "forget", "-r", repo, newestOf2025, "--class", "inpatient", "--confirm")
	c.want(2, "repo", "forget", "-r", repo, "--class", "x-ray", "--keep-last", "1")
	c.want(2, "repo", "forget", "-r", repo, "--class", "inpatient")
	c.want(2, "repo", "forget", "-r", repo, "--class", "inpatient", "--keep-yearly", "29")
	c.want(0, "repo", "forget", "-r", repo, "latest", "--class", "inpatient", "--confirm")
	out := c.want(0, "repo", "forget", "-r", repo, "--class", "outpatient", "--keep-last", "1", "--dry-run", "--json")
	if !strings.Contains(out, `"medical record (2025)"`) || !strings.Contains(out, newestOf2025) {
		t.Errorf("got %s, want the newest of 2025 kept as a medical record", out)
	}
	c.want(0, "repo", "forget", "-r", repo, "--class", "outpatient", "--keep-last", "1", "--confirm")
	if out := c.want(0, "repo", "points", "-r", repo); !strings.Contains(out, "3 points") {
		t.Errorf("got\n%s, want one point of each of three years", out)
	}
}

// A prune beside a reader says what it has left, and the next one does it.
func TestPruneSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, src := c.path("repo"), c.path("src")
	c.want(0, "repo", "init", "-r", repo)
	for _, text := range []string{"one", "two"} {
		c.file("src/a.txt", text)
		c.want(0, "repo", "backup", "-r", repo, src)
	}
	c.want(0, "repo", "forget", "-r", repo, "--keep-last", "1", "--confirm")
	release := holdLock(t, repo)
	out := c.want(0, "repo", "prune", "-r", repo, "--confirm", "--json")
	if !strings.Contains(out, `"postponed":"switch"`) || strings.Contains(out, `"packs_left":0`) {
		t.Errorf("beside a reader: got %s", out)
	}
	if out := c.want(0, "repo", "prune", "-r", repo, "--confirm"); !strings.Contains(out, "left for the next prune") {
		t.Errorf("beside a reader: got %s", out)
	}
	release()
	if out := c.want(0, "repo", "prune", "-r", repo, "--confirm", "--json"); !strings.Contains(out, `"packs_left":0`) {
		t.Errorf("alone: got %s", out)
	}
	c.want(0, "repo", "check", "-r", repo, "--read-data")
}

// holdLock is another program that reads.
func holdLock(t *testing.T, dir string) (release func()) {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, "geheim")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := repo.Lock(t.Context(), repository.Read)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(lock.Unlock(), repo.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestRollingCheck(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.env["EMRVAULT_CACHE_DIR"] = c.path("cache")
	repo := c.path("repo")
	src := c.file("src/a.txt", "text")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, src)
	if out := c.want(0, "repo", "check", "-r", repo, "--rolling", "1d"); !strings.Contains(out, "100.0%") {
		t.Errorf("got\n%s, want all verified at once when a day is the time", out)
	}
	if out := c.want(0, "repo", "check", "-r", repo, "--rolling", "30d", "--json"); !strings.Contains(out, `"covered_percent":100`) {
		t.Errorf("got %s", out)
	}
	c.want(2, "repo", "check", "-r", repo, "--rolling", "soon")
	c.want(2, "repo", "check", "-r", repo, "--rolling", "30d", "--read-data")
	c.want(1, "repo", "check", "-r", repo, "--rolling", "30d", "--no-cache")
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	src := c.file("src/a.txt", "text")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, src)
	c.file("full/in-the-way", "x")
	for _, tt := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"no repository named", 2, "-r", []string{"repo", "check"}},
		{"no repository there", 10, "no repository", []string{"repo", "check", "-r", c.path("nothing")}},
		{"a folder that is none", 10, "no repository", []string{"repo", "points", "-r", c.path("src")}},
		{"unknown verb", 2, "no verb", []string{"repo", "frobnicate"}},
		{"unknown flag", 2, "flag", []string{"repo", "check", "--frob"}},
		{"missing argument", 2, "arguments", []string{"repo", "backup", "-r", repo}},
		{"vanished source", 1, "gone", []string{"repo", "backup", "-r", repo, c.path("gone")}},
		{"one of two sources vanished", 3, "gone", []string{"repo", "backup", "-r", repo, c.path("gone"), src}},
		{"bad pattern", 2, "[", []string{"repo", "backup", "-r", repo, "--exclude", "a[", src}},
		{"bad share", 2, "x%", []string{"repo", "check", "-r", repo, "--read-data-subset", "x%"}},
		{"no such point", 1, "not found", []string{"repo", "ls", "-r", repo, "ffff"}},
		{"no target", 2, "--target", []string{"repo", "restore", "-r", repo, "latest"}},
		{"target not empty", 1, "empty", []string{"repo", "restore", "-r", repo, "latest", "--target", c.path("full")}},
		{"delete unconfirmed", 2, "--confirm", []string{"repo", "restore", "-r", repo, "latest", "--delete", "--target", c.path("full")}},
		{"a bucket without its key", 2, "AWS_ACCESS_KEY_ID", []string{"repo", "check", "-r", "s3:http://127.0.0.1/bucket"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if out := c.want(tt.code, tt.args...); !strings.Contains(out, tt.says) {
				t.Errorf("got %q, want it to say %q", out, tt.says)
			}
		})
	}
	if _, err := os.Stat(c.path("full/in-the-way")); err != nil {
		t.Errorf("a refused restore touched the target: %v", err)
	}
	c.env["EMRVAULT_PASSWORD"] = "wrong"
	c.want(12, "repo", "check", "-r", repo)
	delete(c.env, "EMRVAULT_PASSWORD")
	c.want(2, "repo", "check", "-r", repo)
	c.want(0, "repo", "check", "-r", repo, "--password-file", c.file("pw", "geheim\r\n"))
}

func TestKeys(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	var key struct{ ID string }
	added := c.want(0, "repo", "key", "add", "-r", repo, "--json", "--new-password-file", c.file("pw", "second"))
	if err := json.Unmarshal([]byte(added), &key); err != nil {
		t.Fatal(err)
	}
	c.want(0, "repo", "points", "-r", repo, "--password-file", c.path("pw"))
	c.want(2, "repo", "key", "remove", "-r", repo, key.ID)
	c.want(0, "repo", "key", "remove", "-r", repo, key.ID, "--confirm")
	c.want(12, "repo", "points", "-r", repo, "--password-file", c.path("pw"))
	c.want(0, "repo", "key", "passwd", "-r", repo, "--new-password-file", c.path("pw"))
	c.want(12, "repo", "points", "-r", repo)
	if out := c.want(0, "repo", "key", "list", "-r", repo, "--password-file", c.path("pw")); strings.Count(out, "\n") != 1 {
		t.Errorf("keys: got %q, want one", out)
	}
}

func TestExitCodeOfErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {io.ErrUnexpectedEOF, 1}, {backup.ErrInvalid, 2}, {backup.ErrIncomplete, 3},
		{backup.ErrNoRepository, 10}, {backup.ErrLocked, 11}, {backup.ErrWrongPassword, 12}, {context.Canceled, 130},
		{errors.Join(backup.ErrIncomplete, context.Canceled), 130},
	} {
		if got := ExitCode(tell(tt.err)); got != tt.want {
			t.Errorf("ExitCode(%v): got %d, want %d", tt.err, got, tt.want)
		}
	}
}

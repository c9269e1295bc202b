package backupcmd

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"emrvault/appliance/locale"
	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/source/all"
	"emrvault/backup/storage/local"
)

// emr makes a database with n patients and gives its path.
func (c *console) emr(name string, n int) string {
	c.t.Helper()
	path := c.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, statement := range []string{
		`PRAGMA journal_mode=WAL`, `CREATE TABLE IF NOT EXISTS patients(id INTEGER PRIMARY KEY, name TEXT)`,
	} {
		if _, err := db.Exec(statement); err != nil {
			c.t.Fatal(err)
		}
	}
	for range n {
		if _, err := db.Exec(`INSERT INTO patients(name) VALUES (hex(randomblob(600)))`); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func patients(t *testing.T, path string) int {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM patients`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStoryOfASource(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, emr := c.path("repo"), c.emr("live/emr.db", 30)
	file := c.file("emr.yaml", "kind: sqlite\nname: emr\nsettings:\n  path: "+emr+"\n")
	c.want(0, "repo", "init", "-r", repo)
	if out := c.want(0, "source", "check", "--source", file); !strings.Contains(out, "opens") || !strings.Contains(out, "wal") {
		t.Errorf("check: got %q, want that it opens, in wal mode", out)
	}
	out, errOut, code := c.run("source", "capture", "-r", repo, "--source", file)
	first := strings.TrimSpace(out)
	if code != 0 || len(first) != 64 {
		t.Fatalf("capture: exit %d, got %q %q, want only the id on standard output", code, out, errOut)
	}
	c.emr("live/emr.db", 12)
	var point struct {
		Snapshot string `json:"snapshot_id"`
		Damaged  bool   `json:"damaged"`
	}
	out, _, _ = c.run("source", "capture", "-r", repo, "--source", file, "--json")
	if err := json.Unmarshal([]byte(out), &point); err != nil || point.Damaged || len(point.Snapshot) != 64 {
		t.Fatalf("capture --json: got %s (%v)", out, err)
	}
	if out := c.want(0, "repo", "points", "-r", repo, "--tag", "emr"); !strings.Contains(out, first[:8]) {
		t.Errorf("points of the source: got %s, want %s among them", out, first[:8])
	}
	if err := os.Remove(emr); err != nil {
		t.Fatal(err)
	}
	c.want(1, "source", "capture", "-r", repo, "--source", file)
	c.want(1, "source", "check", "--source", file)
	c.want(0, "source", "recover", "-r", repo, "--source", file, first[:10], "--target-dir", c.path("then"))
	c.want(0, "source", "recover", "-r", repo, "--source", file, "latest", "--target-dir", c.path("now"), "--json")
	if then, now := patients(t, c.path("then/emr.db")), patients(t, c.path("now/emr.db")); then != 30 || now != 42 {
		t.Errorf("recovered: got %d and %d patients, want 30 and 42", then, now)
	}
	c.want(1, "source", "recover", "-r", repo, "--source", file, "latest", "--target-dir", c.path("now"))
	c.want(0, "source", "recover", "-r", repo, "--source", file, first, "--target-dir", c.path("now"), "--confirm")
	if n := patients(t, c.path("now/emr.db")); n != 30 {
		t.Errorf("recovered over it: got %d patients, want 30", n)
	}
}

// A damaged database is captured, marked, and never exit 0.
func TestCaptureOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, emr := c.path("repo"), c.emr("emr.db", 200)
	file := c.file("emr.yaml", "kind: sqlite\nname: emr\nsettings: {path: [\""+emr+"\"]}\n")
	c.want(0, "repo", "init", "-r", repo)
	f, err := os.OpenFile(emr, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("trash", 2000)), 5*4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, errOut, code := c.run("source", "capture", "-r", repo, "--source", file)
	id := strings.TrimSpace(out)
	if code != 3 || len(id) != 64 || !strings.Contains(errOut, "damaged") {
		t.Fatalf("capture: exit %d, got %q %q, want 3, the id and the reason", code, out, errOut)
	}
	if out := c.want(1, "source", "recover", "-r", repo, "--source", file, id, "--target-dir", c.path("back")); !strings.Contains(out, "damaged") {
		t.Errorf("recover: got %s, want that it is damaged", out)
	}
	if _, err := os.Stat(c.path("back/emr.db")); err != nil {
		t.Errorf("what could be had was not recovered: %v", err)
	}
}

func TestSourceOfFiles(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.file("docs/2026/11/入院记录.xml", "<emr/>")
	c.file("docs/x.tmp", "no")
	file := c.file("docs.yaml", "kind: files\nname: documents\nsettings:\n  paths: ["+c.path("docs")+"]\n  exclude: ['*.tmp']\n")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "source", "check", "--source", file, "--json")
	c.want(0, "source", "capture", "-r", repo, "--source", file)
	c.want(0, "source", "recover", "-r", repo, "--source", file, "latest", "--target-dir", c.path("back"))
	if data, err := os.ReadFile(filepath.Join(c.path("back"), c.path("docs"), "2026/11/入院记录.xml")); err != nil || string(data) != "<emr/>" {
		t.Errorf("recovered file: got %q, %v", data, err)
	}
	other := c.file("other.yaml", "kind: files\nname: other\nsettings: {paths: ["+c.path("docs")+"]}\n")
	c.want(2, "source", "recover", "-r", repo, "--source", other, firstPoint(c, repo), "--target-dir", c.path("back2"))
	c.want(1, "source", "recover", "-r", repo, "--source", other, "latest", "--target-dir", c.path("back2"))
}

func firstPoint(c *console, repo string) string {
	c.t.Helper()
	st, err := local.Open(repo)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := repository.Open(c.t.Context(), st, "geheim")
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	sn, err := snapshot.Find(c.t.Context(), r, snapshot.Latest, snapshot.Filter{})
	if err != nil {
		c.t.Fatal(err)
	}
	if facts, err := restore.NewPoint(r, sn).Facts(c.t.Context()); facts != nil && err == nil {
		c.t.Errorf("a source of files left facts: %+v", facts)
	}
	return sn.ID
}

func TestSourceVerbsRefuse(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	good := c.file("good.yaml", "kind: files\nname: a\nsettings: {paths: ["+c.dir+"]}\n")
	for name, s := range map[string]struct {
		code int
		says string
		args []string
	}{
		"no source file":  {2, "--source", []string{"capture", "-r", repo}},
		"file not there":  {1, "none.yaml", []string{"check", "--source", c.path("none.yaml")}},
		"unknown setting": {2, "paht", []string{"check", "--source", c.file("b.yaml", "kind: files\nname: a\nsettings: {paht: x}\n")}},
		"unknown kind":    {2, "dbase", []string{"check", "--source", c.file("k.yaml", "kind: dbase\nname: a\n")}},
		"later kind":      {1, "later", []string{"check", "--source", c.file("p.yaml", "kind: postgres\nname: a\n")}},
		"no target":       {2, "--target-dir", []string{"recover", "-r", repo, "--source", good, "latest"}},
		"no point":        {2, "recover", []string{"recover", "-r", repo, "--source", good}},
		"no repository":   {10, "", []string{"capture", "-r", c.path("empty"), "--source", good}},
		"no such verb":    {2, "frobnicate", []string{"frobnicate"}},
		"no such flag":    {2, "--password", []string{"capture", "--password", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, errOut, code := c.run(append([]string{"source"}, s.args...)...)
			if code != s.code || !strings.Contains(out+errOut, s.says) {
				t.Errorf("exit %d, %s%s; want %d and %q in it", code, out, errOut, s.code, s.says)
			}
		})
	}
	c.env["EMRVAULT_PASSWORD"] = "wrong"
	c.want(12, "source", "capture", "-r", repo, "--source", good)
}

// Findings and settings name their texts by keys put together in the engine,
// which knows no languages; this holds them to the texts there are.
func TestTextsOfSources(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, kind := range all.Kinds() {
		keys = append(keys, kind.Key)
		for _, s := range kind.Settings {
			keys = append(keys, s.Key, s.Key+".hint")
		}
	}
	named := regexp.MustCompile(`(?:finding\(source\.\w+, |name := |name = )"([a-z_]+)"`)
	for _, kind := range []string{"files", "sqlite"} {
		paths, err := filepath.Glob(filepath.Join("..", "source", kind, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("sources of %s: %v, %v", kind, paths, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				keys = append(keys, "source."+kind+"."+m[1])
			}
		}
	}
	if len(keys) < 30 {
		t.Errorf("found only %d keys, the search is broken", len(keys))
	}
	for _, lang := range locale.Languages() {
		for _, key := range keys {
			if !lang.Has(key) {
				t.Errorf("%s has no text for %s", lang, key)
			}
		}
	}
}

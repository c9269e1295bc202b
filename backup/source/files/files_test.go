package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/source"
	"emrvault/backup/source/sourcetest"
)

// cabinet is a folder of documents.
type cabinet struct {
	t    *testing.T
	dir  string
	src  *Source
	work int
}

func newCabinet(t *testing.T) *cabinet {
	c := &cabinet{t: t, dir: filepath.Join(t.TempDir(), "文书")}
	write(t, filepath.Join(c.dir, "2026/11/ZY001/入院记录.xml"), "<emr/>")
	if err := os.MkdirAll(filepath.Join(c.dir, "空"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("2026", filepath.Join(c.dir, "今年")); err != nil {
		t.Fatal(err)
	}
	c.src = open(t, map[string]any{"paths": c.dir})
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, settings map[string]any) *Source {
	t.Helper()
	s, err := Open(source.Spec{Kind: "files", Name: "documents", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cabinet) Source() source.Source { return c.src }

func (c *cabinet) Change(context.Context) error {
	c.work++
	write(c.t, filepath.Join(c.dir, "2026/11/ZY001/入院记录.xml"), fmt.Sprintf("<emr>%d</emr>", c.work))
	write(c.t, filepath.Join(c.dir, fmt.Sprintf("2026/11/ZY%03d/出院记录.xml", c.work+1)), "<emr/>")
	return nil
}

func (c *cabinet) State(context.Context) (string, error) { return stateOf(c.dir) }

func stateOf(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, rel, entry.Type())
		if entry.Type().IsRegular() {
			data, err := os.ReadFile(path)
			fmt.Fprintf(sum, "%x\n", data)
			return err
		}
		return nil
	})
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

func (c *cabinet) Wreck(context.Context) error { return os.RemoveAll(c.dir) }

func (c *cabinet) Target() source.Target {
	return source.Target{Dir: filepath.Join(c.t.TempDir(), "back"), Progress: backup.Silent{}}
}

func (c *cabinet) Occupy(_ context.Context, target source.Target) error {
	write(c.t, filepath.Join(target.Dir, "somebody's.xls"), "x")
	return nil
}

func (c *cabinet) Recovered(_ context.Context, target source.Target) (string, error) {
	return stateOf(filepath.Join(target.Dir, c.dir))
}

func TestSource(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Subject { return newCabinet(t) })
}

func TestSourceInTheEngine(t *testing.T) {
	sourcetest.RunWith(t, func(t *testing.T) sourcetest.Subject { return newCabinet(t) },
		func(t *testing.T) sourcetest.Keeper { return sourcetest.NewEngine(t) })
}

func TestRecoverSparesTheLiveTree(t *testing.T) {
	c := newCabinet(t)
	point, _, err := sourcetest.NewShelf(t).Keep(t.Context(), c.src)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(c.dir), link); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"itself": c.dir, "inside": filepath.Join(c.dir, "new"), "around": filepath.Dir(c.dir), "by a link": filepath.Join(link, "文书", "new"), "none": "",
	} {
		want := backup.ErrTargetNotEmpty
		if dir == "" {
			want = backup.ErrInvalid
		}
		if err := c.src.Recover(t.Context(), point, source.Target{Dir: dir}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestCheckSays(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "docs/a.xml"), "12345")
	write(t, filepath.Join(dir, "docs/deep/b.xml"), "12345")
	for _, name := range []string{"config", "keys/x", "index/x", "snapshots/x", "data/x"} {
		write(t, filepath.Join(dir, "with/repository", name), "x")
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "docs"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, key string
		level     source.Level
		files     int64
	}{
		"counted":             {"docs", "counted", source.Good, 2},
		"one file":            {"docs/a.xml", "counted", source.Good, 1},
		"through a link":      {"link", "counted", source.Good, 2},
		"missing":             {"none", "missing", source.Bad, 0},
		"empty":               {"empty", "empty", source.Warning, 0},
		"holds a repository":  {"with", "repository", source.Warning, 0},
		"is the repository":   {"with/repository", "repository", source.Warning, 0},
		"below a file is bad": {"docs/a.xml/b", "unreadable", source.Bad, 0},
	} {
		t.Run(name, func(t *testing.T) {
			findings, err := open(t, map[string]any{"paths": filepath.Join(dir, c.path)}).Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(findings, func(f source.Finding) bool { return f.Key == "source.files."+c.key })
			if i < 0 || findings[i].Level != c.level {
				t.Fatalf("got %+v, want %s %s", findings, c.level, c.key)
			}
			if c.files > 0 && findings[i].Args["files"] != c.files {
				t.Errorf("counted %v files, want %d", findings[i].Args["files"], c.files)
			}
		})
	}
}

func TestVanished(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "x")
	gone := filepath.Join(dir, "gone")
	if _, _, err := sourcetest.NewShelf(t).Keep(t.Context(), open(t, map[string]any{"paths": gone})); !errors.Is(err, backup.ErrNotFound) || !strings.Contains(err.Error(), gone) {
		t.Errorf("nothing left: got %v, want %v with the path", err, backup.ErrNotFound)
	}
	s := open(t, map[string]any{"paths": []any{filepath.Join(dir, "a"), gone}})
	findings, err := s.vanished()
	if err != nil || len(findings) != 1 || findings[0].Level != source.Bad {
		t.Errorf("one of two left: got %+v, %v, want one bad finding", findings, err)
	}
}

func TestCheckIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newCabinet(t).src.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled check: got %v, want %v", err, context.Canceled)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"no paths":        {},
		"empty list":      {"paths": []any{}},
		"an empty path":   {"paths": []any{"/a", ""}},
		"a number":        {"paths": 5},
		"flag as text":    {"paths": "/a", "one_file_system": "true"},
		"unknown setting": {"paths": "/a", "excludes": "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(source.Spec{Kind: "files", Name: "a", Settings: settings}); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("got %v, want %v", err, backup.ErrInvalid)
			}
		})
	}
}

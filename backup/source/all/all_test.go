package all

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want source.Spec
	}{
		"sqlite": {"kind: sqlite\nname: emr\nsettings:\n  path: /srv/emr.db\n",
			source.Spec{Kind: "sqlite", Name: "emr", Settings: map[string]any{"path": "/srv/emr.db"}}},
		"files": {"# 文书\nkind: files\nname: 文书 树\nsettings:\n  paths: [/srv/a, b]\n  one_file_system: true\n",
			source.Spec{Kind: "files", Name: "文书 树", Settings: map[string]any{"paths": []any{"/srv/a", "b"}, "one_file_system": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "kind: sqlite\nname: emr\nsettings: {path: a.db}\n"
	for name, c := range map[string]struct {
		text, says string
		want       error
	}{
		"empty":              {"", "", backup.ErrInvalid},
		"only a comment":     {"# nothing\n", "", backup.ErrInvalid},
		"no YAML":            {"kind: [", "", backup.ErrInvalid},
		"a list":             {"- kind\n", "", backup.ErrInvalid},
		"unknown word":       {good + "nme: x\n", "nme", backup.ErrInvalid},
		"word twice":         {good + "kind: files\n", "kind", backup.ErrInvalid},
		"setting twice":      {"kind: sqlite\nname: emr\nsettings:\n  path: a\n  path: b\n", "path", backup.ErrInvalid},
		"two documents":      {good + "---\n" + good, "2 documents", backup.ErrInvalid},
		"anchors":            {"kind: sqlite\nname: &a emr\nsettings: {path: *a}\n", "anchors", backup.ErrInvalid},
		"too large":          {good + strings.Repeat("#", maxText), "larger", backup.ErrInvalid},
		"no kind":            {"name: emr\n", "known: files, sqlite", backup.ErrInvalid},
		"unknown kind":       {"kind: dbase\nname: emr\n", `"dbase"`, backup.ErrInvalid},
		"later kind":         {"kind: oracle\nname: emr\n", "later", backup.ErrUnsupported},
		"unknown setting":    {"kind: sqlite\nname: emr\nsettings: {path: a, pth: b}\n", `"pth" is not known to kind sqlite (known: path)`, backup.ErrInvalid},
		"setting missing":    {"kind: files\nname: emr\n", `"paths": is missing`, backup.ErrInvalid},
		"flag is a word":     {"kind: files\nname: emr\nsettings: {paths: a, one_file_system: \"yes\"}\n", "one_file_system", backup.ErrInvalid},
		"no name":            {"kind: sqlite\nsettings: {path: a}\n", "name", backup.ErrInvalid},
		"comma in the name":  {"kind: sqlite\nname: a,b\nsettings: {path: a}\n", "comma", backup.ErrInvalid},
		"name with line end": {"kind: sqlite\nname: \"a\\nb\"\nsettings: {path: a}\n", "control", backup.ErrInvalid},
		"name too long":      {"kind: sqlite\nname: " + strings.Repeat("长", 101) + "\nsettings: {path: a}\n", "longer", backup.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

// What stands in a broken file may be secret: errors do not repeat it.
func TestParseKeepsSecrets(t *testing.T) {
	for _, text := range []string{
		"kind: sqlite\npassword: hunter2\nname: emr\nsettings: {path: a}\n",
		"kind: sqlite\nname: emr\nsettings: {path: a}\n  password: hunter2\n",
		"kind: sqlite\nname: emr\nsettings: {path: a, password: hunter2}\n",
	} {
		_, err := Parse([]byte(text))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want an error without the word", err)
		}
	}
}

func TestKinds(t *testing.T) {
	ready := map[string]bool{}
	for _, k := range Kinds() {
		ready[k.Name] = k.Ready
		if k.Key == "" || k.Ready != (len(k.Settings) > 0) {
			t.Errorf("%+v: want a key, and settings exactly when it is ready", k)
		}
	}
	if len(ready) != 10 || !ready["files"] || !ready["sqlite"] || ready["postgres"] {
		t.Errorf("kinds: got %v", ready)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("kind: sqlite\nname: emr\nsettings:\n  path: [a, b]\n")
	f.Add("kind: files\nname: 文书\nsettings: {paths: x, exclude: ['*.tmp'], one_file_system: true}\n")
	f.Add("a: &a [*a, *a]\n---\nb: {c: !!binary x}\n? x\n: |\n  y\n")
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		spec, err := Parse([]byte(text))
		switch took := time.Since(began); {
		case took > 5*time.Second:
			t.Errorf("%d bytes took %v", len(text), took)
		case err == nil && (spec.Name == "" || len(spec.Settings) == 0):
			t.Errorf("accepted without name or settings: %+v", spec)
		case err != nil && !errors.Is(err, backup.ErrInvalid) && !errors.Is(err, backup.ErrUnsupported):
			t.Errorf("an error of no kind: %v", err)
		}
	})
}

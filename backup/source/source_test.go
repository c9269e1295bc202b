package source

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
)

func TestSpecReadsWhatYAMLAndJSONWrite(t *testing.T) {
	for name, value := range map[string]any{
		"one text": "a", "list of YAML": []any{"a"}, "list of Go": []string{"a"},
	} {
		s := Spec{Kind: "files", Name: "x", Settings: map[string]any{"paths": value, "flag": true, "text": "b"}}
		if got := s.List("paths"); !reflect.DeepEqual(got, []string{"a"}) {
			t.Errorf("%s: got %v, want [a]", name, got)
		}
		if !s.Flag("flag") || s.Flag("none") || s.Text("text") != "b" || s.Text("none") != "" || s.List("none") != nil {
			t.Errorf("%s: flag or text is not as written", name)
		}
	}
}

func TestReadFacts(t *testing.T) {
	want := &Capture{
		AsOf: time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC), Kind: "sqlite", Damaged: true,
		Findings: []Finding{{Level: Bad, Key: "source.sqlite.damaged", Args: map[string]any{"path": "/a", "n": 3.0}}},
		Details:  []byte(`{"a":1}`),
	}
	sink := &onePut{}
	if err := PutFacts(t.Context(), sink, want); err != nil {
		t.Fatal(err)
	}
	if sink.entry.Path != PointFile || sink.entry.Size != int64(sink.text.Len()) {
		t.Errorf("entry: got %+v, want %s with its size", sink.entry, PointFile)
	}
	got, err := ReadFacts(&sink.text)
	if err != nil || !got.AsOf.Equal(want.AsOf) || !got.Damaged || !reflect.DeepEqual(got.Findings, want.Findings) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{"empty": "", "cut": `{"as_of":`, "a list": "[]", "too large": strings.Repeat(" ", maxFacts+1)} {
		if _, err := ReadFacts(strings.NewReader(text)); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: got %v, want %v", name, err, backup.ErrDamaged)
		}
	}
}

func FuzzReadFacts(f *testing.F) {
	f.Add([]byte(`{"as_of":"2026-11-22T00:00:00Z","findings":[{"level":"bad","args":{"a":[1]}}],"details":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadFacts(bytes.NewReader(text))
		if err == nil {
			for _, finding := range c.Findings {
				_ = finding.Pairs()
			}
		} else if !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}

func TestOverlap(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"same": {"a", "a", true}, "below": {"a/b", "a", true}, "above": {".", "a", true}, "beside": {"a", "ab", false},
		"dots begin a name": {"a/..b", "a", true}, "by a link": {"link/new/x", "a", true}, "not there": {"x/y", "a", false},
	} {
		if got := Overlap(filepath.Join(dir, c.a), filepath.Join(dir, c.b)); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 300 << 20: "300.0 MiB", 1 << 62: "4096.0 PiB"} {
		if got := SizeText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestWorst(t *testing.T) {
	good, warning, bad := Finding{Level: Good}, Finding{Level: Warning}, Finding{Level: Bad}
	for want, list := range map[Level][]Finding{Good: {good}, Warning: {good, warning, good}, Bad: {warning, bad, good}} {
		if got := Worst(list); got != want {
			t.Errorf("%v: got %s, want %s", list, got, want)
		}
	}
}

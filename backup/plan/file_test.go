package plan

import (
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
)

func TestSampleReads(t *testing.T) {
	f, err := ParseFile([]byte(Sample()))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Plan()
	if err := p.Check(time.UTC); err != nil {
		t.Fatalf("sample plan: %v", err)
	}
	if p.Drill.Assertions[2].Within.D() != 24*time.Hour || !p.Drill.AfterBackup || p.Keep.Yearly != 30 || p.RPO.D() != 24*time.Hour {
		t.Errorf("sample plan: got %+v", p)
	}
	text, err := p.File().Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseFile(text)
	if err != nil {
		t.Fatalf("written back: %v\n%s", err, text)
	}
	if got, want := again.Plan().Drill.Assertions, p.Drill.Assertions; len(got) != len(want) || got[2] != want[2] || again.Keep != f.Keep {
		t.Errorf("written back: got %+v, want %+v", again, f)
	}
}

func TestParseFile(t *testing.T) {
	const least = "name: a\nrepository: main\nsource: {kind: files, settings: {paths: [/srv]}}\n"
	for _, c := range []struct {
		name, text string
		bad        string // part of the message; empty: it reads
	}{
		{"the least", least, ""},
		{"own keep replaces the usual", least + "keep: {daily: 2}\n", ""},
		{"unknown key", least + "kept: 3\n", "kept"},
		{"two documents", least + "---\n" + least, "more than one"},
		{"empty", "", "empty"},
		{"no YAML", "name: [", "cannot be read"},
		{"wrong duration", least + "rpo: soon\n", "soon"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := ParseFile([]byte(c.text))
			if c.bad == "" && err != nil {
				t.Fatal(err)
			}
			if c.bad != "" && (errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), c.bad)) {
				t.Fatalf("got %v, want an error about %q", err, c.bad)
			}
			if c.name == "own keep replaces the usual" && f.Keep != (Keep{Daily: 2}) {
				t.Errorf("keep: got %+v, want daily 2 alone", f.Keep)
			}
		})
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(Sample()))
	f.Add([]byte("name: a\nkeep: {last: -1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := ParseFile(text)
		if err != nil {
			return
		}
		// A plan that reads can be judged without harm.
		if err := file.Plan().Check(time.UTC); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

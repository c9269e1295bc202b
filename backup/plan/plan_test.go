package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/backup/source"
)

// good is a plan without a fault.
func good() Plan {
	return Plan{
		Name: "emr", Source: source.Spec{Kind: "sqlite", Settings: map[string]any{"path": "/srv/emr.db"}},
		Repository: "main", Schedule: "0 22 * * *", Keep: Keep{Daily: 14}, Enabled: true,
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Plan)
		field  string // "" is fine
	}{
		{"good", func(*Plan) {}, ""},
		{"Chinese name", func(p *Plan) { p.Name = "电子病历-主库" }, ""},
		{"by hand only", func(p *Plan) { p.Schedule = "" }, ""},
		{"no name", func(p *Plan) { p.Name = "" }, "name"},
		{"name with a slash", func(p *Plan) { p.Name = "a/b" }, "name"},
		{"name with a blank", func(p *Plan) { p.Name = "a b" }, "name"},
		{"name that begins with a dash", func(p *Plan) { p.Name = "-f" }, "name"},
		{"endless title", func(p *Plan) { p.Title = strings.Repeat("病", 81) }, "title"},
		{"no kind", func(p *Plan) { p.Source.Kind = "" }, "source.kind"},
		{"tag with a comma", func(p *Plan) { p.Source.Name = "a,b" }, "source.name"},
		{"no repository", func(p *Plan) { p.Repository = "" }, "repository"},
		{"unknown zone", func(p *Plan) { p.Zone = "Mars/Olympus" }, "zone"},
		{"the machine's zone", func(p *Plan) { p.Zone = "Local" }, "zone"},
		{"wrong cron word", func(p *Plan) { p.Schedule = "0 25 * * *" }, "schedule"},
		{"wrong drill word", func(p *Plan) { p.Drill.Schedule = "sometimes" }, "drill.schedule"},
		{"keeps nothing", func(p *Plan) { p.Keep = Keep{} }, "keep"},
		{"keeps less than nothing", func(p *Plan) { p.Keep.Last = -1 }, "keep"},
		{"assertion of no kind", func(p *Plan) { p.Drill.Assertions = []Assertion{{}} }, "drill.assertions[1]"},
		{"query that writes", func(p *Plan) {
			p.Drill.Assertions = []Assertion{{Kind: AssertSQL, Query: "DELETE FROM patients", Expect: "0"}}
		}, "drill.assertions[1]"},
		{"second statement", func(p *Plan) {
			p.Drill.Assertions = []Assertion{{Kind: AssertSQL, Query: "SELECT 1; ATTACH 'x' AS y", Expect: "1"}}
		}, "drill.assertions[1]"},
		{"nothing expected", func(p *Plan) { p.Drill.Assertions = []Assertion{{Kind: AssertSQL, Query: "SELECT 1"}} }, "drill.assertions[1]"},
		{"unknown sign", func(p *Plan) {
			p.Drill.Assertions = []Assertion{{Kind: AssertSQL, Query: "SELECT 1;", Expect: "1", Compare: "~"}}
		}, "drill.assertions[1]"},
		{"bounds the wrong way", func(p *Plan) { p.Drill.Assertions = []Assertion{{Kind: AssertCount, Min: 5, Max: 2}} }, "drill.assertions[1]"},
		{"no age", func(p *Plan) {
			p.Drill.Assertions = []Assertion{{Kind: AssertCount, Min: 1}, {Kind: AssertNewest}}
		}, "drill.assertions[2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good()
			c.change(&p)
			err := p.Check(time.UTC)
			if c.field == "" {
				if err != nil {
					t.Errorf("got %v, want no fault", err)
				}
				return
			}
			if FieldOf(err) != c.field || errs.KindOf(err) != errs.Invalid {
				t.Errorf("got %v about %q (%s), want invalid about %q", err, FieldOf(err), errs.KindOf(err), c.field)
			}
			if text := locale.Chinese.Error(err); !strings.HasPrefix(text, c.field) {
				t.Errorf("for people: got %q, want it to begin with the field", text)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "90m": 90 * time.Minute, "36h": 36 * time.Hour, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1h30m": 90 * time.Minute,
	} {
		d, err := ParseDuration(text)
		if err != nil || d.D() != want {
			t.Errorf("%q: got %s, %v; want %s", text, d.D(), err, want)
		}
		back, err := ParseDuration(d.String())
		if err != nil || back != d {
			t.Errorf("%q is written as %q, which reads as %s, %v", text, d, back, err)
		}
	}
	for _, text := range []string{"soon", "-1h", "1.5d", "d", "99999999d", "1h 30m x"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, d.D())
		}
	}
}

func TestNoteKeepsTypes(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	before := Say("drill.answer.newest", "at", at, "age", 90*time.Minute, "within", 24*time.Hour)
	text, err := json.Marshal([]Note{before, Say("drill.detail.prepare", "needed", Size(3<<30), "free", Size(1)), {}})
	if err != nil {
		t.Fatal(err)
	}
	var after []Note
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	for _, l := range locale.Languages() {
		if got, want := after[0].In(l), before.In(l); got != want || strings.Contains(got, "{") {
			t.Errorf("%s: got %q, want %q", l, got, want)
		}
		if got := after[1].In(l); !strings.Contains(got, "GB") {
			t.Errorf("%s: got %q, want sizes in it", l, got)
		}
	}
	if !after[2].IsZero() || after[2].In(locale.English) != "" {
		t.Errorf("an empty note came back as %+v", after[2])
	}
}

// Notes inside a note are told in the reader's language, and come back from the
// store as what they were.
func TestNoteInsideNote(t *testing.T) {
	lost := []Note{Say("run.loss.more", "n", 3), Say("run.loss.file", "path", "/a", "size", Size(5), "n", 1, "days", "2026-11-22")}
	before := Say("run.ticket.losses", "list", lost, "see", Say("run.ticket.see", "job", 7))
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after Note
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	for _, l := range locale.Languages() {
		got := after.In(l)
		if got != before.In(l) || strings.Contains(got, "{") || strings.Count(got, "\n") != 3 || !strings.Contains(got, "2026-11-22") {
			t.Errorf("%s: got %q, want %q", l, got, before.In(l))
		}
	}
}

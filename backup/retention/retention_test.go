package retention

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
)

var update = flag.Bool("update", false, "write the golden files anew")

func zone(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// nights is a backup every night at 01:30, and another one on some afternoons.
func nights(loc *time.Location, n int) []Point {
	var out []Point
	newest := time.Date(2026, 11, 22, 1, 30, 0, 0, loc)
	for i := range n {
		at := newest.AddDate(0, 0, -i)
		out = append(out, Point{ID: at.Format("20060102-1504"), Time: at.UTC()})
		if i%5 == 2 {
			at = at.Add(13 * time.Hour)
			out = append(out, Point{ID: at.Format("20060102-1504"), Time: at.UTC()})
		}
	}
	return out
}

// tagged gives some points tags.
func tagged(points []Point) []Point {
	points[2].Tags = []string{"drill"}
	points[4].Tags = []string{"a"}
	points[6].Tags = []string{"b", "x", "a"}
	return points
}

func TestPolicies(t *testing.T) {
	loc := zone(t)
	for _, tt := range []struct {
		name   string
		policy Policy
		points []Point
	}{
		{"last", Policy{Last: 3}, nights(loc, 6)},
		{"hourly", Policy{Hourly: 4}, nights(loc, 6)},
		{"daily", Policy{Daily: 4}, nights(loc, 8)},
		{"weekly", Policy{Weekly: 3}, nights(loc, 30)},
		{"monthly", Policy{Monthly: 12}, nights(loc, 100)},
		{"yearly", Policy{Yearly: 5}, nights(loc, 800)},
		{"hospital", Policy{Last: 2, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, nights(loc, 450)},
		{"unlimited-months", Policy{Monthly: Unlimited}, nights(loc, 120)},
		{"within-hours", Policy{Within: 49 * time.Hour}, nights(loc, 6)},
		{"within-calendar", Policy{Span: Span{Months: 1, Days: 2}, Yearly: 1}, nights(loc, 60)},
		{"within-kinds", Policy{WithinHourly: Span{Days: 2}, WithinDaily: Span{Days: 7}, WithinWeekly: Span{Months: 1}, WithinMonthly: Span{Months: 6}, WithinYearly: Span{Years: 3}}, nights(loc, 800)},
		{"tags", Policy{Last: 1, Tags: []string{"drill", "a,b"}}, tagged(nights(loc, 8))},
		{"outpatient", Policy{Last: 2, Monthly: 2, Class: Outpatient}, nights(loc, 20*366)},
		{"one-point", Policy{Daily: 7, Yearly: 2}, nights(loc, 1)},
		{"no-points", Policy{Daily: 7}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			for _, d := range Apply(tt.policy, tt.points, loc) {
				word := "remove"
				if d.Keep {
					word = "keep  "
				} else if len(tt.points) > 900 {
					continue // a book of nights nobody reads
				}
				var reasons []string
				for _, r := range d.Reasons {
					reasons = append(reasons, r.String())
				}
				fmt.Fprintf(&b, "%s %s %s\n", word, d.ID, strings.Join(reasons, ", "))
			}
			golden(t, tt.name, b.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// The same moment is another day in another zone.
func TestZoneDecidesTheDay(t *testing.T) {
	points := []Point{
		{ID: "late", Time: time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)},  // 22nd 01:00 in Shanghai
		{ID: "early", Time: time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)}, // 21st 23:00 in Shanghai
		{ID: "first", Time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
	}
	for _, tt := range []struct {
		loc  *time.Location
		want string
	}{{zone(t), "late early"}, {time.UTC, "late first"}} {
		var kept []string
		for _, d := range Apply(Policy{Daily: 2}, points, tt.loc) {
			if d.Keep {
				kept = append(kept, d.ID)
			}
		}
		if got := strings.Join(kept, " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.loc, got, tt.want)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		good   bool
	}{
		{"empty", Policy{}, false}, {"one", Policy{Last: 1}, true}, {"unlimited", Policy{Daily: Unlimited}, true},
		{"negative", Policy{Daily: -2}, false}, {"negative span", Policy{Last: 1, Within: -1}, false},
		{"within", Policy{Within: time.Hour}, true}, {"span", Policy{Span: Span{Days: 1}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.policy.Check(); (err == nil) != tt.good || err != nil && !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("got %v, want good: %v", err, tt.good)
			}
		})
	}
}

// Nobody loses everything by a policy that nobody checked.
func TestEmptyPolicyKeepsAll(t *testing.T) {
	for _, d := range Apply(Policy{}, nights(zone(t), 3), time.UTC) {
		if !d.Keep {
			t.Errorf("%s: got removed, want kept", d.ID)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"30d", "30d"}, {"1y6m", "1y6m"}, {"2w", "14d"}, {"36h", "36h"}, {"1d1d", "2d"},
		{"", ""}, {"d", ""}, {"5", ""}, {"-1d", ""}, {"5x", ""}, {"0d", ""}, {"999999999999d", ""},
	} {
		s, err := ParseSpan(tt.text)
		if (err == nil) != (tt.want != "") || err == nil && s.String() != tt.want {
			t.Errorf("ParseSpan(%q): got %q, %v, want %q", tt.text, s, err, tt.want)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	f.Add("1y2m3w4d5h")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpan(text)
		if err != nil {
			return
		}
		if again, err := ParseSpan(s.String()); err != nil || again != s {
			t.Fatalf("%q: got %+v, %v, want %+v", text, again, err, s)
		}
	})
}

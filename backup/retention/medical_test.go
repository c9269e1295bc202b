package retention

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
)

// anyPolicy draws a policy, often one with hardly any rule.
func anyPolicy(r *rand.Rand) Policy {
	n := func() int { return max(-1, r.IntN(8)-4) }
	span := func() Span {
		if r.IntN(3) > 0 {
			return Span{}
		}
		return Span{Years: r.IntN(3), Months: r.IntN(5), Days: r.IntN(50), Hours: r.IntN(30)}
	}
	return Policy{
		Last: n(), Hourly: n(), Daily: n(), Weekly: n(), Monthly: n(), Yearly: n(), Span: span(),
		WithinHourly: span(), WithinDaily: span(), WithinWeekly: span(), WithinMonthly: span(), WithinYearly: span(),
		Class: []Class{Outpatient, Inpatient}[r.IntN(2)],
	}
}

// anyPoints draws points of up to forty years.
func anyPoints(r *rand.Rand) (points []Point) {
	newest := time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)
	for i := range 1 + r.IntN(120) {
		points = append(points, Point{ID: fmt.Sprint(i), Time: newest.Add(-time.Duration(r.Int64N(int64(40 * 365 * 24 * time.Hour))))})
	}
	return points
}

// newestOfYears gives the points that the law wants, found another way.
func newestOfYears(c Class, points []Point, loc *time.Location) map[string]bool {
	var newest time.Time
	best := map[int]Point{}
	for _, p := range points {
		if p.Time.After(newest) {
			newest = p.Time
		}
		year := p.Time.In(loc).Year()
		if b, ok := best[year]; !ok || p.Time.After(b.Time) {
			best[year] = p
		}
	}
	wanted := map[string]bool{}
	for _, p := range best {
		if p.Time.After(newest.In(loc).AddDate(-c.Floor(), 0, 0)) {
			wanted[p.ID] = true
		}
	}
	return wanted
}

// No policy lets the newest point of a year go that is younger than the floor,
// and what is kept for that says so.
func TestNoPolicyGoesBelowTheFloor(t *testing.T) {
	loc := zone(t)
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 15))
		policy, points := anyPolicy(r), anyPoints(r)
		wanted := newestOfYears(policy.Class, points, loc)
		for _, d := range Apply(policy, points, loc) {
			if wanted[d.ID] && (!d.Keep || !d.medical()) {
				t.Fatalf("seed %d: %+v lets %s of %s go: %v", seed, policy, d.ID, d.Time, d.Reasons)
			}
		}
	}
}

// However the other rules are set, nobody keeps less because of a class.
func TestAClassOnlyAddsPoints(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 16))
		policy, points := anyPolicy(r), anyPoints(r)
		plain := policy
		plain.Class = ""
		with := Apply(policy, points, time.UTC)
		for i, d := range Apply(plain, points, time.UTC) {
			if d.Keep && !with[i].Keep {
				t.Fatalf("seed %d: %s is kept without the class only", seed, d.ID)
			}
		}
	}
}

// A point that a wrong clock dated far ahead does not age the others.
func TestAWrongClockDoesNotAgeTheRest(t *testing.T) {
	points := []Point{{ID: "wrong", Time: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}}
	for year := 2012; year <= 2026; year++ {
		points = append(points, Point{ID: fmt.Sprint(year), Time: time.Date(year, 11, 22, 0, 0, 0, 0, time.UTC)})
	}
	for _, d := range Apply(Policy{Last: 1, Class: Outpatient}, points, time.UTC) {
		if !d.Keep {
			t.Errorf("%s goes, want all 15 years kept", d.ID)
		}
	}
}

func TestCheckRefusesBelowTheFloorByName(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		says   string // "": fine
	}{
		{"rules beside a class", Policy{Daily: 7, Class: Inpatient}, ""},
		{"years enough", Policy{Daily: 7, Yearly: 30, Class: Inpatient}, ""},
		{"all years", Policy{Yearly: Unlimited, Class: Inpatient}, ""},
		{"years too few", Policy{Daily: 7, Yearly: 29, Class: Inpatient}, "yearly: 29 is below the 30 years"},
		{"enough for the other class", Policy{Daily: 7, Yearly: 15, Class: Outpatient}, ""},
		{"span too short", Policy{WithinYearly: Span{Years: 14, Months: 11}, Class: Outpatient}, "within_yearly: 14y11m is below the 15 years"},
		{"span long enough", Policy{WithinYearly: Span{Months: 180}, Class: Outpatient}, ""},
		{"unknown class", Policy{Daily: 7, Class: "x-ray"}, `class "x-ray"`},
		{"only a class", Policy{Class: Inpatient}, "keeps nothing"},
		{"no class", Policy{Yearly: 1}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.Check()
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, backup.ErrInvalid) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

func TestProtect(t *testing.T) {
	day := func(year, month, day int) time.Time {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	}
	points := []Point{
		{ID: "now", Time: day(2026, 11, 22)}, {ID: "yesterday", Time: day(2026, 11, 21)},
		{ID: "2025", Time: day(2025, 12, 31)}, {ID: "autumn", Time: day(2025, 10, 1)},
		{ID: "old", Time: day(2005, 1, 1)}, {ID: "older", Time: day(1990, 1, 1)},
	}
	for _, tt := range []struct {
		name   string
		class  Class
		remove string
		want   string
	}{
		{"a recent duplicate", Outpatient, "now", ""},
		{"all of this year", Outpatient, "now yesterday", "now"},
		{"the newest of a year", Outpatient, "2025", "2025"},
		{"another of that year", Outpatient, "autumn", ""},
		{"inpatients longer", Inpatient, "old", "old"},
		{"no class", "", "now yesterday 2025 old older", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			remove := map[string]bool{}
			for id := range strings.FieldsSeq(tt.remove) {
				remove[id] = true
			}
			var got []string
			for _, d := range Protect(tt.class, points, remove, time.UTC) {
				got = append(got, d.ID)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q refused, want %q", got, tt.want)
			}
		})
	}
}

// A point for which something could not be read does not take the place of the
// whole ones of its year.
func TestAPartialPointDoesNotStandForItsYear(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	points := []Point{
		{ID: "now", Time: at("2026-11-22")},
		{ID: "partial", Time: at("2025-12-31"), Partial: true},
		{ID: "partial too", Time: at("2025-12-30"), Partial: true},
		{ID: "whole", Time: at("2025-12-29")},
		{ID: "whole, earlier", Time: at("2025-12-28")},
		{ID: "only partial", Time: at("2024-05-01"), Partial: true},
	}
	want := map[string]bool{"now": true, "partial": true, "whole": true, "only partial": true}
	for _, d := range Apply(Policy{Last: 1, Class: Inpatient}, points, time.UTC) {
		if d.Keep != want[d.ID] {
			t.Errorf("%s: got kept %v, want %v (%v)", d.ID, d.Keep, want[d.ID], d.Reasons)
		}
	}
}

package sla_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/sla"
)

func item(t testing.TB, no int) contract.Item {
	t.Helper()
	i, ok := contract.ItemOf(no)
	if !ok {
		t.Fatalf("no item %d", no)
	}
	return i
}

func TestDue(t *testing.T) {
	reported := time.Date(2026, 2, 28, 23, 30, 0, 0, time.FixedZone("", 8*3600)) // a Saturday night
	for no, want := range map[int]time.Duration{
		1: time.Hour, 2: 2 * time.Hour, 3: 2 * time.Hour, 4: 2 * time.Hour, 5: 2 * time.Hour,
		6: 2 * time.Hour, 7: 2 * time.Hour, 8: 10 * time.Minute,
		9: 0, 10: 0, 11: 0, 12: 0, 13: 0, 14: 0,
	} {
		due, timed := sla.Clock{}.Due(item(t, no), reported)
		if timed != (want > 0) || timed && due.Sub(reported) != want {
			t.Errorf("item %d is due %v (%v), want %v after the report", no, due, timed, want)
		}
	}
	if due, timed := (sla.Clock{}).Due(item(t, 1), time.Time{}); timed {
		t.Errorf("unreported is due %v, want never", due)
	}
}

func TestStanding(t *testing.T) {
	reported := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return reported.Add(time.Duration(minutes) * time.Minute) }
	var none time.Time
	for _, c := range []struct {
		name                     string
		item                     int
		reported, responded, now time.Time
		want                     sla.State
		used                     float64
		left                     time.Duration
	}{
		{"just reported", 2, reported, none, at(0), sla.Waiting, 0, 120 * time.Minute},
		{"before four fifths", 2, reported, none, at(95), sla.Waiting, 95.0 / 120, 25 * time.Minute},
		{"at four fifths", 2, reported, none, at(96), sla.DueSoon, 0.8, 24 * time.Minute},
		{"at the due moment", 2, reported, none, at(120), sla.DueSoon, 1, 0},
		{"past it", 2, reported, none, at(121), sla.Overdue, 121.0 / 120, -time.Minute},
		{"answered in time", 2, reported, at(30), at(500), sla.Answered, 0.25, 90 * time.Minute},
		{"answered at the due moment", 2, reported, at(120), at(500), sla.Answered, 1, 0},
		{"answered late", 2, reported, at(180), at(500), sla.Late, 1.5, -time.Hour},
		{"disaster after nine minutes", 8, reported, none, at(9), sla.DueSoon, 0.9, time.Minute},
		{"by working days", 12, reported, none, at(100000), sla.WorkingDay, 0, 0},
		{"by working days, answered", 12, reported, at(100000), at(200000), sla.Answered, 0, 0},
		{"not reported", 2, none, none, at(10), sla.NotStarted, 0, 0},
		{"clock set back", 2, reported, none, at(-10), sla.Waiting, 0, 130 * time.Minute},
	} {
		got := sla.Clock{}.At(item(t, c.item), c.reported, c.responded, c.now)
		if got.State != c.want || got.Used != c.used || got.Left != c.left {
			t.Errorf("%s: %s, used %v, left %v; want %s, %v, %v", c.name, got.State, got.Used, got.Left, c.want, c.used, c.left)
		}
		if (got.Took > 0) == c.responded.IsZero() {
			t.Errorf("%s: took %v with an answer at %v", c.name, got.Took, c.responded)
		}
		for _, lang := range locale.Languages() {
			if !lang.Has("sla." + string(got.State)) {
				t.Errorf("state %s lacks a text in %s", got.State, lang)
			}
		}
	}
}

// TestNothingMovesTheClock holds that zones and jumps of the wall clock do not
// change how long the vendor has, and that states follow each other in order.
func TestNothingMovesTheClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	order := map[sla.State]int{sla.Waiting: 0, sla.DueSoon: 1, sla.Overdue: 2}
	rapid.Check(t, func(t *rapid.T) {
		i, _ := contract.ItemOf(rapid.IntRange(1, 8).Draw(t, "item"))
		reported := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "reported"), 0)
		due, _ := sla.Clock{}.Due(i, reported)
		there, _ := sla.Clock{}.Due(i, reported.In(berlin))
		if !due.Equal(there) || due.Sub(reported) != i.Response.Target {
			t.Fatalf("due %v and %v, want both %v after the report", due, there, i.Response.Target)
		}
		early := reported.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Hour)).Draw(t, "early")))
		late := early.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Hour)).Draw(t, "late")))
		a, b := sla.Stand(reported, due, time.Time{}, early), sla.Stand(reported, due, time.Time{}, late)
		if order[a.State] > order[b.State] || a.Used > b.Used || a.Left < b.Left {
			t.Fatalf("%v then %v: the clock went backwards", a, b)
		}
		answered := sla.Stand(reported, due, early, late)
		if (answered.State == sla.Late) != (a.State == sla.Overdue) || answered.Took != early.Sub(reported) {
			t.Fatalf("answered at %v: %+v, unanswered then: %+v", early, answered, a)
		}
	})
}

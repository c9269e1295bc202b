package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/retention"
)

// nights makes points of consecutive nights, newest first. Each letter is one:
// p proven, u unproven, d damaged, f failed its drill, e empty.
func nights(letters string) []Point {
	newest := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC)
	var list []Point
	for i, c := range letters {
		p := Point{ID: int64(len(letters) - i), Files: 7, Snapshot: fmt.Sprintf("%02d", i), AsOf: newest.AddDate(0, 0, -i), Proof: backup.Unproven, Added: 100}
		switch c {
		case 'p':
			p.Proof, p.Percent = backup.Proven, 100
		case 'd':
			p.Damaged = true
		case 'f':
			p.Failed = true
		case 'e':
			p.Files = 0
		}
		list = append(list, p)
	}
	return list
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, points string
		keep         Keep
		want         string // k kept by the policy, h held by a guard, - expires
	}{
		{"no points", "", Keep{Last: 1}, ""},
		{"last two", "pppp", Keep{Last: 2}, "kk--"},
		{"the newest proven stays", "uuup", Keep{Last: 1}, "k--h"},
		{"only the newest proven stays", "uupp", Keep{Last: 1}, "k-h-"},
		{"newest damaged freezes all", "dppp", Keep{Last: 1}, "hkhh"},
		{"newest failed its drill freezes all", "fppp", Keep{Last: 1}, "hkhh"},
		{"a bad point is no daily point", "pdp", Keep{Daily: 2}, "k-k"},
		{"a bad point stays until a newer one is proven", "udu", Keep{Last: 1}, "kh-"},
		{"a bad point goes behind a proven one", "upd", Keep{Last: 2}, "kk-"},
		{"an empty share freezes all", "eeepu", Keep{Last: 1}, "hhhkh"},
		{"an empty point goes behind a proven one", "upe", Keep{Last: 2}, "kk-"},
		{"a source that was always empty", "eee", Keep{Last: 1}, "k--"},
		{"nothing but damage", "ddd", Keep{Last: 1}, "hhh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := Judge(nights(c.points), c.keep, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, p := range list {
				switch {
				case !p.Held.IsZero():
					got += "h"
				case p.Keep:
					got += "k"
				default:
					got += "-"
				}
				if len(p.Reasons) == 0 && p.Held.IsZero() {
					t.Errorf("point %s has no reason", p.Point.Snapshot)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The law wants a point of each year: when all of a year are bad, the newest of
// them stays, whatever is proven after it.
func TestJudgeKeepsTheOnlyPointOfAYear(t *testing.T) {
	for _, c := range []struct{ name, points, want string }{
		{"all of a year are bad", "pdd", "kh-"},
		{"a bad one beside a good one", "ppdp", "kk--"},
		{"an empty one holds nothing", "pe", "k-"},
	} {
		live := nights(c.points)
		for i := range live {
			if i > 0 {
				live[i].AsOf = live[i].AsOf.AddDate(-1, 0, 0)
			}
		}
		list, err := Judge(live, Keep{Class: retention.Outpatient, Last: 1}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range list {
			switch {
			case !p.Held.IsZero():
				got += "h"
			case p.Keep:
				got += "k"
			default:
				got += "-"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A clock that goes wrong must not let the policy give up what was made under
// the right one, nor what is made after it was set right.
func TestJudgeUnderAWrongClock(t *testing.T) {
	years := func(n int) func(Point) Point {
		return func(p Point) Point { p.AsOf = p.AsOf.AddDate(n, 0, 0); return p }
	}
	for _, c := range []struct {
		name  string
		wrong func(Point) Point // date of the points the wrong clock made
		made  string            // in the order they were made: r under the right clock, w under the wrong one
		want  string            // in that order
	}{
		{"the battery is dead", years(-26), "rrrw", "hhhk"},
		{"and stays dead", years(-26), "rrrwwww", "hhh--kk"},
		{"was far ahead and is right again", years(10), "rwwr", "khhk"},
		{"and goes on", years(10), "rwwrrr", "-hh-kk"},
		{"is right again after a dead battery", years(-26), "rwrr", "--kk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := nights(strings.Repeat("u", len(c.made)))
			slices.Reverse(live)
			for i, clock := range c.made {
				if clock == 'w' {
					live[i] = c.wrong(live[i])
				}
			}
			list, err := Judge(live, Keep{Last: 2}, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(live))
			for _, p := range list {
				got[p.Point.ID-1] = '-'
				if p.Keep {
					got[p.Point.ID-1] = 'k'
				}
				if !p.Held.IsZero() {
					got[p.Point.ID-1] = 'h'
				}
			}
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// However the points come, the guards hold.
func TestJudgeGuards(t *testing.T) {
	const kinds = "pudf"
	for n := range 4 * 4 * 4 * 4 * 4 {
		letters := ""
		for k, i := n, 0; i < 5; k, i = k/4, i+1 {
			letters += string(kinds[k%4])
		}
		list, err := Judge(nights(letters), Keep{Last: 1}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		newestProven := strings.IndexByte(letters, 'p')
		for i, p := range list {
			if !p.Keep && (i == newestProven || letters[0] == 'd' || letters[0] == 'f') {
				t.Errorf("%s: point %d expires", letters, i)
			}
		}
		if !list[0].Keep {
			t.Errorf("%s: the newest expires", letters)
		}
	}
}

func TestPreviewCalendar(t *testing.T) {
	var err error
	v := Preview{}
	if v.Points, err = Judge(nights("pppppppppp"), Keep{Daily: 3, Weekly: 2}, time.UTC); err != nil {
		t.Fatal(err)
	}
	v.count()
	v.calendar(time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC), time.UTC) // a Sunday
	if len(v.Days) != 42 || v.Days[0].Date.Weekday() != time.Monday || !v.Days[41].Today || v.Days[41].Future {
		t.Errorf("calendar: got %d days from %s to %+v", len(v.Days), v.Days[0].Date, v.Days[41])
	}
	if v.Days[41].Mark != MarkWeekly || v.Days[40].Mark != MarkDaily || v.Days[36].Mark != MarkExpire {
		t.Errorf("marks: got %q, %q, %q; want weekly, daily, expire", v.Days[41].Mark, v.Days[40].Mark, v.Days[36].Mark)
	}
	if v.Kept+v.Expired != 10 || v.Freed != int64(v.Expired)*100 {
		t.Errorf("counts: got %d kept, %d expired, %d freed", v.Kept, v.Expired, v.Freed)
	}
}

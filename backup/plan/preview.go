package plan

import (
	"slices"
	"strings"
	"time"

	"emrvault/appliance/store"
)

// Preview shows, before it is saved, what a keep policy would do to the points
// there are.
type Preview struct {
	Keep    Keep
	Points  []PreviewPoint // newest first
	Days    []PreviewDay   // whole weeks, Monday first, the last six
	Kept    int
	Expired int
	Freed   int64          // bytes the expired points had added; about what a prune frees
	Earlier map[string]int // kept points before Days, by mark
}

// PreviewPoint is one point under the policy.
type PreviewPoint struct {
	Point   Point
	Keep    bool
	Reasons []Note // why it is kept, or why it goes
	Held    Note   // the policy lets it go, but a guard keeps it
}

// Marks of a day in the preview, the strongest first.
const (
	MarkYearly  = "yearly"
	MarkMonthly = "monthly"
	MarkWeekly  = "weekly"
	MarkDaily   = "daily"
	MarkLast    = "last"
	MarkHeld    = "held"
	MarkExpire  = "expire"
)

// PreviewDay is one square of the calendar.
type PreviewDay struct {
	Date   time.Time // midnight in the plan's zone
	Mark   string    // Mark…, "" when the day has no point
	Points int
	Today  bool
	Future bool
}

// weeks is how far the calendar of the preview goes back.
const weeks = 6

func (b *Book) preview(tx *store.Tx, name string, keep Keep) (v Preview, err error) {
	p, err := Named(tx, name)
	if err != nil {
		return v, err
	}
	p.Keep = keep
	if err := p.checkKeep(b.site); err != nil {
		return v, err
	}
	live, err := Live(tx, p)
	if err != nil {
		return v, err
	}
	zone := p.Location(b.site)
	v.Keep = keep
	if v.Points, err = Judge(live, keep, zone); err != nil {
		return v, err
	}
	v.count()
	v.calendar(tx.Now, zone)
	return v, nil
}

func (v *Preview) count() {
	for _, p := range v.Points {
		if p.Keep {
			v.Kept++
			continue
		}
		v.Expired++
		v.Freed += p.Point.Added
	}
}

func (v *Preview) calendar(now time.Time, zone *time.Location) {
	today := midnight(now, zone)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	first := monday.AddDate(0, 0, -7*(weeks-1))
	v.Earlier = map[string]int{}
	v.Days = make([]PreviewDay, 7*weeks)
	index := map[string]*PreviewDay{}
	for i := range v.Days {
		d := &v.Days[i]
		d.Date = first.AddDate(0, 0, i)
		d.Today, d.Future = d.Date.Equal(today), d.Date.After(today)
		index[d.Date.Format(time.DateOnly)] = d
	}
	for _, p := range v.Points {
		d := index[p.Point.AsOf.In(zone).Format(time.DateOnly)]
		if d == nil {
			if p.Keep {
				v.Earlier[p.mark()]++
			}
			continue
		}
		d.Points++
		if stronger(p.mark(), d.Mark) {
			d.Mark = p.mark()
		}
	}
}

var marks = []string{MarkYearly, MarkMonthly, MarkWeekly, MarkDaily, MarkLast, MarkHeld, MarkExpire}

func stronger(a, b string) bool { return b == "" || slices.Index(marks, a) < slices.Index(marks, b) }

// mark is the longest-lived reason a point is kept for.
func (p PreviewPoint) mark() string {
	if !p.Keep {
		return MarkExpire
	}
	for _, mark := range marks {
		if slices.ContainsFunc(p.Reasons, func(n Note) bool { return strings.HasSuffix(n.Key, "."+mark) }) {
			return mark
		}
	}
	return MarkHeld
}

// points lists points; for one plan each live one says why it is kept.
func (b *Book) points(tx *store.Tx, f PointFilter) ([]Point, int, error) {
	list, total, err := points(tx, f)
	if err != nil || f.Plan == "" || len(list) == 0 {
		return list, total, err
	}
	p, err := ByID(tx, list[0].Plan)
	if err != nil {
		return nil, 0, err
	}
	live, err := Live(tx, p)
	if err != nil {
		return nil, 0, err
	}
	verdicts, err := Judge(live, p.Keep, p.Location(b.site))
	if err != nil {
		return nil, 0, err
	}
	why := make(map[int64][]Note, len(verdicts))
	for _, v := range verdicts {
		why[v.Point.ID] = v.why()
	}
	for i := range list {
		list[i].Kept = why[list[i].ID]
	}
	return list, total, nil
}

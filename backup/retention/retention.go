// Package retention decides which recovery points stay, with a reason for
// each. It is pure: no clock, no repository, only points and a policy.
//
// The rules are those restic's users know. Points are looked at from the
// newest to the oldest. Each rule keeps the newest point of every hour, day,
// week, month or year in the given time zone, until it has kept as many as it
// may; "last" keeps points as they come; "within" keeps what is younger than
// a span before the newest point, "within-daily" and its kin one point of every
// period in such a span, and "tag" keeps what carries certain tags. The oldest
// point stays while a rule still has room, so that a young repository does not
// lose its beginning. A point kept by several rules counts for each of them.
//
// Medical records 医疗记录 have a floor beneath all rules; see Class.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"emrvault/backup"
)

// Unlimited makes a rule keep a point of every period there is.
const Unlimited = -1

// Policy says how many points of each kind stay. Zero switches a rule off.
type Policy struct {
	Last    int `json:"last,omitempty"`
	Hourly  int `json:"hourly,omitempty"`
	Daily   int `json:"daily,omitempty"`
	Weekly  int `json:"weekly,omitempty"`
	Monthly int `json:"monthly,omitempty"`
	Yearly  int `json:"yearly,omitempty"`

	Within time.Duration `json:"within,omitempty"` // before the newest point
	Span   Span          `json:"span,omitzero"`    // the same with years and months; the longer one counts

	WithinHourly  Span `json:"within_hourly,omitzero"` // one point of every hour in the span before the newest
	WithinDaily   Span `json:"within_daily,omitzero"`
	WithinWeekly  Span `json:"within_weekly,omitzero"`
	WithinMonthly Span `json:"within_monthly,omitzero"`
	WithinYearly  Span `json:"within_yearly,omitzero"`

	Tags  []string `json:"tags,omitempty"`  // points that carry one of them stay; "a,b" asks for both
	Class Class    `json:"class,omitempty"` // what is kept beneath all rules
}

// Empty says whether the rules would keep nothing; the floor of a class is no
// rule.
func (p Policy) Empty() bool {
	return p.Within <= 0 && p.Span == (Span{}) && len(p.Tags) == 0 && !p.counts() && !p.spans()
}

func (p Policy) counts() bool {
	return p.Last != 0 || p.Hourly != 0 || p.Daily != 0 || p.Weekly != 0 || p.Monthly != 0 || p.Yearly != 0
}

func (p Policy) spans() bool {
	return p.WithinHourly != (Span{}) || p.WithinDaily != (Span{}) || p.WithinWeekly != (Span{}) ||
		p.WithinMonthly != (Span{}) || p.WithinYearly != (Span{})
}

// Check refuses a policy that would keep nothing, and numbers without sense.
func (p Policy) Check() error {
	for _, n := range []int{p.Last, p.Hourly, p.Daily, p.Weekly, p.Monthly, p.Yearly} {
		if n < Unlimited {
			return fmt.Errorf("keep %d points: %w", n, backup.ErrInvalid)
		}
	}
	if p.Within < 0 {
		return fmt.Errorf("keep what lies within %s: %w", p.Within, backup.ErrInvalid)
	}
	if p.Empty() {
		return fmt.Errorf("a policy that keeps nothing would remove every recovery point: %w", backup.ErrInvalid)
	}
	return p.checkClass()
}

// Point is what the rules need to know of a recovery point.
type Point struct {
	ID   string
	Time time.Time
	Tags []string

	Partial bool // something could not be read when it was made
}

// Reason is one rule that keeps a point.
type Reason struct {
	Rule   string `json:"rule"`             // last, hourly … yearly, within, within-hourly … within-yearly, tag, medical
	Oldest bool   `json:"oldest,omitempty"` // kept as the oldest, with room left in the rule
	Period string `json:"period,omitempty"` // the hour, day, week … it stands for, or the span, or the tags
}

// Key is the text of the reason, with the placeholder {period}.
func (r Reason) Key() string {
	if r.Oldest {
		return "retention.oldest." + r.Rule
	}
	return "retention." + r.Rule
}

// String tells the reason in English.
func (r Reason) String() string {
	switch {
	case r.Rule == ruleLast:
		return "last point"
	case r.Rule == ruleWithin:
		return "within " + r.Period
	case r.Rule == ruleTag:
		return "tag " + r.Period
	case r.Rule == ruleMedical:
		return "medical record (" + r.Period + ")"
	case r.Oldest:
		return "oldest " + r.Rule + " point (" + r.Period + ")"
	}
	return r.Rule + " point (" + r.Period + ")"
}

// Decision is what becomes of one point.
type Decision struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Keep    bool      `json:"keep"`
	Reasons []Reason  `json:"reasons,omitempty"`
}

const (
	ruleLast    = "last"
	ruleWithin  = "within"
	ruleTag     = "tag"
	ruleMedical = "medical"
)

// bucket is one rule at work.
type bucket struct {
	rule   string
	left   int
	period func(t time.Time, nr int) string
	since  time.Time // only points after it; zero: all
	last   string
	used   bool
}

// Apply decides about points; the newest comes first in the answer. A policy
// that would keep nothing keeps everything: Check tells the person why.
func Apply(p Policy, points []Point, loc *time.Location) []Decision {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b Point) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID, b.ID))
	})
	out := make([]Decision, len(points))
	if len(points) == 0 {
		return out
	}
	buckets := p.buckets(points[0].Time.In(loc))
	floor := newFloor(p.Class, points[0].Time.In(loc))
	for i, pt := range points {
		d := Decision{ID: pt.ID, Time: pt.Time}
		local := pt.Time.In(loc)
		if p.within(pt.Time, points[0].Time, loc) {
			d.Reasons = append(d.Reasons, Reason{Rule: ruleWithin, Period: p.spanText()})
		}
		for _, b := range buckets {
			if r, ok := b.keeps(local, i, i == len(points)-1); ok {
				d.Reasons = append(d.Reasons, r)
			}
		}
		d.Reasons = append(d.Reasons, p.tagged(pt)...)
		if r, ok := floor.keeps(local, pt.Partial); ok {
			d.Reasons = append(d.Reasons, r)
		}
		d.Keep = len(d.Reasons) > 0 || p.Empty()
		out[i] = d
	}
	return out
}

// tagged tells which of the tags the point is kept for.
func (p Policy) tagged(pt Point) (reasons []Reason) {
	for _, list := range p.Tags {
		all := true
		for tag := range strings.SplitSeq(list, ",") {
			all = all && slices.Contains(pt.Tags, tag)
		}
		if all {
			reasons = append(reasons, Reason{Rule: ruleTag, Period: list})
		}
	}
	return reasons
}

func (p Policy) buckets(newest time.Time) []*bucket {
	hourly, daily, monthly, yearly := format("2006-01-02 15h"), format("2006-01-02"), format("2006-01"), format("2006")
	list := []*bucket{
		{rule: ruleLast, left: p.Last, period: func(_ time.Time, nr int) string { return fmt.Sprint(nr) }},
		{rule: "hourly", left: p.Hourly, period: hourly},
		{rule: "daily", left: p.Daily, period: daily},
		{rule: "weekly", left: p.Weekly, period: weekly},
		{rule: "monthly", left: p.Monthly, period: monthly},
		{rule: "yearly", left: p.Yearly, period: yearly},
	}
	for _, w := range []struct {
		rule   string
		span   Span
		period func(time.Time, int) string
	}{
		{"within-hourly", p.WithinHourly, hourly}, {"within-daily", p.WithinDaily, daily}, {"within-weekly", p.WithinWeekly, weekly},
		{"within-monthly", p.WithinMonthly, monthly}, {"within-yearly", p.WithinYearly, yearly},
	} {
		if w.span != (Span{}) {
			list = append(list, &bucket{rule: w.rule, left: Unlimited, period: w.period, since: w.span.Before(newest)})
		}
	}
	return slices.DeleteFunc(list, func(b *bucket) bool { return b.left == 0 })
}

func weekly(t time.Time, _ int) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

func format(layout string) func(time.Time, int) string {
	return func(t time.Time, _ int) string { return t.Format(layout) }
}

// keeps says whether the rule wants the point. The oldest one is wanted while
// there is room, although its period has a newer point.
func (b *bucket) keeps(t time.Time, nr int, oldest bool) (Reason, bool) {
	if b.left == 0 || !b.since.IsZero() && !t.After(b.since) {
		return Reason{}, false
	}
	period := b.period(t, nr)
	same := b.used && period == b.last
	if same && (!oldest || !b.since.IsZero()) {
		return Reason{}, false
	}
	b.last, b.used = period, true
	if b.left > 0 {
		b.left--
	}
	if b.rule == ruleLast {
		return Reason{Rule: ruleLast}, true
	}
	return Reason{Rule: b.rule, Period: period, Oldest: same}, true
}

// within says whether the point is younger than the span before the newest.
func (p Policy) within(t, newest time.Time, loc *time.Location) bool {
	if p.Within > 0 && t.After(newest.Add(-p.Within)) {
		return true
	}
	return p.Span != (Span{}) && t.After(p.Span.Before(newest.In(loc)))
}

func (p Policy) spanText() string {
	if p.Span != (Span{}) {
		return p.Span.String()
	}
	return p.Within.String()
}

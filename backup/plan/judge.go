package plan

import (
	"slices"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup"
	"emrvault/backup/retention"
)

// Policy is the keep policy as package retention understands it.
func (k Keep) Policy() retention.Policy {
	return retention.Policy{Class: k.Class, Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Yearly: k.Yearly}
}

// Judge says of each live point of a plan, newest first, whether the policy
// keeps it and why, and what a guard keeps against the policy. Days are those
// of zone.
//
// The guards: nothing expires while the newest point is of a damaged source or
// its drill has failed; the newest wholly proven point never expires. The
// policy counts sound points only, so a bad one never takes the place of a
// good one; a bad point goes when a newer proven one stands in its place. A
// point without a file beside others that hold some is bad: a share that is
// not mounted looks just so. Where the class of the records wants a point of
// each year, a bad one stays as long as its year has no other.
//
// Clocks of boxes go wrong. The newest point is the one that was made last;
// those dated after it were made under a wrong clock, or it was. They stay, and
// the policy does not count them, or they would take the place of every point
// to come.
func Judge(live []Point, keep Keep, zone *time.Location) ([]PreviewPoint, error) {
	out := make([]PreviewPoint, len(live))
	for i, p := range live {
		out[i].Point = p
	}
	slices.SortStableFunc(out, func(a, b PreviewPoint) int { return b.Point.AsOf.Compare(a.Point.AsOf) })
	j := newJudge(out)
	if err := j.applyPolicy(keep, zone); err != nil {
		return nil, err
	}
	j.guard(j.onlyOfTheirYears(keep.Class, zone))
	return out, nil
}

// judge is what Judge must know of all points before it can speak of one.
type judge struct {
	list   []PreviewPoint // by their moments, newest first
	last   int            // the point that was made last
	filled bool           // some point holds files
}

func newJudge(list []PreviewPoint) *judge {
	j := &judge{list: list}
	for i, p := range list {
		if p.Point.ID > list[j.last].Point.ID {
			j.last = i
		}
		j.filled = j.filled || p.Point.Files > 0
	}
	return j
}

func (j *judge) sound(p Point) bool { return p.Good() && (p.Files > 0 || !j.filled) }

func (j *judge) misdated(p Point) bool { return p.AsOf.After(j.list[j.last].Point.AsOf) }

func (j *judge) applyPolicy(keep Keep, zone *time.Location) error {
	var sound []retention.Point
	for _, p := range j.list {
		if j.sound(p.Point) && !j.misdated(p.Point) {
			sound = append(sound, retention.Point{ID: p.Point.Snapshot, Time: p.Point.AsOf})
		}
	}
	if len(sound) == 0 {
		return nil
	}
	policy := keep.Policy()
	if err := policy.Check(); err != nil {
		return errs.Wrap(errs.Invalid, err, "plan.invalid.keep.nothing")
	}
	for _, d := range retention.Apply(policy, sound, zone) {
		i := slices.IndexFunc(j.list, func(p PreviewPoint) bool { return p.Point.Snapshot == d.ID })
		j.list[i].Keep = d.Keep
		for _, r := range d.Reasons {
			j.list[i].Reasons = append(j.list[i].Reasons, Say(r.Key(), "period", r.Period))
		}
	}
	return nil
}

// onlyOfTheirYears lists the bad points that hold all there is of a year which
// the class of the records wants kept: the newest of each such year. A point
// without a file holds nothing.
func (j *judge) onlyOfTheirYears(class retention.Class, zone *time.Location) map[int]bool {
	if class == "" {
		return nil
	}
	var all []retention.Point
	sound := map[int]bool{}
	for _, p := range j.list {
		if p.Point.Files == 0 || j.misdated(p.Point) {
			continue
		}
		year := p.Point.AsOf.In(zone).Year()
		sound[year] = sound[year] || j.sound(p.Point)
		all = append(all, retention.Point{ID: p.Point.Snapshot, Time: p.Point.AsOf, Partial: !j.sound(p.Point)})
	}
	only := map[int]bool{}
	for _, d := range retention.Apply(retention.Policy{Class: class, Last: 1}, all, zone) {
		i := slices.IndexFunc(j.list, func(p PreviewPoint) bool { return p.Point.Snapshot == d.ID })
		only[i] = d.Keep && !sound[d.Time.In(zone).Year()]
	}
	return only
}

// guard keeps what the policy would let go and must not.
func (j *judge) guard(only map[int]bool) {
	proven := slices.IndexFunc(j.list, func(p PreviewPoint) bool {
		return p.Point.Proof == backup.Proven && j.sound(p.Point) && !j.misdated(p.Point)
	})
	frozen := len(j.list) > 0 && !j.sound(j.list[j.last].Point)
	for i := range j.list {
		p := &j.list[i]
		if p.Keep {
			continue
		}
		bad := !j.sound(p.Point)
		switch {
		case j.misdated(p.Point):
			p.hold("plan.held.clock")
		case frozen:
			p.hold("plan.held.frozen")
		case i == proven:
			p.hold("plan.held.proven")
		case only[i]:
			p.hold("plan.held.law")
		case bad && (proven < 0 || proven > i):
			p.hold("plan.held.bad")
		case bad:
			p.Reasons = []Note{Say("plan.expired.bad")}
		default:
			p.Reasons = []Note{Say("plan.expired.policy")}
		}
	}
}

func (p *PreviewPoint) hold(key string) {
	p.Keep, p.Held = true, Say(key)
}

// why is all that keeps a point.
func (p PreviewPoint) why() []Note {
	if !p.Keep {
		return nil
	}
	if p.Held.IsZero() {
		return p.Reasons
	}
	return append(slices.Clone(p.Reasons), p.Held)
}

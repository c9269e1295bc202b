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
	return retention.Policy{Last: k.Last, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Yearly: k.Yearly}
}

// Judge says of each live point of a plan, newest first, whether the policy
// keeps it and why, and what a guard keeps against the policy. Days are those
// of zone.
//
// The guards: nothing expires while the newest point is of a damaged source or
// its drill has failed; the newest wholly proven point never expires. The
// policy counts sound points only, so a bad one never takes the place of a
// good one; a bad point goes when a newer proven one stands in its place.
func Judge(live []Point, keep Keep, zone *time.Location) ([]PreviewPoint, error) {
	out := make([]PreviewPoint, len(live))
	for i, p := range live {
		out[i].Point = p
	}
	slices.SortStableFunc(out, func(a, b PreviewPoint) int { return b.Point.AsOf.Compare(a.Point.AsOf) })
	if err := applyPolicy(out, keep, zone); err != nil {
		return nil, err
	}
	guard(out)
	return out, nil
}

func applyPolicy(list []PreviewPoint, keep Keep, zone *time.Location) error {
	var sound []retention.Point
	for _, p := range list {
		if p.Point.Good() {
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
		i := slices.IndexFunc(list, func(p PreviewPoint) bool { return p.Point.Snapshot == d.ID })
		list[i].Keep = d.Keep
		for _, r := range d.Reasons {
			list[i].Reasons = append(list[i].Reasons, Say(r.Key(), "period", r.Period))
		}
	}
	return nil
}

// guard keeps what the policy would let go and must not.
func guard(list []PreviewPoint) {
	proven := slices.IndexFunc(list, func(p PreviewPoint) bool { return p.Point.Proof == backup.Proven && p.Point.Good() })
	frozen := len(list) > 0 && !list[0].Point.Good()
	for i := range list {
		p := &list[i]
		if p.Keep {
			continue
		}
		bad := !p.Point.Good()
		switch {
		case frozen:
			p.hold("plan.held.frozen")
		case i == proven:
			p.hold("plan.held.proven")
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

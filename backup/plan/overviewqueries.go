package plan

import (
	"time"

	"emrvault/appliance/store"
)

// days is how far the calendar of the overview goes back.
const days = 30

func (b *Book) overview(tx *store.Tx) (o Overview, err error) {
	o.At = tx.Now
	list, err := plans(tx, "")
	if err != nil {
		return o, err
	}
	for _, p := range list {
		s, err := b.standing(tx, p)
		if err != nil {
			return o, err
		}
		o.Plans = append(o.Plans, s)
		if s.Last != nil {
			o.Bytes += s.Last.Bytes
		}
	}
	if o.Repositories, err = repositories(tx, ""); err != nil {
		return o, err
	}
	o.Safe, o.Main = safety(o.Plans)
	if err := b.calendar(tx, &o); err != nil {
		return o, err
	}
	return o, totals(tx, &o)
}

// safety judges all plans together and picks the one a person looks at first.
func safety(list []Standing) (string, *Standing) {
	if len(list) == 0 {
		return SafeEmpty, nil
	}
	word, main := SafeYes, &list[0]
	rank := map[string]int{StandGood: 0, StandOff: 0, StandUnsound: 2, StandDamaged: 2, StandFailing: 2, StandLate: 3, StandNever: 3}
	worst := 0
	for i := range list {
		s := &list[i]
		level := rank[s.State]
		if s.Last == nil && s.State != StandOff {
			level = 3
		}
		if s.Lost && s.Last.Copies == "" {
			level = 3
		}
		if level == 0 && s.Waiting > 0 {
			level = 1
		}
		if level == 0 && s.State == StandGood && (s.OverRPO() || s.OverRTO() || s.Newest.Problems > 0) {
			level = 1
		}
		if level > worst {
			worst, main = level, s
		}
	}
	switch {
	case worst >= 3:
		word = SafeNotSure
	case worst > 0:
		word = SafePartly
	}
	return word, main
}

// calendar counts runs, points and drills of each of the last days, a day
// being one of the site.
func (b *Book) calendar(tx *store.Tx, o *Overview) error {
	today := midnight(tx.Now, b.site)
	first := today.AddDate(0, 0, 1-days)
	index := map[string]*Day{}
	o.Days = make([]Day, days)
	for i := range o.Days {
		o.Days[i].Date = first.AddDate(0, 0, i)
		index[o.Days[i].Date.Format(time.DateOnly)] = &o.Days[i]
	}
	day := func(at time.Time) *Day { return index[at.In(b.site).Format(time.DateOnly)] }
	if err := countRuns(tx, o, first, day); err != nil {
		return err
	}
	return countDrills(tx, o, first, day)
}

func countRuns(tx *store.Tx, o *Overview, first time.Time, day func(time.Time) *Day) error {
	return wrap(tx.Each(func(scan func(...any) error) error {
		var began store.Time
		var state string
		var points int
		if err := scan(&began, &state, &points); err != nil {
			return err
		}
		d := day(began.Time)
		if d == nil {
			return nil
		}
		d.Points += points
		o.Runs++
		switch state {
		case "succeeded":
			d.Good++
			o.Good++
		case "partial":
			d.Partial++
			o.Good++
		case "failed":
			d.Failed++
		default: // a person or a power cut ended it
			o.Runs--
		}
		return nil
	}, `SELECT u.began, u.state, (SELECT count(*) FROM point t WHERE t.job = u.job)
		FROM run u WHERE u.began >= ?`, store.Stamp(first)), "count runs")
}

func countDrills(tx *store.Tx, o *Overview, first time.Time, day func(time.Time) *Day) error {
	return wrap(tx.Each(func(scan func(...any) error) error {
		var began store.Time
		var state string
		if err := scan(&began, &state); err != nil {
			return err
		}
		d := day(began.Time)
		if d == nil {
			return nil
		}
		switch state {
		case "passed", "partial":
			d.Drills++
			o.Drills++
			o.DrillsPassed++
		case "failed":
			d.Faults++
			o.Drills++
		}
		return nil
	}, `SELECT began, state FROM drill WHERE began >= ?`, store.Stamp(first)), "count drills")
}

func totals(tx *store.Tx, o *Overview) error {
	week := store.Stamp(tx.Now.AddDate(0, 0, -7))
	err := tx.QueryRow(`
		SELECT coalesce(sum(added) FILTER (WHERE ended >= ?), 0),
			count(*) FILTER (WHERE expired_at IS NULL AND proof <> 'proven')
		FROM point`, week).Scan(&o.Added7, &o.Unproven)
	return wrap(err, "count points")
}

func midnight(t time.Time, zone *time.Location) time.Time {
	year, month, day := t.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, zone)
}

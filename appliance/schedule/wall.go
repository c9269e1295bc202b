package schedule

import "time"

// date is a day on the calendar, without a zone.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

func (d date) add(days int) date {
	return dateOf(time.Date(d.year, d.month, d.day+days, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

func (d date) before(e date) bool {
	if d.year != e.year {
		return d.year < e.year
	}
	if d.month != e.month {
		return d.month < e.month
	}
	return d.day < e.day
}

// at finds the moment when the wall clocks of a zone show the given minute.
// Shown twice, second is the later showing; never shown, first is the first
// moment after the gap.
func (d date) at(hour, minute int, loc *time.Location) (first, second time.Time) {
	t := time.Date(d.year, d.month, d.day, hour, minute, 0, 0, loc)
	start, end := t.ZoneBounds()
	if !d.shown(t, hour, minute) {
		return gapEnd(t, start, end, time.Date(d.year, d.month, d.day, hour, minute, 0, 0, time.UTC)), second
	}
	// Go gives one of two showings and does not promise which.
	if earlier := shifted(t, start.Add(-1)); !start.IsZero() && earlier.Before(start) {
		return earlier, t
	}
	if later := shifted(t, end); !end.IsZero() && !later.Before(end) {
		return t, later
	}
	return t, second
}

func (d date) shown(t time.Time, hour, minute int) bool {
	return dateOf(t) == d && t.Hour() == hour && t.Minute() == minute
}

// shifted is the moment when the wall would show what it shows at t, were the
// zone as it is at other.
func shifted(t, other time.Time) time.Time {
	return t.Add(time.Duration(offset(t)-offset(other)) * time.Second)
}

// gapEnd picks the change of clocks that skips the wanted wall time (given as
// if it were UTC). t lies beside the gap, so one of its bounds is that change.
func gapEnd(t, start, end time.Time, wanted time.Time) time.Time {
	for _, change := range []time.Time{start, end} {
		if change.IsZero() {
			continue
		}
		before, after := wall(change.Add(-1)), wall(change)
		if before.Before(wanted) && wanted.Before(after) {
			return change.In(t.Location())
		}
	}
	return t
}

func wall(t time.Time) time.Time {
	return t.UTC().Add(time.Duration(offset(t)) * time.Second)
}

func offset(t time.Time) int {
	_, seconds := t.Zone()
	return seconds
}

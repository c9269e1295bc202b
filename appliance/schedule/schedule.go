// Package schedule says when something is due: cron words in a time zone.
//
// Words enter ("0 22 * * *"), a Schedule leaves, and Next turns any moment into
// the next due one. Nothing here runs, waits or asks the clock; whoever runs
// plans keeps the next due moment in the database and compares.
//
// A schedule names minutes on the wall clock of its zone, and wall clocks jump:
//
//   - A time that spring skips (02:30 where 02:00 becomes 03:00) is due at the
//     first moment that exists after it, so a nightly backup is never lost.
//   - A time that autumn shows twice is due once, at its first showing. Words
//     that name every hour ("*/30 * * * *") are due in both, because they mean
//     a rhythm and not a time of day.
package schedule

import (
	"slices"
	"time"
	_ "time/tzdata" // Windows has no zone files
)

// Schedule is parsed cron words in a zone. The zero value is never due.
type Schedule struct {
	words  string
	loc    *time.Location
	fields [fieldCount]set
	// Either day field restricted alone decides; both restricted, a day that
	// meets one of them is due. This is how cron has always read them.
	anyDay, anyWeekday bool
}

// horizon bounds the search for the next day that fits. The rarest that
// exists is a 29 February over the turn of a century that has none.
const horizon = 9 * 366

// Words gives the words as they were written.
func (s Schedule) Words() string { return s.words }

// Location gives the zone the words are read in.
func (s Schedule) Location() *time.Location { return s.loc }

// IsZero says that there is no schedule: by hand only.
func (s Schedule) IsZero() bool { return s.loc == nil }

// Next gives the first due moment after the given one, in the schedule's
// zone. It is the zero time for a schedule that is never due.
func (s Schedule) Next(after time.Time) time.Time {
	if s.IsZero() {
		return time.Time{}
	}
	// A skipped time may be due on the following day, so begin a day early.
	date := dateOf(after.In(s.loc)).add(-1)
	for range horizon {
		for _, due := range s.on(date) {
			if due.After(after) {
				return due
			}
		}
		date = date.add(1)
	}
	return time.Time{}
}

// Many is where Missed stops counting. A box whose clock jumps by decades must
// not be kept from its work by a number nobody will read.
const Many = 1_000_000

// Missed counts the due moments after since, up to and including now: the runs
// a box did not make while it was off; Many stands for more.
func (s Schedule) Missed(since, now time.Time) int {
	if s.IsZero() || !now.After(since) {
		return 0
	}
	count, last := 0, since
	end := dateOf(now.In(s.loc))
	for date := dateOf(since.In(s.loc)).add(-1); !end.before(date); date = date.add(1) {
		for _, due := range s.on(date) {
			if due.After(last) && !due.After(now) {
				count, last = count+1, due
			}
			if count == Many {
				return Many
			}
		}
	}
	return count
}

// on lists the due moments that belong to a day, in order, each once.
func (s Schedule) on(d date) []time.Time {
	if !s.fits(d) {
		return nil
	}
	twice := s.fields[hourField].full(hourField)
	var moments []time.Time
	for hour := range s.fields[hourField].values() {
		for minute := range s.fields[minuteField].values() {
			first, second := d.at(hour, minute, s.loc)
			moments = append(moments, first)
			if twice && !second.IsZero() {
				moments = append(moments, second)
			}
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	return slices.CompactFunc(moments, time.Time.Equal)
}

// fits says whether the day is one the words name.
func (s Schedule) fits(d date) bool {
	if !s.fields[monthField].has(int(d.month)) {
		return false
	}
	day := s.fields[dayField].has(d.day)
	weekday := s.fields[weekdayField].has(int(d.weekday()))
	if s.anyDay || s.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

package retention

import (
	"errors"
	"fmt"
	"time"

	"emrvault/backup"
)

// Class says what law the content falls under. The rules for the management of
// medical records of medical institutions 医疗机构病历管理规定 (2013), article 29,
// demand that outpatient and emergency records are kept for at least 15 years
// after the last visit, inpatient records for at least 30 years.
//
// For a recovery point that means: the newest point of every year that is
// younger than the floor stays, whatever the other rules say. Where something
// could not be read for that one, the newest whole point of the year stays, too.
type Class string

// The classes.
const (
	Outpatient Class = "outpatient" // 门(急)诊病历
	Inpatient  Class = "inpatient"  // 住院病历
)

// ErrProtected is met by whoever wants to remove what a class keeps.
var ErrProtected = errors.New("the law wants the recovery point kept")

// Floor is how many years the class demands; 0 for none.
func (c Class) Floor() int {
	switch c {
	case Outpatient:
		return 15
	case Inpatient:
		return 30
	}
	return 0
}

// FloorError names the setting that is below what a class demands. It wraps
// backup.ErrInvalid.
type FloorError struct {
	Setting string // yearly or within_yearly
	Value   string
	Class   Class
}

// Error names the setting, the floor and the way out.
func (e *FloorError) Error() string {
	years := e.Class.Floor()
	return fmt.Sprintf("%s: %s is below the %d years that %s records must be kept; leave it out, or raise it to %d years",
		e.Setting, e.Value, years, e.Class, years)
}

// Unwrap makes errors.Is find backup.ErrInvalid.
func (e *FloorError) Unwrap() error { return backup.ErrInvalid }

// checkClass refuses rules that look as if they could go below the floor:
// whoever writes "yearly: 5" beside a class believes that the sixth year goes.
func (p Policy) checkClass() error {
	floor := p.Class.Floor()
	switch {
	case p.Class == "":
		return nil
	case floor == 0:
		return fmt.Errorf("class %q: write outpatient or inpatient: %w", string(p.Class), backup.ErrInvalid)
	case p.Yearly > 0 && p.Yearly < floor:
		return &FloorError{Setting: "yearly", Value: fmt.Sprint(p.Yearly), Class: p.Class}
	case p.WithinYearly != (Span{}) && p.WithinYearly.shorter(floor):
		return &FloorError{Setting: "within_yearly", Value: p.WithinYearly.String(), Class: p.Class}
	}
	return nil
}

// shorter tells whether the span ends before so many years, wherever it begins.
func (s Span) shorter(years int) bool {
	for _, from := range []time.Time{time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if s.Before(from).After(Span{Years: years}.Before(from)) {
			return true
		}
	}
	return false
}

// floor is what a class keeps. Points come to it from the newest to the oldest.
type floor struct {
	years int
	since time.Time // points after it are younger than the floor
	seen  int       // years of which a point was kept
	last  int       // the year of the whole point kept last
	part  int       // the year of the partial point kept last
}

func newFloor(c Class, newest time.Time) *floor {
	f := &floor{years: c.Floor()}
	f.since = Span{Years: f.years}.Before(newest)
	return f
}

// keeps says whether the point is the newest of its year, and its year young
// enough. Years are counted too: a newest point that a wrong clock has put far
// into the future must not make all others look old.
func (f *floor) keeps(t time.Time, partial bool) (Reason, bool) {
	year := t.Year()
	if f.years == 0 || f.seen > 0 && year == f.last || partial && year == f.part {
		return Reason{}, false
	}
	if !t.After(f.since) && f.seen > f.years {
		return Reason{}, false
	}
	if partial {
		f.part = year
	} else {
		f.last = year
		f.seen++
	}
	return Reason{Rule: ruleMedical, Period: t.Format("2006")}, true
}

// Protect tells which of some points that somebody wants to remove by name the
// class does not let go: those that are the newest of their year and younger
// than the floor. In the year of the newest point one may go while a sister of
// that year stays; it is only a recent duplicate.
func Protect(c Class, points []Point, remove map[string]bool, loc *time.Location) []Decision {
	var refused []Decision
	all := Apply(Policy{Class: c, Last: 1}, points, loc)
	for _, d := range all {
		if !remove[d.ID] || !d.medical() {
			continue
		}
		if !spare(all, d, remove, loc) {
			refused = append(refused, d)
		}
	}
	return refused
}

func (d Decision) medical() bool {
	for _, r := range d.Reasons {
		if r.Rule == ruleMedical {
			return true
		}
	}
	return false
}

// spare tells whether a point is of the newest year, with a sister that stays.
func spare(all []Decision, d Decision, remove map[string]bool, loc *time.Location) bool {
	year := d.Time.In(loc).Year()
	if year != all[0].Time.In(loc).Year() {
		return false
	}
	for _, other := range all {
		if other.ID != d.ID && !remove[other.ID] && other.Time.In(loc).Year() == year {
			return true
		}
	}
	return false
}

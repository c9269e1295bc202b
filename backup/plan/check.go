package plan

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
	"emrvault/backup/source"
)

// Check says what is wrong with a plan as it is written, the first fault
// first; the error names the field and the next step. Whether the source can
// be reached is asked of the source itself.
func (p Plan) Check(site *time.Location) error {
	for _, check := range []func(*time.Location) error{
		p.checkName, p.checkSource, p.checkZone, p.checkSchedule, p.checkKeep, p.checkDrill,
	} {
		if err := check(site); err != nil {
			return err
		}
	}
	return nil
}

func (p Plan) checkName(*time.Location) error {
	if !GoodName(p.Name) {
		return invalid("name", "plan.invalid.name", "value", p.Name)
	}
	if len([]rune(p.Title)) > 80 {
		return invalid("title", "plan.invalid.title")
	}
	return nil
}

// GoodName says whether a name can be typed at a prompt and stand in a link:
// letters of any script, digits, and - _ . inside.
func GoodName(name string) bool {
	runes := []rune(name)
	if len(runes) == 0 || len(runes) > 60 {
		return false
	}
	for i, r := range runes {
		inside := i > 0 && strings.ContainsRune("-_.", r)
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !inside {
			return false
		}
	}
	return true
}

func (p Plan) checkSource(*time.Location) error {
	if p.Source.Kind == "" {
		return invalid("source.kind", "plan.invalid.kind")
	}
	if p.Source.Name != "" && strings.ContainsAny(p.Source.Name, ",\n") {
		return invalid("source.name", "plan.invalid.tag", "value", p.Source.Name)
	}
	if p.Repository == "" {
		return invalid("repository", "plan.invalid.repository")
	}
	return nil
}

func (p Plan) checkZone(*time.Location) error {
	if p.Zone == "" {
		return nil
	}
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "Local" {
		return invalid("zone", "plan.invalid.zone", "value", p.Zone)
	}
	return nil
}

func (p Plan) checkSchedule(site *time.Location) error {
	for _, f := range []struct{ field, words string }{{"schedule", p.Schedule}, {"drill.schedule", p.Drill.Schedule}} {
		if f.words == "" {
			continue
		}
		if _, err := parseSchedule(f.words, p.Location(site)); err != nil {
			return &FieldError{Field: f.field, Err: err}
		}
	}
	return nil
}

func (p Plan) checkKeep(*time.Location) error {
	counts := []int{p.Keep.Last, p.Keep.Hourly, p.Keep.Daily, p.Keep.Weekly, p.Keep.Monthly, p.Keep.Yearly}
	sum := 0
	for _, n := range counts {
		if n < 0 || n > 100000 {
			return invalid("keep", "plan.invalid.keep.range", "value", n)
		}
		sum += n
	}
	if sum == 0 {
		return invalid("keep", "plan.invalid.keep.nothing")
	}
	if floor := p.Keep.Class.Floor(); p.Keep.Class != "" && (floor == 0 || p.Keep.Yearly > 0 && p.Keep.Yearly < floor) {
		return invalid("keep", "plan.invalid.keep.class", "class", p.Keep.Class, "value", p.Keep.Yearly, "floor", floor)
	}
	return nil
}

func (p Plan) checkDrill(*time.Location) error {
	for i, a := range p.Drill.Assertions {
		if err := a.Check(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// FieldError names the field of a form or file in which the fault lies.
type FieldError struct {
	Field string
	Err   error
}

// Error tells the fault.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Message is the text for people, the field in front.
func (e *FieldError) Message() (string, []any) {
	return "plan.field", []any{"field", e.Field, "error", e.Err}
}

// Unwrap gives the fault. As a list, so that nobody tells it a second time
// behind the message, which has it already.
func (e *FieldError) Unwrap() []error { return []error{e.Err} }

// FieldOf tells which field an error of Check is about, "" when none.
func FieldOf(err error) string {
	var field *FieldError
	if errors.As(err, &field) {
		return field.Field
	}
	return ""
}

func invalid(field, key string, args ...any) error {
	return &FieldError{Field: field, Err: errs.New(errs.Invalid, key, args...)}
}

func (b *Book) add(tx *store.Tx, p Plan) (Plan, error) {
	p, err := b.prepare(tx, p, 0)
	if err != nil {
		return p, err
	}
	p.ID, err = insertPlan(tx, p)
	if err != nil {
		return p, err
	}
	return ByID(tx, p.ID)
}

func (b *Book) edit(tx *store.Tx, name string, p Plan) (Plan, error) {
	old, err := Named(tx, name)
	if err != nil {
		return p, err
	}
	p.ID = old.ID
	if p.Name == "" {
		p.Name = old.Name
	}
	if p, err = b.prepare(tx, p, old.ID); err != nil {
		return p, err
	}
	if sameTimes(p, old) {
		p.NextDue, p.NextDrill = old.NextDue, old.NextDrill
	}
	if err := updatePlan(tx, p); err != nil {
		return p, err
	}
	return ByID(tx, p.ID)
}

// sameTimes says that a change left the timetable alone, so that a moment
// already due is not lost by saving the form.
func sameTimes(a, b Plan) bool {
	return a.Enabled == b.Enabled && a.Schedule == b.Schedule && a.Zone == b.Zone && a.Drill.Schedule == b.Drill.Schedule
}

// prepare checks a plan against itself and the book, and sets what follows.
func (b *Book) prepare(tx *store.Tx, p Plan, self int64) (Plan, error) {
	if p.Source.Name == "" {
		p.Source.Name = p.Name
	}
	if err := p.Check(b.site); err != nil {
		return p, err
	}
	if err := b.checkSource(p.Source); err != nil {
		return p, err
	}
	repository, err := RepositoryNamed(tx, p.Repository)
	if err != nil {
		return p, &FieldError{Field: "repository", Err: err}
	}
	p.RepositoryID = repository.ID
	if p.SecondID, err = b.second(tx, p); err != nil {
		return p, &FieldError{Field: "second", Err: err}
	}
	if other, err := Named(tx, p.Name); err == nil && other.ID != self {
		return p, &FieldError{Field: "name", Err: errs.New(errs.Conflict, "plan.taken", "name", p.Name)}
	} else if err != nil && errs.KindOf(err) != errs.NotFound {
		return p, err
	}
	if err := ownTag(tx, p, self); err != nil {
		return p, err
	}
	p.NextDue, p.NextDrill, err = NextTimes(p, tx.Now, b.site)
	return p, err
}

// second finds the repository of the second copy, 0 when there is to be none.
func (b *Book) second(tx *store.Tx, p Plan) (int64, error) {
	switch p.Second {
	case "":
		return 0, nil
	case p.Repository:
		return 0, errs.New(errs.Invalid, "plan.invalid.second", "name", p.Second)
	}
	r, err := RepositoryNamed(tx, p.Second)
	return r.ID, err
}

// ownTag refuses a tag that another plan of the same repository uses: in the
// repository, the tag is all that tells whose a snapshot is.
func ownTag(tx *store.Tx, p Plan, self int64) error {
	list, err := plans(tx, "")
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.ID != self && other.RepositoryID == p.RepositoryID && other.Tag() == p.Tag() {
			return &FieldError{Field: "source.name", Err: errs.New(errs.Conflict, "plan.invalid.tagtaken", "value", p.Tag(), "plan", other.Label())}
		}
	}
	return nil
}

func (b *Book) checkSource(spec source.Spec) error {
	if b.source == nil {
		return nil
	}
	if err := b.source(spec); err != nil {
		return &FieldError{Field: "source", Err: errs.Wrap(errs.Invalid, err, "plan.invalid.source", "detail", err.Error())}
	}
	return nil
}

// NextTimes tells when a plan's backup and its own drill are next due after a
// moment; zero means never.
func NextTimes(p Plan, after time.Time, site *time.Location) (backup, drill time.Time, err error) {
	if !p.Enabled {
		return backup, drill, nil
	}
	zone := p.Location(site)
	if backup, err = nextTime(p.Schedule, after, zone); err != nil {
		return backup, drill, err
	}
	drill, err = nextTime(p.Drill.Schedule, after, zone)
	return backup, drill, err
}

func nextTime(words string, after time.Time, zone *time.Location) (time.Time, error) {
	if words == "" {
		return time.Time{}, nil
	}
	s, err := parseSchedule(words, zone)
	if err != nil {
		return time.Time{}, err
	}
	return s.Next(after), nil
}

package protection

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/backup/retention"
	"emrvault/webui/render"
)

// keepForm is a keep policy as it is typed.
type keepForm struct {
	Class                                        retention.Class // of the records; empty: none
	Last, Hourly, Daily, Weekly, Monthly, Yearly string
}

func keepFormOf(k plan.Keep) keepForm {
	n := func(n int) string { return strconv.Itoa(n) }
	return keepForm{k.Class, n(k.Last), n(k.Hourly), n(k.Daily), n(k.Weekly), n(k.Monthly), n(k.Yearly)}
}

// Classes are the classes of records there are, for a list to choose from.
func (k keepForm) Classes() []retention.Class {
	return []retention.Class{retention.Outpatient, retention.Inpatient}
}

// readKeep takes the numbers from a query or a form.
func readKeep(value func(string) string) keepForm {
	get := func(name string) string { return strings.TrimSpace(value(name)) }
	return keepForm{retention.Class(get("class")), get("last"), get("hourly"), get("daily"), get("weekly"), get("monthly"), get("yearly")}
}

// keep reads the numbers; an empty one keeps none of its kind. An error about
// the years names their field.
func (k keepForm) keep() (plan.Keep, error) {
	out := plan.Keep{Class: k.Class}
	for _, field := range []struct {
		text string
		into *int
	}{{k.Last, &out.Last}, {k.Hourly, &out.Hourly}, {k.Daily, &out.Daily}, {k.Weekly, &out.Weekly}, {k.Monthly, &out.Monthly}, {k.Yearly, &out.Yearly}} {
		if field.text == "" {
			continue
		}
		n, err := strconv.Atoi(field.text)
		if err != nil || n < 0 || n > 100000 {
			return out, errs.New(errs.Invalid, "plans.form.keep", "value", field.text)
		}
		*field.into = n
	}
	if out == (plan.Keep{Class: k.Class}) {
		return out, errs.New(errs.Invalid, "plans.form.keep-nothing")
	}
	if floor := k.Class.Floor(); out.Yearly > 0 && out.Yearly < floor {
		return out, &plan.FieldError{Field: "yearly", Err: errs.New(errs.Invalid, "plans.form.floor", "value", out.Yearly, "floor", floor)}
	}
	return out, nil
}

// keepProblem tells what is wrong with a keep policy, beside its field.
func keepProblem(r *render.Frame, err error) problems {
	var within *plan.FieldError
	if errors.As(err, &within) {
		return problems{within.Field: r.Lang.Error(within.Err)}
	}
	return problems{"keep": r.Lang.Error(err)}
}

// previewView is a preview as a calendar.
type previewView struct {
	plan.Preview
	Weekdays [7]string
	Squares  []square
	Medical  []time.Time // of points that stay for the law alone, newest first
	Problem  string
}

// square is one day of the calendar.
type square struct {
	plan.PreviewDay
	Class, Sign, Text string
	First             bool // shows its month
}

// marks are class and sign key of what a day's points are kept for.
var marks = map[string]string{
	"last": "c3", "daily": "c3", "weekly": "c4", "monthly": "ci", "yearly": "ci", "held": "cw", "expire": "cb", "": "out",
}

func previewOf(f *render.Frame, v plan.Preview) *previewView {
	d := &previewView{Preview: v}
	for i := range d.Weekdays {
		d.Weekdays[i] = f.Lang.T("overview.weekday." + strconv.Itoa(i+1))
	}
	for i, day := range v.Days {
		day.Date = day.Date.In(f.Now.Location())
		word := day.Mark
		switch {
		case day.Future:
			word = "future"
		case word == "":
			word = "none"
		}
		s := square{PreviewDay: day, Class: marks[day.Mark], Sign: f.Lang.T("plans.mark." + word), First: i == 0 || day.Date.Day() == 1}
		s.Text = f.Lang.T("plans.mark-text." + word)
		d.Squares = append(d.Squares, s)
	}
	for _, p := range v.Points {
		if lawful(p) {
			d.Medical = append(d.Medical, p.Point.AsOf)
		}
	}
	return d
}

// lawful says that nothing but the law on medical records keeps a point.
func lawful(p plan.PreviewPoint) bool {
	medical := func(n plan.Note) bool { return n.Key == "retention.medical" }
	return p.Keep && len(p.Reasons) == 1 && slices.ContainsFunc(p.Reasons, medical)
}

// EarlierCount is how many points older than the calendar stay for a mark.
func (v *previewView) EarlierCount(mark string) int { return v.Earlier[mark] }

// preview shows what the typed numbers would do, or what is wrong with them.
func (p *PlanPages) preview(c render.Context, d *planPage, typed keepForm) {
	f := render.FrameOf(c)
	d.Keep = typed
	keep, err := typed.keep()
	if err == nil {
		var v plan.Preview
		if v, err = p.book.Preview(render.Ctx(c), d.Plan.Name, keep); err == nil {
			d.Preview = previewOf(f, v)
			return
		}
	}
	d.Preview, d.Problems = &previewView{}, keepProblem(f, err)
}

// SaveKeep is POST /plans/:id/keep.
func (p *PlanPages) SaveKeep(c render.Context) {
	d, ok := p.page(c)
	if !ok {
		return
	}
	typed := readKeep(c.PostForm)
	keep, err := typed.keep()
	if err == nil {
		err = p.book.SetKeep(render.Ctx(c), d.Plan.Name, keep)
	}
	switch {
	case err == nil:
		p.render.Done(c, planHref(d.Plan.ID), "plans.keep.saved", "plan", d.Plan.Label())
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		d.Keep, d.Preview, d.Problems = typed, &previewView{}, keepProblem(render.FrameOf(c), err)
		p.render.PageStatus(c, unprocessable, "protection/plan", d)
	}
}

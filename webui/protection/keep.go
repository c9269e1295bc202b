package protection

import (
	"strconv"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/webui/render"
)

// keepForm is a keep policy as it is typed.
type keepForm struct {
	Last, Daily, Weekly, Monthly, Yearly string
}

func keepFormOf(k plan.Keep) keepForm {
	n := func(n int) string { return strconv.Itoa(n) }
	return keepForm{n(k.Last), n(k.Daily), n(k.Weekly), n(k.Monthly), n(k.Yearly)}
}

// readKeep takes the numbers from a query or a form.
func readKeep(value func(string) string) keepForm {
	get := func(name string) string { return strings.TrimSpace(value(name)) }
	return keepForm{get("last"), get("daily"), get("weekly"), get("monthly"), get("yearly")}
}

// keep reads the numbers; an empty one keeps none of its kind.
func (k keepForm) keep() (plan.Keep, error) {
	var out plan.Keep
	for _, field := range []struct {
		text string
		into *int
	}{{k.Last, &out.Last}, {k.Daily, &out.Daily}, {k.Weekly, &out.Weekly}, {k.Monthly, &out.Monthly}, {k.Yearly, &out.Yearly}} {
		if field.text == "" {
			continue
		}
		n, err := strconv.Atoi(field.text)
		if err != nil || n < 0 || n > 100000 {
			return out, errs.New(errs.Invalid, "plans.form.keep", "value", field.text)
		}
		*field.into = n
	}
	if out == (plan.Keep{}) {
		return out, errs.New(errs.Invalid, "plans.form.keep-nothing")
	}
	return out, nil
}

// previewView is a preview as a calendar.
type previewView struct {
	plan.Preview
	Weekdays [7]string
	Squares  []square
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
	return d
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
	d.Preview = &previewView{Problem: f.Lang.Error(err)}
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
		d.Keep, d.Preview = typed, &previewView{Problem: render.FrameOf(c).Lang.Error(err)}
		p.render.PageStatus(c, unprocessable, "protection/plan", d)
	}
}

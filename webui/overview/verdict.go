package overview

import (
	"emrvault/appliance/identity"
	"emrvault/backup/plan"
	"emrvault/webui/chart"
	"emrvault/webui/render"
)

// verdict is the first line of the page.
type verdict struct {
	Class string // v-warn, v-bad, v-info; empty when all is well
	Icon  string
	Title string
	Text  string
}

// judge puts the book's answer into words.
func judge(f *render.Frame, d *page) verdict {
	t := f.Lang.T
	switch d.Safe {
	case plan.SafeYes:
		return verdict{"", "circle-check", t("overview.verdict.yes", "plan", d.Main.Plan.Label(), "time", f.Moment(d.Main.Last.AsOf)), proof(f, d)}
	case plan.SafePartly:
		return verdict{"v-warn", "alert-triangle", partly(f, d), proof(f, d)}
	case plan.SafeNotSure:
		return verdict{"v-bad", "alert-triangle", t("overview.verdict.notsure", "plan", d.Main.Plan.Label()), f.Note(d.Main.Reason)}
	}
	return verdict{"v-info", "info-circle", t("overview.verdict.empty"), t("overview.verdict.empty-text")}
}

// partly still says to when one can go back, and then what is wrong.
func partly(f *render.Frame, d *page) string {
	if d.Main.Last == nil {
		return f.Lang.T("overview.verdict.partly", "plan", d.Main.Plan.Label())
	}
	return f.Lang.T("overview.verdict.partly-until", "plan", d.Main.Plan.Label(), "time", f.Moment(d.Main.Last.AsOf))
}

// proof says what makes us believe it: the last drill.
func proof(f *render.Frame, d *page) string {
	s := d.Main.Drill
	if s == nil {
		return f.Lang.T("overview.verdict.undrilled")
	}
	switch s.State {
	case "passed", "partial":
		return f.Lang.T("overview.verdict.drilled", "time", f.Moment(s.Began), "rto", s.RTO)
	}
	return f.Lang.T("overview.verdict.drill-failed", "time", f.Moment(s.Began))
}

// todo is something that waits for a person.
type todo struct {
	Tone chart.Tone
	Text string
	Href string
}

// fullAt is how much of a disk may be in use before it is told.
const fullAt = 85

// todos gathers what waits, the worst of each kind first. What a person could
// not do anything about is left out with its page.
func todos(f *render.Frame, d *page) (list []todo) {
	for _, s := range d.Plans {
		list = append(list, planTodos(f, s)...)
	}
	for _, r := range d.Repositories {
		list = append(list, repositoryTodos(f, r)...)
	}
	if d.Desk == nil {
		return list
	}
	if n := d.Desk.Overdue; n > 0 {
		list = append(list, todo{chart.Bad, f.Lang.Plural("overview.todo.overdue", n), "/tickets?state=overdue"})
	}
	if n := d.Desk.Unsent; n > 0 && f.May(identity.TicketWrite) {
		list = append(list, todo{chart.Warn, f.Lang.Plural("overview.todo.unsent", n), "/tickets?source=system&state=open"})
	}
	return list
}

func planTodos(f *render.Frame, s plan.Standing) (list []todo) {
	t, label, href := f.Lang.T, s.Plan.Label(), planHref(s.Plan.ID)
	switch s.State {
	case plan.StandGood, plan.StandOff:
	case plan.StandNever:
		list = append(list, todo{chart.Warn, t("overview.todo.plan", "plan", label, "reason", f.Note(s.Reason)), href})
	default:
		list = append(list, todo{chart.Bad, t("overview.todo.plan", "plan", label, "reason", f.Note(s.Reason)), href})
	}
	if s.OverRPO() {
		list = append(list, todo{chart.Warn, t("overview.todo.rpo", "plan", label, "is", s.RPO, "target", s.Plan.RPO.D()), href})
	}
	if s.OverRTO() {
		list = append(list, todo{chart.Warn, t("overview.todo.rto", "plan", label, "is", s.RTO, "target", s.Plan.RTO.D()), href})
	}
	if s.Waiting > 0 {
		list = append(list, todo{chart.Bad, f.Lang.Plural("overview.todo.uncopied", s.Waiting, "plan", label, "name", s.Plan.Second), href})
	}
	if s.State == plan.StandGood && s.Newest != nil && s.Newest.Problems > 0 {
		list = append(list, todo{chart.Warn, f.Lang.Plural("overview.todo.problems", s.Newest.Problems, "plan", label), href})
	}
	return list
}

func repositoryTodos(f *render.Frame, r plan.Repository) (list []todo) {
	t, href := f.Lang.T, repositoryHref(r.ID)
	if r.CheckState == "damaged" {
		list = append(list, todo{chart.Bad, t("overview.todo.damaged", "name", r.Name), href})
	}
	if n := len(r.Care.Lost); n > 0 {
		list = append(list, todo{chart.Bad, f.Lang.Plural("overview.todo.lost", n, "name", r.Name), href})
	} else if r.Care.Damaged > 0 && r.CheckState != "damaged" {
		list = append(list, todo{chart.Bad, t("overview.todo.damaged", "name", r.Name), href})
	}
	if n := r.Care.Overdue; n > 0 {
		list = append(list, todo{chart.Bad, f.Lang.Plural("overview.todo.unverified", n, "name", r.Name), href})
	}
	if used := r.UsedPercent(); used >= fullAt {
		list = append(list, todo{chart.Bad, t("overview.todo.full", "name", r.Name, "percent", used, "free", f.Lang.Bytes(r.Free)), href})
	}
	if r.Sheet != plan.SheetConfirmed {
		list = append(list, todo{chart.Warn, t("overview.todo.sheet", "name", r.Name), href})
	}
	return list
}

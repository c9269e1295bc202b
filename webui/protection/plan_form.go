package protection

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/retention"
	"emrvault/backup/source"
	sources "emrvault/backup/source/all"
	"emrvault/webui/render"
)

// planForm is a plan as it is typed. Everything is text until it is read, so
// that a form with a mistake comes back exactly as it was sent.
type planForm struct {
	ID            int64 // 0: a new plan
	Name, Title   string
	Kind          string
	Settings      map[string]string // of the source, by name; lists have one entry a line
	Repository    string
	Second        string // name of the repository of the second copy; empty: none
	Schedule      string
	Zone          string
	Keep          keepForm
	AfterBackup   bool
	DrillSchedule string
	Assertions    []assertionForm
	RTO, RPO      string
	Enabled       bool
}

// assertionForm is one question of the drill as it is typed.
type assertionForm struct {
	Kind, Name, Path, Query, Compare, Expect, Min, Max, Within string
}

// problems are what is wrong with a form, by field.
type problems map[string]string

// newForm is where a new plan begins: sensible numbers, nothing hidden.
func newForm(kind, repository string) planForm {
	return planForm{
		Kind: kind, Repository: repository, Schedule: "0 22 * * *", AfterBackup: true, Enabled: true,
		Keep: keepForm{retention.Inpatient, "0", "0", "14", "8", "12", "30"}, RTO: "1h", RPO: "24h", Settings: map[string]string{},
	}
}

// formOf shows a plan that exists.
func formOf(p plan.Plan) planForm {
	f := planForm{
		ID: p.ID, Name: p.Name, Title: p.Title, Kind: p.Source.Kind, Repository: p.Repository, Second: p.Second, Schedule: p.Schedule, Zone: p.Zone,
		Keep: keepFormOf(p.Keep), AfterBackup: p.Drill.AfterBackup, DrillSchedule: p.Drill.Schedule,
		RTO: words(p.RTO), RPO: words(p.RPO), Enabled: p.Enabled, Settings: map[string]string{},
	}
	for name, value := range p.Source.Settings {
		switch value := value.(type) {
		case bool:
			if value {
				f.Settings[name] = "1"
			}
		case string:
			f.Settings[name] = value
		default:
			f.Settings[name] = strings.Join(p.Source.List(name), "\n")
		}
	}
	for _, a := range p.Drill.Assertions {
		f.Assertions = append(f.Assertions, assertionForm{
			a.Kind, a.Name, a.Path, a.Query, a.Compare, a.Expect, number(a.Min), number(a.Max), words(a.Within),
		})
	}
	return f
}

func words(d plan.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// manyAssertions bounds what one form may bring.
const manyAssertions = 50

// readForm takes what was sent.
func readForm(c render.Context) planForm {
	get := func(name string) string { return strings.TrimSpace(c.PostForm(name)) }
	f := planForm{
		Name: get("name"), Title: get("title"), Kind: get("kind"), Repository: get("repository"), Second: get("second"),
		Schedule: get("schedule"), Zone: get("zone"), Keep: readKeep(c.PostForm), AfterBackup: get("after_backup") != "",
		DrillSchedule: get("drill_schedule"), RTO: get("rto"), RPO: get("rpo"), Enabled: get("enabled") != "", Settings: map[string]string{},
	}
	for _, s := range kindOf(f.Kind).Settings {
		f.Settings[s.Name] = strings.ReplaceAll(strings.TrimRight(c.PostForm("set."+s.Name), "\r\n\t "), "\r\n", "\n")
	}
	count, _ := strconv.Atoi(get("assertions")) // no number is no assertion
	for i := range min(count, manyAssertions) {
		field := func(name string) string { return get(fmt.Sprintf("a%d.%s", i, name)) }
		f.Assertions = append(f.Assertions, assertionForm{
			field("kind"), field("name"), field("path"), field("query"), field("compare"), field("expect"), field("min"), field("max"), field("within"),
		})
	}
	return f
}

// change carries out a button that changes the form alone: one question more,
// or one less.
func (f *planForm) change(button string) bool {
	if kind, ok := strings.CutPrefix(button, "add-"); ok && len(f.Assertions) < manyAssertions {
		f.Assertions = append(f.Assertions, assertionForm{Kind: kind})
		return true
	}
	if at, ok := strings.CutPrefix(button, "remove-"); ok {
		if i, err := strconv.Atoi(at); err == nil && i >= 0 && i < len(f.Assertions) {
			f.Assertions = slices.Delete(f.Assertions, i, i+1)
		}
		return true
	}
	return button == "redraw"
}

func kindOf(name string) source.Kind {
	for _, k := range sources.Kinds() {
		if k.Name == name {
			return k
		}
	}
	return source.Kind{}
}

// plan reads the form. What is wrong is told by field; the book checks the
// rest when it is written down.
func (f *planForm) plan(r *render.Frame) (plan.Plan, problems) {
	bad := problems{}
	p := plan.Plan{
		ID: f.ID, Name: f.Name, Title: f.Title, Repository: f.Repository, Second: f.Second, Schedule: f.Schedule, Zone: f.Zone, Enabled: f.Enabled,
		Source: f.spec(r, bad), Drill: plan.DrillRule{AfterBackup: f.AfterBackup, Schedule: f.DrillSchedule},
	}
	p.RTO = f.length(r, bad, "rto", f.RTO)
	p.RPO = f.length(r, bad, "rpo", f.RPO)
	var err error
	if p.Keep, err = f.Keep.keep(); err != nil {
		maps.Copy(bad, keepProblem(r, err))
	}
	for i, a := range f.Assertions {
		p.Drill.Assertions = append(p.Drill.Assertions, f.assertion(r, bad, i, a))
	}
	return p, bad
}

func (f *planForm) length(r *render.Frame, bad problems, field, text string) plan.Duration {
	d, err := plan.ParseDuration(text)
	if err != nil {
		bad[field] = r.Lang.T("plans.form.duration", "value", text)
	}
	return d
}

// spec reads the settings of the source as its kind describes them.
func (f *planForm) spec(r *render.Frame, bad problems) source.Spec {
	spec := source.Spec{Kind: f.Kind, Settings: map[string]any{}}
	for _, s := range kindOf(f.Kind).Settings {
		text := f.Settings[s.Name]
		if s.Required && strings.TrimSpace(text) == "" {
			bad["set."+s.Name] = r.Lang.T("plans.form.required")
			continue
		}
		switch s.Type {
		case source.Flag:
			if text != "" {
				spec.Settings[s.Name] = true
			}
		case source.Paths, source.Patterns:
			if list := lines(text); len(list) > 0 {
				spec.Settings[s.Name] = list
			}
		default:
			if text != "" {
				spec.Settings[s.Name] = strings.TrimSpace(text)
			}
		}
	}
	return spec
}

func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// assertion reads one question; fields of another kind are left out.
func (f *planForm) assertion(r *render.Frame, bad problems, i int, a assertionForm) plan.Assertion {
	out := plan.Assertion{Kind: a.Kind, Name: a.Name, Path: a.Path}
	field := fmt.Sprintf("a%d", i)
	switch a.Kind {
	case plan.AssertSQL:
		out.Query, out.Compare, out.Expect = a.Query, a.Compare, a.Expect
	case plan.AssertCount:
		out.Min = whole(r, bad, field, a.Min)
		out.Max = whole(r, bad, field, a.Max)
	case plan.AssertNewest:
		out.Query = a.Query
		out.Within = f.length(r, bad, field, a.Within)
	}
	return out
}

func whole(r *render.Frame, bad problems, field, text string) int64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		bad[field] = r.Lang.T("plans.form.number", "value", text)
	}
	return n
}

// place puts an error of the book beside the field it is about.
func (bad problems) place(r *render.Frame, err error) bool {
	if errs.KindOf(err) == errs.Internal && !errors.Is(err, backup.ErrInvalid) {
		return false
	}
	field := plan.FieldOf(err)
	var within *plan.FieldError
	if errors.As(err, &within) {
		err = within.Err // the field stands beside it on the page
	}
	text := r.Lang.Error(err)
	var at int
	switch {
	case field == "drill.schedule":
		field = "drill_schedule"
	case strings.HasPrefix(field, "source"):
		field = "source"
	case field == "":
		field = "form"
	default:
		if n, scanned := fmt.Sscanf(field, "drill.assertions[%d]", &at); n == 1 && scanned == nil {
			field = fmt.Sprintf("a%d", at-1)
		}
	}
	bad[field] = text
	return true
}

// formPage is the data of plan_form.html.
type formPage struct {
	planForm
	Source       source.Kind
	Kinds        []source.Kind
	Repositories []plan.Repository
	When         scheduleView
	DrillWhen    scheduleView
	SiteZone     string
	Problems     problems
	Tested       bool
	Tests        []findingView
	Preview      *previewView
}

// Old says that the plan exists already.
func (d *formPage) Old() bool { return d.ID != 0 }

// Action is where the form is sent.
func (d *formPage) Action() string {
	if d.Old() {
		return planHref(d.ID) + "/edit"
	}
	return "/plans/new"
}

// Problem is what is wrong with a field, empty when nothing.
func (d *formPage) Problem(field string) string { return d.Problems[field] }

// AssertionField is the name of an input of a question.
func (d *formPage) AssertionField(i int, name string) string { return fmt.Sprintf("a%d.%s", i, name) }

// AssertionProblem is what is wrong with a question.
func (d *formPage) AssertionProblem(i int) string { return d.Problems[fmt.Sprintf("a%d", i)] }

// Setting is what was typed for a setting of the source.
func (d *formPage) Setting(name string) string { return d.Settings[name] }

// Comparisons are the signs an SQL question may use.
func (d *formPage) Comparisons() []string { return []string{"=", "!=", "<", "<=", ">", ">="} }

// NewHref leads to the form for a kind.
func (d *formPage) NewHref(kind string) string { return "/plans/new?kind=" + url.QueryEscape(kind) }

// formPage fills what stands around the typed values.
func (p *PlanPages) formPage(c render.Context, form planForm, bad problems) (*formPage, error) {
	f := render.FrameOf(c)
	list, err := p.book.Repositories(render.Ctx(c))
	if err != nil {
		return nil, err
	}
	zone, err := zoneOf(form.Zone, p.site())
	if err != nil {
		zone = p.site()
	}
	if bad == nil {
		bad = problems{}
	}
	return &formPage{
		planForm: form, Source: kindOf(form.Kind), Kinds: sources.Kinds(), Repositories: list, Problems: bad, SiteZone: p.site().String(),
		When: readSchedule(f, form.Schedule, zone), DrillWhen: readSchedule(f, form.DrillSchedule, zone),
	}, nil
}

package protection

import (
	"net/http"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	sources "emrvault/backup/source/all"
	"emrvault/webui/render"
)

// NewForm is GET /plans/new. Without a kind it asks for one first, because the
// kind decides what the form asks for.
func (p *PlanPages) NewForm(c render.Context) {
	kind := kindOf(c.Query("kind"))
	if !kind.Ready {
		p.choose(c)
		return
	}
	list, err := p.book.Repositories(render.Ctx(c))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	repository := ""
	if len(list) > 0 {
		repository = list[0].Name
	}
	p.showForm(c, http.StatusOK, newForm(kind.Name, repository), nil)
}

func (p *PlanPages) choose(c render.Context) {
	d, err := p.formPage(c, planForm{}, nil)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "protection/plan_kind", d)
}

// EditForm is GET /plans/:id/edit.
func (p *PlanPages) EditForm(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.showForm(c, http.StatusOK, formOf(found), nil)
}

func (p *PlanPages) showForm(c render.Context, status int, form planForm, bad problems) {
	d, err := p.formPage(c, form, bad)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.PageStatus(c, status, "protection/plan_form", d)
}

// Add is POST /plans/new.
func (p *PlanPages) Add(c render.Context) { p.save(c, plan.Plan{}) }

// Edit is POST /plans/:id/edit.
func (p *PlanPages) Edit(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.save(c, found)
}

// save carries out whichever button of the form was pressed: some change the
// form alone, two look without writing anything, one writes the plan down.
func (p *PlanPages) save(c render.Context, old plan.Plan) {
	form := readForm(c)
	form.ID = old.ID
	button := c.PostForm("do")
	switch {
	case form.change(button):
		p.showForm(c, http.StatusOK, form, nil)
	case button == "test":
		p.testForm(c, form)
	case button == "preview":
		p.previewForm(c, form, old)
	default:
		p.write(c, form, old)
	}
}

func (p *PlanPages) write(c render.Context, form planForm, old plan.Plan) {
	f := render.FrameOf(c)
	wanted, bad := form.plan(f)
	wanted.Source.Name = old.Source.Name // points before are found by it
	if len(bad) == 0 {
		verify(f, wanted, bad)
	}
	if len(bad) > 0 {
		p.showForm(c, unprocessable, form, bad)
		return
	}
	written, err := p.put(c, wanted, old)
	switch {
	case err == nil:
		p.render.Done(c, planHref(written.ID), "plans.saved", "plan", written.Label())
	case bad.place(f, err):
		p.showForm(c, unprocessable, form, bad)
	default:
		p.render.Error(c, err)
	}
}

func (p *PlanPages) put(c render.Context, wanted, old plan.Plan) (plan.Plan, error) {
	if old.ID == 0 {
		return p.book.Add(render.Ctx(c), wanted)
	}
	return p.book.Edit(render.Ctx(c), old.Name, wanted)
}

// verify asks the kind whether the settings can be; nothing is touched.
func verify(f *render.Frame, wanted plan.Plan, bad problems) {
	spec := wanted.Source
	if spec.Name == "" {
		spec.Name = wanted.Name
	}
	if spec.Name == "" {
		return // the book tells it of the name
	}
	if _, err := sources.Open(spec); err != nil {
		bad["source"] = f.Lang.T("plans.form.source", "detail", err.Error())
	}
}

// testForm tries the source as it is typed.
func (p *PlanPages) testForm(c render.Context, form planForm) {
	f := render.FrameOf(c)
	bad := problems{}
	spec := form.spec(f, bad)
	if len(bad) > 0 {
		p.showForm(c, unprocessable, form, bad)
		return
	}
	findings, err := p.runner.Probe(render.Ctx(c), spec)
	d, pageErr := p.formPage(c, form, nil)
	if pageErr != nil {
		p.render.Error(c, pageErr)
		return
	}
	d.Tested, d.Tests = true, findingsOf(f, findings)
	if err != nil {
		d.Tests = append(d.Tests, findingView{Level: source.Bad, Text: f.Lang.Error(err)})
	}
	p.render.Page(c, "protection/plan_form", d)
}

// previewForm shows what the typed keep policy would do.
func (p *PlanPages) previewForm(c render.Context, form planForm, old plan.Plan) {
	f := render.FrameOf(c)
	keep, err := form.Keep.keep()
	if err != nil {
		p.showForm(c, unprocessable, form, keepProblem(f, err))
		return
	}
	d, err := p.formPage(c, form, nil)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	d.Preview = &previewView{Problem: f.Lang.T("plans.keep.no-points")}
	if old.ID != 0 {
		v, err := p.book.Preview(render.Ctx(c), old.Name, keep)
		if errs.KindOf(err) == errs.Internal {
			p.render.Error(c, err)
			return
		}
		if err != nil {
			d.Preview.Problem = f.Lang.Error(err)
		} else if len(v.Points) > 0 {
			d.Preview = previewOf(f, v)
		}
	}
	p.render.Page(c, "protection/plan_form", d)
}

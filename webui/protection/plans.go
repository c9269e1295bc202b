package protection

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/schedule"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	"emrvault/webui/render"
)

// Book is what is written down; *plan.Book is it.
type Book interface {
	Overview(ctx context.Context) (plan.Overview, error)
	PlanByID(ctx context.Context, id int64) (plan.Plan, error)
	Standing(ctx context.Context, name string) (plan.Standing, error)
	Runs(ctx context.Context, f plan.RunFilter) ([]plan.Run, int, error)
	Preview(ctx context.Context, name string, keep plan.Keep) (plan.Preview, error)
	Add(ctx context.Context, p plan.Plan) (plan.Plan, error)
	Edit(ctx context.Context, name string, p plan.Plan) (plan.Plan, error)
	SetKeep(ctx context.Context, name string, keep plan.Keep) error
	SetEnabled(ctx context.Context, name string, on bool) error
	Remove(ctx context.Context, name string) error
	Repositories(ctx context.Context) ([]plan.Repository, error)
	RepositoryByID(ctx context.Context, id int64) (plan.Repository, error)
}

// Runner carries plans out; *run.Runner is it.
type Runner interface {
	Backup(ctx context.Context, plan, by string) (job int64, err error)
	CopyNow(ctx context.Context, plan int64, by string) (job int64, err error)
	Probe(ctx context.Context, spec source.Spec) ([]source.Finding, error)
}

// PlanPages are the pages of the plans.
type PlanPages struct {
	render *render.Renderer
	book   Book
	runner Runner
	jobs   Jobs
	site   func() *time.Location // the zone of plans that name none
}

// NewPlanPages makes the pages; the list of jobs may be nil, then a running
// backup has a link and no bar.
func NewPlanPages(r *render.Renderer, book Book, runner Runner, list Jobs, site func() *time.Location) *PlanPages {
	return &PlanPages{r, book, runner, list, site}
}

// planRow is one plan of the list.
type planRow struct {
	plan.Standing
	When string // its schedule in words
	Job  *jobs.Job
}

// Percent is how far the running job has come, -1 when nobody knows.
func (r planRow) Percent() int { return percentOf(r.Job) }

func percentOf(job *jobs.Job) int {
	if job == nil {
		return -1
	}
	if share, ok := job.Progress.Share(); ok {
		return int(share * 100)
	}
	return -1
}

// listPage is the data of plans.html.
type listPage struct {
	Rows         []planRow
	Running      int
	Repositories int
}

// List is GET /plans.
func (p *PlanPages) List(c render.Context) {
	d, err := p.list(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	if render.IsFragment(c) {
		p.render.Fragment(c, "protection/plans", "table", d)
		return
	}
	p.render.Page(c, "protection/plans", d)
}

func (p *PlanPages) list(c render.Context) (*listPage, error) {
	ctx, f := render.Ctx(c), render.FrameOf(c)
	o, err := p.book.Overview(ctx)
	if err != nil {
		return nil, err
	}
	d := &listPage{Repositories: len(o.Repositories)}
	for _, s := range o.Plans {
		r := planRow{Standing: s, When: when(f, s.Plan, p.site())}
		if s.Running != nil {
			d.Running++
			r.Job = p.job(ctx, s.Running.Job)
		}
		d.Rows = append(d.Rows, r)
	}
	return d, nil
}

// job reads a running job; when that fails its bar stays away, and its own
// page tells why.
func (p *PlanPages) job(ctx context.Context, id int64) *jobs.Job {
	if p.jobs == nil {
		return nil
	}
	job, err := p.jobs.Get(ctx, id)
	if err != nil {
		return nil
	}
	return &job
}

// when tells a plan's schedule in words.
func when(f *render.Frame, p plan.Plan, site *time.Location) string {
	s, err := p.Timetable(site)
	if err != nil {
		return p.Schedule
	}
	return s.Describe(f.Lang)
}

// find reads the plan of the address. A plan that was removed is gone for
// these pages; its points stay with the recovery points.
func (p *PlanPages) find(c render.Context) (plan.Plan, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return plan.Plan{}, errs.New(errs.NotFound, "plans.unknown")
	}
	found, err := p.book.PlanByID(render.Ctx(c), id)
	if err != nil {
		return plan.Plan{}, err
	}
	if _, err := p.book.Standing(render.Ctx(c), found.Name); err != nil {
		return plan.Plan{}, err
	}
	return found, nil
}

func planHref(id int64) string { return "/plans/" + strconv.FormatInt(id, 10) }

// Run is POST /plans/:id/run. It leads to the page of the job; when one is at
// work already, to that one.
func (p *PlanPages) Run(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	job, err := p.runner.Backup(render.Ctx(c), found.Name, render.NameOf(c))
	p.render.Begun(c, job, err, planHref(found.ID))
}

// Copy is POST /plans/:id/copy: brings the second repository up to date.
func (p *PlanPages) Copy(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	job, err := p.runner.CopyNow(render.Ctx(c), found.ID, render.NameOf(c))
	p.render.Begun(c, job, err, planHref(found.ID))
}

// Enable is POST /plans/:id/enable with on=1 or on=0.
func (p *PlanPages) Enable(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	on := c.PostForm("on") == "1"
	if err := p.book.SetEnabled(render.Ctx(c), found.Name, on); err != nil {
		p.render.Failed(c, planHref(found.ID), err)
		return
	}
	key := "plans.disabled"
	if on {
		key = "plans.enabled"
	}
	p.render.Done(c, planHref(found.ID), key, "plan", found.Label())
}

// removePage is the data of plan_remove.html.
type removePage struct {
	plan.Standing
}

// RemoveForm is GET /plans/:id/remove: what goes and what stays.
func (p *PlanPages) RemoveForm(c render.Context) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	standing, err := p.book.Standing(render.Ctx(c), found.Name)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "protection/plan_remove", removePage{standing})
}

// Remove is POST /plans/:id/remove.
func (p *PlanPages) Remove(c render.Context) {
	found, err := p.find(c)
	if err == nil {
		err = p.book.Remove(render.Ctx(c), found.Name)
	}
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Done(c, "/plans", "plans.removed", "plan", found.Label())
}

// scheduleView is a schedule in words with its next moments.
type scheduleView struct {
	Words   string // as typed
	Text    string // as people say it
	Next    []time.Time
	Problem string
}

// upcoming is how many next moments a form shows.
const upcoming = 3

// readSchedule tells what cron words mean, or what is wrong with them.
func readSchedule(f *render.Frame, words string, zone *time.Location) scheduleView {
	v := scheduleView{Words: words}
	if words == "" {
		return v
	}
	s, err := schedule.Parse(words, zone)
	if err != nil {
		v.Problem = f.Lang.Error(err)
		return v
	}
	v.Text = s.Describe(f.Lang)
	at := f.Now
	for range upcoming {
		if at = s.Next(at); at.IsZero() {
			break
		}
		v.Next = append(v.Next, at)
	}
	return v
}

// Schedule is GET /plans/schedule: the words typed so far, told back.
func (p *PlanPages) Schedule(c render.Context) {
	f, words := render.FrameOf(c), c.Query("schedule")
	if words == "" {
		words = c.Query("drill_schedule")
	}
	zone, err := zoneOf(c.Query("zone"), p.site())
	v := readSchedule(f, words, zone)
	if err != nil {
		v = scheduleView{Words: words, Problem: f.Lang.Error(err)}
	}
	p.render.Fragment(c, "protection/plan_form", "schedule", v)
}

func zoneOf(name string, site *time.Location) (*time.Location, error) {
	if name == "" {
		return site, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "plans.form.zone", "value", name)
	}
	return zone, nil
}

// unprocessable shows a form again with what is wrong.
const unprocessable = http.StatusUnprocessableEntity

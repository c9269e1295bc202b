package recovery

import (
	"context"
	"html/template"
	"net/url"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup/drill"
	"emrvault/backup/plan"
	"emrvault/webui/chart"
	"emrvault/webui/render"
)

// Drills keeps the records of drills and starts them; *drill.Drills is it.
type Drills interface {
	Submit(ctx context.Context, plan string, point int64, by string) (job int64, err error)
	List(ctx context.Context, f drill.Filter) ([]drill.Verdict, int, error)
	Get(ctx context.Context, number string) (drill.Verdict, error)
	OfJob(ctx context.Context, job int64) (drill.Verdict, error)
}

// DrillPages are the pages of the drills.
type DrillPages struct {
	render *render.Renderer
	book   Book
	drills Drills
}

// NewDrillPages makes the pages.
func NewDrillPages(r *render.Renderer, book Book, drills Drills) *DrillPages {
	return &DrillPages{r, book, drills}
}

// drillsPage is the data of drills.html.
type drillsPage struct {
	Plans   []plan.Plan
	Plan    string // name of the chosen one; empty: all
	State   string
	Drills  []drill.Verdict
	Running bool
	Page    render.Pager
}

// drillsShown is how many drills one page lists.
const drillsShown = 30

// List is GET /drills.
func (p *DrillPages) List(c render.Context) {
	ctx := render.Ctx(c)
	d := &drillsPage{Plan: c.Query("plan"), State: c.Query("state")}
	var err error
	if d.Plans, err = p.book.Plans(ctx); err != nil {
		p.render.Error(c, err)
		return
	}
	offset, total := render.OffsetOf(c), 0
	d.Drills, total, err = p.drills.List(ctx, drill.Filter{Plan: d.Plan, State: d.State, Limit: drillsShown, Offset: offset})
	if err != nil {
		p.render.Error(c, err)
		return
	}
	for _, v := range d.Drills {
		d.Running = d.Running || v.State == drill.Running
	}
	query := url.Values{}
	for name, value := range map[string]string{"plan": d.Plan, "state": d.State} {
		if value != "" {
			query.Set(name, value)
		}
	}
	d.Page = render.NewPager("/drills", query, offset, drillsShown, len(d.Drills), total)
	p.render.Page(c, "recovery/drills", d)
}

func jobHref(id int64) string { return "/jobs/" + strconv.FormatInt(id, 10) }

// Start is POST /drills with plan and, where wanted, point: their rows.
func (p *DrillPages) Start(c render.Context) {
	ctx := render.Ctx(c)
	id, err := strconv.ParseInt(c.PostForm("plan"), 10, 64)
	if err != nil {
		p.render.Failed(c, "/drills", errs.New(errs.Invalid, "drills.choose"))
		return
	}
	point, _ := strconv.ParseInt(c.PostForm("point"), 10, 64) // none is the newest
	chosen, err := p.book.PlanByID(ctx, id)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	job, err := p.drills.Submit(ctx, chosen.Name, point, render.NameOf(c))
	p.render.Begun(c, job, err, "/drills")
}

// OfJob is GET /drills/of-job/:job: the record a job is writing, or the job
// while it has none yet.
func (p *DrillPages) OfJob(c render.Context) {
	job, err := strconv.ParseInt(c.Param("job"), 10, 64)
	if err != nil {
		p.render.Error(c, errs.New(errs.NotFound, "drills.unknown"))
		return
	}
	v, err := p.drills.OfJob(render.Ctx(c), job)
	switch {
	case err == nil:
		p.render.Redirect(c, "/drills/"+url.PathEscape(v.Number))
	case errs.KindOf(err) == errs.NotFound:
		p.render.Redirect(c, jobHref(job))
	default:
		p.render.Error(c, err)
	}
}

// sheet is the data of drill.html.
type sheet struct {
	drill.Verdict
	RTO, RPO measure
	Steps    []step
	Passed   int // checks that came out right
}

// measure is a figure against its target.
type measure struct {
	Is, Target time.Duration
	Known      bool
	Bar        template.HTML // empty without a target or a figure
}

// Kept says that the target was met.
func (m measure) Kept() bool { return m.Known && m.Is <= m.Target }

// step is one row of the record with its end.
type step struct {
	drill.Step
	Number int
	End    time.Time
	Slow   time.Duration // by how much it was slower than the time before; 0: not worth a word
}

// Show is GET /drills/:number; while the drill runs the page asks for the
// sheet again.
func (p *DrillPages) Show(c render.Context) {
	v, err := p.drills.Get(render.Ctx(c), c.Param("number"))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	d := sheetOf(render.FrameOf(c), v)
	if render.IsFragment(c) {
		p.render.Fragment(c, "recovery/drill", "sheet", d)
		return
	}
	p.render.Page(c, "recovery/drill", d)
}

func sheetOf(f *render.Frame, v drill.Verdict) *sheet {
	d := &sheet{Verdict: v}
	d.RTO = measureOf(f, v.Figures.RTO, v.Figures.RTOTarget, "drills.rto")
	d.RPO = measureOf(f, v.Figures.RPO, v.Figures.RPOTarget, "drills.rpo")
	for i, s := range v.Steps {
		row := step{Step: s, Number: i + 1}
		if !s.Began.IsZero() && s.State != drill.StepRunning {
			row.End = s.Began.Add(s.Took.D())
		}
		if late := s.Took.D() - s.Planned.D(); s.Planned > 0 && late > s.Planned.D()/4 && late > time.Second {
			row.Slow = late
		}
		d.Steps = append(d.Steps, row)
	}
	for _, c := range v.Checks {
		if c.OK {
			d.Passed++
		}
	}
	return d
}

func measureOf(f *render.Frame, is, target drill.Seconds, key string) measure {
	m := measure{Is: is.D(), Target: target.D(), Known: is > 0}
	if !m.Known || m.Target <= 0 {
		return m
	}
	words := f.Lang.T("drills.target-short", "time", m.Target)
	m.Bar = chart.Measure{
		Ratio: float64(m.Is) / float64(m.Target), Target: words,
		Label: f.Lang.T(key) + " " + f.Lang.Duration(m.Is) + ", " + words,
	}.SVG()
	return m
}

// ShortSnapshot is the point's id as people quote it.
func (d *sheet) ShortSnapshot() string { return d.Point.Snapshot[:min(8, len(d.Point.Snapshot))] }

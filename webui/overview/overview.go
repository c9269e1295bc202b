// Package overview holds the first page: are we safe tonight?
//
// The answer is worked out by the plan book; this package only chooses what to
// show and how loud. The first line says to which moment one could go back, or
// why nobody can promise it, and everything that waits for a person has a link
// to the page where it is done. The table of plans asks for itself again while
// something runs.
package overview

import (
	"context"
	"time"

	"emrvault/appliance/identity"
	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
	"emrvault/service/ticket"
	"emrvault/webui/render"
)

// Book judges the plans; *plan.Book is it.
type Book interface {
	Overview(ctx context.Context) (plan.Overview, error)
	Points(ctx context.Context, f plan.PointFilter) ([]plan.Point, int, error)
}

// Desk tells of open tickets; *ticket.Desk is it.
type Desk interface {
	List(ctx context.Context, f ticket.Filter) ([]ticket.Ticket, int, error)
	Stats(ctx context.Context, since time.Time) (ticket.Stats, error)
}

// Jobs tells how far running jobs have come.
type Jobs interface {
	Get(ctx context.Context, id int64) (jobs.Job, error)
}

// Pages is the overview.
type Pages struct {
	render *render.Renderer
	book   Book
	desk   Desk
	jobs   Jobs
}

// New makes the page. Each of the three may be nil: what it would show stays
// away.
func New(r *render.Renderer, book Book, desk Desk, list Jobs) *Pages {
	return &Pages{r, book, desk, list}
}

// page is the data of overview.html.
type page struct {
	plan.Overview
	Verdict  verdict
	Todos    []todo
	Rows     []row // one for each plan
	Running  int
	Newest   *plan.Point // the newest usable point of all plans
	Stored   int64       // bytes in all repositories
	Drill    *plan.DrillRow
	Gauges   gauges
	Calendar calendar
	Growth   growth
	Desk     *deskCard // nil: no desk, or not this person's business
}

// row is one plan of the table.
type row struct {
	plan.Standing
	Job *jobs.Job // the running one; nil: none
}

// Percent is how far the running job has come, -1 when nobody knows.
func (r row) Percent() int {
	if r.Job == nil {
		return -1
	}
	if share, ok := r.Job.Progress.Share(); ok {
		return int(share * 100)
	}
	return -1
}

// Show is GET /.
func (p *Pages) Show(c render.Context) {
	d, err := p.load(render.Ctx(c), render.FrameOf(c))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "overview/overview", d)
}

// Live is GET /overview/live: the table of plans alone.
func (p *Pages) Live(c render.Context) {
	d := &page{}
	if p.book != nil {
		o, err := p.book.Overview(render.Ctx(c))
		if err != nil {
			p.render.Error(c, err)
			return
		}
		d.Overview = o
		p.rows(render.Ctx(c), d)
	}
	p.render.Fragment(c, "overview/overview", "plans", d)
}

func (p *Pages) load(ctx context.Context, f *render.Frame) (*page, error) {
	d := &page{Overview: plan.Overview{Safe: plan.SafeEmpty}}
	if p.book != nil {
		var err error
		if d.Overview, err = p.book.Overview(ctx); err != nil {
			return nil, err
		}
	}
	p.rows(ctx, d)
	d.sum()
	if p.desk != nil && f.May(identity.TicketRead) {
		var err error
		if d.Desk, err = p.tickets(ctx, f.Now); err != nil {
			return nil, err
		}
	}
	d.Verdict = judge(f, d)
	d.Todos = todos(f, d)
	d.Gauges = gaugesOf(f, d.Main)
	d.Calendar = calendarOf(f, d.Days)
	if len(d.Plans) > 0 {
		var err error
		if d.Growth, err = p.growth(ctx, f, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// rows adds to each plan the job that is at work on it. A job that cannot be
// read leaves its bar away; its own page tells why.
func (p *Pages) rows(ctx context.Context, d *page) {
	for _, s := range d.Plans {
		r := row{Standing: s}
		if s.Running != nil {
			d.Running++
			r.Job = p.job(ctx, s.Running.Job)
		}
		d.Rows = append(d.Rows, r)
	}
}

func (p *Pages) job(ctx context.Context, id int64) *jobs.Job {
	if p.jobs == nil {
		return nil
	}
	job, err := p.jobs.Get(ctx, id)
	if err != nil {
		return nil
	}
	return &job
}

// sum finds the figures of the cards.
func (d *page) sum() {
	for i := range d.Plans {
		s := &d.Plans[i]
		if s.Last != nil && (d.Newest == nil || s.Last.AsOf.After(d.Newest.AsOf)) {
			d.Newest = s.Last
		}
		if s.Drill != nil && (d.Drill == nil || s.Drill.Began.After(d.Drill.Began)) {
			d.Drill = s.Drill
		}
	}
	for _, r := range d.Repositories {
		d.Stored += r.Stored
	}
}

// SuccessShare is the part of the runs of thirty days that left a point.
func (d *page) SuccessShare() float64 {
	if d.Runs == 0 {
		return 0
	}
	return float64(d.Good) / float64(d.Runs)
}

// Package recovery holds the pages about what can be brought back: recovery
// points with their folders and files, restores, and the drills that prove
// them.
//
// Names inside a point come from the protected system, and a repository may
// come from strangers: a name is only ever shown as text, with what cannot be
// printed written out, and travels in links by its percent-encoded bytes. What
// a download sends was proven while it was read; when a piece turns out wrong
// the connection is cut, so that a browser never keeps half a file as a whole.
package recovery

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/webui/render"
)

// Book knows plans and points; *plan.Book is it.
type Book interface {
	Plans(ctx context.Context) ([]plan.Plan, error)
	PlanByID(ctx context.Context, id int64) (plan.Plan, error)
	Points(ctx context.Context, f plan.PointFilter) ([]plan.Point, int, error)
	PointByID(ctx context.Context, id int64) (plan.Point, error)
}

// PointPages are the pages of the recovery points.
type PointPages struct {
	render *render.Renderer
	book   Book
	store  Store
}

// NewPointPages makes the pages.
func NewPointPages(r *render.Renderer, book Book, store Store) *PointPages {
	return &PointPages{r, book, store}
}

// pointsPage is the data of points.html.
type pointsPage struct {
	Plans  []plan.Plan
	Plan   *plan.Plan // the chosen one; nil: all
	Day    string     // as typed; empty: every day
	Show   string     // "", unproven, trouble
	Points []plan.Point
	Line   []plan.Point // for the time line, oldest first; of one plan only
	Page   render.Pager
	Bad    string // what is wrong with the day
}

// pointsShown is how many points one page lists, and lineShown how many the
// time line holds.
const (
	pointsShown = 50
	lineShown   = 10
)

// List is GET /points.
func (p *PointPages) List(c render.Context) {
	d, err := p.list(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "recovery/points", d)
}

func (p *PointPages) list(c render.Context) (*pointsPage, error) {
	ctx, f := render.Ctx(c), render.FrameOf(c)
	d := &pointsPage{Day: c.Query("day"), Show: c.Query("show")}
	var err error
	if d.Plans, err = p.book.Plans(ctx); err != nil {
		return nil, err
	}
	query := url.Values{}
	filter := plan.PointFilter{Limit: pointsShown, Offset: render.OffsetOf(c), Trouble: d.Show == "trouble"}
	if d.Show == "unproven" {
		filter.Proof = "unproven"
	}
	if err := p.choose(c, d, &filter, query); err != nil {
		return nil, err
	}
	if d.Day != "" {
		query.Set("day", d.Day)
		if filter.From, filter.To, err = dayOf(d.Day, f.Now.Location()); err != nil {
			d.Bad = f.Lang.Error(err)
		}
	}
	if d.Show != "" {
		query.Set("show", d.Show)
	}
	var total int
	if d.Points, total, err = p.book.Points(ctx, filter); err != nil {
		return nil, err
	}
	d.Page = render.NewPager("/points", query, filter.Offset, pointsShown, len(d.Points), total)
	if d.Plan != nil {
		d.Line = oldestFirst(d.Points[:min(lineShown, len(d.Points))])
	}
	return d, nil
}

// choose takes the plan of the query.
func (p *PointPages) choose(c render.Context, d *pointsPage, filter *plan.PointFilter, query url.Values) error {
	word := c.Query("plan")
	if word == "" {
		return nil
	}
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return errs.New(errs.NotFound, "plans.unknown")
	}
	chosen, err := p.book.PlanByID(render.Ctx(c), id)
	if err != nil {
		return err
	}
	d.Plan, filter.Plan = &chosen, chosen.Name
	query.Set("plan", word)
	return nil
}

// dayOf is a day of the site, from midnight to midnight.
func dayOf(text string, zone *time.Location) (from, to time.Time, err error) {
	from, err = time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return from, to, errs.Wrap(errs.Invalid, err, "points.day.wrong", "value", text)
	}
	return from, from.AddDate(0, 0, 1), nil
}

func oldestFirst(list []plan.Point) []plan.Point {
	turned := make([]plan.Point, 0, len(list))
	for i := range list {
		turned = append(turned, list[len(list)-1-i])
	}
	return turned
}

// HasPoints says whether there is anything to show, whatever the filter.
func (d *pointsPage) HasPoints() bool { return d.Page.Total > 0 }

// Filtered says that an empty list may be the filter's doing.
func (d *pointsPage) Filtered() bool { return d.Day != "" || d.Show != "" || d.Plan != nil }

// With is the address of this list with one value of its query changed.
func (d *pointsPage) With(name, value string) string {
	q := url.Values{}
	if d.Plan != nil {
		q.Set("plan", strconv.FormatInt(d.Plan.ID, 10))
	}
	if d.Day != "" {
		q.Set("day", d.Day)
	}
	if d.Show != "" {
		q.Set("show", d.Show)
	}
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	if len(q) == 0 {
		return "/points"
	}
	return "/points?" + q.Encode()
}

// PlanWord is the plan of the query, as a form sends it again.
func (d *pointsPage) PlanWord() string {
	if d.Plan == nil {
		return ""
	}
	return strconv.FormatInt(d.Plan.ID, 10)
}

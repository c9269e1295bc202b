package protection

import (
	"context"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	"emrvault/webui/chart"
	"emrvault/webui/render"
)

// planPage is the data of plan.html.
type planPage struct {
	plan.Standing
	When     string
	Drills   string // when drills are made, in words
	Zone     string
	Job      *jobs.Job
	Gauges   [2]template.HTML
	Show     string // "", unproven, trouble
	Runs     []plan.Run
	Most     int64 // the largest addition of the runs shown, for their bars
	Page     render.Pager
	Keep     keepForm
	Preview  *previewView // nil: not asked for
	Tested   bool
	Tests    []findingView
	Problems problems // with a keep policy as it is typed
}

// KeepProblem is what is wrong with the typed keep policy, empty when nothing.
func (d *planPage) KeepProblem() string {
	if text := d.Problems["yearly"]; text != "" {
		return text
	}
	return d.Problems["keep"]
}

// Percent is how far the running job has come, -1 when nobody knows.
func (d *planPage) Percent() int { return percentOf(d.Job) }

// findingView is one finding in the reader's language.
type findingView struct {
	Level  source.Level
	Text   string
	Remedy string
}

func findingsOf(f *render.Frame, list []source.Finding) []findingView {
	views := make([]findingView, 0, len(list))
	for _, x := range list {
		views = append(views, findingView{x.Level, f.Finding(x), x.Remedy})
	}
	return views
}

// runsShown is how many runs one page of the history has.
const runsShown = 20

// Show is GET /plans/:id; with keep numbers in its query it previews them.
func (p *PlanPages) Show(c render.Context) {
	d, ok := p.page(c)
	if !ok {
		return
	}
	if c.Query("preview") != "" {
		p.preview(c, d, readKeep(c.Query))
	}
	p.render.Page(c, "protection/plan", d)
}

// Live is GET /plans/:id/live: the card of the running backup alone. When it
// has ended the whole page is asked to load again.
func (p *PlanPages) Live(c render.Context) {
	d, ok := p.page(c)
	if !ok {
		return
	}
	if d.Running == nil {
		c.Header("HX-Refresh", "true")
	}
	p.render.Fragment(c, "protection/plan", "running", d)
}

// page gathers what the page shows; when it cannot, it has answered.
func (p *PlanPages) page(c render.Context) (*planPage, bool) {
	found, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return nil, false
	}
	d, err := p.load(render.Ctx(c), render.FrameOf(c), found)
	if err == nil {
		err = p.history(c, d)
	}
	if err != nil {
		p.render.Error(c, err)
		return nil, false
	}
	return d, true
}

func (p *PlanPages) load(ctx context.Context, f *render.Frame, found plan.Plan) (*planPage, error) {
	standing, err := p.book.Standing(ctx, found.Name)
	if err != nil {
		return nil, err
	}
	zone := found.Location(p.site())
	d := &planPage{
		Standing: standing, When: when(f, found, p.site()), Zone: zone.String(),
		Drills: readSchedule(f, found.Drill.Schedule, zone).Text, Keep: keepFormOf(found.Keep),
	}
	if standing.Running != nil {
		d.Job = p.job(ctx, standing.Running.Job)
	}
	d.Gauges = [2]template.HTML{
		gauge(f, d.RPO, found.RPO.D(), d.Last != nil, "plans.rpo.now"), gauge(f, d.RTO, found.RTO.D(), d.RTO > 0, "plans.rto.last"),
	}
	return d, nil
}

func gauge(f *render.Frame, is, target time.Duration, known bool, caption string) template.HTML {
	g := chart.Gauge{Ratio: -1, Value: "—", Caption: f.Lang.T("plans.unmeasured")}
	if known {
		g.Value, g.Caption = f.Lang.Duration(is), f.Lang.T(caption)
		if target > 0 {
			g.Ratio = float64(is) / float64(target)
		}
	}
	g.Label = g.Caption + " " + g.Value
	return g.SVG()
}

// history reads the runs the page shows.
func (p *PlanPages) history(c render.Context, d *planPage) error {
	d.Show = c.Query("show")
	offset := render.OffsetOf(c)
	runs, total, err := p.book.Runs(render.Ctx(c), plan.RunFilter{
		Plan: d.Plan.Name, Trouble: d.Show == "trouble", Unproven: d.Show == "unproven", Limit: runsShown, Offset: offset,
	})
	if err != nil {
		return err
	}
	d.Runs = runs
	for _, r := range runs {
		if r.Point != nil {
			d.Most = max(d.Most, r.Point.Added)
		}
	}
	query := url.Values{}
	if d.Show != "" {
		query.Set("show", d.Show)
	}
	d.Page = render.NewPager(planHref(d.Plan.ID), query, offset, runsShown, len(runs), total)
	return nil
}

// Test is POST /plans/:id/test: tries the source and shows what it found.
func (p *PlanPages) Test(c render.Context) {
	d, ok := p.page(c)
	if !ok {
		return
	}
	f := render.FrameOf(c)
	findings, err := p.runner.Probe(render.Ctx(c), d.Plan.Source)
	d.Tested, d.Tests = true, findingsOf(f, findings)
	if err != nil {
		d.Tests = append(d.Tests, findingView{Level: source.Bad, Text: f.Lang.Error(err)})
	}
	p.render.Page(c, "protection/plan", d)
}

// Places are the first paths of the source, for the strip of facts.
func (d *planPage) Places() []string {
	for _, s := range d.Settings() {
		if len(s.Values) > 0 {
			return s.Values[:min(2, len(s.Values))]
		}
	}
	return nil
}

// settingView is one setting of the source as the page shows it.
type settingView struct {
	Key    string
	Flag   bool
	Values []string
}

// Settings lists what is set of the source, in the order of its kind.
func (d *planPage) Settings() (list []settingView) {
	spec := d.Plan.Source
	for _, s := range kindOf(spec.Kind).Settings {
		v := settingView{Key: s.Key, Flag: s.Type == source.Flag}
		if v.Flag && !spec.Flag(s.Name) {
			continue
		}
		if v.Values = spec.List(s.Name); !v.Flag && len(v.Values) == 0 {
			continue
		}
		list = append(list, v)
	}
	return list
}

// KeepWords tells the policy in short: "14 日 · 8 周 · 12 月".
func (d *planPage) KeepWords(f *render.Frame) string {
	k, text := d.Plan.Keep, ""
	for _, part := range []struct {
		key string
		n   int
	}{{"last", k.Last}, {"hourly", k.Hourly}, {"daily", k.Daily}, {"weekly", k.Weekly}, {"monthly", k.Monthly}, {"yearly", k.Yearly}} {
		if part.n == 0 {
			continue
		}
		if text != "" {
			text += " · "
		}
		text += f.Lang.Plural("plans.keep-n."+part.key, part.n)
	}
	return text
}

// Copied says that the newest good point rests in the second repository too.
func (d *planPage) Copied() bool { return d.Last != nil && copiedTo(d.Last.Copies, d.Plan.Second) }

// copiedTo looks for a repository among the names of those that hold a copy.
func copiedTo(copies, repository string) bool {
	return slices.Contains(strings.Split(copies, ", "), repository)
}

// FilesDone is how many files the running job has seen.
func (d *planPage) FilesDone() int { return int(d.Job.Progress.Files) }

// Count lets a template pluralise a large number.
func (d *planPage) Count(n int64) int { return int(n) }

// AddedShare is the part of a point that was new in the repository.
func (d *planPage) AddedShare(p *plan.Point) float64 {
	if p.Bytes <= 0 {
		return 0
	}
	return min(1, float64(p.Added)/float64(p.Bytes))
}

// MostAdded is the full length of the bars of the history.
func (d *planPage) MostAdded() int64 { return max(1, d.Most) }

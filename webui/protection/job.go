// Package protection holds the pages about what is protected and the work on
// it: plans, repositories, and the jobs with their live events.
package protection

import (
	"context"
	"slices"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/backup"
	"emrvault/webui/render"
)

// Jobs is the list of work; *jobs.Manager is it.
type Jobs interface {
	Get(ctx context.Context, id int64) (jobs.Job, error)
	Events(ctx context.Context, id, after int64) ([]jobs.Event, error)
	Subscribe(id int64) (<-chan jobs.Event, func())
	Cancel(ctx context.Context, id int64, by string) error
}

// JobPages shows one job while it runs and afterwards: the page a button that
// starts something leads to, where the result stays.
type JobPages struct {
	render *render.Renderer
	jobs   Jobs
	done   <-chan struct{} // closed when the server begins to stop
}

// NewJobPages makes the pages; streams end when done is closed.
func NewJobPages(r *render.Renderer, list Jobs, done <-chan struct{}) *JobPages {
	return &JobPages{r, list, done}
}

// jobPage is the data of job.html and of its blocks.
type jobPage struct {
	jobs.Job
	Stages   []stage
	Lines    []jobs.Event // the last of them
	Troubles []jobs.Event
	Share    int // percent; -1 when nothing is known
	Speed    int64
	Left     time.Duration // 0 when nobody can say
	Took     time.Duration
	Silent   bool // a storage does not answer at the moment; the job asks again
}

// stage is one step of the row of steps.
type stage struct {
	Name  string
	Class string // done, now, or empty
	At    time.Time
}

// orders are the stages a kind of job goes through, so that the page can show
// what is still to come.
var orders = map[string][]string{
	"backup":  {backup.StageCheck, backup.StageCapture, backup.StageRead, backup.StageIndex, backup.StageRecord, backup.StageExpire, backup.StagePrune},
	"restore": {backup.StageRestore, backup.StageVerify},
	"drill":   {backup.StageCheck, backup.StageRestore, backup.StageVerify, backup.StageAssert, backup.StageClean},
	"check":   {backup.StageCheck, backup.StageVerify},
	"copy":    {backup.StageCheck, backup.StageIndex, backup.StageRead, backup.StageRecord},
	"care":    {backup.StageCheck, backup.StagePrune, backup.StageProtect, backup.StageVerify},
}

// tail is how many lines of the log the page shows.
const tail = 200

// load reads what the page shows.
func (p *JobPages) load(ctx context.Context, id int64, now time.Time) (*jobPage, error) {
	job, err := p.jobs.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	events, err := p.jobs.Events(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	d := &jobPage{Job: job, Share: -1, Took: job.Took(now)}
	for _, e := range events {
		switch e.Type {
		case jobs.Trouble:
			d.Troubles = append(d.Troubles, e)
			d.Lines = append(d.Lines, e)
		case jobs.StageBegan, jobs.Line, jobs.StateChanged:
			d.Lines = append(d.Lines, e)
		}
		d.hear(e)
	}
	d.Lines = d.Lines[max(0, len(d.Lines)-tail):]
	d.Stages = stagesOf(job, events)
	d.measure()
	return d, nil
}

// hear notices when a storage falls silent, and when it answers again.
func (d *jobPage) hear(e jobs.Event) {
	switch e.Key {
	case "run.log.noanswer":
		d.Silent = true
	case "run.log.answersagain":
		d.Silent = false
	}
}

// measure works out share, speed and time left.
func (d *jobPage) measure() {
	if share, ok := d.Progress.Share(); ok {
		d.Share = int(share * 100)
	}
	if d.State == jobs.Succeeded {
		d.Share = 100
	}
	if seconds := d.Took.Seconds(); seconds >= 1 {
		d.Speed = int64(float64(d.Progress.Bytes) / seconds)
	}
	rest := d.Progress.TotalBytes - d.Progress.Bytes
	if d.State == jobs.Running && d.Speed > 0 && rest > 0 {
		d.Left = time.Duration(float64(rest)/float64(d.Speed)) * time.Second
	}
}

// stagesOf puts the stages that were met in a row with those still to come. One
// that was passed over, as a source without capture does, is left out.
func stagesOf(job jobs.Job, events []jobs.Event) []stage {
	met := map[string]time.Time{}
	var names []string
	for _, e := range events {
		if e.Type != jobs.StageBegan {
			continue
		}
		if _, twice := met[e.Key]; !twice {
			met[e.Key] = e.At
			names = append(names, e.Key)
		}
	}
	if !job.State.Ended() {
		names = append(names, toCome(orders[job.Kind], names)...)
	}
	list := make([]stage, 0, len(names))
	for _, name := range names {
		list = append(list, stage{name, classOf(job, name, met), met[name]})
	}
	return list
}

// toCome are the stages of an order behind the last one that was met.
func toCome(order, met []string) []string {
	after := 0
	for i, name := range order {
		if slices.Contains(met, name) {
			after = i + 1
		}
	}
	return order[after:]
}

func classOf(job jobs.Job, name string, met map[string]time.Time) string {
	_, seen := met[name]
	switch {
	case !seen:
		return ""
	case name == job.Stage && !job.State.Ended():
		return "now"
	case name == job.Stage && job.State != jobs.Succeeded && job.State != jobs.Partial:
		return "fail"
	}
	return "done"
}

// Chip is the kind and icon of the state's chip.
func (d *jobPage) Chip() (kind string) {
	switch d.State {
	case jobs.Succeeded:
		return "ok"
	case jobs.Partial, jobs.Cancelled, jobs.Interrupted:
		return "warn"
	case jobs.Failed:
		return "bad"
	}
	return "info"
}

// Icon is the sign of the state: it never stands by its colour alone.
func (d *jobPage) Icon() string {
	switch d.State {
	case jobs.Succeeded:
		return "circle-check"
	case jobs.Failed:
		return "circle-x"
	case jobs.Partial, jobs.Interrupted:
		return "alert-triangle"
	case jobs.Cancelled:
		return "ban"
	case jobs.Queued:
		return "clock-hour-4"
	}
	return "refresh"
}

// FilesDone is the number of files for the plural form.
func (d *jobPage) FilesDone() int { return int(d.Progress.Files) }

// KindKey is the key of the name of the kind.
func (d *jobPage) KindKey() string { return "web.job.kind." + d.Kind }

// Tell is the sentence of a failure.
func (d *jobPage) Tell(lang locale.Lang) string { return d.Failure.Tell(lang) }

func idOf(c render.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return 0, errs.New(errs.NotFound, "web.job.unknown")
	}
	return id, nil
}

// ask reads the job of the address; when it cannot, it has answered.
func (p *JobPages) ask(c render.Context) (*jobPage, bool) {
	id, err := idOf(c)
	if err == nil {
		var d *jobPage
		if d, err = p.load(render.Ctx(c), id, render.FrameOf(c).Now); err == nil {
			return d, true
		}
	}
	p.render.Error(c, err)
	return nil, false
}

// Show is GET /jobs/:id.
func (p *JobPages) Show(c render.Context) {
	if d, ok := p.ask(c); ok {
		p.render.Page(c, "protection/job", d)
	}
}

// Live is GET /jobs/:id/live: what a page asks for when no stream reaches it.
// Once the job has ended the whole page is asked to load again.
func (p *JobPages) Live(c render.Context) {
	d, ok := p.ask(c)
	if !ok {
		return
	}
	if d.State.Ended() {
		c.Header("HX-Refresh", "true")
	}
	p.render.Fragment(c, "protection/job", "live", d)
}

// Cancel is POST /jobs/:id/cancel.
func (p *JobPages) Cancel(c render.Context) {
	id, err := idOf(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	page := "/jobs/" + strconv.FormatInt(id, 10)
	if err := p.jobs.Cancel(render.Ctx(c), id, render.NameOf(c)); err != nil {
		p.render.Failed(c, page, err)
		return
	}
	p.render.Done(c, page, "web.job.cancelling")
}

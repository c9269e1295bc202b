package protection

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/backup/storage/probe"
	"emrvault/webui/render"
)

// Repositories makes and asks repositories; *run.Repositories is it.
type Repositories interface {
	Create(ctx context.Context, p plan.Place) (plan.Repository, error)
	Adopt(ctx context.Context, p plan.Place, password secret.Text) (plan.Repository, error)
	Probe(ctx context.Context, p plan.Place) (probe.Report, error)
	ProbeAgain(ctx context.Context, id int64) (probe.Report, error)
	Change(ctx context.Context, id int64, settings plan.StorageSettings, word secret.Text) (plan.Repository, error)
	Space(ctx context.Context, id int64) (plan.Repository, error)
	AddSheet(ctx context.Context, id int64) (secret.Sheet, error)
	AskFor(id int64) (first, second int, err error)
	ConfirmSheet(ctx context.Context, id int64, first, second string) error
}

// Checker hands in the work on a repository; *run.Runner is it.
type Checker interface {
	Check(ctx context.Context, req run.CheckRequest, by string) (job int64, err error)
	Care(ctx context.Context, repository int64, by string) (job int64, err error)
}

// RepositoryPages are the pages of the places where points rest.
type RepositoryPages struct {
	render       *render.Renderer
	book         Book
	repositories Repositories
	checker      Checker
}

// NewRepositoryPages makes the pages.
func NewRepositoryPages(r *render.Renderer, book Book, repositories Repositories, checker Checker) *RepositoryPages {
	return &RepositoryPages{r, book, repositories, checker}
}

// List is GET /repositories.
func (p *RepositoryPages) List(c render.Context) {
	list, err := p.book.Repositories(render.Ctx(c))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "protection/repositories", list)
}

// repositoryPage is the data of repository.html.
type repositoryPage struct {
	plan.Repository
	Plans         []repositoryPlan // that write or copy there
	Answer        *probeView       // what the place said it can do; nil: never asked
	Groups        []string         // of a sheet, shown this once
	Asked         bool             // two groups wait to be typed back
	First, Second int
	Problem       string
}

// repositoryPlan is a plan that a repository holds points of.
type repositoryPlan struct {
	plan.Standing
	Copies bool // its second copies
}

// Remote says that the place is object storage.
func (d *repositoryPage) Remote() bool { return strings.HasPrefix(d.Location, "s3:") }

// VerifyDays is in how many days every byte is read once.
func (d *repositoryPage) VerifyDays() int { return int(d.Settings.VerifyEvery().Hours() / 24) }

// Cared says that somebody has looked after the repository before.
func (d *repositoryPage) Cared() bool { return !d.CareAt.IsZero() }

// Show is GET /repositories/:id.
func (p *RepositoryPages) Show(c render.Context) {
	if d, ok := p.load(c); ok {
		p.render.Page(c, "protection/repository", d)
	}
}

// load reads what the page shows; when it cannot, it has answered.
func (p *RepositoryPages) load(c render.Context) (*repositoryPage, bool) {
	d, err := p.page(c)
	if err != nil {
		p.render.Error(c, err)
		return nil, false
	}
	return d, true
}

func (p *RepositoryPages) page(c render.Context) (*repositoryPage, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return nil, errs.New(errs.NotFound, "repositories.unknown")
	}
	d := &repositoryPage{}
	if d.Repository, err = p.book.RepositoryByID(render.Ctx(c), id); err != nil {
		return nil, err
	}
	o, err := p.book.Overview(render.Ctx(c))
	if err != nil {
		return nil, err
	}
	for _, s := range o.Plans {
		if s.Plan.RepositoryID == id || s.Plan.SecondID == id {
			d.Plans = append(d.Plans, repositoryPlan{s, s.Plan.SecondID == id})
		}
	}
	if report := run.Probed(d.Repository); report != nil {
		d.Answer = probeOf(render.FrameOf(c), *report, d.Settings.LockDays)
	}
	if d.SheetNew != "" {
		// Without a sheet in memory there is nothing to type back; the page
		// then offers to make a new one.
		d.First, d.Second, err = p.repositories.AskFor(id)
		d.Asked = err == nil
	}
	return d, nil
}

func repositoryHref(id int64) string { return "/repositories/" + strconv.FormatInt(id, 10) }

// Check is POST /repositories/:id/check; with read=1 every byte is read.
func (p *RepositoryPages) Check(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	job, err := p.checker.Check(render.Ctx(c), run.CheckRequest{Repository: d.ID, ReadData: c.PostForm("read") == "1"}, render.NameOf(c))
	p.render.Begun(c, job, err, repositoryHref(d.ID))
}

// Care is POST /repositories/:id/care: everything that keeps it sound, now.
func (p *RepositoryPages) Care(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	job, err := p.checker.Care(render.Ctx(c), d.ID, render.NameOf(c))
	p.render.Begun(c, job, err, repositoryHref(d.ID))
}

// Space is POST /repositories/:id/space: asks the disk anew.
func (p *RepositoryPages) Space(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	if _, err := p.repositories.Space(render.Ctx(c), d.ID); err != nil {
		p.render.Failed(c, repositoryHref(d.ID), err)
		return
	}
	p.render.Done(c, repositoryHref(d.ID), "repositories.space.asked", "name", d.Name)
}

// Sheet is POST /repositories/:id/sheet: a new recovery sheet, in this answer
// and nowhere else.
func (p *RepositoryPages) Sheet(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	sheet, err := p.repositories.AddSheet(render.Ctx(c), d.ID)
	if err != nil {
		p.render.Failed(c, repositoryHref(d.ID), err)
		return
	}
	if d, ok = p.load(c); !ok {
		return
	}
	d.Groups = sheet.Groups()
	p.render.Page(c, "protection/repository", d)
}

// Confirm is POST /repositories/:id/sheet/confirm: two groups typed back from
// the paper.
func (p *RepositoryPages) Confirm(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	err := p.repositories.ConfirmSheet(render.Ctx(c), d.ID, c.PostForm("first"), c.PostForm("second"))
	switch {
	case err == nil:
		p.render.Done(c, repositoryHref(d.ID), "repositories.sheet.confirmed", "name", d.Name)
		return
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
		return
	}
	if d, ok = p.load(c); !ok {
		return
	}
	d.Problem = render.FrameOf(c).Lang.Error(err)
	status := unprocessable
	if errs.KindOf(err) == errs.Conflict {
		status = http.StatusConflict
	}
	p.render.PageStatus(c, status, "protection/repository", d)
}

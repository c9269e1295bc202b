package recovery

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup/run"
	"emrvault/webui/render"
)

// onlyLook asks for a folder without its entries.
var onlyLook = run.Page{Limit: 1}

// What is to be restored.
const (
	whatPicked = "picked" // the entries with a tick
	whatFolder = "folder" // this folder
	whatAll    = "all"    // the whole point
)

// restoreForm is the panel beside the folder.
type restoreForm struct {
	What    string
	Target  string
	Verify  bool
	Picked  []string // paths
	Problem string
}

// manyPicked bounds what one form may bring.
const manyPicked = 1000

func readRestore(c render.Context) restoreForm {
	f := restoreForm{What: c.PostForm("what"), Target: strings.TrimSpace(c.PostForm("target")), Verify: c.PostForm("verify") != ""}
	picked := c.PostFormArray("pick")
	for _, word := range picked[:min(len(picked), manyPicked)] {
		if name, err := url.QueryUnescape(word); err == nil {
			f.Picked = append(f.Picked, name)
		}
	}
	return f
}

// request turns the form into what the job is told.
func (f restoreForm) request(point int64, folder string) (run.RestoreRequest, error) {
	req := run.RestoreRequest{Point: point, Target: f.Target, Verify: f.Verify}
	switch {
	case f.Target == "":
		return req, errs.New(errs.Invalid, "points.restore.no-target")
	case f.What == whatPicked && len(f.Picked) == 0:
		return req, errs.New(errs.Invalid, "points.restore.nothing-picked")
	case f.What == whatPicked:
		for _, name := range f.Picked {
			req.Include = append(req.Include, literal(name))
		}
	case f.What == whatFolder && folder != "/" && folder != "":
		req.Include = []string{literal(folder)}
	}
	return req, nil
}

// Restore is POST /points/:id/restore. It leads to the page of the job, where
// the result stays.
func (p *PointPages) Restore(c render.Context) {
	folder, err := url.QueryUnescape(c.PostForm("path"))
	if err != nil {
		folder = "/"
	}
	point, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	form := readRestore(c)
	req, err := form.request(point.ID, folder)
	var job int64
	if err == nil {
		job, err = p.store.Restore(render.Ctx(c), req, render.NameOf(c))
	}
	switch {
	case err == nil:
		p.render.Redirect(c, jobHref(job))
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		p.again(c, folder, form, err)
	}
}

// again shows the panel with what is wrong.
func (p *PointPages) again(c render.Context, folder string, form restoreForm, problem error) {
	d, ok := p.page(c, folder)
	if !ok {
		return
	}
	form.Problem = render.FrameOf(c).Lang.Error(problem)
	d.Restore = form
	for i := range d.Entries {
		d.Entries[i].Picked = slices.Contains(form.Picked, d.Entries[i].Path)
	}
	p.render.PageStatus(c, http.StatusUnprocessableEntity, "recovery/point", d)
}

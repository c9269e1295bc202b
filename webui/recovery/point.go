package recovery

import (
	"context"
	"net/url"
	"path"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/webui/render"
)

// Store reads inside points and hands in restores; *run.Runner is it.
type Store interface {
	Folder(ctx context.Context, point int64, path string, page run.Page) (run.Folder, error)
	OpenFile(ctx context.Context, point int64, path string) (*run.File, error)
	Restore(ctx context.Context, req run.RestoreRequest, by string) (job int64, err error)
	zipper
}

// pointPage is the data of point.html.
type pointPage struct {
	plan.Point
	Line    []plan.Point // its neighbours, oldest first
	Path    string
	Here    string // name of the folder, "" at the root
	Crumbs  []crumb
	Before  *plan.Point
	Entries []entry
	Search  string
	Page    render.Pager
	Restore restoreForm
	Trouble string // the folder could not be read: why
}

// crumb is one step on the way to a folder.
type crumb struct{ Name, Href string }

// entry is one line of a folder.
type entry struct {
	run.Entry
	Shown  string // the name as it may be shown
	Icon   string
	Pick   string // the path as a form carries it
	Picked bool
	Open   string // address of the folder
	Load   string // address of the download, of a folder its zip
}

// entriesShown is how many entries of a folder one page lists.
const entriesShown = 100

func pointHref(id int64) string { return "/points/" + strconv.FormatInt(id, 10) }

// inside is an address of a point that names something within it.
func inside(id int64, verb, name string) string {
	return pointHref(id) + verb + "?path=" + url.QueryEscape(name)
}

// Show is GET /points/:id: the point, and one of its folders.
func (p *PointPages) Show(c render.Context) {
	d, ok := p.page(c, c.Query("path"))
	if !ok {
		return
	}
	d.Restore = restoreForm{What: whatFolder, Verify: true, Target: suggestTarget(render.FrameOf(c).Now)}
	if render.IsFragment(c) {
		p.render.Fragment(c, "recovery/point", "folder", d)
		return
	}
	p.render.Page(c, "recovery/point", d)
}

// page reads point and folder; when it cannot, it has answered.
func (p *PointPages) page(c render.Context, folder string) (*pointPage, bool) {
	point, err := p.find(c)
	if err == nil {
		d := &pointPage{Point: point, Search: c.Query("q")}
		if err = p.neighbours(render.Ctx(c), d); err == nil {
			if err = p.folder(c, d, folder); err == nil {
				return d, true
			}
		}
	}
	p.render.Error(c, err)
	return nil, false
}

func (p *PointPages) find(c render.Context) (plan.Point, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return plan.Point{}, errs.New(errs.NotFound, "points.unknown")
	}
	return p.book.PointByID(render.Ctx(c), id)
}

// neighbours finds the points around this one for the time line, and with
// them why this one is kept.
func (p *PointPages) neighbours(ctx context.Context, d *pointPage) error {
	older, _, err := p.book.Points(ctx, plan.PointFilter{Plan: d.PlanName, To: d.AsOf.Add(time.Microsecond), Limit: lineShown})
	if err != nil {
		return err
	}
	newer, _, err := p.book.Points(ctx, plan.PointFilter{Plan: d.PlanName, From: d.AsOf.Add(time.Microsecond)})
	if err != nil {
		return err
	}
	newer = newer[max(0, len(newer)-lineShown/2):]
	older = older[:min(len(older), lineShown-len(newer))]
	d.Line = append(oldestFirst(older), oldestFirst(newer)...)
	for _, one := range d.Line {
		if one.ID == d.ID {
			d.Kept = one.Kept
		}
	}
	return nil
}

// folder reads one folder. Without a path it goes down by itself as long as
// there is nothing but one folder: nobody wants to click through /srv/data. A
// repository that cannot be read is told on the page, which still knows the
// point.
func (p *PointPages) folder(c render.Context, d *pointPage, name string) error {
	if !d.ExpiredAt.IsZero() {
		return nil
	}
	f, err := p.store.Folder(render.Ctx(c), d.ID, name, run.Page{Search: d.Search, Offset: render.OffsetOf(c), Limit: entriesShown})
	for down := 0; err == nil && name == "" && d.Search == "" && f.Total == 1 && f.Entries[0].Kind == "dir" && down < 20; down++ {
		f, err = p.store.Folder(render.Ctx(c), d.ID, f.Entries[0].Path, run.Page{Limit: entriesShown})
	}
	switch kind := errs.KindOf(err); {
	case kind == errs.NotFound && name != "" && name != "/", kind == errs.Invalid:
		return err
	case err != nil:
		d.Trouble = render.FrameOf(c).Lang.Error(err)
		return nil
	}
	d.fill(f, render.OffsetOf(c))
	return nil
}

// fill puts a folder into the form the page needs.
func (d *pointPage) fill(f run.Folder, offset int) {
	d.Path, d.Before = f.Path, f.Before
	for _, c := range f.Crumbs {
		d.Crumbs = append(d.Crumbs, crumb{printable(c.Name), inside(d.ID, "", c.Path)})
	}
	if f.Path != "/" {
		d.Here = printable(path.Base(f.Path))
	}
	for _, e := range f.Entries {
		line := entry{Entry: e, Shown: printable(e.Name), Icon: iconOf(e.Kind, e.Name), Pick: url.QueryEscape(e.Path)}
		line.Target = printable(e.Target)
		switch e.Kind {
		case "dir":
			line.Open, line.Load = inside(d.ID, "", e.Path), inside(d.ID, "/zip", e.Path)
		case "file":
			line.Load = inside(d.ID, "/file", e.Path)
		}
		d.Entries = append(d.Entries, line)
	}
	query := url.Values{"path": {f.Path}}
	if d.Search != "" {
		query.Set("q", d.Search)
	}
	d.Page = render.NewPager(pointHref(d.ID), query, offset, entriesShown, len(f.Entries), f.Total)
}

// PathField is the folder as a form carries it.
func (d *pointPage) PathField() string { return url.QueryEscape(d.Path) }

// FolderZip is the address of the whole folder as a zip file.
func (d *pointPage) FolderZip() string { return inside(d.ID, "/zip", d.Path) }

// Label is what people call the plan.
func (d *pointPage) Label() string {
	if d.PlanTitle != "" {
		return d.PlanTitle
	}
	return d.PlanName
}

// Count lets a template pluralise a large number.
func (d *pointPage) Count() int { return int(d.Files) }

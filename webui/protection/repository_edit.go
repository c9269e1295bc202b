package protection

import (
	"context"

	"emrvault/appliance/errs"
	"emrvault/backup/storage/probe"
	"emrvault/webui/render"
)

// EditForm is GET /repositories/:id/edit.
func (p *RepositoryPages) EditForm(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	p.showEdit(c, 0, d, settingsFormOf(d.Settings), nil)
}

func (p *RepositoryPages) showEdit(c render.Context, status int, d *repositoryPage, typed settingsForm, bad problems) {
	form := placeForm{Kind: placeFolder, settingsForm: typed}
	if d.Remote() {
		form.Kind = placeS3
	}
	page := pageOf(render.FrameOf(c), form, bad)
	page.Old = &d.Repository
	if status == 0 {
		p.render.Page(c, "protection/repository_edit", page)
		return
	}
	p.render.PageStatus(c, status, "protection/repository_edit", page)
}

// Edit is POST /repositories/:id/edit. An empty secret keeps the one there is.
func (p *RepositoryPages) Edit(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	f, typed, bad := render.FrameOf(c), readSettings(c), problems{}
	settings := typed.settings(f, bad, d.Remote())
	if d.Remote() {
		required(f, bad, "access_key", typed.AccessKey)
	}
	if len(bad) > 0 {
		p.showEdit(c, unprocessable, d, typed, bad)
		return
	}
	_, err := p.repositories.Change(render.Ctx(c), d.ID, settings, secretKey(c))
	switch {
	case err == nil:
		p.render.Done(c, repositoryHref(d.ID), "repositories.changed", "name", d.Name)
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		p.showEdit(c, unprocessable, d, typed, problems{"form": f.Lang.Detail(err)})
	}
}

// Probe is POST /repositories/:id/probe: asks the place anew what it can do.
func (p *RepositoryPages) Probe(c render.Context) {
	d, ok := p.load(c)
	if !ok {
		return
	}
	v := p.answer(c, d.Settings.LockDays, func(ctx context.Context) (probe.Report, error) { return p.repositories.ProbeAgain(ctx, d.ID) })
	if v.Problem != "" {
		d.Answer = v
		p.render.Page(c, "protection/repository", d)
		return
	}
	p.render.Done(c, repositoryHref(d.ID)+"#probe", "repositories.probed", "name", d.Name)
}

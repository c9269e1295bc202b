package protection

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/backup/storage/probe"
	"emrvault/webui/render"
)

// placePage is the data of repository_new.html and repository_edit.html.
type placePage struct {
	placeForm
	Problems problems
	Hours    bandwidthView
	Answer   *probeView       // of a test
	Old      *plan.Repository // whose settings are changed; nil: a new place
}

// Problem is what is wrong with a field, empty when nothing.
func (d *placePage) Problem(field string) string { return d.Problems[field] }

// Unfolded says that something is wrong among the fields that are folded away,
// or was set there.
func (d *placePage) Unfolded() bool {
	folded := []string{"region", "style", "ca", "proxy", "bandwidth", "read_back", "verify_days"}
	return slices.ContainsFunc(folded, func(field string) bool { return d.Problems[field] != "" })
}

func pageOf(f *render.Frame, form placeForm, bad problems) *placePage {
	if bad == nil {
		bad = problems{}
	}
	return &placePage{placeForm: form, Problems: bad, Hours: readBandwidth(f, form.Bandwidth)}
}

// NewForm is GET /repositories/new; kind says what kind of place it asks for.
func (p *RepositoryPages) NewForm(c render.Context) {
	form := newPlace()
	if c.Query("kind") == placeS3 {
		form.Kind = placeS3
	}
	p.render.Page(c, "protection/repository_new", pageOf(render.FrameOf(c), form, nil))
}

// Add is POST /repositories/new: one button tests the place, the other makes
// the repository.
func (p *RepositoryPages) Add(c render.Context) {
	f, form := render.FrameOf(c), readPlace(c)
	place, bad := form.place(f, secretKey(c))
	if c.PostForm("do") == "test" {
		p.test(c, form, place, bad)
		return
	}
	password := c.PostForm("password")
	if form.Adopt {
		required(f, bad, "password", password)
	}
	if len(bad) > 0 {
		p.render.PageStatus(c, unprocessable, "protection/repository_new", pageOf(f, form, bad))
		return
	}
	made, err := p.add(render.Ctx(c), form.Adopt, place, password)
	switch {
	case err == nil:
		p.render.Done(c, repositoryHref(made.ID), "repositories.added", "name", made.Name)
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		d := pageOf(f, form, problems{"form": f.Lang.Error(err)})
		if unfit(err) {
			d.Answer = p.ask(c, place)
		}
		p.render.PageStatus(c, unprocessable, "protection/repository_new", d)
	}
}

func (p *RepositoryPages) add(ctx context.Context, adopt bool, place plan.Place, password string) (plan.Repository, error) {
	if adopt {
		return p.repositories.Adopt(ctx, place, secret.NewText(password))
	}
	return p.repositories.Create(ctx, place)
}

// unfit says that a place was refused for what it can do; then the page shows
// all that was found.
func unfit(err error) bool {
	var told locale.Told
	if !errors.As(err, &told) {
		return false
	}
	key, _ := told.Message()
	return key == "run.place.unusable" || key == "run.place.nolock"
}

// test asks a place as it is typed; nothing is written down. A script takes the
// report alone and leaves the form as it is.
func (p *RepositoryPages) test(c render.Context, form placeForm, place plan.Place, bad problems) {
	f := render.FrameOf(c)
	delete(bad, "name") // the place can be tried before it has one
	d := pageOf(f, form, bad)
	status := http.StatusOK
	if len(bad) > 0 {
		status = unprocessable
		d.Answer = &probeView{Problem: f.Lang.Plural("plans.form.wrong", len(bad))}
	} else {
		d.Answer = p.ask(c, place)
	}
	switch {
	case !render.IsFragment(c):
		p.render.PageStatus(c, status, "protection/repository_new", d)
	case len(bad) > 0:
		d.Answer.Problem = wrongFields(f, bad)
		fallthrough
	default:
		p.render.Fragment(c, "protection/repository_new", "answer", d)
	}
}

// wrongFields names what is wrong with a form where its fields stay as they are.
func wrongFields(f *render.Frame, bad problems) (text string) {
	for _, field := range []string{"form", "location", "endpoint", "bucket", "access_key", "secret_key", "lock_days", "bandwidth", "verify_days"} {
		if bad[field] != "" {
			text += f.Lang.T("repositories.form.wrong", "field", f.Lang.T("repositories.field."+field), "problem", bad[field]) + " "
		}
	}
	return text
}

// testTime is how long a person waits for the answer of a place.
const testTime = 90 * time.Second

// ask asks a place that is not in the book.
func (p *RepositoryPages) ask(c render.Context, place plan.Place) *probeView {
	return p.answer(c, place.Settings.LockDays, func(ctx context.Context) (probe.Report, error) {
		return p.repositories.Probe(ctx, place)
	})
}

// answer puts what a place says, or that it says nothing, into words.
func (p *RepositoryPages) answer(c render.Context, lockDays int, ask func(context.Context) (probe.Report, error)) *probeView {
	f := render.FrameOf(c)
	ctx, cancel := context.WithTimeout(render.Ctx(c), testTime)
	defer cancel()
	report, err := ask(ctx)
	switch {
	case err == nil:
		return probeOf(f, report, lockDays)
	case errors.Is(err, context.DeadlineExceeded):
		return &probeView{Problem: f.Lang.T("repositories.test.silent", "time", testTime)}
	case errs.KindOf(err) == errs.Internal:
		return &probeView{Problem: f.Lang.T("repositories.test.failed", "detail", err.Error())}
	}
	return &probeView{Problem: f.Lang.Detail(err)}
}

package security

import (
	"context"
	"net/http"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/webui/render"
)

// The steps of the wizard.
const (
	stepAdministrator = 1
	stepPlace         = 2
	stepSheet         = 3
	allDone           = 4
)

// step is one line of the rail beside the wizard.
type step struct {
	Number int
	Key    string // text key
	Class  string // done, now, todo
}

func steps(now int) []step {
	list := []step{{1, "web.setup.step.admin", ""}, {2, "web.setup.step.place", ""}, {3, "web.setup.step.sheet", ""}}
	for i := range list {
		switch {
		case list[i].Number < now:
			list[i].Class = "done"
		case list[i].Number == now:
			list[i].Class = "now"
		default:
			list[i].Class = "todo"
		}
	}
	return list
}

// left is what is still to do once the administrator exists.
type left struct {
	step  int
	place plan.Repository // whose sheet is missing
}

func (s *Setup) next(ctx context.Context) (left, error) {
	places, err := s.start.Places.Repositories(ctx)
	if err != nil {
		return left{}, err
	}
	if len(places) == 0 {
		return left{step: stepPlace}, nil
	}
	for _, place := range places {
		if place.Sheet != plan.SheetConfirmed {
			return left{stepSheet, place}, nil
		}
	}
	return left{step: allDone}, nil
}

// Pending says whether something of the first start is still to be done.
func (s *Setup) Pending(ctx context.Context) (bool, error) {
	next, err := s.next(ctx)
	return err == nil && next.step != allDone, err
}

// Steps is GET /first-steps: the step that is next, or the overview when all
// are done.
func (s *Setup) Steps(c render.Context) {
	next, err := s.next(render.Ctx(c))
	switch {
	case err != nil:
		s.render.Error(c, err)
	case next.step == stepPlace:
		s.render.Page(c, "security/setup_place", placePage{Folder: s.start.Folder, Steps: steps(stepPlace)})
	case next.step == stepSheet:
		s.showSheet(c, http.StatusOK, next.place, "")
	default:
		s.render.Redirect(c, "/")
	}
}

// placePage is the data of setup_place.html.
type placePage struct {
	Folder, Problem string
	Steps           []step
}

// placeName is the name of the repository made here, for verbs and plans.
const placeName = "main"

// Place is POST /first-steps/storage.
func (s *Setup) Place(c render.Context) {
	folder := strings.TrimSpace(c.PostForm("folder"))
	_, err := s.start.Storage.Create(render.Ctx(c), plan.Place{Name: placeName, Location: folder})
	switch {
	case err == nil:
		s.render.Redirect(c, "/first-steps")
	case errs.KindOf(err) == errs.Internal:
		s.render.Error(c, err)
	default:
		s.render.PageStatus(c, http.StatusUnprocessableEntity, "security/setup_place",
			placePage{folder, render.FrameOf(c).Lang.Error(err), steps(stepPlace)})
	}
}

// sheetPage is the data of setup_sheet.html. Without groups it offers to make
// the sheet.
type sheetPage struct {
	Place         plan.Repository
	Groups        []string
	First, Second int
	Problem       string
	Steps         []step
}

// showSheet shows the sheet that waits for its confirmation. A page that is
// loaded again shows the same sheet, so that a paper just printed stays good.
func (s *Setup) showSheet(c render.Context, status int, place plan.Repository, problem string) {
	d := sheetPage{Place: place, Problem: problem, Steps: steps(stepSheet)}
	s.mu.Lock()
	sheet, shown := s.shown[place.ID]
	s.mu.Unlock()
	first, second, err := s.start.Storage.AskFor(place.ID)
	if shown && err == nil {
		d.Groups, d.First, d.Second = sheet.Groups(), first, second
	}
	s.render.PageStatus(c, status, "security/setup_sheet", d)
}

// Make is POST /first-steps/sheet/new: a new sheet, from now on the only one
// that waits.
func (s *Setup) Make(c render.Context) {
	next, ok := s.atSheet(c)
	if !ok {
		return
	}
	sheet, err := s.start.Storage.AddSheet(render.Ctx(c), next.place.ID)
	if err != nil {
		s.render.Error(c, err)
		return
	}
	s.mu.Lock()
	s.shown[next.place.ID] = sheet
	s.mu.Unlock()
	s.render.Redirect(c, "/first-steps")
}

// atSheet makes sure that the sheet is what is next; otherwise it has led on.
func (s *Setup) atSheet(c render.Context) (left, bool) {
	next, err := s.next(render.Ctx(c))
	switch {
	case err != nil:
		s.render.Error(c, err)
	case next.step != stepSheet:
		s.render.Redirect(c, "/first-steps")
	default:
		return next, true
	}
	return left{}, false
}

// Confirm is POST /first-steps/sheet: two groups typed back prove that the
// sheet exists on paper.
func (s *Setup) Confirm(c render.Context) {
	next, ok := s.atSheet(c)
	if !ok {
		return
	}
	lang, ctx := render.FrameOf(c).Lang, render.Ctx(c)
	if c.PostForm("kept") == "" {
		s.showSheet(c, http.StatusUnprocessableEntity, next.place, lang.T("web.setup.sheet.keep-first"))
		return
	}
	err := s.start.Storage.ConfirmSheet(ctx, next.place.ID, c.PostForm("first"), c.PostForm("second"))
	if errs.KindOf(err) == errs.Internal {
		s.render.Error(c, err)
		return
	}
	if err != nil {
		s.showSheet(c, http.StatusUnprocessableEntity, next.place, lang.Error(err))
		return
	}
	s.forget(next.place.ID)
	if again, err := s.next(ctx); err == nil && again.step != allDone {
		s.render.Redirect(c, "/first-steps")
		return
	}
	s.render.Done(c, "/", "web.setup.done")
}

// forget drops a sheet from memory; from here on it exists on paper only.
func (s *Setup) forget(repository int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shown, repository)
}

package security

import (
	"context"
	"net/http"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
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

// next says what is left to do once the administrator exists.
func (s *Setup) next(ctx context.Context) (int, error) {
	places, err := s.storage.Places(ctx)
	if err != nil {
		return 0, err
	}
	if len(places) == 0 {
		return stepPlace, nil
	}
	for _, p := range places {
		if !p.Confirmed {
			return stepSheet, nil
		}
	}
	return allDone, nil
}

// Steps is GET /first-steps: the step that is next, or the overview when all
// are done.
func (s *Setup) Steps(c render.Context) {
	next, err := s.next(render.Ctx(c))
	switch {
	case err != nil:
		s.render.Error(c, err)
	case next == stepPlace:
		s.render.Page(c, "security/setup_place", placePage{Folder: s.storage.Suggest(), Steps: steps(stepPlace)})
	case next == stepSheet:
		s.showSheet(c, http.StatusOK, "")
	default:
		s.render.Redirect(c, "/")
	}
}

// placePage is the data of setup_place.html.
type placePage struct {
	Folder, Problem string
	Steps           []step
}

// Place is POST /first-steps/storage.
func (s *Setup) Place(c render.Context) {
	lang, folder := render.FrameOf(c).Lang, strings.TrimSpace(c.PostForm("folder"))
	err := s.storage.CreatePlace(render.Ctx(c), lang.T("web.setup.place.name"), folder)
	switch {
	case err == nil:
		s.render.Redirect(c, "/first-steps")
	case errs.KindOf(err) == errs.Internal:
		s.render.Error(c, err)
	default:
		s.render.PageStatus(c, http.StatusUnprocessableEntity, "security/setup_place",
			placePage{folder, lang.Error(err), steps(stepPlace)})
	}
}

// sheetPage is the data of setup_sheet.html.
type sheetPage struct {
	Groups        []string
	First, Second int
	Places        []Place
	Problem       string
	Steps         []step
}

// current is the sheet on the screen; a new one when there is none, or when
// the last was forgotten on a screen for too long.
func (s *Setup) current() shownSheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sheet == nil || s.now().After(s.sheet.until) {
		first, second := secret.AskFor()
		s.sheet = &shownSheet{secret.NewSheet(), first, second, s.now().Add(sheetTime)}
	}
	return *s.sheet
}

// forget drops the sheet from memory.
func (s *Setup) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sheet = nil
}

func (s *Setup) showSheet(c render.Context, status int, problem string) {
	places, err := s.storage.Places(render.Ctx(c))
	if err != nil {
		s.render.Error(c, err)
		return
	}
	sheet := s.current()
	s.render.PageStatus(c, status, "security/setup_sheet", sheetPage{
		Groups: sheet.Groups(), First: sheet.first, Second: sheet.second, Places: places, Problem: problem, Steps: steps(stepSheet),
	})
}

// Confirm is POST /first-steps/sheet: two groups typed back prove that the
// sheet exists on paper; only then does it become a key.
func (s *Setup) Confirm(c render.Context) {
	ctx, lang := render.Ctx(c), render.FrameOf(c).Lang
	next, err := s.next(ctx)
	if err != nil {
		s.render.Error(c, err)
		return
	}
	if next != stepSheet {
		s.render.Redirect(c, "/first-steps")
		return
	}
	sheet := s.current()
	if !sheet.Confirms(sheet.first, c.PostForm("first")) || !sheet.Confirms(sheet.second, c.PostForm("second")) {
		s.showSheet(c, http.StatusUnprocessableEntity, lang.T("web.setup.sheet.wrong"))
		return
	}
	if c.PostForm("kept") == "" {
		s.showSheet(c, http.StatusUnprocessableEntity, lang.T("web.setup.sheet.keep-first"))
		return
	}
	if err := s.storage.AddSheet(ctx, sheet.Sheet); err != nil {
		s.render.Error(c, err)
		return
	}
	s.forget()
	s.render.Done(c, "/", "web.setup.done")
}

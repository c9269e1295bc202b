package security

import (
	"context"
	"net/http"
	"sync"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/webui/render"
)

// Starter is the one-time link of the first start.
type Starter interface {
	SetupOpen(ctx context.Context) (bool, error)
	CheckSetup(ctx context.Context, token string) error
	CreateFirst(ctx context.Context, token string, ask identity.NewUser) (identity.User, error)
}

// Storage makes repositories and their recovery sheets; *run.Repositories.
type Storage interface {
	Create(ctx context.Context, p plan.Place) (plan.Repository, error)
	AddSheet(ctx context.Context, repository int64) (secret.Sheet, error)
	AskFor(repository int64) (first, second int, err error)
	ConfirmSheet(ctx context.Context, repository int64, first, second string) error
}

// Places lists the repositories there are; *plan.Book.
type Places interface {
	Repositories(ctx context.Context) ([]plan.Repository, error)
}

// Start is what the wizard of the first start needs.
type Start struct {
	Link    Starter
	Storage Storage
	Places  Places
	Folder  string // offered for the first repository
}

// Setup is the wizard of the first start: administrator, storage place,
// recovery sheet.
type Setup struct {
	render *render.Renderer
	gate   *Pages
	start  Start

	mu    sync.Mutex
	shown map[int64]secret.Sheet // by repository: on a screen, not yet confirmed
}

// NewSetup makes the wizard.
func NewSetup(r *render.Renderer, gate *Pages, start Start) *Setup {
	return &Setup{render: r, gate: gate, start: start, shown: map[int64]secret.Sheet{}}
}

// administratorPage is the data of setup_admin.html.
type administratorPage struct {
	Token, Name, FullName, Problem string
	Steps                          []step
}

// Link is GET /setup/:token.
func (s *Setup) Link(c render.Context) {
	token := c.Param("token")
	err := s.start.Link.CheckSetup(render.Ctx(c), token)
	switch errs.KindOf(err) {
	case "":
		s.render.Page(c, "security/setup_admin", administratorPage{Token: token, Steps: steps(1)})
	case errs.Conflict:
		s.goOn(c)
	case errs.Denied:
		s.render.PageStatus(c, http.StatusForbidden, "security/setup_link", nil)
	default:
		s.render.Error(c, err)
	}
}

// goOn meets a visitor whose link has done its work: the administrator exists.
// What is left of the wizard waits behind his password.
func (s *Setup) goOn(c render.Context) {
	next, err := s.next(render.Ctx(c))
	if err != nil {
		s.render.Error(c, err)
		return
	}
	path := "/"
	if next.step != allDone {
		path = "/first-steps"
	}
	if render.PersonOf(c) == nil {
		path = signInFor(path)
	}
	s.render.Redirect(c, path)
}

// Administrator is POST /setup/:token.
func (s *Setup) Administrator(c render.Context) {
	form := administratorPage{Token: c.Param("token"), Name: c.PostForm("name"), FullName: c.PostForm("full_name"), Steps: steps(1)}
	user, err := s.create(c, form)
	switch errs.KindOf(err) {
	case "":
	case errs.Denied:
		s.render.PageStatus(c, http.StatusForbidden, "security/setup_link", nil)
		return
	case errs.Conflict:
		s.goOn(c)
		return
	case errs.Internal:
		s.render.Error(c, err)
		return
	default:
		form.Problem = render.FrameOf(c).Lang.Error(err)
		s.render.PageStatus(c, http.StatusUnprocessableEntity, "security/setup_admin", form)
		return
	}
	if err := s.gate.enter(c, user); err != nil {
		s.render.Error(c, err)
		return
	}
	s.render.Redirect(c, "/first-steps")
}

func (s *Setup) create(c render.Context, form administratorPage) (identity.User, error) {
	if c.PostForm("password") != c.PostForm("again") {
		return identity.User{}, errTwice
	}
	return s.start.Link.CreateFirst(render.Ctx(c), form.Token, identity.NewUser{
		Name: form.Name, FullName: form.FullName, Roles: []identity.Role{identity.Admin}, Password: c.PostForm("password"),
	})
}

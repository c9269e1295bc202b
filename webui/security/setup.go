package security

import (
	"context"
	"net/http"
	"sync"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/secret"
	"emrvault/webui/render"
)

// Starter is the one-time link of the first start.
type Starter interface {
	SetupOpen(ctx context.Context) (bool, error)
	CheckSetup(ctx context.Context, token string) error
	CreateFirst(ctx context.Context, token string, ask identity.NewUser) (identity.User, error)
}

// Storage is the repositories, as far as the first start needs them.
type Storage interface {
	// Places lists the repositories there are.
	Places(ctx context.Context) ([]Place, error)
	// CreatePlace makes a repository in a folder of this machine.
	CreatePlace(ctx context.Context, name, folder string) error
	// AddSheet gives every repository that has no confirmed sheet the key of
	// this one and notes that two groups were typed back.
	AddSheet(ctx context.Context, sheet secret.Sheet) error
	// Suggest is a folder offered for the first repository.
	Suggest() string
}

// Place is one repository.
type Place struct {
	Name      string
	Location  string // without secrets
	ID        string // the repository's own id, hex; printed on the sheet
	Confirmed bool   // its recovery sheet lies in a safe
}

// Setup is the wizard of the first start: administrator, storage place,
// recovery sheet.
type Setup struct {
	render  *render.Renderer
	gate    *Pages
	starter Starter
	storage Storage
	now     func() time.Time

	mu    sync.Mutex
	sheet *shownSheet // nil: none is on a screen
}

// shownSheet is a sheet somebody is copying down. It is nowhere but here.
type shownSheet struct {
	secret.Sheet
	first, second int // groups to type back
	until         time.Time
}

// sheetTime is how long a sheet that was shown waits to be confirmed.
const sheetTime = 2 * time.Hour

// NewSetup makes the wizard.
func NewSetup(r *render.Renderer, gate *Pages, starter Starter, storage Storage, now func() time.Time) *Setup {
	return &Setup{render: r, gate: gate, starter: starter, storage: storage, now: now}
}

// administratorPage is the data of setup_admin.html.
type administratorPage struct {
	Token, Name, FullName, Problem string
	Steps                          []step
}

// Link is GET /setup/:token.
func (s *Setup) Link(c render.Context) {
	token := c.Param("token")
	err := s.starter.CheckSetup(render.Ctx(c), token)
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
	if next != allDone {
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
	return s.starter.CreateFirst(render.Ctx(c), form.Token, identity.NewUser{
		Name: form.Name, FullName: form.FullName, Roles: []identity.Role{identity.Admin}, Password: c.PostForm("password"),
	})
}

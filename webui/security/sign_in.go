// Package security holds the pages about people: sign-in, one's own account,
// the first start, and the list of users.
//
// The wizard of the first start asks what repositories there are, makes the
// first one in a local folder when there is none (the demo brings its own), and
// shows the recovery sheet of each. A sheet lives in memory only until two of
// its groups were typed back; after a restart it is made anew.
package security

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/alexedwards/scs/v2"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/webui/render"
)

// Users is who may enter.
type Users interface {
	SignIn(ctx context.Context, name, password, address string) (identity.User, error)
	Get(ctx context.Context, id int64) (identity.User, error)
	List(ctx context.Context) ([]identity.User, error)
	Add(ctx context.Context, ask identity.NewUser) (identity.User, error)
	ChangePassword(ctx context.Context, id int64, old, password, keep string) error
	Change(ctx context.Context, id int64, change identity.Change) (identity.User, error)
	SetPassword(ctx context.Context, id int64, password string) error
}

// Pages signs people in and out.
type Pages struct {
	render   *render.Renderer
	sessions *scs.SessionManager
	users    Users
}

// New makes the pages.
func New(r *render.Renderer, sessions *scs.SessionManager, users Users) *Pages {
	return &Pages{r, sessions, users}
}

// Person finds who is signed in; nil when nobody is. A person who was disabled
// or removed meanwhile is nobody.
func (p *Pages) Person(ctx context.Context) (*identity.User, error) {
	id := p.sessions.GetInt64(ctx, identity.SessionUser)
	if id == 0 {
		return nil, nil
	}
	user, err := p.users.Get(ctx, id)
	if errs.KindOf(err) == errs.NotFound || (err == nil && user.Disabled) {
		return nil, p.sessions.Destroy(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read user %d: %w", id, err)
	}
	return &user, nil
}

// signInPage is the data of sign_in.html.
type signInPage struct {
	Name, Next, Problem string
}

// SignInForm is GET /sign-in.
func (p *Pages) SignInForm(c render.Context) {
	next := render.LocalPath(c.Query("next"))
	if render.PersonOf(c) != nil {
		p.render.Redirect(c, next)
		return
	}
	p.render.Page(c, "security/sign_in", signInPage{Next: next})
}

// SignIn is POST /sign-in. The answer to a wrong name and to a wrong password
// is one and the same.
func (p *Pages) SignIn(c render.Context) {
	name, next := c.PostForm("user"), render.LocalPath(c.PostForm("next"))
	user, err := p.users.SignIn(render.Ctx(c), name, c.PostForm("password"), c.RemoteIP())
	if errs.KindOf(err) == errs.Internal {
		p.render.Error(c, err)
		return
	}
	if err != nil {
		problem := render.FrameOf(c).Lang.Error(err)
		p.render.PageStatus(c, http.StatusUnauthorized, "security/sign_in", signInPage{name, next, problem})
		return
	}
	if err := p.enter(c, user); err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Redirect(c, next)
}

// enter begins a session. Its token is new, so that one planted before
// sign-in is worth nothing.
func (p *Pages) enter(c render.Context, user identity.User) error {
	ctx := render.Ctx(c)
	if err := p.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("begin session of %s: %w", user.Name, err)
	}
	p.sessions.Put(ctx, identity.SessionUser, user.ID)
	render.FrameOf(c).Person = &user
	return nil
}

// SignOut is POST /sign-out.
func (p *Pages) SignOut(c render.Context) {
	if err := p.sessions.Destroy(render.Ctx(c)); err != nil {
		p.render.Error(c, fmt.Errorf("end session: %w", err))
		return
	}
	p.render.Redirect(c, "/sign-in")
}

// signInFor is the sign-in page that leads on to path.
func signInFor(path string) string { return "/sign-in?next=" + url.QueryEscape(path) }

// accountPage is the data of account.html.
type accountPage struct{ Problem string }

// AccountForm is GET /account.
func (p *Pages) AccountForm(c render.Context) {
	p.render.Page(c, "security/account", accountPage{})
}

// ChangePassword is POST /account. Other sessions of the person end.
func (p *Pages) ChangePassword(c render.Context) {
	err := p.change(c)
	switch {
	case errs.KindOf(err) == errs.Internal && err != nil:
		p.render.Error(c, err)
	case err != nil:
		p.render.PageStatus(c, http.StatusUnprocessableEntity, "security/account", accountPage{render.FrameOf(c).Lang.Error(err)})
	default:
		p.render.Done(c, "/account", "web.account.changed")
	}
}

func (p *Pages) change(c render.Context) error {
	password, ctx := c.PostForm("password"), render.Ctx(c)
	if password != c.PostForm("again") {
		return errTwice
	}
	id := render.PersonOf(c).ID
	if err := p.users.ChangePassword(ctx, id, c.PostForm("old"), password, p.sessions.Token(ctx)); err != nil {
		return err
	}
	return p.sessions.RenewToken(ctx)
}

// errTwice says that the two passwords typed are not the same.
var errTwice = errs.New(errs.Invalid, "web.password.twice")

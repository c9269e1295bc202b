package security

import (
	"net/http"
	"strconv"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/secret"
	"emrvault/webui/render"
)

// UserPages is the list of people and what an administrator does with it.
type UserPages struct {
	render *render.Renderer
	users  Users
}

// NewUserPages makes the pages.
func NewUserPages(r *render.Renderer, users Users) *UserPages { return &UserPages{r, users} }

// List is GET /users.
func (p *UserPages) List(c render.Context) {
	users, err := p.users.List(render.Ctx(c))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "security/users", users)
}

// userForm is the data of user_new.html.
type userForm struct {
	Name, FullName, Role, Problem string
	Roles                         []identity.Role
}

// NewForm is GET /users/new.
func (p *UserPages) NewForm(c render.Context) {
	p.render.Page(c, "security/user_new", userForm{Role: string(identity.Viewer), Roles: identity.Roles()})
}

// Add is POST /users/new.
func (p *UserPages) Add(c render.Context) {
	form := userForm{Name: c.PostForm("name"), FullName: c.PostForm("full_name"), Role: c.PostForm("role"), Roles: identity.Roles()}
	err := p.add(c, form)
	switch {
	case err == nil:
		p.render.Done(c, "/users", "web.users.added", "name", form.Name)
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		form.Problem = render.FrameOf(c).Lang.Error(err)
		p.render.PageStatus(c, http.StatusUnprocessableEntity, "security/user_new", form)
	}
}

func (p *UserPages) add(c render.Context, form userForm) error {
	if c.PostForm("password") != c.PostForm("again") {
		return errTwice
	}
	role, err := identity.ParseRole(form.Role)
	if err != nil {
		return err
	}
	_, err = p.users.Add(render.Ctx(c), identity.NewUser{
		Name: form.Name, FullName: form.FullName, Roles: []identity.Role{role}, Password: c.PostForm("password"),
	})
	return err
}

// userPage is the data of user.html.
type userPage struct {
	User     identity.User
	Roles    []identity.Role
	Self     bool
	Password string // a fresh one, shown this once after a reset
}

// Show is GET /users/:id.
func (p *UserPages) Show(c render.Context) {
	user, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "security/user", userPage{User: user, Roles: identity.Roles(), Self: user.ID == render.PersonOf(c).ID})
}

// Change is POST /users/:id: role, and whether the person may sign in.
func (p *UserPages) Change(c render.Context) {
	user, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	role, err := identity.ParseRole(c.PostForm("role"))
	if err == nil {
		disabled := c.PostForm("disabled") != ""
		_, err = p.users.Change(render.Ctx(c), user.ID, identity.Change{Roles: []identity.Role{role}, Disabled: &disabled})
	}
	page := "/users/" + strconv.FormatInt(user.ID, 10)
	if err != nil {
		p.render.Failed(c, page, err)
		return
	}
	p.render.Done(c, page, "web.users.changed", "name", user.Title())
}

// ResetPassword is POST /users/:id/password: the person gets a random word,
// shown to the administrator this once, and changes it after signing in.
func (p *UserPages) ResetPassword(c render.Context) {
	user, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	if user.ID == render.PersonOf(c).ID {
		p.render.Redirect(c, "/account")
		return
	}
	sheet := secret.NewSheet().Groups()[:4]
	word := sheet[0] + "-" + sheet[1] + "-" + sheet[2] + "-" + sheet[3]
	if err := p.users.SetPassword(render.Ctx(c), user.ID, word); err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "security/user", userPage{User: user, Password: word})
}

func (p *UserPages) find(c render.Context) (identity.User, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return identity.User{}, errs.New(errs.NotFound, "web.users.unknown")
	}
	return p.users.Get(render.Ctx(c), id)
}

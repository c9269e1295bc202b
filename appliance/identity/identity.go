// Package identity knows the people of the box: who they are, what they may do,
// and that it is really them.
//
// The first start prints a link with a one-time token; whoever opens it becomes
// the first administrator and chooses a password, so no default password ever
// exists. From then on people sign in by name and password. Passwords are kept
// as argon2id; wrong answers are slowed down, by name and by address, and an
// unknown name costs as much time and says as much as a wrong password.
//
// A right is a permission word ("plan.run"). Roles are named sets of such
// words; code asks for the word and never for the role, so roles can be cut
// anew without touching what they guard. Sessions live in the database under
// the hash of their token and can be ended from here.
package identity

import (
	"context"
	"errors"
	"time"

	"emrvault/appliance/store"
)

var errSoon = errors.New("not built yet")

// User is a person who may sign in.
type User struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	FullName    string    `json:"full_name,omitempty"`
	Roles       []Role    `json:"roles"`
	Disabled    bool      `json:"disabled,omitempty"`
	Created     time.Time `json:"created"`
	PasswordAt  time.Time `json:"password_at"`
	LastSignIn  time.Time `json:"last_sign_in,omitzero"`
	LastAddress string    `json:"last_address,omitempty"`
}

// May says whether one of the user's roles holds the permission. The zero
// User may nothing.
func (u User) May(p Permission) bool {
	if u.ID == 0 || u.Disabled {
		return false
	}
	for _, r := range u.Roles {
		if r.holds(p) {
			return true
		}
	}
	return false
}

// Title is how pages call the user: the full name where there is one.
func (u User) Title() string {
	if u.FullName != "" {
		return u.FullName
	}
	return u.Name
}

// NewUser asks for a user.
type NewUser struct {
	Name     string
	FullName string
	Roles    []Role // CreateFirst always makes an administrator
	Password string
}

// Directory keeps the users.
type Directory struct{}

// Options of a Directory; the zero value is what the box uses.
type Options struct {
	Cost Cost // of a password hash; zero: DefaultCost
}

// New makes a Directory over an open store.
func New(st *store.Store, opts Options) *Directory { return &Directory{} }

// SetupOpen says that there is no user yet.
func (d *Directory) SetupOpen(ctx context.Context) (bool, error) { return false, errSoon }

// SetupToken makes the one-time token of the setup link and forgets an earlier
// one. Once a user exists it is errs.Conflict.
func (d *Directory) SetupToken(ctx context.Context) (token string, expires time.Time, err error) {
	return "", time.Time{}, errSoon
}

// CheckSetup says whether a setup token would be taken now: nil, errs.Denied
// for a wrong or old one, errs.Conflict when setup is over.
func (d *Directory) CheckSetup(ctx context.Context, token string) error { return errSoon }

// CreateFirst makes the first administrator; the token is used up.
func (d *Directory) CreateFirst(ctx context.Context, token string, ask NewUser) (User, error) {
	return User{}, errSoon
}

// Add makes a user.
func (d *Directory) Add(ctx context.Context, ask NewUser) (User, error) { return User{}, errSoon }

// Get reads a user by id.
func (d *Directory) Get(ctx context.Context, id int64) (User, error) { return User{}, errSoon }

// Find reads a user by name, whatever its letter case.
func (d *Directory) Find(ctx context.Context, name string) (User, error) { return User{}, errSoon }

// List reads all users by name.
func (d *Directory) List(ctx context.Context) ([]User, error) { return nil, errSoon }

// SignIn answers with the user whose name and password these are. address is
// the visitor's, without port. Its errors are errs.Denied: wrong name or
// password (one text for both), or too many attempts, with the seconds to wait.
// The User's LastSignIn and LastAddress are those of the time before.
func (d *Directory) SignIn(ctx context.Context, name, password, address string) (User, error) {
	return User{}, errSoon
}

// ChangePassword sets a user's own password after asking for the old one, and
// ends the user's sessions except the one whose token is keep.
func (d *Directory) ChangePassword(ctx context.Context, id int64, old, password, keep string) error {
	return errSoon
}

// SetPassword sets a password without the old one, from the console or by an
// administrator, and ends all sessions of the user.
func (d *Directory) SetPassword(ctx context.Context, id int64, password string) error {
	return errSoon
}

// EndSessions ends a user's sessions except the one whose token is keep.
func (d *Directory) EndSessions(ctx context.Context, id int64, keep string) error { return errSoon }

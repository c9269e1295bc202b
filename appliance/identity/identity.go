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
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

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
	return slices.ContainsFunc(u.Roles, func(r Role) bool { return r.holds(p) })
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
type Directory struct {
	store  *store.Store
	hasher *hasher
}

// Options of a Directory; the zero value is what the box uses.
type Options struct {
	Cost Cost // of a password hash; zero: DefaultCost
}

// New makes a Directory over an open store.
func New(st *store.Store, opts Options) *Directory {
	if opts.Cost == (Cost{}) {
		opts.Cost = DefaultCost()
	}
	return &Directory{store: st, hasher: newHasher(opts.Cost)}
}

// Add makes a user. The first one of a box must be an administrator, because
// the setup link ends with it.
func (d *Directory) Add(ctx context.Context, ask NewUser) (User, error) {
	return d.add(ctx, ask, func(tx *store.Tx) error {
		n, err := count(tx)
		if err == nil && n == 0 && !slices.Contains(ask.Roles, Admin) {
			return errs.New(errs.Invalid, "identity.first_admin")
		}
		return err
	})
}

// add makes a user if allowed, asked in the same transaction, agrees.
func (d *Directory) add(ctx context.Context, ask NewUser, allowed func(*store.Tx) error) (user User, err error) {
	if err := ask.check(); err != nil {
		return User{}, err
	}
	hash, err := d.hasher.hash(ctx, ask.Password)
	if err != nil {
		return User{}, err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if err := allowed(tx); err != nil {
			return err
		}
		user, err = insert(tx, ask, hash)
		return err
	})
	return user, err
}

const (
	minName = 2
	maxName = 32
)

func (ask NewUser) check() error {
	if err := checkName(ask.Name); err != nil {
		return err
	}
	if utf8.RuneCountInString(ask.FullName) > 2*maxName {
		return errs.New(errs.Invalid, "identity.full_name_long", "max", 2*maxName)
	}
	if err := checkRoles(ask.Roles); err != nil {
		return err
	}
	return CheckPassword(ask.Password, ask.Name)
}

// checkName wants letters of any script, digits, and signs that no log line
// or file name misreads.
func checkName(name string) error {
	good := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-' || r == '_'
	}
	length := utf8.RuneCountInString(name)
	if length < minName || length > maxName || slices.ContainsFunc([]rune(name), func(r rune) bool { return !good(r) }) {
		return errs.New(errs.Invalid, "identity.name_wrong", "min", minName, "max", maxName)
	}
	return nil
}

func checkRoles(roles []Role) error {
	if len(roles) == 0 {
		return errs.New(errs.Invalid, "identity.no_role")
	}
	for _, r := range roles {
		if _, err := ParseRole(string(r)); err != nil {
			return err
		}
	}
	return nil
}

// Get reads a user by id.
func (d *Directory) Get(ctx context.Context, id int64) (user User, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		user, _, err = one(tx, `id = ?`, id)
		return err
	})
	return user, err
}

// Find reads a user by name, whatever its letter case.
func (d *Directory) Find(ctx context.Context, name string) (user User, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		user, _, err = one(tx, `folded = ?`, fold(name))
		return err
	})
	return user, err
}

// List reads all users by name.
func (d *Directory) List(ctx context.Context) (users []User, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		users, err = all(tx)
		return err
	})
	return users, err
}

// Change says what to change of a user; nil stays as it is.
type Change struct {
	FullName *string
	Roles    []Role
	Disabled *bool
}

// Change changes a user. Somebody must be left who may manage users.
// A disabled user's sessions end.
func (d *Directory) Change(ctx context.Context, id int64, change Change) (user User, err error) {
	if change.Roles != nil {
		if err := checkRoles(change.Roles); err != nil {
			return User{}, err
		}
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		user, _, err = one(tx, `id = ?`, id)
		if err != nil {
			return err
		}
		change.apply(&user)
		if err := update(tx, user); err != nil {
			return err
		}
		return someoneManages(tx)
	})
	if err == nil && user.Disabled {
		err = d.EndSessions(ctx, id, "")
	}
	return user, err
}

func (c Change) apply(u *User) {
	if c.FullName != nil {
		u.FullName = *c.FullName
	}
	if c.Roles != nil {
		u.Roles = c.Roles
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
}

func someoneManages(tx *store.Tx) error {
	users, err := all(tx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(users, func(u User) bool { return u.May(UserWrite) }) {
		return errs.New(errs.Conflict, "identity.last_admin")
	}
	return nil
}

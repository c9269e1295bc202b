package identity

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// brake says how failed attempts of one subject are slowed down: some are free,
// each further one doubles the wait, up to a bound. The bounds are short on
// purpose: guessing 2^30 passwords at two a minute takes a thousand years, and
// nobody is locked out of the hospital's backups for long.
type brake struct {
	prefix string
	free   int
	most   time.Duration
}

func brakes() (byName, byAddress brake) {
	return brake{"name:", 5, 30 * time.Second}, brake{"address:", 20, time.Minute}
}

// fade is the quiet time after which failures are forgotten.
const fade = 15 * time.Minute

func (b brake) wait(failures int) time.Duration {
	if failures <= b.free {
		return 0
	}
	steps := min(failures-b.free-1, 16)
	return min(time.Second<<steps, b.most)
}

// SignIn answers with the user whose name and password these are. address is
// the visitor's, without port. Its errors are errs.Denied: wrong name or
// password (one text for both), or too many attempts, with the seconds to wait.
// The User's LastSignIn and LastAddress are those of the time before.
func (d *Directory) SignIn(ctx context.Context, name, password, address string) (User, error) {
	user, hash, err := d.prove(ctx, name, password, address)
	if err != nil {
		return User{}, err
	}
	fresh := ""
	if d.hasher.stale(hash) {
		if fresh, err = d.hasher.hash(ctx, password); err != nil {
			return User{}, err
		}
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if fresh != "" {
			if _, err := tx.Exec(`UPDATE users SET password = ? WHERE id = ? AND password = ?`, fresh, user.ID, hash); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`UPDATE users SET last_sign_in = ?, last_address = ? WHERE id = ?`,
			store.Stamp(tx.Now), address, user.ID); err != nil {
			return err
		}
		return clean(tx)
	})
	return user, err
}

// prove asks whether name and password belong together. The attempt is counted
// before the password is looked at, so that many at once are slowed down too.
func (d *Directory) prove(ctx context.Context, name, password, address string) (user User, hash string, err error) {
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		user, hash, err = one(tx, `folded = ?`, fold(name))
		if err != nil && errs.KindOf(err) != errs.NotFound {
			return err
		}
		return attempt(tx, name, address, user.LastAddress)
	})
	if err != nil {
		return User{}, "", err
	}
	matches, err := d.hasher.matches(ctx, password, hash)
	if err != nil {
		return User{}, "", err
	}
	if !matches || user.Disabled {
		return User{}, "", errs.New(errs.Denied, "identity.wrong")
	}
	return user, hash, d.store.Write(ctx, func(tx *store.Tx) error { return forgive(tx, name, address) })
}

// attempt counts a failure in advance, or refuses when it comes too soon. The
// address a user signed in from last is not slowed down by name: a stranger who
// guesses at a name elsewhere must not keep its owner out.
func attempt(tx *store.Tx, name, address, known string) error {
	byName, byAddress := brakes()
	if address == "" || address != known {
		if err := byName.count(tx, counted(name)); err != nil {
			return err
		}
	}
	if address == "" {
		return nil
	}
	return byAddress.count(tx, address)
}

// counted is the form of a name that attempts are counted by. A longer one
// than anybody can have is cut: what a stranger types must not fill the disk.
func counted(name string) string {
	letters := []rune(fold(name))
	return string(letters[:min(len(letters), maxName+1)])
}

func (b brake) count(tx *store.Tx, subject string) error {
	failures, until, err := b.read(tx, subject)
	if err != nil {
		return err
	}
	if wait := until.Sub(tx.Now); wait > 0 {
		return errs.New(errs.Denied, "identity.slow_down", "seconds", int(math.Ceil(wait.Seconds())))
	}
	failures++
	_, err = tx.Exec(`INSERT INTO sign_in_failure (subject, failures, last, until) VALUES (?, ?, ?, ?)
		ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, last = excluded.last, until = excluded.until`,
		b.prefix+subject, failures, store.Stamp(tx.Now), store.Stamp(tx.Now.Add(b.wait(failures))))
	return err
}

func (b brake) read(tx *store.Tx, subject string) (failures int, until time.Time, err error) {
	var last, end store.Time
	err = tx.QueryRow(`SELECT failures, last, until FROM sign_in_failure WHERE subject = ?`, b.prefix+subject).
		Scan(&failures, &last, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	// A clock that was set back must not make a wait of hours.
	if tx.Now.Sub(last.Time) > fade || end.After(tx.Now.Add(b.most)) {
		return 0, time.Time{}, err
	}
	return failures, end.Time, err
}

// forgive takes back what a right answer counted: the name begins anew, the
// address loses this one attempt only, since it may be a stranger's with one
// account of his own.
func forgive(tx *store.Tx, name, address string) error {
	byName, byAddress := brakes()
	if _, err := tx.Exec(`DELETE FROM sign_in_failure WHERE subject = ?`, byName.prefix+counted(name)); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE sign_in_failure SET failures = max(0, failures - 1), until = ? WHERE subject = ?`,
		store.Stamp(tx.Now), byAddress.prefix+address)
	return err
}

// clean deletes what time has made void.
func clean(tx *store.Tx) error {
	if _, err := tx.Exec(`DELETE FROM sign_in_failure WHERE last < ?`, store.Stamp(tx.Now.Add(-fade))); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM sessions WHERE expires < ?`, store.Stamp(tx.Now))
	return err
}

// ChangePassword sets a user's own password after asking for the old one, and
// ends the user's sessions except the one whose token is keep.
func (d *Directory) ChangePassword(ctx context.Context, id int64, old, password, keep string) error {
	user, err := d.Get(ctx, id)
	if err != nil {
		return err
	}
	if old == password {
		return errs.New(errs.Invalid, "identity.password_same")
	}
	if err := CheckPassword(password, user.Name); err != nil {
		return err
	}
	if _, _, err := d.prove(ctx, user.Name, old, ""); err != nil {
		return err
	}
	return d.replacePassword(ctx, id, password, keep)
}

// SetPassword sets a password without the old one, from the console or by an
// administrator, and ends all sessions of the user.
func (d *Directory) SetPassword(ctx context.Context, id int64, password string) error {
	user, err := d.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := CheckPassword(password, user.Name); err != nil {
		return err
	}
	return d.replacePassword(ctx, id, password, "")
}

func (d *Directory) replacePassword(ctx context.Context, id int64, password, keep string) error {
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return d.store.Write(ctx, func(tx *store.Tx) error {
		if err := setPassword(tx, id, hash); err != nil {
			return err
		}
		return endSessions(tx, id, keep)
	})
}

// EndSessions ends a user's sessions except the one whose token is keep.
func (d *Directory) EndSessions(ctx context.Context, id int64, keep string) error {
	return d.store.Write(ctx, func(tx *store.Tx) error { return endSessions(tx, id, keep) })
}

func endSessions(tx *store.Tx, id int64, keep string) error {
	_, err := tx.Exec(`UPDATE sessions SET ended = ?, data = x'' WHERE user = ? AND hash <> ? AND ended IS NULL`,
		store.Stamp(tx.Now), id, hashToken(keep))
	return err
}

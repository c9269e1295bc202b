package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// setupLife is how long a setup link is good for. Every start without users
// makes a new one, so an old link from a log is worth nothing.
const setupLife = 24 * time.Hour

// SetupOpen says that there is no user yet.
func (d *Directory) SetupOpen(ctx context.Context) (open bool, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		n, err := count(tx)
		open = n == 0
		return err
	})
	return open, err
}

// SetupToken makes the one-time token of the setup link and forgets an earlier
// one. Once a user exists it is errs.Conflict.
func (d *Directory) SetupToken(ctx context.Context) (token string, expires time.Time, err error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	token = base64.RawURLEncoding.EncodeToString(raw)
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if err := setupStillOpen(tx); err != nil {
			return err
		}
		expires = tx.Now.Add(setupLife)
		_, err := tx.Exec(`INSERT INTO setup_token (id, hash, expires) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, expires = excluded.expires`,
			hashToken(token), store.Stamp(expires))
		return err
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// hashToken is what the database keeps of a token. Tokens are long and random,
// so a plain hash is enough.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func setupStillOpen(tx *store.Tx) error {
	n, err := count(tx)
	if err == nil && n > 0 {
		return errs.New(errs.Conflict, "identity.setup_over")
	}
	return err
}

// CheckSetup says whether a setup token would be taken now: nil, errs.Denied
// for a wrong or old one, errs.Conflict when setup is over.
func (d *Directory) CheckSetup(ctx context.Context, token string) error {
	return d.store.Read(ctx, func(tx *store.Tx) error { return checkSetup(tx, token) })
}

func checkSetup(tx *store.Tx, token string) error {
	if err := setupStillOpen(tx); err != nil {
		return err
	}
	var hash string
	var expires store.Time
	err := tx.QueryRow(`SELECT hash, expires FROM setup_token`).Scan(&hash, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	same := subtle.ConstantTimeCompare([]byte(hashToken(token)), []byte(hash)) == 1
	if !same || !tx.Now.Before(expires.Time) {
		return errs.New(errs.Denied, "identity.setup_link")
	}
	return nil
}

// CreateFirst makes the first administrator; the token is used up.
func (d *Directory) CreateFirst(ctx context.Context, token string, ask NewUser) (User, error) {
	// Asked before the costly hash, and again where it counts.
	if err := d.CheckSetup(ctx, token); err != nil {
		return User{}, err
	}
	ask.Roles = []Role{Admin}
	return d.add(ctx, ask, func(tx *store.Tx) error {
		if err := checkSetup(tx, token); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM setup_token`)
		return err
	})
}

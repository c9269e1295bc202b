package identity

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

const columns = `id, name, full_name, roles, disabled, created, password_at, last_sign_in, last_address, password`

func scan(from func(...any) error) (u User, hash string, err error) {
	var roles string
	var created, passwordAt, lastSignIn store.Time
	err = from(&u.ID, &u.Name, &u.FullName, &roles, &u.Disabled, &created, &passwordAt, &lastSignIn, &u.LastAddress, &hash)
	if err != nil {
		return User{}, "", err
	}
	u.Created, u.PasswordAt, u.LastSignIn = created.Time, passwordAt.Time, lastSignIn.Time
	if err := json.Unmarshal([]byte(roles), &u.Roles); err != nil {
		return User{}, "", fmt.Errorf("read roles of user %s: %w", u.Name, err)
	}
	return u, hash, nil
}

// one reads the user a clause names, and the kept password.
func one(tx *store.Tx, where string, args ...any) (User, string, error) {
	u, hash, err := scan(tx.QueryRow(`SELECT `+columns+` FROM users WHERE `+where, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, "", errs.New(errs.NotFound, "identity.not_found", "user", args[0])
	}
	return u, hash, err
}

func all(tx *store.Tx) (users []User, err error) {
	err = tx.Each(func(from func(...any) error) error {
		u, _, err := scan(from)
		users = append(users, u)
		return err
	}, `SELECT `+columns+` FROM users ORDER BY folded`)
	return users, err
}

func count(tx *store.Tx) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM users`).Scan(&n)
	return n, err
}

func insert(tx *store.Tx, ask NewUser, hash string) (User, error) {
	if _, _, err := one(tx, `folded = ?`, fold(ask.Name)); err == nil {
		return User{}, errs.New(errs.Conflict, "identity.name_taken", "user", ask.Name)
	} else if errs.KindOf(err) != errs.NotFound {
		return User{}, err
	}
	roles, err := json.Marshal(ask.Roles)
	if err != nil {
		return User{}, err
	}
	now := store.Stamp(tx.Now)
	id, err := tx.Insert(`INSERT INTO users (name, folded, full_name, roles, password, created, changed, password_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, ask.Name, fold(ask.Name), ask.FullName, string(roles), hash, now, now, now)
	if err != nil {
		return User{}, fmt.Errorf("add user %s: %w", ask.Name, err)
	}
	u, _, err := one(tx, `id = ?`, id)
	return u, err
}

func update(tx *store.Tx, u User) error {
	roles, err := json.Marshal(u.Roles)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE users SET full_name = ?, roles = ?, disabled = ?, changed = ? WHERE id = ?`,
		u.FullName, string(roles), u.Disabled, store.Stamp(tx.Now), u.ID)
	return err
}

func setPassword(tx *store.Tx, id int64, hash string) error {
	_, err := tx.Exec(`UPDATE users SET password = ?, password_at = ?, changed = ? WHERE id = ?`,
		hash, store.Stamp(tx.Now), store.Stamp(tx.Now), id)
	return err
}

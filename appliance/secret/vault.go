package secret

import (
	"database/sql"
	"errors"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// Keep seals a word under its name, "<owner>/<id>/<use>", and writes it to the
// store; a word of that name is replaced.
func (b *Box) Keep(tx *store.Tx, name string, word Text) error {
	sealed, err := b.Seal(name, []byte(word.Reveal()))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO secrets (name, sealed, changed) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed`,
		name, sealed, store.Stamp(tx.Now))
	if err != nil {
		return fmt.Errorf("keep secret %s: %w", name, err)
	}
	return nil
}

// Fetch reads a kept word. A name nobody kept is errs.NotFound.
func (b *Box) Fetch(tx *store.Tx, name string) (Text, error) {
	var sealed string
	err := tx.QueryRow(`SELECT sealed FROM secrets WHERE name = ?`, name).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return Text{}, errs.New(errs.NotFound, "secret.missing", "purpose", name)
	}
	if err != nil {
		return Text{}, fmt.Errorf("fetch secret %s: %w", name, err)
	}
	plain, err := b.Unseal(name, sealed)
	if err != nil {
		return Text{}, err
	}
	return NewText(string(plain)), nil
}

// Drop forgets a kept word; a name nobody kept is fine.
func (b *Box) Drop(tx *store.Tx, name string) error {
	if _, err := tx.Exec(`DELETE FROM secrets WHERE name = ?`, name); err != nil {
		return fmt.Errorf("drop secret %s: %w", name, err)
	}
	return nil
}

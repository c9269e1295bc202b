package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage"
)

// KeyInfo tells about one key file.
type KeyInfo struct {
	ID      string    `json:"id"`
	User    string    `json:"userName"`
	Host    string    `json:"hostName"`
	Created time.Time `json:"created"`
	Current bool      `json:"current"` // this repository was opened with it
}

// KeyHints are written into a new key so that people can tell keys apart.
// Empty fields are filled with this user and host.
type KeyHints struct {
	User, Host string
}

// maxKeys is how many key files are tried; each costs a run of scrypt.
const maxKeys = 64

// unlock finds the key that a password opens. It tells a wrong password from
// damaged key files: a file's name is the hash of its bytes.
func unlock(ctx context.Context, st storage.Storage, password string) (master *crypto.Key, id string, err error) {
	ids, err := (&Repository{storage: st}).listIDs(ctx, storage.Key)
	if err != nil {
		return nil, "", err
	}
	if len(ids) == 0 {
		return nil, "", fmt.Errorf("there is a config but no key: %w; bring the folder %q back from a copy", backup.ErrDamaged, storage.Key)
	}
	slices.Sort(ids)
	var damage []error
	for _, id := range ids[:min(len(ids), maxKeys)] {
		master, err := twice(ctx, func() (*crypto.Key, error) { return tryKey(ctx, st, id, password) })
		switch {
		case err == nil:
			return master, id, nil
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case !errors.Is(err, backup.ErrWrongPassword):
			damage = append(damage, err)
		}
	}
	if len(damage) == len(ids) {
		return nil, "", fmt.Errorf("no key file is whole, bring one back from a copy: %w", errors.Join(damage...))
	}
	err = fmt.Errorf("none of %d keys opens with this password: %w", len(ids)-len(damage), backup.ErrWrongPassword)
	if len(damage) > 0 {
		err = fmt.Errorf("%w; besides, %d key files could not be read: %w", err, len(damage), errors.Join(damage...))
	}
	return nil, "", err
}

func tryKey(ctx context.Context, st storage.Storage, id, password string) (*crypto.Key, error) {
	f, whole, err := loadKeyFile(ctx, st, id)
	if err != nil {
		return nil, err
	}
	master, ok, err := f.open(password)
	name := storage.Name{Kind: storage.Key, ID: id}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case !ok && !whole:
		return nil, changed(name)
	case !ok:
		return nil, fmt.Errorf("%s: %w", name, backup.ErrWrongPassword)
	}
	return master, nil
}

// loadKeyFile reads a key; whole is false when the bytes do not hash to the
// name. Such a file is still tried: a single turned bit is undone, or the change
// may be in a field that does not matter.
func loadKeyFile(ctx context.Context, st storage.Storage, id string) (f keyFile, whole bool, err error) {
	name := storage.Name{Kind: storage.Key, ID: id}
	text, err := st.Load(ctx, name, nil, 0, -1)
	if err != nil {
		return f, false, fmt.Errorf("load %s: %w", name, err)
	}
	right := named(name)
	if whole = right(text); !whole {
		if before, ok := unflip(text, right); ok {
			text = before
		}
	}
	if f, err = parseKeyFile(text); err != nil {
		return f, whole, fmt.Errorf("%s: %w", name, err)
	}
	return f, whole, nil
}

func changed(name storage.Name) error {
	return fmt.Errorf("%s was changed or cut short on its storage: %w", name, backup.ErrDamaged)
}

// Keys lists the keys that can be read, oldest first.
func (r *Repository) Keys(ctx context.Context) ([]KeyInfo, error) {
	ids, err := r.listIDs(ctx, storage.Key)
	if err != nil {
		return nil, err
	}
	current := r.currentKey()
	keys := make([]KeyInfo, 0, len(ids))
	for _, id := range ids {
		f, _, err := loadKeyFile(ctx, r.storage, id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, KeyInfo{ID: id, User: f.Username, Host: f.Hostname, Created: f.Created, Current: id == current})
	}
	slices.SortFunc(keys, func(a, b KeyInfo) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return keys, nil
}

func (r *Repository) currentKey() string {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	return r.keyID
}

// AddKey lets another password open the repository and returns the key's id.
// The key is read back from the storage before it is told.
func (r *Repository) AddKey(ctx context.Context, password string, hints KeyHints) (id string, err error) {
	return saveKey(ctx, r.storage, r.key, r.settings.kdf, password, hints)
}

func saveKey(ctx context.Context, st storage.Storage, master *crypto.Key, kdf crypto.KDF, password string, hints KeyHints) (string, error) {
	user, host := who()
	if hints.User == "" {
		hints.User = user
	}
	if hints.Host == "" {
		hints.Host = host
	}
	text, err := newKeyFile(master, kdf, password, hints, time.Now())
	if err != nil {
		return "", err
	}
	name := storage.Name{Kind: storage.Key, ID: blob.Hash(text).String()}
	if err := st.Save(ctx, name, text); err != nil {
		return "", fmt.Errorf("save %s: %w", name, err)
	}
	if _, err := tryKey(ctx, st, name.ID, password); err != nil {
		return "", fmt.Errorf("read the new key back: %w", err)
	}
	return name.ID, nil
}

// RemoveKey removes a key; id may be a prefix. The key in use and the last one
// are refused.
func (r *Repository) RemoveKey(ctx context.Context, id string) error {
	ids, err := r.listIDs(ctx, storage.Key)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(other string) bool { return !strings.HasPrefix(other, id) })
	switch {
	case id == "" || len(ids) == 0:
		return fmt.Errorf("key %q: %w; see the list of keys", id, backup.ErrNotFound)
	case len(ids) > 1:
		return fmt.Errorf("key %q fits %d keys, write more digits: %w", id, len(ids), backup.ErrInvalid)
	case ids[0] == r.currentKey():
		return fmt.Errorf("key %s is the one in use, open the repository with another password to remove it: %w", ids[0][:8], backup.ErrInvalid)
	}
	return r.remove(ctx, storage.Name{Kind: storage.Key, ID: ids[0]})
}

func (r *Repository) remove(ctx context.Context, name storage.Name) error {
	if err := r.storage.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// ChangePassword replaces the key in use by one for the new password. The old
// one goes last: a crash in between leaves both.
func (r *Repository) ChangePassword(ctx context.Context, password string) error {
	old := r.currentKey()
	var hints KeyHints
	if f, _, err := loadKeyFile(ctx, r.storage, old); err == nil {
		hints = KeyHints{User: f.Username, Host: f.Hostname}
	}
	id, err := r.AddKey(ctx, password, hints)
	if err != nil {
		return err
	}
	r.keyMu.Lock()
	r.keyID = id
	r.keyMu.Unlock()
	if err := r.remove(ctx, storage.Name{Kind: storage.Key, ID: old}); err != nil {
		return fmt.Errorf("the new password works, but the old one still does: %w", err)
	}
	return nil
}

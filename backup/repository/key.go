package repository

import (
	"context"
	"time"
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

// Keys lists the keys.
func (r *Repository) Keys(ctx context.Context) ([]KeyInfo, error) { return nil, errSoon }

// AddKey lets another password open the repository and returns the key's id.
func (r *Repository) AddKey(ctx context.Context, password string, hints KeyHints) (id string, err error) {
	return "", errSoon
}

// RemoveKey removes a key; id may be a prefix. The key in use and the last one are refused.
func (r *Repository) RemoveKey(ctx context.Context, id string) error { return errSoon }

// ChangePassword replaces the key in use by one for the new password.
func (r *Repository) ChangePassword(ctx context.Context, password string) error { return errSoon }

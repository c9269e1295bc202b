// Package secret keeps credentials sealed at rest.
//
// The box has one random key. Whatever must be kept and used again without
// a human (the box's own key of a repository, a database password, the key of
// the certificate authority) is sealed with it for one purpose and can be
// unsealed only for the same purpose; a sealed text moved to another row opens
// nothing. The key itself lies in <data>/secret/box.key under the best
// protection the machine offers: DPAPI on Windows, the TPM through
// systemd-creds on Linux, else the file's own rights. The last one does not
// protect against a stolen box, and the pages say so.
//
// The box key is part of no backup. When it is lost, the recovery sheet opens
// the repositories and the credentials are typed in again.
//
// The recovery sheet 恢复单 is the second key of a repository: eight groups of
// four characters on paper in a safe. It is shown once and never stored.
package secret

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"emrvault/appliance/config"
	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// ErrForeign says that a text was sealed by another box key, for another
// purpose, or was altered.
var ErrForeign = errors.New("not sealed by this box for this purpose")

// Protection names how the box key lies on disk.
type Protection string

const (
	// ByFile is the rights of the file alone.
	ByFile Protection = "file"
	// ByTPM is the machine's security chip, through systemd-creds.
	ByTPM Protection = "systemd-creds"
	// ByDPAPI is the Windows data protection of this machine.
	ByDPAPI Protection = "dpapi"
)

// Key is the key of the text that tells people what the protection is worth.
func (p Protection) Key() string { return "secret.protection." + string(p) }

// Box seals and unseals with the box key.
type Box struct {
	key        [chacha20poly1305.KeySize]byte
	id         string // tells which key sealed a text, without telling the key
	protection Protection
}

// OpenFor is Open for a box with a store. When the store holds words that a
// lost key has sealed, a new key would open none of them: then no key is made,
// and the error is errs.Conflict with what to do.
func OpenFor(ctx context.Context, layout config.Layout, st *store.Store) (*Box, error) {
	_, err := Find(layout)
	if errors.Is(err, fs.ErrNotExist) {
		if err := st.Read(ctx, func(tx *store.Tx) error { return Missed(tx, layout) }); err != nil {
			return nil, err
		}
	}
	return Open(layout)
}

// Missed says what is lost without the box key: errs.Conflict while words wait
// for it that it has sealed, nil when there are none.
func Missed(tx *store.Tx, layout config.Layout) error {
	n := 0
	if err := tx.QueryRow(`SELECT count(*) FROM secrets`).Scan(&n); err != nil {
		return fmt.Errorf("count kept secrets: %w", err)
	}
	if n == 0 {
		return nil
	}
	return errs.New(errs.Conflict, "secret.lost", "path", keyPath(layout), "n", n, "database", layout.Database())
}

// Open reads the box key of a data folder, or makes one at the first start.
func Open(layout config.Layout) (*Box, error) {
	b, err := Find(layout)
	if errors.Is(err, fs.ErrNotExist) {
		return create(keyPath(layout))
	}
	return b, err
}

func keyPath(layout config.Layout) string { return filepath.Join(layout.Secret(), "box.key") }

// Find reads the box key of a data folder; where there is none the error is
// errs.NotFound and fs.ErrNotExist, and nothing is made.
func Find(layout config.Layout) (*Box, error) {
	path := keyPath(layout)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Wrap(errs.NotFound, err, "secret.nokey", "path", path)
	}
	if err != nil {
		return nil, errs.Wrap(errs.Denied, err, "secret.key", "path", path)
	}
	b, err := decode(string(data))
	if err != nil {
		return nil, errs.Wrap(errs.Conflict, err, "secret.key", "path", path)
	}
	return b, nil
}

// keyHead opens the file of the box key: what it is, and its version.
const keyHead = "emrvault-box-key-1"

func create(path string) (*Box, error) {
	b := &Box{}
	rand.Read(b.key[:])
	b.id = identify(b.key[:])
	guard, wrapped, err := protect(b.key[:])
	if err != nil {
		return nil, fmt.Errorf("protect box key: %w", err)
	}
	b.protection = guard
	line := fmt.Sprintf("%s %s %s\n", keyHead, guard, base64.StdEncoding.EncodeToString(wrapped))
	if err := durable.WriteFile(path, []byte(line), 0o600); err != nil {
		return nil, errs.Wrap(errs.Denied, err, "secret.key", "path", path)
	}
	return b, nil
}

func decode(line string) (*Box, error) {
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != keyHead {
		return nil, errors.New("this is no box key of a version we know")
	}
	wrapped, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil {
		return nil, fmt.Errorf("decode box key: %w", err)
	}
	b := &Box{protection: Protection(words[1])}
	key, err := unprotect(b.protection, wrapped)
	if err != nil {
		return nil, fmt.Errorf("open box key (%s): %w", b.protection, err)
	}
	if copy(b.key[:], key) != len(b.key) || len(key) != len(b.key) {
		return nil, errors.New("the box key has the wrong length")
	}
	b.id = identify(b.key[:])
	return b, nil
}

// identify gives eight hex digits that name a key.
func identify(key []byte) string {
	sum := sha256.Sum256(append([]byte("emrvault box key id\x00"), key...))
	return hex.EncodeToString(sum[:4])
}

// Protection tells how the box key lies on disk.
func (b *Box) Protection() Protection { return b.protection }

// sealedHead opens every sealed text.
const sealedHead = "sealed1"

// Seal closes plain for one purpose; the text it gives is safe to store. The
// purpose names the place the text is kept, as in "repository/3/password".
func (b *Box) Seal(purpose string, plain []byte) (string, error) {
	aead, err := chacha20poly1305.NewX(b.key[:])
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", purpose, err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	sealed := aead.Seal(nonce, nonce, plain, bound(purpose))
	return sealedHead + "." + b.id + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Unseal opens what Seal closed for the same purpose; anything else is
// ErrForeign.
func (b *Box) Unseal(purpose, sealed string) ([]byte, error) {
	words := strings.Split(sealed, ".")
	if len(words) != 3 || words[0] != sealedHead || words[1] != b.id {
		return nil, foreign(purpose)
	}
	data, err := base64.RawURLEncoding.DecodeString(words[2])
	if err != nil || len(data) < chacha20poly1305.NonceSizeX {
		return nil, foreign(purpose)
	}
	aead, err := chacha20poly1305.NewX(b.key[:])
	if err != nil {
		return nil, fmt.Errorf("unseal for %s: %w", purpose, err)
	}
	nonce, closed := data[:chacha20poly1305.NonceSizeX], data[chacha20poly1305.NonceSizeX:]
	plain, err := aead.Open(nil, nonce, closed, bound(purpose))
	if err != nil {
		return nil, foreign(purpose)
	}
	return plain, nil
}

// bound ties a sealed text to its purpose and its format.
func bound(purpose string) []byte { return []byte(sealedHead + "\x00" + purpose) }

func foreign(purpose string) error {
	return errs.Wrap(errs.Conflict, ErrForeign, "secret.foreign", "purpose", purpose)
}

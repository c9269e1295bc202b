package repository

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/crypto"
)

// keyFile is the JSON of a key: how to turn a password into a key, and the
// master key sealed with it.
type keyFile struct {
	Created  time.Time `json:"created"`
	Username string    `json:"username"`
	Hostname string    `json:"hostname"`
	KDF      string    `json:"kdf"`
	N        int       `json:"N"`
	R        int       `json:"r"`
	P        int       `json:"p"`
	Salt     []byte    `json:"salt"`
	Data     []byte    `json:"data"`
}

const scryptName = "scrypt"

// newKeyFile seals the master key with a password.
func newKeyFile(master *crypto.Key, kdf crypto.KDF, password string, hints KeyHints, now time.Time) ([]byte, error) {
	if password == "" {
		return nil, fmt.Errorf("an empty password protects nothing: %w", backup.ErrInvalid)
	}
	f := keyFile{
		Created: now, Username: hints.User, Hostname: hints.Host,
		KDF: scryptName, N: kdf.N, R: kdf.R, P: kdf.P, Salt: make([]byte, crypto.SaltSize),
	}
	if _, err := rand.Read(f.Salt); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	key, err := kdf.Derive(password, f.Salt)
	if err != nil {
		return nil, err
	}
	text, err := master.MarshalMaster()
	if err != nil {
		return nil, fmt.Errorf("encode master key: %w", err)
	}
	defer clear(text)
	if f.Data, err = key.Seal(nil, text); err != nil {
		return nil, fmt.Errorf("seal master key: %w", err)
	}
	return json.Marshal(f)
}

// parseKeyFile refuses what no key file can be.
func parseKeyFile(text []byte) (keyFile, error) {
	var f keyFile
	if err := json.Unmarshal(text, &f); err != nil {
		return keyFile{}, fmt.Errorf("key is no JSON as expected: %w: %w", backup.ErrDamaged, err)
	}
	switch {
	case f.KDF != scryptName:
		return keyFile{}, fmt.Errorf("key uses %q instead of scrypt: %w", f.KDF, backup.ErrDamaged)
	case len(f.Salt) != crypto.SaltSize:
		return keyFile{}, fmt.Errorf("key has a salt of %d bytes: %w", len(f.Salt), backup.ErrDamaged)
	case len(f.Data) < crypto.Overhead:
		return keyFile{}, fmt.Errorf("key holds no master key: %w", backup.ErrDamaged)
	}
	if err := f.cost().Check(); err != nil {
		return keyFile{}, fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	return f, nil
}

func (f keyFile) cost() crypto.KDF { return crypto.KDF{N: f.N, R: f.R, P: f.P} }

// open tries a password; ok is false when it is not the one.
func (f keyFile) open(password string) (master *crypto.Key, ok bool, err error) {
	key, err := f.cost().Derive(password, f.Salt)
	if err != nil {
		return nil, false, err
	}
	text, err := key.Open(nil, f.Data)
	if err != nil {
		return nil, false, nil //nolint:nilerr // A seal that does not hold is how a wrong password shows.
	}
	defer clear(text)
	master, err = crypto.ParseMaster(text)
	return master, err == nil, err
}

// who tells user and host for keys and locks. Neither is needed for anything
// but people, except that a dead process is looked for on its own host only.
func who() (userName, host string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if u, err := user.Current(); err == nil {
		return u.Username, host
	}
	return "uid " + strconv.Itoa(os.Getuid()), host
}

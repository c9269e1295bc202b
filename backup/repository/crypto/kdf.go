package crypto

import (
	"fmt"
	"runtime"

	"golang.org/x/crypto/scrypt"

	"emrvault/backup"
)

// SaltSize is the only length of salt that readers accept.
const SaltSize = 64

// KDF holds the cost of one scrypt run.
type KDF struct {
	N, R, P int
}

// DefaultKDF takes about 32 MiB and a tenth of a second. It is fixed and not
// measured on the machine at hand: a key made on a small box must not be a
// weak key.
func DefaultKDF() KDF { return KDF{N: 1 << 15, R: 8, P: 1} }

// limits of what a foreign key file may ask us to spend: 1 GiB of memory and
// some seconds. A larger demand is an attack or damage.
const (
	maxMemory = 1 << 30
	maxWork   = 1 << 26 // N·r·p
)

// Check refuses parameters that are not scrypt's or cost too much.
func (k KDF) Check() error {
	switch {
	case k.N <= 1 || k.N&(k.N-1) != 0 || k.R <= 0 || k.P <= 0,
		k.N > maxWork || k.R > maxWork || k.P > maxWork:
	case int64(k.N)*int64(k.R) > maxMemory/128:
	case int64(k.R)*int64(k.P) >= 1<<30:
	case int64(k.N)*int64(k.R)*int64(k.P) > maxWork:
	default:
		return nil
	}
	return fmt.Errorf("scrypt N=%d r=%d p=%d is out of range: %w", k.N, k.R, k.P, backup.ErrInvalid)
}

// Derive turns a password into a key. The password is used as its UTF-8 bytes.
func (k KDF) Derive(password string, salt []byte) (*Key, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	if len(salt) != SaltSize {
		return nil, fmt.Errorf("salt of %d bytes instead of %d: %w", len(salt), SaltSize, backup.ErrInvalid)
	}
	derived, err := scrypt.Key([]byte(password), salt, k.N, k.R, k.P, keySize)
	if err != nil {
		return nil, fmt.Errorf("scrypt: %w", err)
	}
	defer clear(derived)
	k.collect()
	return newKey(derived), nil
}

// collect gives back what scrypt worked in. Left to itself the collector would
// take these megabytes for the usual need and let the heap grow to twice as
// much before it looks again.
func (k KDF) collect() {
	if k.N*k.R*128 >= 16<<20 {
		runtime.GC()
	}
}

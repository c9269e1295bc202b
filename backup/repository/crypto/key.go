// Package crypto seals what a repository stores, and opens it again.
//
// Whatever leaves the machine is nonce ‖ ciphertext ‖ tag: AES-256 in counter
// mode, then Poly1305 over the ciphertext with a one-time key made from the
// nonce (Poly1305-AES). The seal proves that somebody with the key wrote the
// bytes; it does not say under which name. That is why documents refer to each
// other by hash.
//
// Two keys exist: the one scrypt makes from a password opens a key file, and
// the master key inside seals everything else.
package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"emrvault/backup"
)

const (
	encryptSize = 32
	macKSize    = 16
	macRSize    = 16
	keySize     = encryptSize + macKSize + macRSize
)

// Key seals and opens. It may be used by many goroutines at once.
type Key struct {
	raw     [keySize]byte
	encrypt cipher.Block // AES-256 with the encryption key
	mac     cipher.Block // AES-128 with the MAC key k, makes the one-time s
}

// newKey takes encrypt ‖ k ‖ r, the order in which scrypt's output is cut.
func newKey(raw []byte) *Key {
	k := &Key{}
	copy(k.raw[:], raw)
	k.encrypt = mustAES(k.raw[:encryptSize])
	k.mac = mustAES(k.raw[encryptSize : encryptSize+macKSize])
	return k
}

// mustAES cannot fail: the lengths above are those AES knows.
func mustAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return block
}

// NewMaster draws the key that seals a new repository.
func NewMaster() (*Key, error) {
	var raw [keySize]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, fmt.Errorf("draw a master key: %w", err)
	}
	return newKey(raw[:]), nil
}

// Secret derives a value for another purpose than sealing. The MAC key r is
// left out of it: some programs store r clamped, and the secret must not
// depend on who wrote the key file last.
func (k *Key) Secret(purpose string) [32]byte {
	h := hmac.New(sha256.New, k.raw[:encryptSize+macKSize])
	h.Write([]byte(purpose))
	return [32]byte(h.Sum(nil))
}

// masterJSON is the plaintext inside a key file.
type masterJSON struct {
	MAC struct {
		K []byte `json:"k"`
		R []byte `json:"r"`
	} `json:"mac"`
	Encrypt []byte `json:"encrypt"`
}

// MarshalMaster writes the master key as it is sealed into a key file.
func (k *Key) MarshalMaster() ([]byte, error) {
	var doc masterJSON
	doc.Encrypt = k.raw[:encryptSize]
	doc.MAC.K = k.raw[encryptSize : encryptSize+macKSize]
	doc.MAC.R = k.raw[encryptSize+macKSize:]
	return json.Marshal(doc)
}

// ParseMaster reads what MarshalMaster wrote.
func ParseMaster(text []byte) (*Key, error) {
	var doc masterJSON
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("master key: %w: %w", backup.ErrDamaged, err)
	}
	if len(doc.Encrypt) != encryptSize || len(doc.MAC.K) != macKSize || len(doc.MAC.R) != macRSize {
		return nil, fmt.Errorf("master key has parts of %d, %d and %d bytes: %w",
			len(doc.Encrypt), len(doc.MAC.K), len(doc.MAC.R), backup.ErrDamaged)
	}
	raw := append(append(append(make([]byte, 0, keySize), doc.Encrypt...), doc.MAC.K...), doc.MAC.R...)
	defer clear(raw)
	return newKey(raw), nil
}

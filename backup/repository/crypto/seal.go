package crypto

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	//nolint:staticcheck // The format is Poly1305-AES itself, not an AEAD on top of it.
	"golang.org/x/crypto/poly1305"

	"emrvault/backup"
)

const (
	nonceSize = 16
	tagSize   = poly1305.TagSize
	// Overhead is how much longer sealed bytes are than plain ones.
	Overhead = nonceSize + tagSize
)

// ErrSeal says that bytes were not sealed with this key, or changed since.
var ErrSeal = fmt.Errorf("the seal does not hold: %w", backup.ErrDamaged)

// Seal appends the sealed form of plain to dst. dst must not overlap plain.
func (k *Key) Seal(dst, plain []byte) ([]byte, error) {
	var nonce [nonceSize]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	if nonce == [nonceSize]byte{} {
		return nil, errors.New("the random source returns zeros")
	}
	return k.sealWith(nonce, dst, plain), nil
}

func (k *Key) sealWith(nonce [nonceSize]byte, dst, plain []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(plain)+Overhead)[:start+len(plain)+Overhead]
	sealed := dst[start:]
	copy(sealed, nonce[:])
	body := sealed[nonceSize : nonceSize+len(plain)]
	cipher.NewCTR(k.encrypt, nonce[:]).XORKeyStream(body, plain)
	tag := k.tag(nonce, body)
	copy(sealed[nonceSize+len(plain):], tag[:])
	return dst
}

// tag is Poly1305-AES: r comes from the key, s is the encrypted nonce.
func (k *Key) tag(nonce [nonceSize]byte, body []byte) (tag [tagSize]byte) {
	var once [32]byte
	copy(once[:macRSize], k.raw[encryptSize+macKSize:])
	k.mac.Encrypt(once[macRSize:], nonce[:])
	poly1305.Sum(&tag, body, &once)
	return tag
}

// Open appends the plaintext of sealed to dst and leaves sealed as it is. The
// two must not overlap.
func (k *Key) Open(dst, sealed []byte) ([]byte, error) {
	nonce, body, err := k.prove(sealed)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	dst = slices.Grow(dst, len(body))[:start+len(body)]
	cipher.NewCTR(k.encrypt, nonce[:]).XORKeyStream(dst[start:], body)
	return dst, nil
}

// OpenInPlace decrypts within sealed and returns the part that is plaintext.
func (k *Key) OpenInPlace(sealed []byte) ([]byte, error) {
	nonce, body, err := k.prove(sealed)
	if err != nil {
		return nil, err
	}
	cipher.NewCTR(k.encrypt, nonce[:]).XORKeyStream(body, body)
	return body, nil
}

func (k *Key) prove(sealed []byte) (nonce [nonceSize]byte, body []byte, err error) {
	if len(sealed) < Overhead {
		return nonce, nil, fmt.Errorf("%d bytes are too few for a seal: %w", len(sealed), ErrSeal)
	}
	copy(nonce[:], sealed)
	if nonce == [nonceSize]byte{} {
		return nonce, nil, fmt.Errorf("the nonce is zero: %w", ErrSeal)
	}
	end := len(sealed) - tagSize
	body = sealed[nonceSize:end]
	tag := k.tag(nonce, body)
	if subtle.ConstantTimeCompare(tag[:], sealed[end:]) != 1 {
		return nonce, nil, ErrSeal
	}
	return nonce, body, nil
}

// Package blob names the smallest things a repository keeps.
//
// A blob is a piece of a file or one folder's list (a tree). Its name is the
// SHA-256 of its plaintext, so the same bytes have the same name wherever they
// come from, and whoever reads a blob can prove it is the right one.
package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"emrvault/backup"
)

// IDSize is the length of an ID in bytes.
const IDSize = sha256.Size

// ID is a SHA-256: of the plaintext for blobs, of the stored bytes for files.
type ID [IDSize]byte

// Hash names plaintext.
func Hash(plain []byte) ID { return sha256.Sum256(plain) }

// ParseID reads 64 lower-case hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if err := id.parse(s); err != nil {
		return ID{}, err
	}
	return id, nil
}

func (id *ID) parse(s string) error {
	if len(s) != 2*IDSize {
		return fmt.Errorf("id %q has %d digits instead of %d: %w", clip(s), len(s), 2*IDSize, backup.ErrInvalid)
	}
	if !id.Decode([]byte(s)) {
		return fmt.Errorf("id %q is not lower-case hex: %w", clip(s), backup.ErrInvalid)
	}
	return nil
}

// Decode reads an id of exactly 64 digits from a text and tells whether it was
// one; it is ParseID for those who read millions.
func (id *ID) Decode(digits []byte) bool {
	if len(digits) != 2*IDSize {
		return false
	}
	bad := byte(0)
	for i := range id {
		high, low := nibble(digits[2*i]), nibble(digits[2*i+1])
		bad |= high | low
		id[i] = high<<4 | low
	}
	return bad <= 15
}

// nibble is the value of a lower-case hex digit, 255 for anything else.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func clip(s string) string {
	if len(s) > 2*IDSize {
		return s[:2*IDSize] + "…"
	}
	return s
}

// String is the full name, 64 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short is the first eight digits, enough for people.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// IsZero tells whether the id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by their bytes.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// MarshalText writes the full name; encoding/json uses it for values and keys.
func (id ID) MarshalText() ([]byte, error) {
	return hex.AppendEncode(make([]byte, 0, 2*IDSize), id[:]), nil
}

// UnmarshalText reads what MarshalText wrote and nothing else.
func (id *ID) UnmarshalText(text []byte) error { return id.parse(string(text)) }

// Type says what a blob holds.
type Type uint8

const (
	// Data is a piece of a file.
	Data Type = iota
	// Tree is the list of one folder.
	Tree
	// Types is how many types there are.
	Types = 2
)

// String is the word used in index files.
func (t Type) String() string {
	switch t {
	case Data:
		return "data"
	case Tree:
		return "tree"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// MarshalText writes the word of the type.
func (t Type) MarshalText() ([]byte, error) {
	if t > Tree {
		return nil, fmt.Errorf("blob %s: %w", t, backup.ErrInvalid)
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads the word of the type.
func (t *Type) UnmarshalText(text []byte) error {
	switch string(text) {
	case "data":
		*t = Data
	case "tree":
		*t = Tree
	default:
		return fmt.Errorf("blob type %q: %w", clip(string(text)), backup.ErrInvalid)
	}
	return nil
}

// Handle addresses a blob. A piece of a file whose bytes happen to be those of
// a tree is another blob than the tree.
type Handle struct {
	Type Type
	ID   ID
}

// DataHandle addresses a piece of a file.
func DataHandle(id ID) Handle { return Handle{Type: Data, ID: id} }

// TreeHandle addresses a folder's list.
func TreeHandle(id ID) Handle { return Handle{Type: Tree, ID: id} }

// String names the blob for people.
func (h Handle) String() string { return h.Type.String() + " " + h.ID.Short() }

package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
)

// dots is what everybody sees who only prints a secret.
const dots = "••••••"

// Text is a password or another word that must not be seen. Printed, logged or
// written as JSON it shows dots; Reveal gives the word to those who need it.
// The word sits behind a pointer, so that even a struct that hides a Text in
// an unexported field does not print it.
type Text struct{ word *string }

// NewText hides a word.
func NewText(word string) Text { return Text{&word} }

// NewPassword makes a random password of 256 bits, for machines to keep.
func NewPassword() Text {
	key := make([]byte, 32)
	rand.Read(key)
	return NewText(base64.RawURLEncoding.EncodeToString(key))
}

// Reveal gives the word itself.
func (t Text) Reveal() string {
	if t.word == nil {
		return ""
	}
	return *t.word
}

// Empty says that there is no word.
func (t Text) Empty() bool { return t.Reveal() == "" }

// Equal compares two words in a time that tells nothing about them.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String shows dots, or nothing when there is no word.
func (t Text) String() string {
	if t.Empty() {
		return ""
	}
	return dots
}

// Format shows dots under every verb.
func (t Text) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, t.String()) // fmt has no use for the error
}

// LogValue shows dots in logs.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText shows dots in JSON, YAML and forms.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes a word from a form or a file. Dots are refused: they
// come from a Text that was printed and would replace the real word.
func (t *Text) UnmarshalText(word []byte) error {
	if string(word) == dots {
		return errors.New("these are the dots of a hidden word, not the word")
	}
	*t = NewText(string(word))
	return nil
}

package secret

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"emrvault/appliance/errs"
)

const (
	// Groups is the number of groups on a recovery sheet.
	Groups = 8
	// GroupLength is the number of characters of a group.
	GroupLength = 4

	// alphabet leaves out what looks alike on paper: 0 and O, 1, I and L. Its
	// 31 characters give 32 of them more than 158 bits.
	alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
)

// Sheet is a recovery sheet 恢复单: the second key of a repository, printed
// once and kept in a safe. Printed by a program it shows dots, like a Text.
type Sheet struct{ password Text }

// NewSheet makes a random sheet.
func NewSheet() Sheet {
	chars := make([]byte, Groups*GroupLength)
	for i := range chars {
		chars[i] = character()
	}
	return sheetOf(string(chars))
}

// character draws one character, each as likely as any other.
func character() byte {
	var b [1]byte
	for {
		rand.Read(b[:])
		// 31 × 8 = 248: the rest of a byte would favour the first characters.
		if int(b[0]) < len(alphabet)*8 {
			return alphabet[int(b[0])%len(alphabet)]
		}
	}
}

func sheetOf(chars string) Sheet {
	groups := make([]string, Groups)
	for i := range groups {
		groups[i] = chars[i*GroupLength : (i+1)*GroupLength]
	}
	return Sheet{NewText(strings.Join(groups, "-"))}
}

// ParseSheet reads a sheet as a person types it: in any case, with or without
// dashes and spaces, half or full width.
func ParseSheet(typed string) (Sheet, error) {
	chars := Normalise(typed)
	for i, c := range []rune(chars) {
		if !strings.ContainsRune(alphabet, c) {
			return Sheet{}, errs.New(errs.Invalid, "secret.sheet.character",
				"character", string(c), "group", i/GroupLength+1, "position", i%GroupLength+1)
		}
	}
	if len(chars) != Groups*GroupLength {
		return Sheet{}, errs.New(errs.Invalid, "secret.sheet.length",
			"want", Groups*GroupLength, "got", len(chars))
	}
	return sheetOf(chars), nil
}

// Normalise brings typed characters to the form of the sheet: capitals of
// half width without anything between them.
func Normalise(typed string) string {
	return strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' { // full-width forms lie in the order of ASCII
			r -= '！' - '!'
		}
		if unicode.IsSpace(r) || unicode.Is(unicode.Dash, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
}

// Password is the word that opens the repository: the groups joined by dashes.
func (s Sheet) Password() Text { return s.password }

// Groups gives the groups for the page that shows the sheet once.
func (s Sheet) Groups() []string {
	if s.password.Empty() {
		return nil
	}
	return strings.Split(s.password.Reveal(), "-")
}

// Confirms says whether a person has the sheet in hand: typed is the group
// with that number, counted from 1.
func (s Sheet) Confirms(number int, typed string) bool {
	groups := s.Groups()
	if number < 1 || number > len(groups) {
		return false
	}
	return NewText(groups[number-1]).Equal(NewText(Normalise(typed)))
}

// AskFor draws two different group numbers that a person types back.
func AskFor() (first, second int) {
	var b [2]byte
	rand.Read(b[:])
	first = int(b[0]) % Groups
	second = (first + 1 + int(b[1])%(Groups-1)) % Groups
	return min(first, second) + 1, max(first, second) + 1
}

// Format shows dots under every verb.
func (s Sheet) Format(f fmt.State, verb rune) { s.password.Format(f, verb) }

// LogValue shows dots in logs.
func (s Sheet) LogValue() slog.Value { return s.password.LogValue() }

// MarshalText shows dots in JSON.
func (s Sheet) MarshalText() ([]byte, error) { return s.password.MarshalText() }

package snapshot

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"emrvault/backup/repository/blob"
)

// scanner reads JSON where it lies. Trees are the bulk of what an unchanged
// backup and a check have to read, and Go's general decoder takes a fifth of
// such a run; this one knows only what trees need.
type scanner struct {
	data []byte
	pos  int
}

var errJSON = errors.New("not the JSON that was expected")

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errJSON, what, s.pos)
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the next byte that is not space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) expect(c byte) error {
	if !s.take(c) {
		return s.fail("wanted " + strconv.QuoteRune(rune(c)))
	}
	return nil
}

// next moves to the next member of a list or object that ends with end. first
// is true before the first member.
func (s *scanner) next(end byte, first bool) (more bool, err error) {
	if s.take(end) {
		return false, nil
	}
	if first {
		return true, nil
	}
	if err := s.expect(','); err != nil {
		return false, err
	}
	if s.peek() == end {
		return false, s.fail("comma before the end")
	}
	return true, nil
}

// null takes the word null when it comes next.
func (s *scanner) null() bool {
	if s.peek() == 'n' && bytes.HasPrefix(s.data[s.pos:], []byte("null")) {
		s.pos += 4
		return true
	}
	return false
}

// rawString gives the bytes between the quotes; plain says that they need no
// unescaping.
func (s *scanner) rawString() (raw []byte, plain bool, err error) {
	if err := s.expect('"'); err != nil {
		return nil, false, err
	}
	start, plain := s.pos, true
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			raw = s.data[start:s.pos]
			s.pos++
			return raw, plain, nil
		case c == '\\':
			plain = false
			s.pos++
		case c < 0x20:
			return nil, false, s.fail("control character in a string")
		case c >= utf8.RuneSelf:
			plain = false
		}
		s.pos++
	}
	return nil, false, s.fail("string without end")
}

func (s *scanner) text() (string, error) {
	start := s.pos
	raw, plain, err := s.rawString()
	if err != nil {
		return "", err
	}
	if plain {
		return string(raw), nil
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw), nil
	}
	var out string
	if err := json.Unmarshal(bytes.TrimSpace(s.data[start:s.pos]), &out); err != nil {
		return "", s.fail("string")
	}
	return out, nil
}

// optionalText is text or null.
func (s *scanner) optionalText() (string, error) {
	if s.null() {
		return "", nil
	}
	return s.text()
}

func (s *scanner) id() (blob.ID, error) {
	var id blob.ID
	raw, plain, err := s.rawString()
	if err != nil {
		return id, err
	}
	if !plain || len(raw) != 2*len(id) {
		return id, s.fail("id of the wrong length")
	}
	if _, err := hex.Decode(id[:], raw); err != nil {
		return id, s.fail("id")
	}
	return id, nil
}

func (s *scanner) uint(max uint64) (uint64, error) {
	if s.null() {
		return 0, nil
	}
	s.space()
	start := s.pos
	var v uint64
	for s.pos < len(s.data) {
		c := s.data[s.pos] - '0'
		if c > 9 {
			break
		}
		if v > math.MaxUint64/10 || v*10 > math.MaxUint64-uint64(c) {
			return 0, s.fail("number too large")
		}
		v = v*10 + uint64(c)
		s.pos++
	}
	leadingZero := s.pos-start > 1 && s.data[start] == '0'
	if s.pos == start || leadingZero || v > max || s.inNumber() {
		return 0, s.fail("number")
	}
	return v, nil
}

// inNumber says whether the number goes on in a way that whole numbers do not.
func (s *scanner) inNumber() bool {
	return s.pos < len(s.data) && bytes.IndexByte([]byte(".eE+-"), s.data[s.pos]) >= 0
}

// raw takes any value whole, for members that this version does not know.
func (s *scanner) raw() (json.RawMessage, error) {
	s.space()
	start := s.pos
	if s.simple() {
		return s.data[start:s.pos], nil
	}
	if err := s.skip(); err != nil {
		return nil, err
	}
	value := s.data[start:s.pos]
	if !json.Valid(value) {
		s.pos = start
		return nil, s.fail("value")
	}
	return value, nil
}

// simple passes over null, a whole number, or a string that needs no unescaping,
// which nearly all values are. Otherwise it stays where it is.
func (s *scanner) simple() bool {
	start := s.pos
	if s.peek() == '"' {
		if _, plain, err := s.rawString(); plain && err == nil {
			return true
		}
	} else if _, err := s.uint(math.MaxUint64); err == nil { // or null
		return true
	}
	s.pos = start
	return false
}

// skip finds the end of a value by counting brackets; raw judges it.
func (s *scanner) skip() error {
	depth := 0
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case '"':
			if _, _, err := s.rawString(); err != nil {
				return err
			}
			if depth == 0 {
				return nil
			}
			continue
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return nil
			}
			if c != ',' {
				if depth--; depth == 0 {
					s.pos++
					return nil
				}
			}
		}
		s.pos++
	}
	return nil
}

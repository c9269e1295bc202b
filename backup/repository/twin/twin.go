// Package twin takes the SHA-256 of several texts, two at a time.
//
// Processors have instructions for SHA-256, but each step waits four cycles
// for the one before it. Two texts that take turns fill the gaps, and both are
// done in the time of one. Whoever proves a pack has them at hand: the pack
// itself and the blobs in it.
package twin

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	block  = 64
	idSize = sha256.Size
)

// Stream is a hash into which bytes come in parts.
type Stream struct {
	words  [8]uint32
	tail   [block]byte
	filled int
	length uint64
}

// NewStream begins a hash.
func NewStream() *Stream { return &Stream{words: initial} }

// Text is a whole text and the hash of it, once it has been through Run.
type Text struct {
	words  [8]uint32
	blocks []byte          // whole blocks that are still to be hashed
	last   [2 * block]byte // the end and its padding
	ending int             // how many bytes of last are still to be hashed
}

// NewText takes a text, which must not change until it has been through Run.
func NewText(text []byte) Text {
	whole := len(text) / block * block
	t := Text{words: initial, blocks: text[:whole:whole]}
	n := copy(t.last[:], text[whole:])
	t.last[n] = 0x80
	t.ending = block
	if n+1+8 > block {
		t.ending = 2 * block
	}
	binary.BigEndian.PutUint64(t.last[t.ending-8:], uint64(len(text))*8)
	return t
}

// Sum is the hash of the text.
func (t *Text) Sum() (sum [idSize]byte) { return bytesOf(&t.words) }

func bytesOf(words *[8]uint32) (sum [idSize]byte) {
	for i, w := range words {
		binary.BigEndian.PutUint32(sum[4*i:], w)
	}
	return sum
}

// lane is a text or a stream that is being hashed.
type lane struct {
	words *[8]uint32
	bytes []byte // whole blocks
	text  *Text  // nil for a stream
}

// ready tells whether there is something to hash, after going on from the
// blocks of a text to its end.
func (l *lane) ready() bool {
	if len(l.bytes) == 0 && l.text != nil {
		l.bytes, l.text = l.text.last[:l.text.ending], nil
	}
	return len(l.bytes) > 0
}

// Run hashes texts and the first must bytes of what comes next in a stream,
// and goes on in the stream as long as that costs nothing. It tells how many
// bytes of next are in the stream now.
func Run(texts []Text, s *Stream, next []byte, must int) (taken int) {
	taken = s.align(next)
	begin := taken
	if must >= taken+block {
		taken += (must - taken) / block * block
	}
	first, second := lane{words: &s.words, bytes: next[begin:taken]}, lane{}
	for {
		texts = first.fill(texts)
		texts = second.fill(texts)
		if !first.ready() {
			first, second = second, first
		}
		switch {
		case !first.ready():
			s.length += uint64(taken)
			return taken
		case !second.ready() && first.words != &s.words: // the stream may go on beside it
			second = lane{words: &s.words, bytes: next[taken : taken+(len(next)-taken)/block*block]}
			taken += pair(&first, &second)
			second = lane{}
		default:
			pair(&first, &second)
		}
	}
}

// fill gives a lane that is done the next text.
func (l *lane) fill(texts []Text) []Text {
	if !l.ready() && len(texts) > 0 {
		*l = lane{words: &texts[0].words, bytes: texts[0].blocks, text: &texts[0]}
		l.ready()
		return texts[1:]
	}
	return texts
}

// pair hashes as many blocks as both have, or all of the first if the second
// has none. It tells how many bytes of the second that were.
func pair(a, b *lane) int {
	n := min(len(a.bytes), len(b.bytes)) / block
	if n == 0 {
		var nobody [8]uint32
		n = len(a.bytes) / block
		blocks(a.words, &nobody, &a.bytes[0], &a.bytes[0], n, &rounds)
		a.bytes = nil
		return 0
	}
	blocks(a.words, b.words, &a.bytes[0], &b.bytes[0], n, &rounds)
	a.bytes, b.bytes = a.bytes[n*block:], b.bytes[n*block:]
	return n * block
}

// align brings a stream to the end of a block, and tells how many bytes of
// next that took.
func (s *Stream) align(next []byte) int {
	if s.filled == 0 {
		return 0
	}
	n := copy(s.tail[s.filled:], next)
	if s.filled += n; s.filled == block {
		s.filled = 0
		pair(&lane{words: &s.words, bytes: s.tail[:]}, &lane{})
	}
	return n
}

// Write takes bytes into the stream.
func (s *Stream) Write(p []byte) (int, error) {
	length := len(p)
	p = p[Run(nil, s, p, len(p)):]
	if s.filled == 0 {
		s.filled = copy(s.tail[:], p)
		s.length += uint64(s.filled)
	}
	return length, nil
}

// Sum is the hash of all that was taken in. The stream is done then.
func (s *Stream) Sum() (sum [idSize]byte) {
	end := NewText(s.tail[:s.filled])
	binary.BigEndian.PutUint64(end.last[end.ending-8:], s.length*8)
	pair(&lane{words: &s.words, bytes: end.last[:end.ending]}, &lane{})
	return bytesOf(&s.words)
}

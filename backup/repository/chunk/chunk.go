// Package chunk cuts files where their content says so.
//
// A rolling hash (gear: shift left, add a table entry for each byte) looks at
// the last 64 bytes. Where it falls below a threshold a piece ends, so an
// insertion moves the cuts near it and no others, and everything else is found
// in the repository again. The threshold is strict until three quarters of the
// mean length and lax afterwards (FastCDC's normalised chunking), which pulls
// lengths towards the mean. No cut is looked for before the minimum; at the
// maximum a piece ends anyway.
//
// Cuts depend on the bytes, the table and the rule alone, never on how the
// reader hands out its bytes.
package chunk

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// window is how many bytes the gear hash remembers.
const window = 64

// Chunker cuts what a reader gives. It belongs to one goroutine.
type Chunker struct {
	reader io.Reader
	table  *Table
	rule   Rule
	strict uint64 // thresholds before and after the turn
	lax    uint64
	turn   int
	stride int    // most that is read ahead of the scan
	rest   []byte // read, but beyond the last cut
	end    error  // what the reader ended with
}

// New cuts r by a rule.
func New(r io.Reader, table *Table, rule Rule) *Chunker {
	b := bits.Len(uint(rule.Mean)) - 1
	c := &Chunker{
		table:  table,
		rule:   rule,
		strict: 1 << (64 - b - 2),
		lax:    1 << (64 - b + 2),
		turn:   rule.Mean / 4 * 3,
		stride: max(rule.Mean/4, 16*kib),
	}
	c.Reset(r)
	return c
}

// Reset begins anew with another reader, keeping rule, table and memory.
func (c *Chunker) Reset(r io.Reader) {
	c.reader, c.rest, c.end = r, c.rest[:0], nil
}

// Next returns the next piece, in buf if that is large enough, and io.EOF
// after the last one. The piece is the caller's; handing it back as the next
// buf saves allocations. An error of the reader is returned instead of the
// piece it fell into.
func (c *Chunker) Next(buf []byte) ([]byte, error) {
	buf, c.rest = append(buf[:0], c.rest...), c.rest[:0]
	s := scan{at: c.rule.Min}
	for {
		if cut := c.scan(&s, buf); cut > 0 {
			c.rest = append(c.rest, buf[cut:]...)
			return buf[:cut], nil
		}
		switch {
		case c.end == nil:
			buf = c.fill(buf)
		case !errors.Is(c.end, io.EOF):
			return nil, c.end
		case len(buf) == 0:
			return nil, io.EOF
		default:
			return buf, nil
		}
	}
}

// Zeros gives the first piece of an endless run of zeros, in buf if that is
// large enough: every piece that lies in such a run as a whole is this one.
func (c *Chunker) Zeros(buf []byte) []byte {
	buf = slices.Grow(buf[:0], c.rule.Max)[:c.rule.Max]
	clear(buf)
	s := scan{at: c.rule.Min}
	return buf[:c.scan(&s, buf)]
}

// fill reads up to the minimum and a stride at first, and a stride at a time
// afterwards: the longer the stride, the more is carried over to the next
// piece. A reader that itself ends with io.ErrUnexpectedEOF was cut short, so
// only a plain io.EOF counts as the end of the file.
func (c *Chunker) fill(buf []byte) []byte {
	want := min(max(c.rule.Min, len(buf))+c.stride, max(c.rule.Max, len(buf)+1))
	start := len(buf)
	buf = slices.Grow(buf, want-start)[:want]
	n, err := readFull(c.reader, buf[start:])
	switch {
	case errors.Is(err, io.EOF):
		c.end = io.EOF
	case err != nil:
		c.end = fmt.Errorf("read: %w", err)
	}
	return buf[:start+n]
}

// patience is how often a reader may return nothing and no error.
const patience = 100

func readFull(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var got int
		got, err = r.Read(buf[n:])
		n += got
		if got > 0 {
			empty = 0
		} else if empty++; empty == patience && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// scan is how far the search for one cut has come.
type scan struct {
	at   int // bytes looked at
	hash uint64
	warm bool
}

// scan looks for a cut in buf and returns its place, or 0 when more bytes are
// needed.
func (c *Chunker) scan(s *scan, buf []byte) int {
	if len(buf) < c.rule.Min {
		return 0
	}
	if c.rule.Min == c.rule.Max {
		return c.rule.Max
	}
	if !s.warm {
		s.hash = c.warm(buf[max(0, c.rule.Min-window):c.rule.Min])
		s.warm = true
	}
	limit := min(len(buf), c.rule.Max)
	for _, half := range [...]struct {
		end       int
		threshold uint64
	}{{min(c.turn, limit), c.strict}, {limit, c.lax}} {
		if cut := c.table.find(s, buf[:max(half.end, s.at)], half.threshold); cut > 0 {
			return cut
		}
	}
	if limit == c.rule.Max {
		return limit
	}
	return 0
}

// warm hashes the bytes before the minimum, so that the first possible cut
// already depends on a full window and not on where the piece began.
func (c *Chunker) warm(before []byte) (hash uint64) {
	for _, b := range before {
		hash = hash<<1 + c.table.gear[b]
	}
	return hash
}

// find goes on from s to the end of buf and returns the place after the first
// byte at which the hash is below the threshold, or 0. This loop is where
// cutting costs time; four bytes a turn spare it half of its branches.
func (t *Table) find(s *scan, buf []byte, threshold uint64) int {
	hash, i := s.hash, s.at
	for ; i+4 <= len(buf); i += 4 {
		four := buf[i : i+4 : i+4]
		h1 := hash<<1 + t.gear[four[0]]
		h2 := h1<<1 + t.gear[four[1]]
		h3 := h2<<1 + t.gear[four[2]]
		hash = h3<<1 + t.gear[four[3]]
		if h1 < threshold || h2 < threshold || h3 < threshold || hash < threshold {
			return i + first(threshold, h1, h2, h3)
		}
	}
	for ; i < len(buf); i++ {
		hash = hash<<1 + t.gear[buf[i]]
		if hash < threshold {
			return i + 1
		}
	}
	s.hash, s.at = hash, i
	return 0
}

// first tells which of four hashes came below the threshold first, from 1; the
// fourth is the one if none of the three is.
func first(threshold uint64, hashes ...uint64) int {
	for i, h := range hashes {
		if h < threshold {
			return i + 1
		}
	}
	return len(hashes) + 1
}

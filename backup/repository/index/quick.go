package index

import (
	"bytes"
	"math"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// quick reads index documents written exactly as restic and we write them: no
// blanks, the fields in their order. That is five times as fast as reading any
// JSON, and a run may begin with the whole index. ok is false for anything
// else, be it damaged or only written differently; Decode then looks properly.
func (r *Reader) quick(text []byte) (ok bool) {
	c := cursor{rest: text, ok: true}
	r.packs, r.entries = r.packs[:0], r.entries[:0]
	c.literal(`{"packs":[`)
	for more := !c.at(']'); c.ok && more; more = c.next(',') {
		r.pack(&c)
	}
	c.literal(`]}`)
	// Only now do the entries stay where they are.
	from := 0
	for i := range r.packs {
		to := from + len(r.packs[i].Entries)
		r.packs[i].Entries = r.entries[from:to:to]
		from = to
	}
	return c.ok && len(bytes.TrimSpace(c.rest)) == 0
}

func (r *Reader) pack(c *cursor) {
	var p Pack
	c.literal(`{"id":"`)
	p.ID = c.id()
	c.literal(`","blobs":[`)
	from := len(r.entries)
	for more := !c.at(']'); c.ok && more; more = c.next(',') {
		r.entries = append(r.entries, c.entry())
	}
	c.literal(`]}`)
	p.Entries = r.entries[from:]
	r.packs = append(r.packs, p)
}

// cursor walks through a document until something is not as expected.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) entry() (e pack.Entry) {
	c.literal(`{"id":"`)
	e.Handle.ID = c.id()
	switch {
	case c.skip(`","type":"tree","offset":`):
		e.Handle.Type = blob.Tree
	default:
		c.literal(`","type":"data","offset":`)
	}
	e.Offset = c.number()
	c.literal(`,"length":`)
	e.Length = c.number()
	if c.skip(`,"uncompressed_length":`) {
		e.Plain = c.number()
	}
	c.literal(`}`)
	c.ok = c.ok && e.Check() == nil
	return e
}

// skip passes over s if it comes next.
func (c *cursor) skip(s string) bool {
	if len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

func (c *cursor) literal(s string) { c.ok = c.ok && c.skip(s) }

func (c *cursor) at(b byte) bool { return len(c.rest) > 0 && c.rest[0] == b }

func (c *cursor) next(b byte) bool {
	if !c.at(b) {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cursor) id() (id blob.ID) {
	if !c.ok || len(c.rest) < 2*blob.IDSize {
		c.ok = false
		return id
	}
	c.ok = id.Decode(c.rest[:2*blob.IDSize])
	c.rest = c.rest[2*blob.IDSize:]
	return id
}

// number reads a decimal below 4 GiB without sign or leading zeros.
func (c *cursor) number() uint32 {
	n, digits := uint64(0), 0
	for digits < len(c.rest) && c.rest[digits] >= '0' && c.rest[digits] <= '9' && n <= math.MaxUint32 {
		n = n*10 + uint64(c.rest[digits]-'0')
		digits++
	}
	c.ok = c.ok && digits > 0 && n <= math.MaxUint32 && (digits == 1 || c.rest[0] != '0')
	c.rest = c.rest[digits:]
	return uint32(n)
}

package repository

import (
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
	"emrvault/backup/repository/twin"
)

// pairs gathers the plaintext of blobs that lie one behind the other, so that
// two of them, or one and the pack, are hashed in the time of one.
type pairs struct {
	opened  []byte // the compressed form of a blob
	texts   []twin.Text
	entries []pack.Entry
}

// pairRoom is how much plaintext is gathered; a longer blob comes alone.
const pairRoom = 2 << 20

// readPairs proves the blobs of a range and takes the range into the pack's
// hash.
func (p *packProof) readPairs(id blob.ID, sealed []byte, entries []pack.Entry, sum *twin.Stream) {
	taken := 0
	p.plain = room(p.plain, pairRoom)[:0]
	for _, e := range entries {
		at := int(e.Offset - entries[0].Offset)
		part := sealed[at : at+int(e.Length)]
		need := len(part) + slack
		if e.Compressed() {
			need = min(int(e.Plain), maxRatio*len(part)) + slack
		}
		if len(p.plain)+need > cap(p.plain) {
			taken += p.provePairs(id, sealed[taken:], at-taken, sum)
			p.plain = room(p.plain, need)[:0]
		}
		p.gather(id, part, e)
	}
	taken += p.provePairs(id, sealed[taken:], len(sealed)-taken, sum)
	_, _ = sum.Write(sealed[taken:]) // it never fails
}

// gather opens and expands a blob behind those gathered so far. sealed stays
// as it is, for the pack's hash.
func (p *packProof) gather(id blob.ID, sealed []byte, e pack.Entry) {
	start, into := len(p.plain), &p.plain
	if e.Compressed() {
		p.pairs.opened = room(p.pairs.opened, len(sealed))[:0]
		into = &p.pairs.opened
	}
	content, err := p.repo.key.Open(*into, sealed)
	if err == nil && e.Compressed() {
		content, err = p.repo.codec.expand(p.plain, content, int(e.Plain))
	}
	if err != nil {
		p.damaged(id, e, fmt.Errorf("%s: %w", e.Handle, err))
		return
	}
	p.plain = content
	p.pairs.texts = append(p.pairs.texts, twin.NewText(content[start:]))
	p.pairs.entries = append(p.pairs.entries, e)
}

// provePairs hashes what was gathered beside the first must bytes of next, and
// tells how many of those the pack's hash has taken in.
func (p *packProof) provePairs(id blob.ID, next []byte, must int, sum *twin.Stream) (taken int) {
	taken = twin.Run(p.pairs.texts, sum, next, max(0, must))
	for i, e := range p.pairs.entries {
		if p.pairs.texts[i].Sum() != e.Handle.ID {
			p.damaged(id, e, fmt.Errorf("%s: content does not hash to its name: %w", e.Handle, backup.ErrDamaged))
		}
	}
	p.plain, p.pairs.texts, p.pairs.entries = p.plain[:0], p.pairs.texts[:0], p.pairs.entries[:0]
	return taken
}

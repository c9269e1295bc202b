package index

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// MaxBlobs is how many blobs one index document may list before it is ended.
const MaxBlobs = 50_000

// Encode writes an index document. Its shape is so simple, and it is so long,
// that it is written by hand.
func Encode(packs []Pack) []byte {
	size := 64
	for _, p := range packs {
		size += 128 + 176*len(p.Entries)
	}
	text := append(make([]byte, 0, size), `{"packs":[`...)
	for i, p := range packs {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendPack(text, p)
	}
	return append(text, "]}\n"...)
}

func appendPack(text []byte, p Pack) []byte {
	text = append(text, `{"id":"`...)
	text = hex.AppendEncode(text, p.ID[:])
	text = append(text, `","blobs":[`...)
	for i, e := range p.Entries {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendEntry(text, e)
	}
	return append(text, "]}"...)
}

func appendEntry(text []byte, e pack.Entry) []byte {
	text = append(text, `{"id":"`...)
	text = hex.AppendEncode(text, e.Handle.ID[:])
	text = append(text, `","type":"`...)
	text = append(text, e.Handle.Type.String()...)
	text = append(text, `","offset":`...)
	text = strconv.AppendUint(text, uint64(e.Offset), 10)
	text = append(text, `,"length":`...)
	text = strconv.AppendUint(text, uint64(e.Length), 10)
	if e.Compressed() {
		text = append(text, `,"uncompressed_length":`...)
		text = strconv.AppendUint(text, uint64(e.Plain), 10)
	}
	return append(text, '}')
}

// document is what readers accept; "supersedes" and unknown fields are passed
// over.
type document struct {
	Packs []struct {
		ID    *blob.ID `json:"id"`
		Blobs []struct {
			ID     *blob.ID   `json:"id"`
			Type   *blob.Type `json:"type"`
			Offset uint32     `json:"offset"`
			Length uint32     `json:"length"`
			Plain  uint32     `json:"uncompressed_length"`
		} `json:"blobs"`
	} `json:"packs"`
}

// Decode reads an index document and refuses whatever cannot be true.
func Decode(text []byte) ([]Pack, error) { return new(Reader).Decode(text) }

// Reader decodes one document after the other in the same memory.
type Reader struct {
	packs   []Pack
	entries []pack.Entry
}

// Decode is Decode; what it gives is good until the next call.
func (r *Reader) Decode(text []byte) ([]Pack, error) {
	if r.quick(text) {
		return r.packs, nil
	}
	return decode(text)
}

// decode reads any JSON of the right shape.
func decode(text []byte) ([]Pack, error) {
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("index is no JSON as expected: %w: %w", backup.ErrDamaged, err)
	}
	packs := make([]Pack, len(doc.Packs))
	for i, p := range doc.Packs {
		if p.ID == nil {
			return nil, fmt.Errorf("pack %d has no id: %w", i, backup.ErrDamaged)
		}
		packs[i] = Pack{ID: *p.ID, Entries: make([]pack.Entry, len(p.Blobs))}
		for j, b := range p.Blobs {
			if b.ID == nil || b.Type == nil {
				return nil, fmt.Errorf("blob %d of pack %s has no id or type: %w", j, p.ID.Short(), backup.ErrDamaged)
			}
			e := pack.Entry{Handle: blob.Handle{Type: *b.Type, ID: *b.ID}, Offset: b.Offset, Length: b.Length, Plain: b.Plain}
			if err := e.Check(); err != nil {
				return nil, fmt.Errorf("pack %s: %w", p.ID.Short(), err)
			}
			packs[i].Entries[j] = e
		}
	}
	return packs, nil
}

package index

import (
	"encoding/binary"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/repository/pack"
)

// The compact form of an index document is what this machine keeps of it: a
// quarter of the length of the JSON, and nothing to parse. All numbers are
// little-endian, four bytes:
//
//	version, packs, blobs
//	each pack:  id, blobs, end of the last blob, 1 if lengths follow
//	            each blob: id, offset, plain length and type
//	            each length, if blobs overlap or leave gaps
const (
	compactVersion = 1
	compactHead    = 3 * 4
	compactPack    = blob.IDSize + 3*4
	compactBlob    = blob.IDSize + 2*4
)

// AppendCompact appends the compact form of a document.
func AppendCompact(dst []byte, packs []Pack) []byte {
	head := len(dst)
	dst = append(dst, make([]byte, compactHead)...)
	blobs := 0
	for _, p := range packs {
		dst = appendCompactPack(dst, p.ID, ascending(p.Entries))
		blobs += len(p.Entries)
	}
	binary.LittleEndian.PutUint32(dst[head:], compactVersion)
	binary.LittleEndian.PutUint32(dst[head+4:], uint32(len(packs)))
	binary.LittleEndian.PutUint32(dst[head+8:], uint32(blobs))
	return dst
}

func appendCompactPack(dst []byte, id blob.ID, entries []pack.Entry) []byte {
	end, straight := straight(entries)
	odd := uint32(1)
	if straight {
		odd = 0
	}
	dst = append(dst, id[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(entries)))
	dst = binary.LittleEndian.AppendUint32(dst, end)
	dst = binary.LittleEndian.AppendUint32(dst, odd)
	for _, e := range entries {
		dst = append(dst, e.Handle.ID[:]...)
		dst = binary.LittleEndian.AppendUint32(dst, e.Offset)
		dst = binary.LittleEndian.AppendUint32(dst, e.Plain|uint32(e.Handle.Type)<<31)
	}
	for i := 0; !straight && i < len(entries); i++ {
		dst = binary.LittleEndian.AppendUint32(dst, entries[i].Length)
	}
	return dst
}

// CompactBlobs tells about how many blobs a compact form of that length lists.
func CompactBlobs(length int64) int { return int(length / compactBlob) }

// AddCompact adds the packs of a compact form. One that is damaged is refused
// whole; that a pack is listed twice with different blobs is an error as with
// Add, after which the index must not be used.
func (x *Index) AddCompact(data []byte) error {
	if err := eachCompact(data, compactPart.check); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return eachCompact(data, x.addPart)
}

// compactPart is one pack of a compact form.
type compactPart struct {
	id      blob.ID
	count   int
	end     uint32
	records []byte
	lengths []byte // only of an odd pack
}

var errCompact = fmt.Errorf("compact form of an index: %w", backup.ErrDamaged)

func eachCompact(data []byte, fn func(compactPart) error) error {
	if len(data) < compactHead || binary.LittleEndian.Uint32(data) != compactVersion {
		return errCompact
	}
	packs, rest := binary.LittleEndian.Uint32(data[4:]), data[compactHead:]
	for range packs {
		if len(rest) < compactPack {
			return errCompact
		}
		head := rest[blob.IDSize:compactPack]
		p := compactPart{id: blob.ID(rest[:blob.IDSize]), end: binary.LittleEndian.Uint32(head[4:])}
		count, odd := uint64(binary.LittleEndian.Uint32(head)), uint64(binary.LittleEndian.Uint32(head[8:]))
		rest = rest[compactPack:]
		if odd > 1 || count*(compactBlob+4*odd) > uint64(len(rest)) {
			return errCompact
		}
		p.count = int(count)
		p.records, rest = rest[:count*compactBlob], rest[count*compactBlob:]
		p.lengths, rest = rest[:4*count*odd], rest[4*count*odd:]
		if err := fn(p); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return errCompact
	}
	return nil
}

// entry reads blob i.
func (p compactPart) entry(i int) pack.Entry {
	offset, plain := p.numbers(i)
	e := pack.Entry{
		Handle: blob.Handle{Type: blob.Type(plain >> 31), ID: blob.ID(p.records[i*compactBlob:])},
		Offset: offset, Plain: plain &^ typeBit,
	}
	switch {
	case len(p.lengths) > 0:
		e.Length = binary.LittleEndian.Uint32(p.lengths[4*i:])
	case i+1 < p.count:
		next, _ := p.numbers(i + 1)
		e.Length = next - e.Offset
	default:
		e.Length = p.end - e.Offset
	}
	return e
}

func (p compactPart) numbers(i int) (offset, plain uint32) {
	at := p.records[i*compactBlob+blob.IDSize:]
	return binary.LittleEndian.Uint32(at), binary.LittleEndian.Uint32(at[4:])
}

func (p compactPart) entries() []pack.Entry {
	list := make([]pack.Entry, p.count)
	for i := range list {
		list[i] = p.entry(i)
	}
	return list
}

// check refuses what cannot be true.
func (p compactPart) check() error {
	if len(p.lengths) > 0 {
		for _, e := range p.entries() {
			if err := e.Check(); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range p.count {
		offset, plain := p.numbers(i)
		next := p.end
		if i+1 < p.count {
			next, _ = p.numbers(i + 1)
		}
		if next < offset || next-offset < crypto.Overhead || plain&^typeBit > pack.MaxBlob ||
			plain&^typeBit == 0 && next-offset > pack.MaxBlob+crypto.Overhead {
			return errCompact
		}
	}
	return nil
}

// addPart is Add for a pack of a compact form.
func (x *Index) addPart(p compactPart) error {
	known, err := x.known(p.id, p.entries)
	if known || err != nil {
		return err
	}
	t, err := x.begin(p.id, p.count)
	if err != nil {
		return err
	}
	for i := range p.count {
		r := t.record(x.count + uint32(i))
		r.id = blob.ID(p.records[i*compactBlob:])
		r.offset, r.plain = p.numbers(i)
	}
	x.packs.last().end = p.end
	if len(p.lengths) > 0 {
		x.packs.keepOdd(ascending(p.entries()))
	}
	x.land(t, p.count)
	return nil
}

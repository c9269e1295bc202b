// Package index knows where every blob lies.
//
// On disk the index is a handful of JSON documents, each listing whole packs.
// In memory it is one table: a record of 48 bytes for each blob in pages that
// never move, and beside it an open-addressing table of record numbers, kept
// at most seven eighths full. Together that is 53 to 58 bytes a blob, so a
// terabyte in pieces of 1 MiB takes about 60 MB.
//
// A blob may lie in several packs; every copy is kept, because when one is
// damaged another can be read.
package index

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// Pack is a pack and all the blobs in it.
type Pack struct {
	ID      blob.ID
	Entries []pack.Entry
}

// Location tells where one copy of a blob lies.
type Location struct {
	Pack blob.ID
	pack.Entry
}

// Index may be used by many goroutines at once.
type Index struct {
	mu     sync.RWMutex
	pages  [][]record
	count  uint32
	slots  []uint32 // record number plus one; 0 is free
	packs  []span
	byPack map[blob.ID]uint32
}

// record is one copy of one blob. The type is the top bit of pack.
type record struct {
	id                          blob.ID
	pack, offset, length, plain uint32
}

// span is where the records of a pack are; they lie together.
type span struct {
	id           blob.ID
	first, count uint32
}

const (
	pageSize = 4096
	typeBit  = 1 << 31
	// maxRecords keeps record numbers in 31 bits: 2 billion blobs.
	maxRecords = typeBit - 1
)

// New makes an empty index.
func New() *Index {
	return &Index{slots: make([]uint32, 1024), byPack: make(map[blob.ID]uint32)}
}

// Add puts a pack in. A pack that is there already with the same blobs is
// passed over; with other blobs it is an error, because one of the two lists
// must be wrong, and the first one stays.
func (x *Index) Add(p Pack) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, ok := x.byPack[p.ID]; ok {
		if slices.Equal(x.entries(x.packs[n]), p.Entries) {
			return nil
		}
		return fmt.Errorf("pack %s is listed twice with different blobs: %w", p.ID.Short(), backup.ErrDamaged)
	}
	if uint64(x.count)+uint64(len(p.Entries)) > maxRecords {
		return fmt.Errorf("more than %d blobs: %w", maxRecords, backup.ErrUnsupported)
	}
	number := uint32(len(x.packs))
	x.byPack[p.ID] = number
	x.packs = append(x.packs, span{id: p.ID, first: x.count, count: uint32(len(p.Entries))})
	for _, e := range p.Entries {
		x.insert(record{
			id: e.Handle.ID, pack: number | uint32(e.Handle.Type)<<31,
			offset: e.Offset, length: e.Length, plain: e.Plain,
		})
	}
	return nil
}

func (x *Index) insert(r record) {
	if uint64(x.count) >= uint64(len(x.slots))/8*7 {
		x.grow()
	}
	if x.count%pageSize == 0 {
		x.pages = append(x.pages, make([]record, 0, pageSize))
	}
	last := len(x.pages) - 1
	x.pages[last] = append(x.pages[last], r)
	x.count++
	x.place(r.id, x.count)
}

// place writes a record number into the first free slot. Ids are hashes, so
// their first bytes are as good as any hash of them.
func (x *Index) place(id blob.ID, number uint32) {
	mask := uint64(len(x.slots) - 1)
	at := binary.LittleEndian.Uint64(id[:]) & mask
	for x.slots[at] != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = number
}

func (x *Index) grow() {
	x.slots = make([]uint32, 2*len(x.slots))
	for n := range x.count {
		x.place(x.record(n).id, n+1)
	}
}

func (x *Index) record(n uint32) *record { return &x.pages[n/pageSize][n%pageSize] }

func (r *record) entry() pack.Entry {
	return pack.Entry{
		Handle: blob.Handle{Type: blob.Type(r.pack >> 31), ID: r.id},
		Offset: r.offset, Length: r.length, Plain: r.plain,
	}
}

// visit calls fn for every copy until fn returns false.
func (x *Index) visit(h blob.Handle, fn func(*record) bool) {
	mask := uint64(len(x.slots) - 1)
	for at := binary.LittleEndian.Uint64(h.ID[:]) & mask; x.slots[at] != 0; at = (at + 1) & mask {
		r := x.record(x.slots[at] - 1)
		if r.id == h.ID && blob.Type(r.pack>>31) == h.Type && !fn(r) {
			return
		}
	}
}

// Has tells whether any copy is known.
func (x *Index) Has(h blob.Handle) (found bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.visit(h, func(*record) bool { found = true; return false })
	return found
}

// First finds the copy that was added first.
func (x *Index) First(h blob.Handle) (at Location, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.visit(h, func(r *record) bool { at, ok = x.location(r), true; return false })
	return at, ok
}

// Copies finds every copy.
func (x *Index) Copies(h blob.Handle) (all []Location) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.visit(h, func(r *record) bool { all = append(all, x.location(r)); return true })
	return all
}

func (x *Index) location(r *record) Location {
	return Location{Pack: x.packs[r.pack&^typeBit].id, Entry: r.entry()}
}

// In finds the copy that lies in a certain pack.
func (x *Index) In(packID blob.ID, h blob.Handle) (e pack.Entry, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	number, known := x.byPack[packID]
	if !known {
		return e, false
	}
	x.visit(h, func(r *record) bool {
		if r.pack&^typeBit == number {
			e, ok = r.entry(), true
		}
		return !ok
	})
	return e, ok
}

// Len counts records: blobs, each copy for itself.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return int(x.count)
}

// PackIDs lists the packs.
func (x *Index) PackIDs() []blob.ID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := make([]blob.ID, len(x.packs))
	for i, p := range x.packs {
		ids[i] = p.id
	}
	return ids
}

// HasPack tells whether a pack is listed.
func (x *Index) HasPack(id blob.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.byPack[id]
	return ok
}

// Pack lists the blobs of one pack as they were added; nil if it is unknown.
func (x *Index) Pack(id blob.ID) []pack.Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, ok := x.byPack[id]
	if !ok {
		return nil
	}
	return x.entries(x.packs[n])
}

func (x *Index) entries(s span) []pack.Entry {
	list := make([]pack.Entry, s.count)
	for i := range list {
		list[i] = x.record(s.first + uint32(i)).entry()
	}
	return list
}

// Package index knows where every blob lies.
//
// On disk the index is a handful of JSON documents, each listing whole packs.
// In memory it is one table. A record of 40 bytes for each blob lies in pages
// that never move: its id, the offset in its pack, its type and the length of
// its plaintext. The records of a pack lie together in the order of their
// offsets, so the sealed length is the way to the next one, and the pack is
// found by the record's number. Beside it cells of four bytes lead from ids to
// records; between 53 and 80 of 100 are in use. With packs of 16 blobs or more
// that is at most 52 bytes a blob, at any number of them.
//
// Has, which a backup asks for every piece, takes no lock: records are written
// before a cell leads to them, and neither is changed afterwards.
//
// A blob may lie in several packs; every copy is kept, because when one is
// damaged another can be read.
package index

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
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
	table atomic.Pointer[table]

	mu    sync.RWMutex // of all that follows
	count uint32
	packs packs
}

// record is one copy of one blob.
type record struct {
	id     blob.ID
	offset uint32
	plain  uint32 // as in pack.Entry; the top bit is the type
}

const (
	pageSize = 1024 // 40 KiB, a whole number of the runtime's pages
	typeBit  = 1 << 31
	minRoom  = 1024
	// maxRecords keeps record numbers in 31 bits: 2 billion blobs.
	maxRecords = typeBit - 2
)

type page [pageSize]record

// table is what readers see without a lock. pages has a place for every page
// that the slots have room for; those are filled in before a cell leads there.
type table struct {
	*slots
	pages []*page
}

func newTable(room uint32) *table {
	return &table{slots: newSlots(room), pages: make([]*page, (uint64(room)+pageSize-1)/pageSize)}
}

func (t *table) record(n uint32) *record { return &t.pages[n/pageSize][n%pageSize] }

func (r *record) kind() blob.Type { return blob.Type(r.plain >> 31) }

// match gives the number of the next copy of a blob.
func (t *table) match(f *search, h *blob.Handle) (n uint32, ok bool) {
	for n, ok = t.next(f); ok; n, ok = t.next(f) {
		if r := t.record(n); r.id == h.ID && r.kind() == h.Type {
			return n, true
		}
	}
	return 0, false
}

// New makes an empty index.
func New() *Index {
	x := &Index{packs: newPacks()}
	x.table.Store(newTable(minRoom))
	return x
}

// Reserve makes room for so many more blobs at once, which spares growing by
// steps.
func (x *Index) Reserve(blobs int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	need := min(maxRecords, uint64(x.count)+uint64(max(0, blobs)))
	if t := x.table.Load(); need > uint64(t.room) {
		x.rebuild(uint32(need))
	}
}

// rebuild makes a table with more room over the same pages.
func (x *Index) rebuild(room uint32) *table {
	t := newTable(room)
	copy(t.pages, x.table.Load().pages)
	for n := range x.count {
		t.put(&t.record(n).id, n)
	}
	x.table.Store(t)
	return t
}

// Add puts a pack in. A pack that is there already with the same blobs is
// passed over; with other blobs it is an error, because one of the two lists
// must be wrong, and the first one stays.
func (x *Index) Add(p Pack) error {
	entries := ascending(p.Entries)
	x.mu.Lock()
	defer x.mu.Unlock()
	known, err := x.known(p.ID, func() []pack.Entry { return entries })
	if known || err != nil {
		return err
	}
	t, err := x.begin(p.ID, len(entries))
	if err != nil {
		return err
	}
	for i, e := range entries {
		r := t.record(x.count + uint32(i))
		r.id, r.offset, r.plain = e.Handle.ID, e.Offset, e.Plain|uint32(e.Handle.Type)<<31
	}
	if end, straight := straight(entries); straight {
		x.packs.last().end = end
	} else {
		x.packs.keepOdd(entries)
	}
	x.land(t, len(entries))
	return nil
}

// ascending gives the entries in the order of their offsets.
func ascending(entries []pack.Entry) []pack.Entry {
	byOffset := func(a, b pack.Entry) int { return int(int64(a.Offset) - int64(b.Offset)) }
	if slices.IsSortedFunc(entries, byOffset) {
		return entries
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, byOffset)
	return entries
}

// straight tells whether each entry begins where the one before it ends, and
// where the last one ends.
func straight(entries []pack.Entry) (end uint32, ok bool) {
	for i, e := range entries {
		if i > 0 && e.Offset != end || uint64(e.Offset)+uint64(e.Length) >= 1<<32 {
			return 0, false
		}
		end = e.Offset + e.Length
	}
	return end, true
}

// known tells whether a pack is there, and refuses another list of it.
func (x *Index) known(id blob.ID, entries func() []pack.Entry) (bool, error) {
	n, ok := x.packs.find(id)
	if !ok {
		return false, nil
	}
	if !slices.Equal(x.entries(n), entries()) {
		return true, fmt.Errorf("pack %s is listed twice with different blobs: %w", id.Short(), backup.ErrDamaged)
	}
	return true, nil
}

// begin makes a pack and room for its records, which land makes visible.
func (x *Index) begin(id blob.ID, count int) (*table, error) {
	need := uint64(x.count) + uint64(count)
	if need > maxRecords {
		return nil, fmt.Errorf("more than %d blobs: %w", maxRecords, backup.ErrUnsupported)
	}
	t := x.table.Load()
	if need > uint64(t.room) {
		t = x.rebuild(grown(t.room, uint32(need)))
	}
	x.packs.add(id, x.count)
	for n := (uint64(x.count) + pageSize - 1) / pageSize; n*pageSize < need; n++ {
		t.pages[n] = new(page)
		x.packs.page()
	}
	return t, nil
}

func (x *Index) land(t *table, count int) {
	for range count {
		t.put(&t.record(x.count).id, x.count)
		x.count++
	}
}

// Has tells whether any copy is known.
func (x *Index) Has(h blob.Handle) bool {
	t := x.table.Load()
	f := t.find(&h.ID)
	_, ok := t.match(&f, &h)
	return ok
}

// First finds the copy that was added first.
func (x *Index) First(h blob.Handle) (at Location, ok bool) {
	x.visit(h, func(n uint32) bool { at, ok = x.location(n), true; return false })
	return at, ok
}

// Copies finds every copy.
func (x *Index) Copies(h blob.Handle) (all []Location) {
	x.visit(h, func(n uint32) bool { all = append(all, x.location(n)); return true })
	return all
}

// In finds the copy that lies in a certain pack.
func (x *Index) In(packID blob.ID, h blob.Handle) (e pack.Entry, ok bool) {
	x.visit(h, func(n uint32) bool {
		if in := x.packs.holding(n); x.packs.rows[in].id == packID {
			e, ok = x.entry(in, n), true
		}
		return !ok
	})
	return e, ok
}

// visit calls fn for every copy until fn returns false.
func (x *Index) visit(h blob.Handle, fn func(n uint32) bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	t := x.table.Load()
	f := t.find(&h.ID)
	for n, ok := t.match(&f, &h); ok && fn(n); n, ok = t.match(&f, &h) {
	}
}

// PlainSize tells the length of a blob's plaintext.
func (x *Index) PlainSize(h blob.Handle) (size int, ok bool) {
	t := x.table.Load()
	f := t.find(&h.ID)
	n, ok := t.match(&f, &h)
	if !ok {
		return 0, false
	}
	if plain := t.record(n).plain &^ typeBit; plain > 0 {
		return int(plain), true
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return int(x.entry(x.packs.holding(n), n).Length) - crypto.Overhead, true
}

func (x *Index) location(n uint32) Location {
	in := x.packs.holding(n)
	return Location{Pack: x.packs.rows[in].id, Entry: x.entry(in, n)}
}

// entry reads record n, which lies in a certain pack.
func (x *Index) entry(in int, n uint32) pack.Entry {
	if odd, ok := x.packs.odd[uint32(in)]; ok {
		return odd[n-x.packs.rows[in].first]
	}
	t := x.table.Load()
	r, end := t.record(n), x.packs.rows[in].end
	if n+1 < x.packs.until(in, x.count) {
		end = t.record(n + 1).offset
	}
	return pack.Entry{
		Handle: blob.Handle{Type: r.kind(), ID: r.id},
		Offset: r.offset, Length: end - r.offset, Plain: r.plain &^ typeBit,
	}
}

// entries lists the blobs of a pack.
func (x *Index) entries(in int) []pack.Entry {
	first, until := x.packs.rows[in].first, x.packs.until(in, x.count)
	list := make([]pack.Entry, until-first)
	for i := range list {
		list[i] = x.entry(in, first+uint32(i))
	}
	return list
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
	ids := make([]blob.ID, len(x.packs.rows))
	for i := range ids {
		ids[i] = x.packs.rows[i].id
	}
	return ids
}

// HasPack tells whether a pack is listed.
func (x *Index) HasPack(id blob.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.packs.find(id)
	return ok
}

// PackEnd tells where in a pack the last of its blobs ends; 0 if it is unknown.
func (x *Index) PackEnd(id blob.ID) (end uint32) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, ok := x.packs.find(id)
	if !ok {
		return 0
	}
	end = x.packs.rows[n].end
	for _, e := range x.packs.odd[uint32(n)] {
		end = max(end, e.Offset+e.Length)
	}
	return end
}

// Pack lists the blobs of one pack in the order of their offsets; nil if it is
// unknown.
func (x *Index) Pack(id blob.ID) []pack.Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, ok := x.packs.find(id)
	if !ok {
		return nil
	}
	return x.entries(n)
}

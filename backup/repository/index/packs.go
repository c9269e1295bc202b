package index

import (
	"slices"
	"sort"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// packs is the table of packs, in the order in which they were added, which is
// also that of their records.
type packs struct {
	rows []row
	byID *slots
	// starts gives for each page of records the pack of its first record.
	starts []uint32
	// odd holds the blobs of packs whose blobs overlap or leave gaps, which
	// only a stranger's index says.
	odd map[uint32][]pack.Entry
}

// row is a pack: where its records begin, and where in the pack the last of
// its blobs ends.
type row struct {
	id         blob.ID
	first, end uint32
}

func newPacks() packs {
	const few = 64
	return packs{byID: newSlots(few), odd: map[uint32][]pack.Entry{}}
}

func (p *packs) find(id blob.ID) (n int, ok bool) {
	f := p.byID.find(&id)
	for n, ok := p.byID.next(&f); ok; n, ok = p.byID.next(&f) {
		if p.rows[n].id == id {
			return int(n), true
		}
	}
	return 0, false
}

// add makes a pack whose records begin at a number.
func (p *packs) add(id blob.ID, first uint32) {
	if n := len(p.rows); n == cap(p.rows) { // an eighth more, for there may be millions
		p.rows = append(make([]row, 0, n+n/8+64), p.rows...)
	}
	p.rows = append(p.rows, row{id: id, first: first})
	if uint64(len(p.rows)) > uint64(p.byID.room) {
		p.byID = newSlots(grown(p.byID.room, uint32(len(p.rows))))
		for n := range p.rows[:len(p.rows)-1] {
			p.byID.put(&p.rows[n].id, uint32(n))
		}
	}
	p.byID.put(&id, uint32(len(p.rows)-1))
}

// page notes that a page of records begins within the last pack.
func (p *packs) page() { p.starts = append(p.starts, uint32(len(p.rows)-1)) }

func (p *packs) last() *row { return &p.rows[len(p.rows)-1] }

func (p *packs) keepOdd(entries []pack.Entry) {
	p.odd[uint32(len(p.rows)-1)] = slices.Clone(entries)
}

// holding finds the pack of a record: the last one that begins at or before it.
func (p *packs) holding(n uint32) int {
	from, to := int(p.starts[n/pageSize]), len(p.rows)
	if next := int(n/pageSize) + 1; next < len(p.starts) {
		to = int(p.starts[next]) + 1
	}
	return from + sort.Search(to-from, func(i int) bool { return p.rows[from+i].first > n }) - 1
}

// until is the number behind the last record of a pack.
func (p *packs) until(in int, count uint32) uint32 {
	if in+1 < len(p.rows) {
		return p.rows[in+1].first
	}
	return count
}

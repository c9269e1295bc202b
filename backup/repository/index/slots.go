package index

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"emrvault/backup/repository/blob"
)

// slots finds numbers by id: open addressing in cells of four bytes. Ids are
// hashes, so eight of their bytes are as good as any hash of them.
//
// As many bits of a cell as are needed hold a number plus one; zero is free.
// The others hold bits of the id, so that a search hardly ever looks at the
// record of another id.
//
// One goroutine may put while others search: a cell is written once, after
// what its number stands for.
type slots struct {
	cells  []uint32
	number uint32 // mask of the bits that hold the number
	room   uint32 // how many numbers it takes
}

// newSlots makes slots of which room use four fifths.
func newSlots(room uint32) *slots {
	return &slots{
		cells:  make([]uint32, uint64(room)/4*5+8),
		number: uint32(1)<<bits.Len32(room) - 1,
		room:   room,
	}
}

// grown is the room of the slots that follow those of a full room, of at least
// need. A half more costs memory for a short time only, while both are there.
func grown(room, need uint32) uint32 {
	return uint32(min(uint64(maxRecords), max(minRoom, uint64(room)/2*3, uint64(need))))
}

// search is where a search has come to.
type search struct {
	at  uint64
	tag uint32
}

func (s *slots) find(id *blob.ID) search {
	at, _ := bits.Mul64(binary.LittleEndian.Uint64(id[:8]), uint64(len(s.cells)))
	return search{at: at, tag: binary.LittleEndian.Uint32(id[8:12]) &^ s.number}
}

// next gives the next number that may be the id's.
func (s *slots) next(f *search) (number uint32, ok bool) {
	for {
		cell := atomic.LoadUint32(&s.cells[f.at])
		if cell == 0 {
			return 0, false
		}
		if f.at++; f.at == uint64(len(s.cells)) {
			f.at = 0
		}
		if cell&^s.number == f.tag {
			return cell&s.number - 1, true
		}
	}
}

// put writes a number into the first free cell. There must be one.
func (s *slots) put(id *blob.ID, number uint32) {
	f := s.find(id)
	for s.cells[f.at] != 0 {
		if f.at++; f.at == uint64(len(s.cells)) {
			f.at = 0
		}
	}
	atomic.StoreUint32(&s.cells[f.at], f.tag|(number+1))
}

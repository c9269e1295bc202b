package repository

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"emrvault/backup/repository/blob"
)

// rollingBook remembers when each pack was verified.
//
// As bytes: a version (1), the time of the last run in seconds since 1970 as
// eight bytes, then 36 bytes a pack: its id, and a number of four bytes whose
// top bit says that it was read; the others are the minutes since 1970 when it
// was read or, before that, when it was first seen. All little-endian.
type rollingBook struct {
	last  time.Time
	packs map[blob.ID]rollingStamp
}

type rollingStamp struct {
	when time.Time
	read bool
}

const (
	rollingVersion = 1
	rollingHead    = 1 + 8
	rollingRecord  = blob.IDSize + 4
	rollingRead    = 1 << 31
)

// readRollingBook reads a book; what is no book is an empty one.
func readRollingBook(data []byte) *rollingBook {
	b := &rollingBook{packs: make(map[blob.ID]rollingStamp)}
	if len(data) < rollingHead || data[0] != rollingVersion || (len(data)-rollingHead)%rollingRecord != 0 {
		return b
	}
	if seconds := int64(binary.LittleEndian.Uint64(data[1:])); seconds > 0 && seconds < 1<<37 {
		b.last = time.Unix(seconds, 0)
	}
	for rest := data[rollingHead:]; len(rest) > 0; rest = rest[rollingRecord:] {
		minutes := binary.LittleEndian.Uint32(rest[blob.IDSize:])
		b.packs[blob.ID(rest[:blob.IDSize])] = rollingStamp{
			when: time.Unix(60*int64(minutes&^rollingRead), 0), read: minutes&rollingRead != 0,
		}
	}
	return b
}

func (b *rollingBook) encode() []byte {
	data := make([]byte, rollingHead, rollingHead+len(b.packs)*rollingRecord)
	data[0] = rollingVersion
	if !b.last.IsZero() {
		binary.LittleEndian.PutUint64(data[1:], uint64(b.last.Unix()))
	}
	for id, s := range b.packs {
		minutes := uint32(s.when.Unix()/60) &^ rollingRead
		if s.read {
			minutes |= rollingRead
		}
		data = append(data, id[:]...)
		data = binary.LittleEndian.AppendUint32(data, minutes)
	}
	return data
}

// verified enters a pack that was read.
func (b *rollingBook) verified(id blob.ID, now time.Time) {
	b.packs[id] = rollingStamp{when: now.Truncate(time.Minute), read: true}
}

// firstInterval is assumed until two runs have shown how far they are apart.
const firstInterval = 24 * time.Hour

// choose lists the packs to read now, in order. Those that would be overdue
// before the next run come first, then those that were never read, then the
// oldest, until the share of all bytes is reached that falls to this run.
//
// Dates that lie ahead come from a wrong clock and count for nothing.
func (b *rollingBook) choose(now time.Time, every time.Duration, sizes map[blob.ID]int64) []blob.ID {
	interval := now.Sub(b.last)
	if b.last.IsZero() || interval <= 0 {
		interval = firstInterval
	}
	interval = min(interval, every)
	b.follow(now, sizes)
	ids := b.order(now.Add(interval-every), sizes)
	var total, sum int64
	for _, size := range sizes {
		total += size
	}
	share := int64(float64(total) * float64(interval) / float64(every))
	for i, id := range ids {
		due := !b.packs[id].when.After(now.Add(interval - every))
		if i > 0 && sum >= share && !due {
			return ids[:i]
		}
		sum += sizes[id]
	}
	return ids
}

// follow forgets packs that are gone and notes new ones.
func (b *rollingBook) follow(now time.Time, sizes map[blob.ID]int64) {
	for id := range b.packs {
		if _, there := sizes[id]; !there {
			delete(b.packs, id)
		}
	}
	for id := range sizes {
		if s, known := b.packs[id]; !known || s.when.After(now) {
			b.packs[id] = rollingStamp{when: now.Truncate(time.Minute)}
		}
	}
}

// order sorts packs by how much they want to be read. Whatever was not read
// since limit is due.
func (b *rollingBook) order(limit time.Time, sizes map[blob.ID]int64) []blob.ID {
	ids := make([]blob.ID, 0, len(sizes))
	for id := range sizes {
		ids = append(ids, id)
	}
	rank := func(s rollingStamp) int {
		switch {
		case !s.when.After(limit):
			return 0
		case !s.read:
			return 1
		}
		return 2
	}
	slices.SortFunc(ids, func(x, y blob.ID) int {
		a, c := b.packs[x], b.packs[y]
		return cmp.Or(rank(a)-rank(c), a.when.Compare(c.when), x.Compare(y))
	})
	return ids
}

package repository

import (
	"reflect"
	"testing"
	"time"

	"emrvault/backup/repository/blob"
)

func TestRollingBookComesBack(t *testing.T) {
	now := time.Unix(1_795_000_020, 0)
	b := readRollingBook(nil)
	b.last = now
	b.verified(blob.Hash([]byte("a")), now)
	b.packs[blob.Hash([]byte("b"))] = rollingStamp{when: now.Truncate(time.Minute)}
	if got := readRollingBook(b.encode()); !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, want %+v", got, b)
	}
}

// Dates from a clock that ran ahead count for nothing.
func TestRollingBookPassesOverTheFuture(t *testing.T) {
	now := time.Unix(1_795_000_020, 0)
	id := blob.Hash([]byte("a"))
	b := readRollingBook(nil)
	b.last = now.Add(1000 * time.Hour)
	b.verified(id, now.Add(1000*time.Hour))
	if got := b.choose(now, time.Hour, map[blob.ID]int64{id: 10}); len(got) != 1 || b.packs[id].read {
		t.Errorf("got %v and %+v, want the pack to be read", got, b.packs[id])
	}
}

func FuzzRollingBook(f *testing.F) {
	b := readRollingBook(nil)
	b.verified(blob.Hash([]byte("a")), time.Unix(1_795_000_020, 0))
	f.Add(b.encode())
	f.Add([]byte{rollingVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := readRollingBook(data)
		if again := readRollingBook(b.encode()); !reflect.DeepEqual(again, b) {
			t.Errorf("got %+v, want %+v", again, b)
		}
		sizes := map[blob.ID]int64{{}: 5}
		for id := range b.packs {
			sizes[id] = 1
		}
		if got := b.choose(time.Unix(1_795_000_020, 0), time.Hour, sizes); len(got) == 0 {
			t.Error("nothing is read")
		}
	})
}

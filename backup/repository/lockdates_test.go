package repository

import (
	"maps"
	"strings"
	"testing"
	"time"

	"emrvault/backup/storage"
)

func TestLockDates(t *testing.T) {
	id := strings.Repeat("0f", 32)
	dates := lockDates{}
	for i, kind := range protectedKinds() {
		name := storage.Name{Kind: kind, ID: id}
		if kind == storage.Config {
			name.ID = ""
		}
		d, ok := lockDateOf(name)
		if !ok {
			t.Errorf("%s is not known", name)
		}
		dates[d] = time.Date(2026+i, 11, 22, 0, 0, 0, 0, time.UTC).Unix()
	}
	if got := decodeLockDates(encodeLockDates(dates)); len(got) != 5 || !maps.Equal(got, dates) {
		t.Errorf("got %v, want %v", got, dates)
	}
	for _, name := range []storage.Name{{Kind: storage.Lock, ID: id}, {Kind: storage.Pack}, {Kind: storage.Pack, ID: "xyz"}} {
		if _, ok := lockDateOf(name); ok {
			t.Errorf("%s is taken for a document that is locked", name)
		}
	}
}

// FuzzLockDates proves that what is remembered is read as it was written, and
// anything else as nothing.
func FuzzLockDates(f *testing.F) {
	f.Add([]byte(lockDatesMark))
	f.Add(append([]byte(lockDatesMark), make([]byte, 2*lockDateSize)...))
	f.Add([]byte("something else"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dates := decodeLockDates(data)
		if again := decodeLockDates(encodeLockDates(dates)); !maps.Equal(again, dates) {
			t.Errorf("got %v, want %v", again, dates)
		}
	})
}

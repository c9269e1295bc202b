package storagetest_test

import (
	"errors"
	"testing"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func TestTwinsKeepThePromisesUntilTheyFail(t *testing.T) {
	t.Run("faulty", func(t *testing.T) {
		storagetest.Run(t, func(*testing.T) storage.Storage { return &storagetest.Faulty{Storage: mem.New()} })
	})
	t.Run("slow", func(t *testing.T) {
		storagetest.Run(t, func(*testing.T) storage.Storage {
			return &storagetest.Slow{Storage: mem.New(), Delay: time.Microsecond}
		})
	})
}

func TestFaulty(t *testing.T) {
	doc := func(s string) storage.Name { return storagetest.Document(storage.Pack, []byte(s)) }
	tests := []struct {
		name   string
		faulty *storagetest.Faulty
		fails  []bool // of four saves
		stored int
	}{
		{"never", &storagetest.Faulty{}, []bool{false, false, false, false}, 4},
		{"once, before", &storagetest.Faulty{At: 2}, []bool{false, true, false, false}, 3},
		{"once, after", &storagetest.Faulty{At: 2, Fault: storagetest.After}, []bool{false, true, false, false}, 4},
		{"dead, before", &storagetest.Faulty{At: 2, Dead: true}, []bool{false, true, true, true}, 1},
		{"dead, after", &storagetest.Faulty{At: 2, Fault: storagetest.After, Dead: true}, []bool{false, true, true, true}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner := mem.New()
			tt.faulty.Storage = inner
			for i, fails := range tt.fails {
				data := string(rune('a' + i))
				if err := tt.faulty.Save(t.Context(), doc(data), []byte(data)); errors.Is(err, storagetest.ErrFault) != fails {
					t.Errorf("save %d: got %v, want failure %v", i+1, err, fails)
				}
			}
			stored := 0
			if err := inner.List(t.Context(), storage.Pack, func(storage.Info) error { stored++; return nil }); err != nil {
				t.Fatal(err)
			}
			if stored != tt.stored {
				t.Errorf("%d are stored, want %d", stored, tt.stored)
			}
		})
	}
}

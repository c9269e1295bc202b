package repository_test

import (
	"context"
	"sync"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// bent turns a bit of everything the first time it is read.
type bent struct {
	*mem.Storage
	mu   sync.Mutex
	seen map[string]bool
}

func (b *bent) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	data, err := b.Storage.Load(ctx, name, buf, offset, length)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[name.Path()] && len(data) > 0 {
		b.seen[name.Path()] = true
		data[len(data)/2] ^= 8
	}
	return data, err
}

// What was spoilt on its way, and not where it rests, is no damage.
func TestDamageIsReadTwice(t *testing.T) {
	st, all := twoBackups(t)
	b := &bent{Storage: st, seen: map[string]bool{}}
	r := open(t, b)
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for h, want := range all {
		clear(b.seen)
		if got, err := r.LoadStored(t.Context(), h, nil); err != nil || string(got) != string(want) {
			t.Errorf("%s: got %d bytes, %v", h, len(got), err)
		}
		clear(b.seen)
		pack, _, _, _, _ := r.Locate(h)
		err := r.LoadPack(t.Context(), pack, []blob.Handle{h}, func(_ blob.Handle, plain []byte, err error) error {
			if string(plain) != string(want) {
				t.Errorf("%s in its pack: got %d bytes, %v", h, len(plain), err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	clear(b.seen)
	err := r.CheckStore(t.Context(), repository.CheckOptions{ReadData: true}, func(f repository.Finding) { t.Errorf("found %s", f) }, nil)
	if err != nil {
		t.Error(err)
	}
}

package repository_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// distant is a storage behind a network that counts the packs under way.
type distant struct {
	storage.Storage
	wish      int
	now, most atomic.Int32
}

func (f *distant) Uploads() int { return f.wish }

func (f *distant) Save(ctx context.Context, name storage.Name, data []byte) error {
	if name.Kind != storage.Pack {
		return f.Storage.Save(ctx, name, data)
	}
	now := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.most.Load(); now > most && !f.most.CompareAndSwap(most, now); most = f.most.Load() {
	}
	return f.Storage.Save(ctx, name, data)
}

func TestPacksUnderWay(t *testing.T) {
	const delay = 60 * time.Millisecond
	tests := []struct {
		name string
		wish int
		opts []repository.Option
		want int32
	}{
		{"as the storage asks", 4, nil, 4},
		{"as the person asks", 4, []repository.Option{repository.WithUploads(2)}, 2},
		{"one, for a place that does not ask", 0, nil, 1},
		{"never more than memory bears", 1000, nil, 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			create(t, st)
			place := &distant{Storage: &storagetest.Slow{Storage: st, Delay: delay}, wish: tt.wish}
			c := contents{}
			for i := range 40 {
				c.add(blob.Data, noise(uint64(i), 30_000))
			}
			opts := append([]repository.Option{repository.WithPackSize(50_000)}, tt.opts...)
			began := time.Now()
			write(t, open(t, place, opts...), c)
			if got := place.most.Load(); got != tt.want {
				t.Errorf("got %d packs under way at most, want %d", got, tt.want)
			}
			// 20 packs and the opening; waiting one by one would take 1.2 s.
			if took := time.Since(began); tt.want >= 4 && took > 15*delay+time.Second/2 {
				t.Errorf("took %v: it waits for each pack", took)
			}
			wantSound(t, st, c)
		})
	}
}

// What SaveNow stores is what Save stores.
func TestSaveNowIsSave(t *testing.T) {
	c := sample(5, 30)
	st := mem.New()
	var stats repository.WriteStats
	err := create(t, st).Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		for range 2 {
			for h, plain := range c {
				saved, err := w.SaveNow(ctx, h.Type, plain)
				if err != nil || saved.ID != h.ID {
					t.Errorf("got %s, %v; want %s", saved.ID, err, h.ID)
				}
			}
		}
		stats = w.Stats()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := int(stats.DataBlobs + stats.TreeBlobs); got != len(c) {
		t.Errorf("got %d blobs, want each of %d once", got, len(c))
	}
	wantSound(t, st, c)
}

func TestSavingAfterTheEndIsAnError(t *testing.T) {
	r := create(t, mem.New())
	var late *repository.Writer
	err := r.Write(t.Context(), func(_ context.Context, w *repository.Writer) error {
		late = w
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, save := range map[string]func(context.Context, blob.Type, []byte) (repository.Saved, error){
		"Save": late.Save, "SaveNow": late.SaveNow,
	} {
		if _, err := save(t.Context(), blob.Data, []byte(name)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/chunk"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func TestWriteAndLoad(t *testing.T) {
	tests := []struct {
		name string
		opts []repository.Option
	}{
		{"as usual", nil},
		{"many packs", []repository.Option{repository.WithPackSize(10_000)}},
		{"a pack for each blob", []repository.Option{repository.WithPackSize(1)}},
		{"verified by samples", []repository.Option{repository.WithVerify(repository.VerifySampled)}},
		{"not verified", []repository.Option{repository.WithVerify(repository.VerifyOff)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sample(1, 50)
			c.add(blob.Data, nil)
			c.add(blob.Data, make([]byte, 3<<20))
			c.add(blob.Tree, []byte("x"))
			st := filled(t, c, tt.opts...)
			wantSound(t, st, c)
		})
	}
}

func TestTreesAndDataNeverShareAPack(t *testing.T) {
	st := filled(t, sample(1, 20))
	if _, hints := findings(t, open(t, st)); len(hints) > 0 {
		t.Errorf("got %v, want no hints", hints)
	}
	if got := len(names(t, st, storage.Pack)); got != 2 {
		t.Errorf("got %d packs, want one of trees and one of data", got)
	}
}

func TestBlobsAreStoredOnce(t *testing.T) {
	c := sample(1, 20)
	st := filled(t, c)
	before := len(names(t, st, storage.Pack))
	if stats := write(t, open(t, st), c); stats != (repository.WriteStats{}) {
		t.Errorf("got %+v, want nothing stored", stats)
	}
	if after := len(names(t, st, storage.Pack)); after != before {
		t.Errorf("got %d packs, want still %d", after, before)
	}
}

func TestOneBlobSavedByManyAtOnceIsStoredOnce(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	var fresh atomic.Int32
	err := r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		var wait sync.WaitGroup
		for range 32 {
			wait.Go(func() {
				saved, err := w.Save(ctx, blob.Data, prose(1, 1<<20))
				if err != nil {
					t.Error(err)
				}
				if saved.New {
					fresh.Add(1)
				}
			})
		}
		wait.Wait()
		return nil
	})
	if err != nil || fresh.Load() != 1 {
		t.Errorf("stored %d times, %v; want once", fresh.Load(), err)
	}
	if h := blob.DataHandle(blob.Hash(prose(1, 1<<20))); !r.Has(h) {
		t.Error("the blob is not in the index of the one who wrote it")
	}
}

func TestBufferIsTheCallersAgain(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	c := contents{}
	err := r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		buf := make([]byte, 1000)
		for i := range 200 {
			copy(buf, fmt.Sprintf("record %d", i))
			c.add(blob.Data, bytes.Clone(buf))
			if _, err := w.Save(ctx, blob.Data, buf); err != nil {
				return err
			}
			clear(buf)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, st, c)
}

func TestStats(t *testing.T) {
	st := mem.New()
	stats := write(t, create(t, st), contents{
		blob.DataHandle(blob.Hash(prose(1, 5000))): prose(1, 5000),
		blob.TreeHandle(blob.Hash(prose(2, 700))):  prose(2, 700),
	})
	var packed int64
	for _, name := range names(t, st, storage.Pack) {
		info, err := st.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		packed += info.Size
	}
	want := repository.WriteStats{DataBlobs: 1, TreeBlobs: 1, DataBytes: 5000, TreeBytes: 700, Packed: packed, Packs: 2}
	if stats != want {
		t.Errorf("got %+v, want %+v", stats, want)
	}
}

func TestPacksEndAtTheirSize(t *testing.T) {
	c := contents{}
	for i := range 40 {
		c.add(blob.Data, noise(uint64(i), 1<<20))
	}
	st := filled(t, c)
	for _, name := range names(t, st, storage.Pack) {
		info, err := st.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > pack.Target+2<<20 {
			t.Errorf("%s has %d bytes", name, info.Size)
		}
	}
	if got := len(names(t, st, storage.Pack)); got != 3 {
		t.Errorf("got %d packs for 40 MiB, want 3", got)
	}
}

func TestFailureIsReturnedOnceAndEndsAll(t *testing.T) {
	mine := errors.New("the source is gone")
	tests := []struct {
		name string
		at   int // save that fails, 0 for none
		fn   error
		want error
	}{
		{"storage, first pack", 1, nil, storagetest.ErrFault},
		{"storage, a later pack", 5, nil, storagetest.ErrFault},
		{"the caller", 0, mine, mine},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			create(t, st)
			faulty := &storagetest.Faulty{Storage: st, At: tt.at}
			r := open(t, faulty, repository.WithPackSize(50_000))
			err := r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
				for i := range 500 {
					if _, err := w.Save(ctx, blob.Data, noise(uint64(i), 5000)); err != nil {
						return fmt.Errorf("while reading: %w", err)
					}
				}
				return tt.fn
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := names(t, st, storage.Index); len(got) > 0 {
				t.Errorf("an index file was written: %v", got)
			}
			wantSound(t, st, nil)
		})
	}
}

func TestCancelledWrite(t *testing.T) {
	lost := fmt.Errorf("while testing: %w", backup.ErrLockLost)
	st := mem.New()
	r := create(t, st)
	ctx, cancel := context.WithCancelCause(t.Context())
	err := r.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		cancel(lost)
		_, err := w.Save(ctx, blob.Data, []byte("too late"))
		if !errors.Is(err, backup.ErrLockLost) {
			t.Errorf("save: got %v, want ErrLockLost", err)
		}
		return nil
	})
	if !errors.Is(err, backup.ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost", err)
	}
}

// Two writers of one process must not rely on each other's packs before an
// index file lists them: the other one may yet fail.
func TestWritersDoNotTrustEachOtherTooEarly(t *testing.T) {
	st := mem.New()
	r := create(t, st, repository.WithPackSize(1))
	shared := prose(1, 1000)
	failed := errors.New("the first one fails")
	err := r.Write(t.Context(), func(ctx context.Context, first *repository.Writer) error {
		if _, err := first.Save(ctx, blob.Data, shared); err != nil {
			return err
		}
		err := r.Write(ctx, func(ctx context.Context, second *repository.Writer) error {
			saved, err := second.Save(ctx, blob.Data, shared)
			if !saved.New {
				t.Error("the second writer relies on the first")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v, want %v", err, failed)
	}
	wantSound(t, st, contents{blob.DataHandle(blob.Hash(shared)): shared})
}

func TestManyIndexFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 120 000 blobs: run without -short")
	}
	st := mem.New()
	c := contents{}
	for i := range 120_000 {
		c.add(blob.Data, fmt.Appendf(nil, "record %d", i))
	}
	write(t, create(t, st), c)
	if got := len(names(t, st, storage.Index)); got < 3 {
		t.Errorf("got %d index files for 120 000 blobs, want at least 3", got)
	}
	wantSound(t, st, c)
}

func TestSlowStorageOnlySlowsDown(t *testing.T) {
	st := mem.New()
	create(t, st)
	c := sample(3, 30)
	write(t, open(t, &storagetest.Slow{Storage: st, Delay: 2e6}, repository.WithPackSize(5000)), c)
	wantSound(t, st, c)
}

func TestChunkTableIsTheRepositorys(t *testing.T) {
	st := mem.New()
	a, b := create(t, st), open(t, st)
	other := create(t, mem.New())
	if cuts(t, a.ChunkTable()) != cuts(t, b.ChunkTable()) {
		t.Error("the same repository cuts differently when opened again")
	}
	if cuts(t, a.ChunkTable()) == cuts(t, other.ChunkTable()) {
		t.Error("two repositories cut alike")
	}
}

func cuts(t *testing.T, table *chunk.Table) (text string) {
	c := chunk.New(bytes.NewReader(noise(1, 1<<20)), table, chunk.Database)
	for {
		piece, err := c.Next(nil)
		if err != nil {
			return text
		}
		text += fmt.Sprintf("%d ", len(piece))
	}
}

func BenchmarkSave(b *testing.B) {
	inputs := map[string]func(i int) []byte{
		"scans 1 MiB":    func(i int) []byte { return noise(uint64(i), 1<<20) },
		"records 4 KiB":  func(i int) []byte { return prose(i, 4<<10) },
		"text 1 MiB":     func(i int) []byte { return prose(i, 1<<20) },
		"nothing is new": func(int) []byte { return prose(1, 1<<20) },
	}
	for name, input := range inputs {
		b.Run(name, func(b *testing.B) {
			r := create(b, discard{mem.New()})
			b.SetBytes(int64(len(input(0))))
			i := 0
			err := r.Write(b.Context(), func(ctx context.Context, w *repository.Writer) error {
				for b.Loop() {
					b.StopTimer()
					plain := input(i)
					i++
					b.StartTimer()
					if _, err := w.Save(ctx, blob.Data, plain); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// discard forgets packs.
type discard struct{ *mem.Storage }

func (d discard) Save(ctx context.Context, name storage.Name, data []byte) error {
	if name.Kind == storage.Pack {
		return nil
	}
	return d.Storage.Save(ctx, name, data)
}

package repository_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// counting counts what is read of packs.
type counting struct {
	storage.Storage
	loads *atomic.Int64
}

func (c counting) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name.Kind == storage.Pack {
		c.loads.Add(1)
	}
	return c.Storage.Load(ctx, name, buf, offset, length)
}

func copyAll(ctx context.Context, from, to *repository.Repository, want *blob.Set) (stats repository.WriteStats, lost []blob.Handle, err error) {
	stats, err = to.CopyBlobs(ctx, from, want, func(h blob.Handle, _ error) { lost = append(lost, h) }, backup.Silent{})
	return stats, lost, err
}

// TestCopyBlobsBetweenVersions copies between all versions of the format.
func TestCopyBlobsBetweenVersions(t *testing.T) {
	for _, versions := range [][2]uint{{2, 2}, {1, 2}, {2, 1}, {1, 1}} {
		t.Run(fmt.Sprint(versions), func(t *testing.T) {
			c := sample(1, 20)
			from, _ := versioned(t, versions[0])
			to, target := versioned(t, versions[1])
			write(t, from, c)
			stats, lost, err := copyAll(t.Context(), from, to, c.set())
			if err != nil || len(lost) > 0 {
				t.Fatalf("got %v, lost %v", err, lost)
			}
			if got := stats.DataBlobs + stats.TreeBlobs; got != int64(len(c)) {
				t.Errorf("got %d blobs, want %d", got, len(c))
			}
			wantSound(t, target, c)
			for h, plain := range c {
				_, _, a, _, _ := from.Locate(h)
				_, _, b, _, _ := to.Locate(h)
				if versions[0] == versions[1] && a != b {
					t.Errorf("%s: took %d bytes, now %d", h, a, b)
				}
				if versions[1] == 1 && int(b) != len(plain)+32 {
					t.Errorf("%s of %d bytes takes %d: not raw", h, len(plain), b)
				}
			}
		})
	}
}

// versioned makes an empty repository of a format version.
func versioned(t *testing.T, version uint) (*repository.Repository, *mem.Storage) {
	t.Helper()
	st := mem.New()
	r := create(t, st)
	if version == 1 {
		if err := r.Downgrade(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, st), st
}

func TestCopyBlobsReadsEachPackInFewRanges(t *testing.T) {
	c := sample(1, 200)
	st := filled(t, c)
	var loads atomic.Int64
	from := open(t, counting{st, &loads})
	to := open(t, filled(t, contents{}))
	if _, _, err := copyAll(t.Context(), from, to, c.set()); err != nil {
		t.Fatal(err)
	}
	if packs := len(names(t, st, storage.Pack)); loads.Load() > int64(3*packs) {
		t.Errorf("%d reads of %d packs", loads.Load(), packs)
	}
	wantBlobs(t, to, c)
}

func TestCopyBlobsNamesWhatIsLost(t *testing.T) {
	c := sample(1, 10)
	st := filled(t, c)
	change(t, st, names(t, st, storage.Pack)[0], flipAt(20))
	nowhere := blob.DataHandle(blob.Hash([]byte("nowhere")))
	want := c.set()
	want.Add(nowhere)
	to := open(t, filled(t, contents{}))
	_, lost, err := copyAll(t.Context(), open(t, st), to, want)
	if err != nil || len(lost) != 2 {
		t.Fatalf("got %v, %v, want two lost", lost, err)
	}
	for h, plain := range c {
		if !to.Has(h) && h != lost[0] && h != lost[1] {
			t.Errorf("%s of %d bytes was not copied", h, len(plain))
		}
	}
}

func TestCopyBlobsTakesAnotherCopy(t *testing.T) {
	c := sample(1, 10)
	st := mem.New()
	create(t, st)
	a, b := open(t, st), open(t, st)
	write(t, a, c)
	write(t, b, c)
	change(t, st, names(t, st, storage.Pack)[0], flipAt(20))
	to := open(t, filled(t, contents{}))
	if _, lost, err := copyAll(t.Context(), open(t, st), to, c.set()); err != nil || len(lost) > 0 {
		t.Fatalf("got %v, lost %v", err, lost)
	}
	wantBlobs(t, to, c)
}

func TestCopyBlobsStoppedAtEveryCall(t *testing.T) {
	c := sample(1, 5)
	from := open(t, filled(t, c))
	origin := filled(t, contents{})
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; ; at++ {
			st := origin.Clone()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true}
			_, _, err := copyAll(t.Context(), from, open(t, faulty), c.set())
			if err == nil {
				break
			}
			to := open(t, st)
			if _, _, err := copyAll(t.Context(), from, to, c.set()); err != nil {
				t.Fatal(err)
			}
			wantSound(t, st, c)
		}
	}
}

func TestSaveFrameRefusesCompressedInVersion1(t *testing.T) {
	r, _ := versioned(t, 1)
	err := r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		_, err := w.SaveFrame(ctx, blob.DataHandle(blob.Hash(nil)), []byte("frame"), 100)
		return err
	})
	if err == nil {
		t.Error("a compressed blob went into a repository that knows no compression")
	}
}

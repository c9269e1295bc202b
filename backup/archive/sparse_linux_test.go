package archive_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// Holes are passed over, and the pieces are those that reading gives.
func TestHolesGiveThePiecesThatReadingGives(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name  string
		size  int64
		data  []int64 // places of 1 MiB of data
		after source.Pieces
	}{
		{"a hole between data", 40 * mib, []int64{0, 33*mib + 7}, source.PiecesByName},
		{"a hole at the front", 30 * mib, []int64{29 * mib}, source.PiecesByName},
		{"a hole at the end", 30*mib + 5, []int64{mib / 2}, source.PiecesByName},
		{"nothing but a hole", 25*mib + 1, nil, source.PiecesByName},
		{"short pieces", 20 * mib, []int64{3*mib + 100, 12 * mib}, source.PiecesChanging},
		{"fixed pieces", 5*mib + 9, []int64{2 * mib}, source.PiecesFixed64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			f, err := os.Create("f")
			must(t, err)
			must(t, f.Truncate(tt.size))
			for i, at := range tt.data {
				_, err := f.WriteAt(noise(uint64(i), mib), at)
				must(t, err)
			}
			must(t, f.Close())
			repo := newRepository(t)
			set := source.FileSet{Paths: []string{"f"}, Pieces: tt.after}
			sparse, err := archive.Run(t.Context(), repo, archive.Options{}, files(set))
			must(t, err)
			read := streamed(t, repo, source.Entry{Path: "/f", Size: tt.size, Pieces: tt.after}, func() io.Reader {
				f, err := os.Open("f")
				must(t, err)
				t.Cleanup(func() { f.Close() })
				return f
			})
			got, want := fileNode(t, repo, sparse.Snapshot), fileNode(t, repo, read.Snapshot)
			if got.Size != uint64(tt.size) || !slices.Equal(got.Content, want.Content) {
				t.Errorf("got %d bytes in %d pieces, want %d in %d", got.Size, len(got.Content), want.Size, len(want.Content))
			}
			if read.Summary.DataBlobs != 0 {
				t.Errorf("reading found %d new pieces, want none", read.Summary.DataBlobs)
			}
		})
	}
}

// A file of half a terabyte that holds nothing is a matter of a second.
func TestHugeHoleIsNotRead(t *testing.T) {
	t.Chdir(t.TempDir())
	f, err := os.Create("f")
	must(t, err)
	const size = 512 << 30
	if err := f.Truncate(size); err != nil {
		t.Skipf("this file system takes no file of %d bytes: %v", int64(size), err)
	}
	must(t, f.Close())
	repo := newRepository(t)
	began := time.Now()
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"f"}}))
	must(t, err)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if n := fileNode(t, repo, result.Snapshot); n.Size != size {
		t.Errorf("got %d bytes, want %d", n.Size, int64(size))
	}
}

// One of exabytes would fill the memory with its list of pieces.
func TestEndlessHoleIsLeftOut(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("other", []byte("other"), 0o600))
	f, err := os.Create("f")
	must(t, err)
	const size = 2 << 40
	if err := f.Truncate(size); err != nil {
		t.Skipf("this file system takes no file of %d bytes: %v", int64(size), err)
	}
	must(t, f.Close())
	repo := newRepository(t)
	set := source.FileSet{Paths: []string{"."}, Pieces: source.PiecesFixed64}
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(set))
	if !errors.Is(err, backup.ErrIncomplete) || len(result.Problems) != 1 || !errors.Is(result.Problems[0].Err, archive.ErrTooLong) {
		t.Fatalf("got %v, want the file to be named as too long", err)
	}
	if _, err := snapshot.Lookup(t.Context(), repo, result.Snapshot, "/other"); err != nil {
		t.Errorf("the other file: %v", err)
	}
}

func streamed(t *testing.T, repo *repository.Repository, e source.Entry, open func() io.Reader) *archive.Result {
	t.Helper()
	result, err := archive.Run(t.Context(), repo, archive.Options{}, func(ctx context.Context, sink source.Sink) error {
		return sink.Put(ctx, e, open())
	})
	must(t, err)
	return result
}

func fileNode(t *testing.T, repo *repository.Repository, sn *snapshot.Snapshot) *snapshot.Node {
	t.Helper()
	n, err := snapshot.Lookup(t.Context(), repo, sn, "/f")
	must(t, err)
	return n
}

func noise(seed uint64, n int) []byte {
	buf := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(seed), 7})
	_, _ = random.Read(buf) // never fails
	return buf
}

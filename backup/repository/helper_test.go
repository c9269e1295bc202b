package repository_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

const password = "geheim"

// cheap makes passwords that cost a test little.
func cheap() repository.Option {
	return repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1})
}

func create(t testing.TB, st storage.Storage, opts ...repository.Option) *repository.Repository {
	t.Helper()
	r, err := repository.Create(t.Context(), st, password, append(opts, cheap())...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open opens a repository as another process would, its index loaded.
func open(t testing.TB, st storage.Storage, opts ...repository.Option) *repository.Repository {
	t.Helper()
	r, err := repository.Open(t.Context(), st, password, append(opts, cheap())...)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// noise is incompressible and the same on every run.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(b)
	return b
}

// prose compresses well.
func prose(seed, n int) []byte {
	line := fmt.Sprintf("病程记录 %d: the patient slept well and took soup\n", seed)
	return bytes.Repeat([]byte(line), n/len(line)+1)[:n]
}

// contents are the blobs of a test, by handle.
type contents map[blob.Handle][]byte

func (c contents) add(t blob.Type, plain []byte) blob.Handle {
	h := blob.Handle{Type: t, ID: blob.Hash(plain)}
	c[h] = plain
	return h
}

func (c contents) set() *blob.Set {
	s := blob.NewSet()
	for h := range c {
		s.Add(h)
	}
	return s
}

// sample is a little of everything.
func sample(seed, n int) contents {
	c := contents{}
	for i := range n {
		c.add(blob.Data, noise(uint64(seed*1000+i), 100+i*37))
		c.add(blob.Data, prose(seed*1000+i, 500+i*11))
		c.add(blob.Tree, prose(seed*1000+i, 300+i))
	}
	return c
}

func write(t testing.TB, r *repository.Repository, c contents) repository.WriteStats {
	t.Helper()
	stats, err := tryWrite(t.Context(), r, c)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func tryWrite(ctx context.Context, r *repository.Repository, c contents) (stats repository.WriteStats, err error) {
	var writer *repository.Writer
	err = r.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		writer = w
		for h, plain := range c {
			saved, err := w.Save(ctx, h.Type, plain)
			if err != nil {
				return err
			}
			if saved.ID != h.ID {
				return fmt.Errorf("saved as %s, want %s", saved.ID, h.ID)
			}
		}
		return nil
	})
	return writer.Stats(), err
}

// wantBlobs proves that every blob reads as it was saved.
func wantBlobs(t testing.TB, r *repository.Repository, c contents) {
	t.Helper()
	var buf []byte
	for h, want := range c {
		got, err := r.LoadBlob(t.Context(), h, buf)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: got %d bytes, %v; want %d", h, len(got), err, len(want))
		}
		buf = got
	}
}

// findings checks a repository to the last byte.
func findings(t testing.TB, r *repository.Repository) (errors, hints []repository.Finding) {
	t.Helper()
	err := r.CheckStore(t.Context(), repository.CheckOptions{ReadData: true}, func(f repository.Finding) {
		if f.Level == repository.Error {
			errors = append(errors, f)
		} else {
			hints = append(hints, f)
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return errors, hints
}

func wantSound(t testing.TB, st storage.Storage, c contents) {
	t.Helper()
	r := open(t, st)
	if errors, _ := findings(t, r); len(errors) > 0 {
		t.Fatalf("the check finds %v", errors)
	}
	wantBlobs(t, r, c)
}

// only returns the names of a kind.
func names(t testing.TB, st storage.Storage, kind storage.Kind) (list []storage.Name) {
	t.Helper()
	err := st.List(t.Context(), kind, func(info storage.Info) error {
		list = append(list, info.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// filled makes a repository in memory that holds c.
func filled(t testing.TB, c contents, opts ...repository.Option) *mem.Storage {
	t.Helper()
	st := mem.New()
	write(t, create(t, st, opts...), c)
	return st
}

package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/repository/twin"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// Both ways of hashing find the same, in packs of every mixture of blobs.
func TestBothSumsFindTheSame(t *testing.T) {
	ctx, st := t.Context(), mem.New()
	r, err := Create(ctx, st, "geheim", WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}), WithPackSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{})
	err = r.Write(ctx, func(ctx context.Context, w *Writer) error {
		for i := range 400 {
			plain := make([]byte, i*i/3)
			random.Read(plain)
			if i%3 == 0 {
				plain = bytes.Repeat(fmt.Appendf(nil, "patient %d ", i), 1+i*i/9)
			}
			if i%100 == 99 {
				plain = bytes.Repeat(plain, 80)
			}
			if _, err := w.Save(ctx, blob.Data, plain); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range r.index().PackIDs() {
		name := packName(id)
		whole, err := st.Load(ctx, name, nil, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		for _, flip := range []int{-1, 5, len(whole) / 3, len(whole) / 2, len(whole) - 10} {
			text := bytes.Clone(whole)
			if flip >= 0 {
				text[flip] ^= 1
			}
			st.Put(name, text)
			standard, standardName := proven(t, r, id, standardSum{sha256.New()})
			twins, twinName := proven(t, r, id, twinSum{twin.NewStream()})
			if fmt.Sprint(standard) != fmt.Sprint(twins) || standardName != twinName {
				t.Errorf("byte %d flipped: got %v and name %s, want %v and %s", flip, twins, twinName, standard, standardName)
			}
			if (flip < 0) != (twinName == id && len(twins) == 0) {
				t.Errorf("byte %d flipped: got %v, name right: %v", flip, twins, twinName == id)
			}
		}
		st.Put(name, whole)
	}
	if n := len(r.index().PackIDs()); n < 2 {
		t.Errorf("got %d packs, want several", n)
	}
}

// proven reads a pack to its end, and gives what was found and its name.
func proven(t *testing.T, r *Repository, id blob.ID, sum packSum) (found []string, name blob.ID) {
	t.Helper()
	info, err := r.storage.Stat(t.Context(), storage.Name{Kind: storage.Pack, ID: id.String()})
	if err != nil {
		t.Fatal(err)
	}
	p := packProof{repo: r, found: &reporter{report: func(f Finding) { found = append(found, f.Text) }}}
	end, err := p.blobs(t.Context(), id, info.Size, sorted(r.index().Pack(id)), sum)
	if err == nil {
		err = p.rest(t.Context(), id, end, info.Size, sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found, sum.name()
}

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// requests counts loads.
type requests struct {
	storage.Storage
	loads atomic.Int32
}

func (r *requests) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	r.loads.Add(1)
	return r.Storage.Load(ctx, name, buf, offset, length)
}

func TestLoadPackNeedsFewRequests(t *testing.T) {
	c := sample(1, 100)
	counting := &requests{Storage: filled(t, c)}
	r := open(t, counting)
	byPack := map[blob.ID][]blob.Handle{}
	for h := range c {
		pack, _, _, plain, ok := r.Locate(h)
		if !ok || int(plain) != len(c[h]) {
			t.Fatalf("%s: located %v with %d bytes, want %d", h, ok, plain, len(c[h]))
		}
		byPack[pack] = append(byPack[pack], h, h) // asked for twice, handed over once
	}
	counting.loads.Store(0)
	seen := contents{}
	for pack, want := range byPack {
		end := uint32(0)
		err := r.LoadPack(t.Context(), pack, want, func(h blob.Handle, plain []byte, err error) error {
			_, offset, length, _, _ := r.Locate(h)
			if err != nil || !bytes.Equal(plain, c[h]) || offset < end {
				t.Errorf("%s: got %d bytes at %d, %v", h, len(plain), offset, err)
			}
			end = offset + length
			if seen[h] != nil {
				t.Errorf("%s came twice", h)
			}
			seen[h] = c[h]
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != len(c) {
		t.Errorf("got %d blobs, want %d", len(seen), len(c))
	}
	if got := counting.loads.Load(); got != int32(len(byPack)) {
		t.Errorf("%d requests for %d packs", got, len(byPack))
	}
}

func TestLoadPackSkipsWhatNobodyWants(t *testing.T) {
	c := contents{}
	for i := range 3 {
		c.add(blob.Data, noise(uint64(i), 1<<20))
	}
	st := filled(t, c)
	counting := &requests{Storage: st}
	r := open(t, counting)
	var outer []blob.Handle
	var pack blob.ID
	for h := range c {
		id, offset, _, _, _ := r.Locate(h)
		pack = id
		if offset < 1<<19 || offset > 3<<19 {
			outer = append(outer, h)
		}
	}
	counting.loads.Store(0)
	got := 0
	err := r.LoadPack(t.Context(), pack, outer, func(h blob.Handle, plain []byte, err error) error {
		got++
		return err
	})
	if err != nil || got != 2 || counting.loads.Load() != 2 {
		t.Errorf("got %d blobs with %d requests, %v; want 2 with 2", got, counting.loads.Load(), err)
	}
}

func TestDamagedCopyIsReplacedByAnother(t *testing.T) {
	tests := map[string]func(t *testing.T, st *mem.Storage, name storage.Name){
		"flipped": func(t *testing.T, st *mem.Storage, name storage.Name) {
			data := load(t, st, name)
			data[50] ^= 1
			st.Put(name, data)
		},
		"cut": func(t *testing.T, st *mem.Storage, name storage.Name) { st.Put(name, load(t, st, name)[:40]) },
		"lost": func(t *testing.T, st *mem.Storage, name storage.Name) {
			if err := st.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, spoil := range tests {
		for i := range 2 {
			t.Run(name, func(t *testing.T) {
				c := contents{}
				h := c.add(blob.Data, noise(1, 5000))
				st := mem.New()
				create(t, st)
				a, b := open(t, st), open(t, st)
				write(t, a, c)
				write(t, b, c)
				packs := names(t, st, storage.Pack)
				r := open(t, st)
				spoil(t, st, packs[i])
				wantBlobs(t, r, c)
				for _, pack := range packs {
					id, err := blob.ParseID(pack.ID)
					if err != nil {
						t.Fatal(err)
					}
					err = r.LoadPack(t.Context(), id, []blob.Handle{h}, func(h blob.Handle, plain []byte, err error) error {
						if err != nil || !bytes.Equal(plain, c[h]) {
							t.Errorf("from pack %s: got %d bytes, %v", pack, len(plain), err)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
				spoil(t, st, packs[1-i])
				if _, err := r.LoadBlob(t.Context(), h, nil); !errors.Is(err, backup.ErrDamaged) {
					t.Errorf("both spoiled: got %v, want ErrDamaged", err)
				}
			})
		}
	}
}

func TestLoadPackHandsOverErrors(t *testing.T) {
	c := sample(1, 10)
	st := filled(t, c)
	r := open(t, st)
	var pack blob.ID
	var want []blob.Handle
	for h := range c {
		if h.Type == blob.Data {
			pack, _, _, _, _ = r.Locate(h)
			want = append(want, h)
		}
	}
	name := storage.Name{Kind: storage.Pack, ID: pack.String()}
	data := load(t, st, name)
	data[0] ^= 1
	st.Put(name, data)
	stranger := blob.DataHandle(blob.Hash([]byte("never saved")))
	good, damaged, missing := 0, 0, 0
	err := r.LoadPack(t.Context(), pack, append(want, stranger), func(h blob.Handle, plain []byte, err error) error {
		switch {
		case err == nil:
			good++
		case errors.Is(err, backup.ErrDamaged):
			damaged++
		case errors.Is(err, backup.ErrNotFound) && h == stranger:
			missing++
		default:
			t.Errorf("%s: %v", h, err)
		}
		return nil
	})
	if err != nil || good != len(want)-1 || damaged != 1 || missing != 1 {
		t.Errorf("got %d good, %d damaged, %d missing, %v; want %d, 1, 1", good, damaged, missing, err, len(want)-1)
	}
	stop := errors.New("enough")
	calls := 0
	err = r.LoadPack(t.Context(), pack, want, func(blob.Handle, []byte, error) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls, want fn's error after one", err, calls)
	}
}

func TestUnknownBlob(t *testing.T) {
	r := open(t, filled(t, sample(1, 1)))
	h := blob.DataHandle(blob.Hash([]byte("never saved")))
	if _, err := r.LoadBlob(t.Context(), h, nil); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, ok := r.BlobSize(h); ok || r.Has(h) {
		t.Error("the repository claims to have it")
	}
}

// An index that lies about lengths must not cost memory or be believed.
func TestLyingIndex(t *testing.T) {
	small := noise(1, 100)
	id := blob.Hash(small).String()
	tests := []struct{ name, fields string }{
		{"expands to a gigabyte", `"offset":0,"length":132,"uncompressed_length":1073741824`},
		{"is compressed", `"offset":0,"length":132,"uncompressed_length":100`},
		{"lies beyond the pack", `"offset":100000,"length":132`},
		{"is longer than the pack", `"offset":0,"length":4000000000`},
		{"lies elsewhere", `"offset":1,"length":131`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := contents{}
			h := c.add(blob.Data, small)
			st := filled(t, c)
			pack := first(t, st, storage.Pack)
			removeAll(storage.Index)(t, st)
			forge(t, open(t, st), pack.ID, `{"id":"`+id+`","type":"data",`+tt.fields+`}`)
			r, err := repository.Open(t.Context(), st, password)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.LoadIndex(t.Context()); err != nil {
				if !errors.Is(err, backup.ErrDamaged) {
					t.Errorf("load index: got %v, want ErrDamaged", err)
				}
				return
			}
			if _, err := r.LoadBlob(t.Context(), h, nil); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			if errs, _ := findings(t, r); len(errs) == 0 {
				t.Error("the check finds nothing")
			}
		})
	}
}

func TestLoadIndexNamesTheDamagedFile(t *testing.T) {
	for name, spoil := range map[string]damage{
		"flipped": flip(storage.Index, 0.5), "cut": truncate(storage.Index, 0.5), "empty": truncate(storage.Index, 0),
	} {
		st := filled(t, sample(1, 5))
		r := open(t, st)
		damaged := spoil(t, st)
		err := r.LoadIndex(t.Context())
		if !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), damaged.String()) {
			t.Errorf("%s: got %v, want ErrDamaged naming %s", name, err, damaged)
		}
	}
}

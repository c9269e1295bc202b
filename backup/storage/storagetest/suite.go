// Package storagetest holds the suite that every storage passes, and twins
// that fail or dawdle on purpose.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Run proves that a storage keeps the promises of its interface. open returns
// an empty place each time it is called.
func Run(t *testing.T, open func(t *testing.T) storage.Storage) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s storage.Storage)
	}{
		{"create", create},
		{"save and load", saveAndLoad},
		{"load parts", loadParts},
		{"what is not there", absent},
		{"save twice", saveTwice},
		{"config is never replaced", configStays},
		{"list", list},
		{"list stops at an error", listStops},
		{"remove", remove},
		{"context", cancelled},
		{"many at once", many},
		{"data is not kept", dataIsNotKept},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			tt.test(t, s)
		})
	}
}

// Document makes a document whose name is the hash of its bytes.
func Document(kind storage.Kind, data []byte) storage.Name {
	sum := sha256.Sum256(data)
	return storage.Name{Kind: kind, ID: hex.EncodeToString(sum[:])}
}

func kinds() []storage.Kind {
	return []storage.Kind{storage.Key, storage.Snapshot, storage.Index, storage.Lock, storage.Pack}
}

func made(t *testing.T, s storage.Storage) context.Context {
	t.Helper()
	if err := s.Create(t.Context()); err != nil {
		t.Fatalf("create: %v", err)
	}
	return t.Context()
}

func save(t *testing.T, s storage.Storage, kind storage.Kind, data []byte) storage.Name {
	t.Helper()
	name := Document(kind, data)
	if kind == storage.Config {
		name.ID = ""
	}
	if err := s.Save(t.Context(), name, data); err != nil {
		t.Fatalf("save %s: %v", name, err)
	}
	return name
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func create(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	if s.Location() == "" {
		t.Error("the place has no name")
	}
	if err := s.Create(ctx); err != nil {
		t.Errorf("create again without a config: %v", err)
	}
	save(t, s, storage.Config, []byte("config"))
	wantError(t, "create over a config", s.Create(ctx), backup.ErrRepositoryExists)
}

func saveAndLoad(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	for _, kind := range append(kinds(), storage.Config) {
		for _, n := range []int{0, 1, 4096, 5 << 20} {
			data := bytes.Repeat([]byte{byte(n), 'x'}, n)[:n]
			if kind == storage.Config && n > 0 {
				continue
			}
			name := save(t, s, kind, data)
			got, err := s.Load(ctx, name, nil, 0, -1)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("load %s: got %d bytes, %v; want %d", name, len(got), err, n)
			}
			info, err := s.Stat(ctx, name)
			if err != nil || info != (storage.Info{Name: name, Size: int64(n)}) {
				t.Errorf("stat %s: got %v, %v; want %d bytes", name, info, err, n)
			}
		}
	}
}

func loadParts(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	name := save(t, s, storage.Pack, []byte("0123456789"))
	for _, tt := range []struct {
		offset, length int64
		want           string // empty and bad: refused
		bad            bool
	}{
		{0, -1, "0123456789", false},
		{0, 10, "0123456789", false},
		{3, 4, "3456", false},
		{7, -1, "789", false},
		{10, -1, "", false},
		{10, 0, "", false},
		{0, 0, "", false},
		{0, 11, "", true},
		{9, 2, "", true},
		{11, -1, "", true},
		{1 << 40, 1, "", true},
		{1, 1 << 62, "", true},
	} {
		got, err := s.Load(ctx, name, make([]byte, 3), tt.offset, tt.length)
		what := fmt.Sprintf("load %d from %d on", tt.length, tt.offset)
		switch {
		case tt.bad:
			wantError(t, what, err, backup.ErrDamaged)
		case err != nil || string(got) != tt.want:
			t.Errorf("%s: got %q, %v; want %q", what, got, err, tt.want)
		}
	}
	big := make([]byte, 0, 100)
	if got, err := s.Load(ctx, name, big, 0, 5); err != nil || &got[0] != &big[:1][0] {
		t.Errorf("a buffer with room is not used (%v)", err)
	}
}

func absent(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	for _, kind := range append(kinds(), storage.Config) {
		name := Document(kind, []byte("never saved"))
		if kind == storage.Config {
			name.ID = ""
		}
		_, err := s.Load(ctx, name, nil, 0, -1)
		wantError(t, "load "+name.String(), err, backup.ErrNotFound)
		_, err = s.Stat(ctx, name)
		wantError(t, "stat "+name.String(), err, backup.ErrNotFound)
		wantError(t, "remove "+name.String(), s.Remove(ctx, name), backup.ErrNotFound)
	}
}

func saveTwice(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	for _, kind := range append(kinds(), storage.Config) {
		name := save(t, s, kind, []byte("same"))
		if err := s.Save(ctx, name, []byte("same")); err != nil {
			t.Errorf("save %s twice: %v", name, err)
		}
	}
}

func configStays(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	name := save(t, s, storage.Config, []byte("first"))
	wantError(t, "save another config", s.Save(ctx, name, []byte("second")), backup.ErrRepositoryExists)
	if got, err := s.Load(ctx, name, nil, 0, -1); err != nil || string(got) != "first" {
		t.Errorf("got %q, %v; want the first config", got, err)
	}
}

func names(t *testing.T, s storage.Storage, kind storage.Kind) []string {
	t.Helper()
	var ids []string
	err := s.List(t.Context(), kind, func(info storage.Info) error {
		ids = append(ids, fmt.Sprintf("%s %d", info.Name.Path(), info.Size))
		return nil
	})
	if err != nil {
		t.Fatalf("list %s: %v", kind, err)
	}
	slices.Sort(ids)
	return ids
}

func list(t *testing.T, s storage.Storage) {
	made(t, s)
	for _, kind := range kinds() {
		if got := names(t, s, kind); len(got) != 0 {
			t.Errorf("an empty place lists %v", got)
		}
		var want []string
		for i := range 20 {
			data := []byte(fmt.Sprintf("%s %d", kind, i))
			want = append(want, fmt.Sprintf("%s %d", save(t, s, kind, data).Path(), len(data)))
		}
		slices.Sort(want)
		if got := names(t, s, kind); !slices.Equal(got, want) {
			t.Errorf("list %s: got %v, want %v", kind, got, want)
		}
	}
}

func listStops(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	for i := range 3 {
		save(t, s, storage.Index, []byte{byte(i)})
	}
	stop, calls := errors.New("enough"), 0
	err := s.List(ctx, storage.Index, func(storage.Info) error { calls++; return stop })
	wantError(t, "list", err, stop)
	if calls != 1 {
		t.Errorf("fn was called %d times after its error, want 1", calls)
	}
}

func remove(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	for _, kind := range kinds() {
		stays, goes := save(t, s, kind, []byte("stays")), save(t, s, kind, []byte("goes"))
		if err := s.Remove(ctx, goes); err != nil {
			t.Errorf("remove %s: %v", goes, err)
		}
		_, err := s.Stat(ctx, goes)
		wantError(t, "stat what was removed", err, backup.ErrNotFound)
		if _, err := s.Stat(ctx, stays); err != nil {
			t.Errorf("its neighbour is gone too: %v", err)
		}
		wantError(t, "remove twice", s.Remove(ctx, goes), backup.ErrNotFound)
	}
}

func cancelled(t *testing.T, s storage.Storage) {
	made(t, s)
	name := save(t, s, storage.Key, []byte("key"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Load(ctx, name, nil, 0, -1)
	wantError(t, "load", err, context.Canceled)
	_, err = s.Stat(ctx, name)
	wantError(t, "stat", err, context.Canceled)
	err = s.List(ctx, storage.Key, func(storage.Info) error { return nil })
	wantError(t, "list", err, context.Canceled)
	wantError(t, "remove", s.Remove(ctx, name), context.Canceled)
	wantError(t, "save", s.Save(ctx, Document(storage.Key, []byte("b")), []byte("b")), context.Canceled)
	if got := names(t, s, storage.Key); len(got) != 1 {
		t.Errorf("a cancelled save or remove had an effect: %v", got)
	}
}

func many(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 8 {
				data := fmt.Appendf(nil, "%d of %d", j, i)
				name := Document(storage.Pack, data)
				if err := s.Save(ctx, name, data); err != nil {
					t.Errorf("save: %v", err)
				}
				// All of them save this one at the same time.
				if err := s.Save(ctx, Document(storage.Pack, []byte("shared")), []byte("shared")); err != nil {
					t.Errorf("save the shared one: %v", err)
				}
				if got, err := s.Load(ctx, name, nil, 0, -1); err != nil || !bytes.Equal(got, data) {
					t.Errorf("load: got %q, %v; want %q", got, err, data)
				}
			}
		})
	}
	wait.Wait()
	if got := len(names(t, s, storage.Pack)); got != 65 {
		t.Errorf("got %d documents, want 65", got)
	}
}

func dataIsNotKept(t *testing.T, s storage.Storage) {
	ctx := made(t, s)
	data := []byte("as saved")
	name := save(t, s, storage.Index, data)
	copy(data, "CHANGED!")
	if got, err := s.Load(ctx, name, nil, 0, -1); err != nil || string(got) != "as saved" {
		t.Errorf("got %q, %v; want what was saved", got, err)
	}
}

package readback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/storagetest"
)

func TestReadbackIsAStorage(t *testing.T) {
	for _, p := range []readback.Policy{readback.All, readback.Sampled, readback.Off} {
		t.Run(string(p), func(t *testing.T) {
			storagetest.Run(t, func(*testing.T) storage.Storage { return readback.New(mem.New(), p) })
		})
	}
}

// liar stores something else at some of its saves, or tells something else at
// some of its loads.
type liar struct {
	*mem.Storage
	badSaves, badLoads int // that many from the first on
	change             func([]byte) []byte
	calls              []string
}

func (l *liar) Save(ctx context.Context, name storage.Name, data []byte) error {
	l.calls = append(l.calls, "save")
	if l.badSaves > 0 {
		l.badSaves--
		l.Put(name, l.change(bytes.Clone(data)))
		return nil
	}
	if name.Kind == storage.Config {
		return l.Storage.Save(ctx, name, data)
	}
	l.Put(name, data)
	return nil
}

func (l *liar) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	l.calls = append(l.calls, "load")
	data, err := l.Storage.Load(ctx, name, buf, offset, length)
	if err == nil && l.badLoads > 0 {
		l.badLoads--
		data = l.change(bytes.Clone(data))
	}
	return data, err
}

func (l *liar) Remove(ctx context.Context, name storage.Name) error {
	l.calls = append(l.calls, "remove")
	return l.Storage.Remove(ctx, name)
}

func flip(b []byte) []byte { b[len(b)/2] ^= 1; return b }
func cut(b []byte) []byte  { return b[:len(b)-1] }
func more(b []byte) []byte { return append(b, 'x') }

func TestWrongBytes(t *testing.T) {
	tests := []struct {
		name    string
		kind    storage.Kind
		size    int
		saves   int // bad ones
		loads   int
		change  func([]byte) []byte
		calls   string
		damaged bool
		nothing bool // is left
	}{
		{name: "right", size: 10, change: flip, calls: "save load"},
		{name: "a bit", size: 10, saves: 1, change: flip, calls: "save load load save load"},
		{name: "cut", size: 10, saves: 1, change: cut, calls: "save load load save load"},
		{name: "too long", size: 10, saves: 1, change: more, calls: "save load load save load"},
		{name: "only the way back is bad", size: 10, loads: 1, change: flip, calls: "save load load"},
		{name: "writing over does not help", size: 10, saves: 2, change: flip, calls: "save load load save load load remove save load"},
		{name: "never", size: 10, saves: 9, change: flip, calls: "save load load save load load remove save load load remove", damaged: true, nothing: true},
		{name: "in several pieces", size: 9 << 20, change: flip, calls: "save load load load"},
		{name: "the third piece", size: 9 << 20, saves: 1, change: cut, calls: "save load load load load load load save load load load"},
		{name: "exactly one piece", size: 4 << 20, saves: 1, change: more, calls: "save load load save load"},
		{name: "the config", kind: storage.Config, size: 10, saves: 1, change: flip, calls: "save load load remove save load"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &liar{Storage: mem.New(), badSaves: tt.saves, badLoads: tt.loads, change: tt.change}
			data := bytes.Repeat([]byte("0123456789"), tt.size/10+1)[:tt.size]
			name := storagetest.Document(storage.Pack, data)
			if tt.kind != "" {
				name = storage.Name{Kind: tt.kind}
			}
			err := readback.New(l, readback.All).Save(t.Context(), name, data)
			if errors.Is(err, backup.ErrDamaged) != tt.damaged || !tt.damaged && err != nil {
				t.Errorf("got %v, want damage %v", err, tt.damaged)
			}
			if got := strings.Join(l.calls, " "); got != tt.calls {
				t.Errorf("got %s, want %s", got, tt.calls)
			}
			if _, err := l.Stat(t.Context(), name); errors.Is(err, backup.ErrNotFound) != tt.nothing {
				t.Errorf("what is left: %v", err)
			}
		})
	}
}

func TestSampled(t *testing.T) {
	l := &liar{Storage: mem.New()}
	st := readback.New(l, readback.Sampled)
	for i := range 33 {
		data := fmt.Append(nil, i)
		if err := st.Save(t.Context(), storagetest.Document(storage.Pack, data), data); err != nil {
			t.Fatal(err)
		}
	}
	count := func(call string) int {
		n := 0
		for _, c := range l.calls {
			if c == call {
				n++
			}
		}
		return n
	}
	if got := count("load"); got != 3 {
		t.Errorf("of 33 packs %d were read back, want 3", got)
	}
	for _, kind := range []storage.Kind{storage.Index, storage.Snapshot, storage.Key, storage.Lock} {
		l.calls = nil
		if err := st.Save(t.Context(), storagetest.Document(kind, []byte("x")), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if read := slices.Contains(l.calls, "load"); read != (kind != storage.Lock) {
			t.Errorf("%s was read back: %v", kind, read)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for word, want := range map[string]readback.Policy{"all": readback.All, "sampled": readback.Sampled, "off": readback.Off, "": readback.Off} {
		if got, err := readback.ParsePolicy(word); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", word, got, err, want)
		}
	}
	if _, err := readback.ParsePolicy("ALL"); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

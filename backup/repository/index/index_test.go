package index_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

func id(n int) blob.ID { return blob.Hash(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

// packOf makes a pack of blobs numbered from first on.
func packOf(number, first, count int) index.Pack {
	p := index.Pack{ID: id(-number), Entries: make([]pack.Entry, count)}
	for i := range p.Entries {
		p.Entries[i] = pack.Entry{
			Handle: blob.Handle{Type: blob.Type(i % 2), ID: id(first + i)},
			Offset: uint32(i * 100), Length: 100, Plain: uint32(i % 3 * 500),
		}
	}
	return p
}

func add(t testing.TB, x *index.Index, p index.Pack) {
	t.Helper()
	if err := x.Add(p); err != nil {
		t.Fatal(err)
	}
}

func TestIndexFindsWhatWasAdded(t *testing.T) {
	x := index.New()
	var packs []index.Pack
	for n := range 20 {
		p := packOf(n+1, n*1000, 1000)
		packs = append(packs, p)
		add(t, x, p)
	}
	for _, p := range packs {
		if got := x.Pack(p.ID); !slices.Equal(got, p.Entries) {
			t.Fatalf("pack %s: entries differ", p.ID.Short())
		}
		for _, e := range p.Entries {
			want := index.Location{Pack: p.ID, Entry: e}
			if at, ok := x.First(e.Handle); !ok || at != want {
				t.Fatalf("got %v, %v; want %v", at, ok, want)
			}
			if size, ok := x.PlainSize(e.Handle); !ok || size != e.PlainSize() {
				t.Fatalf("plain size: got %d, %v; want %d", size, ok, e.PlainSize())
			}
			if at, ok := x.In(p.ID, e.Handle); !ok || at != e {
				t.Fatalf("in its pack: got %v, %v; want %v", at, ok, e)
			}
			other := blob.Handle{Type: 1 - e.Handle.Type, ID: e.Handle.ID}
			if x.Has(other) {
				t.Fatalf("%s was never added", other)
			}
		}
	}
	if x.Len() != 20_000 || len(x.PackIDs()) != 20 {
		t.Errorf("got %d blobs in %d packs, want 20000 in 20", x.Len(), len(x.PackIDs()))
	}
	if x.Has(blob.DataHandle(id(1<<40))) || x.Pack(id(1)) != nil || x.HasPack(id(1)) {
		t.Error("the index finds what was never added")
	}
}

func TestEveryCopyIsKept(t *testing.T) {
	x := index.New()
	for n := 1; n <= 3; n++ {
		add(t, x, packOf(n, 0, 4))
	}
	for _, e := range packOf(1, 0, 4).Entries {
		copies := x.Copies(e.Handle)
		if len(copies) != 3 {
			t.Errorf("%s: got %d copies, want 3", e.Handle, len(copies))
		}
		for n := 1; n <= 3; n++ {
			if _, ok := x.In(id(-n), e.Handle); !ok {
				t.Errorf("%s: the copy in pack %d is lost", e.Handle, n)
			}
		}
	}
}

func TestSamePackTwice(t *testing.T) {
	x := index.New()
	add(t, x, packOf(1, 0, 4))
	add(t, x, packOf(1, 0, 4))
	if x.Len() != 4 {
		t.Errorf("got %d blobs, want 4: the same list counts once", x.Len())
	}
	if err := x.Add(packOf(1, 0, 5)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("another list for the same pack: got %v, want ErrDamaged", err)
	}
}

// Growing by steps must never leave much room unused, at whatever count, and
// the packs belong to the price.
func TestMemoryPerBlob(t *testing.T) {
	if testing.Short() {
		t.Skip("counts memory of a million blobs: run without -short")
	}
	for _, each := range []int{16, 100, 4000} {
		t.Run(fmt.Sprintf("%d blobs a pack", each), func(t *testing.T) {
			before, worst := heap(), 0.0
			x := index.New()
			for n, next := 0, 100_000; n*each < 1_000_000; n++ {
				add(t, x, packOf(n+1, n*each, each))
				if (n+1)*each < next {
					continue
				}
				next += next / 8
				worst = max(worst, float64(heap()-before)/float64(x.Len()))
			}
			t.Logf("at most %.1f bytes a blob, %.1f at the end", worst, float64(heap()-before)/float64(x.Len()))
			if worst > 56 {
				t.Errorf("got %.1f bytes a blob at some count, want at most 56", worst)
			}
			runtime.KeepAlive(x)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestDocumentRoundTrip(t *testing.T) {
	for _, want := range [][]index.Pack{nil, {packOf(1, 0, 1)}, {packOf(1, 0, 30), packOf(2, 30, 70)}, {{ID: id(1)}}} {
		text := index.Encode(want)
		got, err := index.Decode(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(got) != len(want) {
			t.Fatalf("got %d packs, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].ID != want[i].ID || !slices.Equal(got[i].Entries, want[i].Entries) {
				t.Errorf("pack %d: got %v, want %v", i, got[i], want[i])
			}
		}
	}
}

func TestDocumentText(t *testing.T) {
	a, b, c := strings.Repeat("ab", 32), strings.Repeat("cd", 32), strings.Repeat("ef", 32)
	text := `{"packs":[{"id":"` + a + `","blobs":[{"id":"` + b + `","type":"data","offset":0,"length":53,"uncompressed_length":12},` +
		`{"id":"` + c + `","type":"tree","offset":53,"length":40}]}]}` + "\n"
	packs, err := index.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(index.Encode(packs)); got != text {
		t.Errorf("got  %s\nwant %s", got, text)
	}
	loose := strings.Replace(text, `{"packs"`, `{ "supersedes": ["`+a+`"], "new": {"x": [1, null, "\u00e9"]}, "packs"`, 1)
	again, err := index.Decode([]byte(loose))
	if err != nil || !reflect.DeepEqual(again, packs) {
		t.Errorf("with unknown fields: got %v, %v", again, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	a := strings.Repeat("ab", 32)
	blobOf := func(fields string) string {
		return fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[{%s}]}]}`, a, fields)
	}
	tests := []struct{ name, text string }{
		{"nothing", ""},
		{"no JSON", "nonsense"},
		{"a list", "[]"},
		{"cut", blobOf(`"id":"` + a + `","type":"data","offset":0,"length":53`)[:100]},
		{"two documents", `{"packs":[]}{"packs":[]}`},
		{"pack without id", `{"packs":[{"blobs":[]}]}`},
		{"pack id too short", `{"packs":[{"id":"abcd","blobs":[]}]}`},
		{"blob without id", blobOf(`"type":"data","offset":0,"length":53`)},
		{"blob without type", blobOf(`"id":"` + a + `","offset":0,"length":53`)},
		{"unknown type", blobOf(`"id":"` + a + `","type":"pork","offset":0,"length":53`)},
		{"shorter than a seal", blobOf(`"id":"` + a + `","type":"data","offset":0,"length":31`)},
		{"negative offset", blobOf(`"id":"` + a + `","type":"data","offset":-1,"length":53`)},
		{"offset of 4 GiB", blobOf(`"id":"` + a + `","type":"data","offset":4294967296,"length":53`)},
		{"end beyond 4 GiB", blobOf(`"id":"` + a + `","type":"data","offset":4294967290,"length":53`)},
		{"absurd plain length", blobOf(`"id":"` + a + `","type":"data","offset":0,"length":53,"uncompressed_length":4294967295`)},
		{"a fraction", blobOf(`"id":"` + a + `","type":"data","offset":0.5,"length":53`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := index.Decode([]byte(tt.text)); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, %v; want ErrDamaged", got, err)
			}
		})
	}
}

func same(a, b []index.Pack) bool {
	return slices.EqualFunc(a, b, func(p, q index.Pack) bool {
		return p.ID == q.ID && slices.Equal(p.Entries, q.Entries)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"packs":[]}`))
	f.Add(index.Encode([]index.Pack{packOf(1, 0, 3)}))
	f.Add([]byte(strings.Replace(string(index.Encode([]index.Pack{packOf(1, 0, 2)})), ":100", ":0100", 1)))
	f.Add([]byte(`{"supersedes":["x"],"packs":[{"id":"","blobs":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		packs, err := index.Decode(text)
		if err != nil {
			return
		}
		slow, err := index.DecodeAny(text)
		if err != nil || !same(slow, packs) {
			t.Errorf("read quickly %v, read properly %v, %v", packs, slow, err)
		}
		again, err := index.Decode(index.Encode(packs))
		if err != nil || len(again) != len(packs) {
			t.Errorf("what was accepted is not when written again: %v", err)
		}
		x := index.New()
		for _, p := range packs {
			if err := x.Add(p); err != nil && !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("add: %v", err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := index.Encode([]index.Pack{packOf(1, 0, 20_000)})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := index.Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}

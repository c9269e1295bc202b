package snapshot

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"emrvault/backup"
)

func encode(t testing.TB, list []*Node, expect int) []byte {
	t.Helper()
	var b Builder
	b.Expect(expect)
	for _, n := range list {
		if err := b.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// The text of a large folder is allocated about once, whatever was guessed.
func TestBuilderExpects(t *testing.T) {
	list := page(20_000)
	want := encode(t, list, 0)
	for name, tt := range map[string]struct {
		expect int
		most   float64 // bytes allocated for each of the text
	}{
		"all of them": {20_000, 1.2}, "too few": {100, 7}, "too many": {30_000, 1.7}, "nothing": {0, 7}, "nonsense": {-1, 7},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := encode(t, list, tt.expect)
			runtime.ReadMemStats(&after)
			if string(got) != string(want) {
				t.Fatal("the text is another one")
			}
			if ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(want)); ratio > tt.most {
				t.Errorf("got %.1f bytes allocated for each of the text, want at most %.1f", ratio, tt.most)
			}
		})
	}
}

func TestFind(t *testing.T) {
	list := page(300)
	list[7].Name = "document 00006.xml 病程" // comes behind its neighbour and needs no escape
	list[9].Name = "document 00008.xml\x01"
	d := NewDecoder(encode(t, list, 0))
	for _, i := range []int{0, 7, 9, 299} {
		var n Node
		if ok, err := d.Find(list[i].Name, &n); !ok || err != nil || n.Inode != list[i].Inode || len(n.Content) != 1 {
			t.Fatalf("%q: got %+v, %v, %v", list[i].Name, n, ok, err)
		}
	}
	var n Node
	if err := d.Next(&n); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: got %v, want EOF", err)
	}
	if ok, err := NewDecoder(encode(t, list, 0)).Find("nobody", &n); ok || err != nil {
		t.Errorf("got %v, %v; want neither", ok, err)
	}
	torn := encode(t, list, 0)
	if _, err := NewDecoder(torn[:len(torn)-10]).Find("nobody", &n); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a torn tree: got %v, want ErrDamaged", err)
	}
}

// Values that are passed over must be as sound as those that are read.
func TestUnknownMembersAreJudged(t *testing.T) {
	node := `{"nodes":[{"name":"a","type":"fifo","x":%s}]}`
	for value, ok := range map[string]bool{
		`1`: true, `-1.5e3`: true, `"text"`: true, `"病\n"`: true, `null`: true, `true`: true, `{"a":[1,{}]}`: true, `[]`: true,
		`01`: false, `1x`: false, `nulL`: false, `nullx`: false, `"open`: false, `{"a"}`: false, `[1,]`: false, `tru`: false, ``: false, `"\x"`: false,
	} {
		for _, lean := range []bool{false, true} {
			d := NewDecoder(fmt.Appendf(nil, node, value))
			if lean {
				d.Lean()
			}
			var n Node
			err := d.Next(&n)
			if err == nil {
				err = d.Next(&n)
			}
			if got := errors.Is(err, io.EOF); got != ok {
				t.Errorf("%q, lean %v: got %v, want accepted %v", value, lean, err, ok)
			}
		}
	}
}

package index_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

// shapes are lists of packs in all the ways they come.
func shapes() map[string][]index.Pack {
	turned := packOf(2, 10, 20)
	slices.Reverse(turned.Entries)
	gaps := packOf(3, 100, 10)
	for i := range gaps.Entries {
		gaps.Entries[i].Offset *= 2
	}
	overlap := packOf(4, 200, 3)
	overlap.Entries[2].Offset, overlap.Entries[2].Length = 50, 900
	return map[string][]index.Pack{
		"none":           nil,
		"no blobs":       {{ID: id(1)}, packOf(1, 0, 3), {ID: id(2)}},
		"usual":          {packOf(1, 0, 5000), packOf(2, 5000, 1)},
		"not in order":   {turned},
		"gaps":           {packOf(1, 0, 3), gaps, packOf(5, 300, 2)},
		"blobs overlap":  {overlap},
		"blobs twice":    {packOf(1, 0, 9), packOf(2, 3, 9)},
		"one twice here": {{ID: id(-9), Entries: append(packOf(9, 0, 2).Entries, pack.Entry{Handle: packOf(9, 0, 2).Entries[0].Handle, Offset: 200, Length: 64})}},
	}
}

func TestCompactIsTheSameIndex(t *testing.T) {
	for name, packs := range shapes() {
		t.Run(name, func(t *testing.T) {
			want, got := index.New(), index.New()
			for _, p := range packs {
				add(t, want, p)
			}
			data := index.AppendCompact([]byte("before"), packs)[len("before"):]
			for range 2 { // the second time everything is known
				if err := got.AddCompact(data); err != nil {
					t.Fatal(err)
				}
			}
			if got.Len() != want.Len() || !slices.Equal(got.PackIDs(), want.PackIDs()) {
				t.Fatalf("got %d blobs in %v, want %d in %v", got.Len(), got.PackIDs(), want.Len(), want.PackIDs())
			}
			for _, p := range packs {
				if g, w := got.Pack(p.ID), want.Pack(p.ID); !slices.Equal(g, w) {
					t.Errorf("pack %s: got %v, want %v", p.ID.Short(), g, w)
				}
				for _, e := range p.Entries {
					if g, w := got.Copies(e.Handle), want.Copies(e.Handle); !slices.Equal(g, w) || len(g) == 0 {
						t.Errorf("%s: got %v, want %v", e.Handle, g, w)
					}
				}
			}
		})
	}
}

func TestCompactRefuses(t *testing.T) {
	good := index.AppendCompact(nil, []index.Pack{packOf(1, 0, 3)})
	for n := range good {
		x := index.New()
		if err := x.AddCompact(good[:n]); !errors.Is(err, backup.ErrDamaged) || x.Len() > 0 {
			t.Errorf("cut to %d bytes: got %v and %d blobs, want ErrDamaged and none", n, err, x.Len())
		}
	}
	x := index.New()
	add(t, x, packOf(1, 0, 4))
	if err := x.AddCompact(good); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("another list for the same pack: got %v, want ErrDamaged", err)
	}
}

func FuzzCompact(f *testing.F) {
	for _, packs := range shapes() {
		if data := index.AppendCompact(nil, packs); len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x := index.New()
		if x.AddCompact(data) != nil {
			return
		}
		var packs []index.Pack
		for _, id := range x.PackIDs() {
			packs = append(packs, index.Pack{ID: id, Entries: x.Pack(id)})
			for _, e := range packs[len(packs)-1].Entries {
				if err := e.Check(); err != nil {
					t.Fatal(err)
				}
				if _, ok := x.In(id, e.Handle); !ok {
					t.Fatalf("%s is listed in pack %s and not found there", e.Handle, id.Short())
				}
			}
		}
		again := index.New()
		if err := again.AddCompact(index.AppendCompact(nil, packs)); err != nil || again.Len() != x.Len() {
			t.Fatalf("got %d blobs and %v, want %d", again.Len(), err, x.Len())
		}
	})
}

// Readers need no lock; what Add has returned from they must find.
func TestReadersBesideAWriter(t *testing.T) {
	const packs, each = 60, 200
	x := index.New()
	done := make(chan int, packs)
	var group sync.WaitGroup
	group.Go(func() {
		defer close(done)
		for n := range packs {
			add(t, x, packOf(n+1, n*each, each))
			done <- n
		}
	})
	for range 2 {
		group.Go(func() {
			for n := range done {
				for _, e := range packOf(n+1, n*each, each).Entries {
					if at, ok := x.First(e.Handle); !x.Has(e.Handle) || !ok || at.Entry != e {
						t.Errorf("pack %d: got %v, %v; want %v", n, at, ok, e)
						return
					}
				}
				x.Has(packOf(1, -n, 1).Entries[0].Handle)
			}
		})
	}
	group.Wait()
}

func TestReserve(t *testing.T) {
	x := index.New()
	add(t, x, packOf(1, 0, 3000))
	x.Reserve(100_000)
	x.Reserve(1)
	x.Reserve(-1)
	add(t, x, packOf(2, 3000, 3000))
	for _, e := range append(x.Pack(id(-1)), x.Pack(id(-2))...) {
		if !x.Has(e.Handle) {
			t.Fatalf("%s is lost", e.Handle)
		}
	}
}

func BenchmarkHas(b *testing.B) {
	for _, count := range []int{100_000, 4_000_000} {
		x := index.New()
		const each = 4000
		for n := range count / each {
			add(b, x, packOf(n+1, n*each, each))
		}
		there, missing := packOf(1, 0, 4096).Entries, packOf(1, -5000, 4096).Entries
		for name, entries := range map[string][]pack.Entry{"there": there, "missing": missing} {
			b.Run(name+"/"+map[bool]string{true: "4M", false: "100k"}[count > 1_000_000], func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						x.Has(entries[i&4095].Handle)
					}
				})
			})
		}
	}
}

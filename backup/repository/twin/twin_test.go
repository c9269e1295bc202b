package twin

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	r.Read(b)
	return b
}

// check runs texts beside a stream that comes in parts, and compares all with
// the standard library.
func check(t *testing.T, lengths []int, stream []byte, parts, must []int) {
	t.Helper()
	s := NewStream()
	at := 0
	for i, part := range parts {
		end := min(len(stream), at+part)
		var texts []Text
		var contents [][]byte
		for j, n := range lengths {
			contents = append(contents, noise(n+i+j))
			texts = append(texts, NewText(contents[j]))
		}
		need := min(must[i%len(must)], end-at)
		taken := Run(texts, s, stream[at:end], need)
		if taken > end-at || need-taken >= block {
			t.Fatalf("took %d bytes of %d, %d were asked for", taken, end-at, need)
		}
		for j := range texts {
			if got, want := texts[j].Sum(), sha256.Sum256(contents[j]); got != want {
				t.Fatalf("text %d of %d bytes: got %x, want %x", j, len(contents[j]), got, want)
			}
		}
		if _, err := s.Write(stream[at+taken : end]); err != nil {
			t.Fatal(err)
		}
		at = end
	}
	if got, want := s.Sum(), sha256.Sum256(stream[:at]); got != want {
		t.Fatalf("stream of %d bytes: got %x, want %x", at, got, want)
	}
}

func TestSums(t *testing.T) {
	if !Available() {
		t.Log("this processor has no instructions for SHA-256: the standard library does it all")
	}
	stream := noise(100_000)
	for _, lengths := range [][]int{nil, {0}, {1}, {55}, {56}, {63}, {64}, {65}, {119, 120}, {1000, 3}, {0, 0, 0}, {5000, 20_000, 700, 1, 64}} {
		for _, parts := range [][]int{nil, {0}, {1}, {63}, {64}, {100}, {1, 2, 61, 64, 128}, {10_000, 1, 20_000}, {100_000}} {
			for _, must := range [][]int{{0}, {1}, {64}, {5000, 0, 100_000}} {
				t.Run(fmt.Sprint(lengths, parts, must), func(t *testing.T) { check(t, lengths, stream, parts, must) })
			}
		}
	}
}

func TestPlainBlocks(t *testing.T) {
	p, q := noise(640), noise(641)
	var a, b, c, d [8]uint32
	blocks(&a, &b, &p[0], &q[0], 10, &rounds)
	plainBlocks(&c, &p[0], 10)
	plainBlocks(&d, &q[0], 10)
	if a != c || b != d {
		t.Errorf("got %x and %x, want %x and %x", a, b, c, d)
	}
}

func FuzzRun(f *testing.F) {
	f.Add(10, 200, 64, 1000, 100)
	f.Fuzz(func(t *testing.T, one, two, three, part, must int) {
		limit := func(n int) int { return max(0, n%3000) }
		check(t, []int{limit(one), limit(two), limit(three)}, noise(5000), []int{limit(part), limit(two), limit(one)}, []int{limit(must)})
	})
}

func BenchmarkTwo(b *testing.B) {
	x, y := noise(1<<20), noise(1<<20)
	b.SetBytes(2 << 20)
	for b.Loop() {
		Run([]Text{NewText(x), NewText(y)}, NewStream(), nil, 0)
	}
}

func BenchmarkOne(b *testing.B) {
	x := noise(1 << 20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		sha256.Sum256(x)
	}
}

package chunk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/chunk"
)

// noise is the same on every run.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

func table(secret byte) *chunk.Table { return chunk.NewTable([32]byte{secret}) }

// small rules let a test see many cuts in little data.
func small() chunk.Rule {
	return chunk.Rule{Name: "test", Version: 1, Min: 512, Mean: 2048, Max: 8192}
}

func cut(t *testing.T, r io.Reader, table *chunk.Table, rule chunk.Rule) [][]byte {
	t.Helper()
	c := chunk.New(r, table, rule)
	var pieces [][]byte
	var buf []byte
	for {
		piece, err := c.Next(buf)
		if errors.Is(err, io.EOF) {
			return pieces
		}
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, bytes.Clone(piece))
		buf = piece
	}
}

func lengths(pieces [][]byte) []int {
	n := make([]int, len(pieces))
	for i, p := range pieces {
		n[i] = len(p)
	}
	return n
}

// Changing any of these stores every file of every repository once more.
func TestGoldenCuts(t *testing.T) {
	data := noise(1, 6<<20)
	tests := []struct {
		rule chunk.Rule
		n    int
		want []int
	}{
		{chunk.Default, 6 << 20, []int{798894, 912571, 822891, 1278349, 912474, 656698, 909579}},
		{chunk.Database, 1 << 20, []int{139587, 123749, 112242, 90495, 107890, 127977, 168078, 146711, 31847}},
		{chunk.Fixed, 200 << 10, []int{65536, 65536, 65536, 8192}},
	}
	for _, tt := range tests {
		t.Run(tt.rule.Name, func(t *testing.T) {
			if got := lengths(cut(t, bytes.NewReader(data[:tt.n]), table(7), tt.rule)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPiecesJoinToTheInput(t *testing.T) {
	rules := []chunk.Rule{small(), chunk.Database, chunk.Fixed}
	for _, rule := range rules {
		for _, n := range []int{0, 1, 63, 64, 511, 512, 513, 8191, 8192, 8193, 100_000, 3 << 20} {
			t.Run(fmt.Sprintf("%s %d", rule.Name, n), func(t *testing.T) {
				data := noise(2, n)
				pieces := cut(t, bytes.NewReader(data), table(1), rule)
				if !bytes.Equal(bytes.Join(pieces, nil), data) {
					t.Error("the pieces joined are not the input")
				}
				for i, p := range pieces {
					if len(p) > rule.Max || len(p) < rule.Min && i < len(pieces)-1 || len(p) == 0 {
						t.Errorf("piece %d of %d has %d bytes, allowed are %d to %d", i, len(pieces), len(p), rule.Min, rule.Max)
					}
				}
			})
		}
	}
}

func TestCutsDoNotDependOnReads(t *testing.T) {
	data := noise(3, 400_000)
	want := lengths(cut(t, bytes.NewReader(data), table(1), small()))
	readers := map[string]io.Reader{
		"one byte at a time": iotest.OneByteReader(bytes.NewReader(data)),
		"half of what fits":  iotest.HalfReader(bytes.NewReader(data)),
		"end with the data":  iotest.DataErrReader(bytes.NewReader(data)),
		"random lengths":     &ragged{data: data, random: rand.New(rand.NewPCG(1, 2))},
	}
	for name, r := range readers {
		t.Run(name, func(t *testing.T) {
			if got := lengths(cut(t, r, table(1), small())); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// ragged hands out pieces of random length, sometimes none.
type ragged struct {
	data   []byte
	random *rand.Rand
}

func (r *ragged) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(r.data), r.random.IntN(5000))
	copy(p, r.data[:n])
	r.data = r.data[n:]
	return n, nil
}

func TestInsertionMovesFewCuts(t *testing.T) {
	data := noise(4, 2<<20)
	at := len(data) / 2
	changed := slices.Concat(data[:at], []byte("a new line"), data[at:])
	before := ids(cut(t, bytes.NewReader(data), table(1), small()))
	after := ids(cut(t, bytes.NewReader(changed), table(1), small()))
	fresh := 0
	for id := range after {
		if !before[id] {
			fresh++
		}
	}
	if fresh == 0 || fresh > 5 {
		t.Errorf("%d of %d pieces are new after an insertion, want 1 to 5", fresh, len(after))
	}
}

func ids(pieces [][]byte) map[blob.ID]bool {
	set := make(map[blob.ID]bool)
	for _, p := range pieces {
		set[blob.Hash(p)] = true
	}
	return set
}

func TestAnotherTableCutsElsewhere(t *testing.T) {
	data := noise(5, 1<<20)
	a := ids(cut(t, bytes.NewReader(data), table(1), small()))
	b := ids(cut(t, bytes.NewReader(data), table(2), small()))
	for id := range a {
		if b[id] {
			t.Fatal("two tables found the same piece")
		}
	}
}

func TestMeanLength(t *testing.T) {
	for _, rule := range []chunk.Rule{small(), chunk.Database} {
		n := len(cut(t, bytes.NewReader(noise(6, 16<<20)), table(1), rule))
		mean := 16 << 20 / n
		if mean < rule.Mean*8/10 || mean > rule.Mean*12/10 {
			t.Errorf("%s: mean length is %d, want about %d", rule.Name, mean, rule.Mean)
		}
	}
}

func TestZerosAreCutAtTheMaximum(t *testing.T) {
	pieces := cut(t, bytes.NewReader(make([]byte, 3*8192)), table(1), small())
	if got := lengths(pieces); !slices.Equal(got, []int{8192, 8192, 8192}) {
		t.Errorf("got %v, want three pieces of 8192", got)
	}
}

func TestErrorsOfTheReader(t *testing.T) {
	broken := errors.New("disk says no")
	tests := []struct {
		name   string
		reader io.Reader
		want   error
	}{
		{"at once", iotest.ErrReader(broken), broken},
		{"in the middle", io.MultiReader(bytes.NewReader(noise(7, 100)), iotest.ErrReader(broken)), broken},
		{"cut short is no end", io.MultiReader(bytes.NewReader(noise(7, 100)), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"nothing for ever", stuck{}, io.ErrNoProgress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := chunk.New(tt.reader, table(1), small()).Next(nil); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReset(t *testing.T) {
	data := noise(8, 50_000)
	c := chunk.New(bytes.NewReader(noise(9, 30_000)), table(1), small())
	if _, err := c.Next(nil); err != nil {
		t.Fatal(err)
	}
	c.Reset(bytes.NewReader(data))
	piece, err := c.Next(nil)
	if err != nil || !bytes.HasPrefix(data, piece) {
		t.Errorf("after Reset the first piece is not the beginning of the new input (%v)", err)
	}
}

func TestRuleFor(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/srv/emr/emr.db", "database"},
		{"DUMP.SQL", "database"},
		{"/var/lib/mysql/emr/patient.ibd", "database"},
		{`C:\data\emr.MDF`, "database"},
		{"/vm/pacs.QCOW2", "database"},
		{"mail/archive.pst", "database"},
		{"/srv/emr/scan.tif", "default"},
		{"db", "default"},
		{"", "default"},
		{"病历.xml", "default"},
	}
	for _, tt := range tests {
		if got := chunk.RuleFor(tt.path, 1).Name; got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.path, got, tt.want)
		}
	}
}

func FuzzPiecesJoin(f *testing.F) {
	f.Add([]byte("x"), uint16(3))
	f.Add(noise(10, 20_000), uint16(100))
	f.Fuzz(func(t *testing.T, data []byte, repeat uint16) {
		data = bytes.Repeat(data, int(repeat%64)+1)
		if pieces := cut(t, bytes.NewReader(data), table(3), small()); !bytes.Equal(bytes.Join(pieces, nil), data) {
			t.Error("the pieces joined are not the input")
		}
	})
}

func BenchmarkNext(b *testing.B) {
	data := noise(11, 64<<20)
	for _, rule := range []chunk.Rule{chunk.Default, chunk.Database} {
		b.Run(rule.Name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			c := chunk.New(nil, table(1), rule)
			var buf []byte
			for b.Loop() {
				c.Reset(bytes.NewReader(data))
				for {
					piece, err := c.Next(buf)
					if err != nil {
						break
					}
					buf = piece
				}
			}
		})
	}
}

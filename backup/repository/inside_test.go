package repository

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup"
	"emrvault/backup/repository/crypto"
)

func testCodec(t testing.TB) *codec {
	t.Helper()
	c, err := newCodec(CompressFastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExpand(t *testing.T) {
	c := testCodec(t)
	plain := bytes.Repeat([]byte("病历 "), 50_000)
	frame := c.compress(nil, plain)
	unsized, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	unsized.Reset(&stream)
	for part := range 10 {
		if _, err := unsized.Write(plain[part*len(plain)/10 : (part+1)*len(plain)/10]); err != nil {
			t.Fatal(err)
		}
	}
	if err := unsized.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := c.compress(nil, make([]byte, 64<<20))
	tests := []struct {
		name   string
		frame  []byte
		length int
		ok     bool
	}{
		{"ours", frame, len(plain), true},
		{"a frame that does not tell its length", stream.Bytes(), len(plain), true},
		{"a byte less", frame, len(plain) - 1, false},
		{"a byte more", frame, len(plain) + 1, false},
		{"a bomb told as small", bomb, 1000, false},
		{"small told as a gigabyte", frame[:30], 1 << 30, false},
		{"cut", frame[:len(frame)/2], len(plain), false},
		{"no frame", []byte("nonsense"), 8, false},
		{"nothing", nil, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.expand([]byte("kept"), tt.frame, tt.length)
			switch {
			case tt.ok && (err != nil || string(got) != "kept"+string(plain)):
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(plain)+4)
			case !tt.ok && !errors.Is(err, backup.ErrDamaged):
				t.Errorf("got %v, want ErrDamaged", err)
			}
			if cap(got) > 2*len(plain)+4096 {
				t.Errorf("took %d bytes of memory", cap(got))
			}
		})
	}
}

func TestPolynomials(t *testing.T) {
	tests := []struct {
		p    polynomial
		want bool
	}{
		{0x3da3358b4dc173, true}, // restic's reference
		{0x35e5378353ccc3, true}, // drawn by restic
		{0x3da3358b4dc172, false},
		{0b111, true},    // x²+x+1
		{0b101, false},   // (x+1)²
		{0b1011, true},   // x³+x+1
		{0b10001, false}, // (x+1)⁴
		{0b11111, true},  // x⁴+x³+x²+x+1
		{0b10101, false}, // (x²+x+1)²
		{1, false},
		{0, false},
	}
	for _, tt := range tests {
		if got := tt.p.irreducible(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.p, got, tt.want)
		}
	}
	random := rand.NewChaCha8([32]byte{1})
	seen := map[polynomial]bool{}
	for range 20 {
		p, err := drawPolynomial(random)
		if err != nil || p.degree() != polynomialDegree || !p.irreducible() || seen[p] {
			t.Errorf("drew %s of degree %d, %v", p, p.degree(), err)
		}
		seen[p] = true
	}
	if _, err := drawPolynomial(bytes.NewReader(nil)); err == nil {
		t.Error("a dry random source: got no error")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"version":2,"id":"5956a3f67a6230d4a92cefb29529f10196c7d92582ec305fd71ff6d331d6271b","chunker_polynomial":"25b468838dcb75"}`))
	f.Add([]byte(`{"version":3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err == nil && (c.Version < 1 || c.Version > 2 || len(c.ID) != 64) {
			t.Errorf("accepted %+v", c)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	master, err := crypto.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	text, err := newKeyFile(master, crypto.KDF{N: 16, R: 1, P: 1}, "x", KeyHints{}, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"kdf":"scrypt","N":1073741824,"r":1073741824,"p":1073741824}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKeyFile(text)
		if err != nil {
			return
		}
		if k.N > 1024 || k.R > 8 || k.P > 8 {
			return // allowed, but not while fuzzing
		}
		if _, _, err := k.open("x"); err != nil && !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("open: %v", err)
		}
	})
}

// FuzzDocument lets the encodings inside the seal see any bytes.
func FuzzDocument(f *testing.F) {
	master, err := crypto.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	codec := testCodec(f)
	r := &Repository{key: master, codec: codec, config: config{Version: 2}}
	f.Add([]byte(`{}`))
	f.Add(codec.compress([]byte{frameMark}, []byte(`{"time":1}`)))
	f.Add(codec.compress([]byte{frameMark}, make([]byte, 1<<20)))
	f.Add([]byte{frameMark, 0x28, 0xb5, 0x2f, 0xfd, 0xa4, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, plain []byte) {
		sealed, err := master.Seal(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.openDocument(nil, sealed); err != nil && !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})
}

func FuzzExpand(f *testing.F) {
	codec := testCodec(f)
	f.Add(codec.compress(nil, []byte("hello world\n")), uint32(12))
	f.Add(codec.compress(nil, make([]byte, 1<<20)), uint32(100))
	f.Fuzz(func(t *testing.T, frame []byte, length uint32) {
		length %= 4 << 20
		plain, err := codec.expand(nil, frame, int(length))
		if err == nil && len(plain) != int(length) {
			t.Errorf("got %d bytes, want %d", len(plain), length)
		}
	})
}

package repository

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage/mem"
)

func random(n int) []byte {
	buf := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(buf) // never fails
	return buf
}

func TestDenseDataIsRecognised(t *testing.T) {
	scan := image.NewGray(image.Rect(0, 0, 900, 900))
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range scan.Pix {
		scan.Pix[i] = uint8(i/900*255/900 + dice.IntN(60))
	}
	scan.Set(3, 3, color.White)
	var film, archive bytes.Buffer
	if err := jpeg.Encode(&film, scan, &jpeg.Options{Quality: 92}); err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(&archive)
	f, err := z.Create("records.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60_000 {
		fmt.Fprintf(f, "%d;%d;%x\n", i, dice.Uint64(), dice.Uint64())
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var page []byte
	for i := range 40_000 {
		page = binary.LittleEndian.AppendUint64(page, uint64(i)<<20|dice.Uint64N(1<<20))
	}
	tests := []struct {
		name  string
		plain []byte
		want  bool
	}{
		{"sealed by somebody else", random(1 << 20), true},
		{"a film, JPEG", film.Bytes(), true},
		{"a zip archive", archive.Bytes(), true},
		{"short", random(denseFrom - 1), false},
		{"just long enough", random(denseFrom), true},
		{"text", []byte(strings.Repeat("护理记录 体温 36.8 ", 20_000)), false},
		{"base64", []byte(base64.StdEncoding.EncodeToString(random(300_000))), false},
		{"numbers of a table", page, false},
		{"zeros", make([]byte, 1<<20), false},
		{"every byte once in turn", bytes.Repeat(counting(), 512), true}, // compresses well; the sample cannot know
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dense(tt.plain); got != tt.want {
				t.Errorf("%d bytes: got %v, want %v", len(tt.plain), got, tt.want)
			}
		})
	}
}

func counting() (all []byte) {
	for i := range 256 {
		all = append(all, byte(i))
	}
	return all
}

// Whatever happens to the bytes of a blob between its naming and its pack must
// be noticed before it is stored.
func TestFaultsOfMemoryAreNoticed(t *testing.T) {
	r, err := Create(t.Context(), mem.New(), "geheim", WithKDF(crypto.KDF{N: 16, R: 8, P: 1}))
	if err != nil {
		t.Fatal(err)
	}
	w := r.newWriter(t.Context(), func(error) {}, 1)
	text := []byte(strings.Repeat("病历 ", 5000))
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	tests := []struct {
		name  string
		plain []byte
		spoil func(s *sealer, j *job)
		hash  bool
	}{
		{"the sealed bytes, compared", text, func(s *sealer, _ *job) { flip(s.sealed) }, false},
		{"the sealed bytes, hashed", text, func(s *sealer, _ *job) { flip(s.sealed) }, true},
		{"the sealed bytes of a raw blob", random(100_000), func(s *sealer, _ *job) { flip(s.sealed) }, false},
		{"the name, hashed", text, func(_ *sealer, j *job) { flip(j.handle.ID[:]) }, true},
		{"the checksum", text, func(_ *sealer, j *job) { j.sum++ }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := w.sealer()
			if err != nil {
				t.Fatal(err)
			}
			j := w.newJob(blob.Data, bytes.Clone(tt.plain))
			_, length, err := s.seal(w, j)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.verify(w, j, length, tt.hash); err != nil {
				t.Fatalf("nothing was spoiled: %v", err)
			}
			tt.spoil(s, &j)
			if err := s.verify(w, j, length, tt.hash); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
	t.Run("plaintext after it was named", func(t *testing.T) {
		s, err := w.sealer()
		if err != nil {
			t.Fatal(err)
		}
		j := w.newJob(blob.Data, bytes.Clone(text))
		flip(j.plain)
		if _, _, err := s.seal(w, j); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})
}

func TestWordsOfChoices(t *testing.T) {
	for c := CompressOff; c <= CompressBest; c++ {
		if got, err := ParseCompression(c.String()); got != c || err != nil {
			t.Errorf("%s: got %v, %v", c, got, err)
		}
	}
	if _, err := ParseCompression("max"); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	for word, want := range map[string]Verify{"full": VerifyFull, "sampled": VerifySampled, "off": VerifyOff} {
		if got, err := ParseVerify(word); got != want || err != nil {
			t.Errorf("%s: got %v, %v", word, got, err)
		}
	}
	if _, err := ParseVerify(""); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

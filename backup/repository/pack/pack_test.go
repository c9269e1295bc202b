package pack_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/repository/pack"
)

// A header as restic wrote it: three compressed data blobs.
const vector = "02360000000d000000" + "26316bfbafda428e1d1089a96b250d42eb333fbb107ea2f7a4fbf9ac6808ec32" +
	"02350000000c000000" + "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447" +
	"022a00000001000000" + "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

func entry(t *testing.T, typ blob.Type, id string, offset, length, plain uint32) pack.Entry {
	t.Helper()
	parsed, err := blob.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	return pack.Entry{Handle: blob.Handle{Type: typ, ID: parsed}, Offset: offset, Length: length, Plain: plain}
}

func vectorEntries(t *testing.T) []pack.Entry {
	return []pack.Entry{
		entry(t, blob.Data, "26316bfbafda428e1d1089a96b250d42eb333fbb107ea2f7a4fbf9ac6808ec32", 0, 54, 13),
		entry(t, blob.Data, "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447", 54, 53, 12),
		entry(t, blob.Data, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", 107, 42, 1),
	}
}

func TestHeaderKnownAnswer(t *testing.T) {
	want := vectorEntries(t)
	if got := hex.EncodeToString(pack.AppendHeader(nil, want)); got != vector {
		t.Errorf("got %s, want %s", got, vector)
	}
	header, err := hex.DecodeString(vector)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pack.ParseHeader(header)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if size := pack.Size(want); size != 308 {
		t.Errorf("got a size of %d, want 308", size)
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	id := strings.Repeat("ab", 32)
	tests := []struct{ name, header string }{
		{"unknown kind", "04" + "30000000" + id},
		{"cut raw entry", ("00" + "30000000" + id)[:72]},
		{"cut compressed entry", "02" + "30000000" + id},
		{"shorter than a seal", "00" + "1f000000" + id},
		{"compressed to nothing", "02" + "30000000" + "00000000" + id},
		{"beyond 4 GiB", "02" + "ffffffff" + "01000000" + id + "02" + "ffffffff" + "01000000" + id},
		{"claims too much memory", "02" + "30000000" + "ffffffff" + id},
		{"sealed in more than it can be", "02" + "ffffffff" + "01000000" + id},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header, err := hex.DecodeString(tt.header)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pack.ParseHeader(header); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, %v; want ErrDamaged", got, err)
			}
		})
	}
}

// build makes a pack of n raw blobs.
func build(t *testing.T, key *crypto.Key, n int) (data []byte, entries []pack.Entry) {
	t.Helper()
	b := pack.NewBuilder(nil)
	for i := range n {
		plain := bytes.Repeat([]byte{byte(i)}, i%100)
		sealed, err := key.Seal(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(blob.Handle{Type: blob.Tree, ID: blob.Hash(plain)}, sealed, 0)
	}
	data, id, err := b.Finish(key)
	if err != nil {
		t.Fatal(err)
	}
	if id != blob.Hash(data) {
		t.Error("the name is not the hash of the bytes")
	}
	return data, b.Entries()
}

func reader(data []byte) pack.Read {
	return func(_ context.Context, offset, length int64) ([]byte, error) {
		return data[offset : offset+length], nil
	}
}

func newKey(t *testing.T) *crypto.Key {
	t.Helper()
	key, err := crypto.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestReadHeader(t *testing.T) {
	key := newKey(t)
	for _, n := range []int{0, 1, 100, 3000} { // the last has a longer header than is read at first
		data, want := build(t, key, n)
		if size := pack.Size(want); size != int64(len(data)) {
			t.Errorf("%d blobs: size is %d, want %d", n, size, len(data))
		}
		got, err := pack.ReadHeader(t.Context(), key, int64(len(data)), reader(data))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d blobs: got %d entries, %v; want %d", n, len(got), err, len(want))
		}
	}
}

func TestReadHeaderRefusesEveryCutAndFlip(t *testing.T) {
	key := newKey(t)
	data, entries := build(t, key, 3)
	blobs := int(entries[2].Offset + entries[2].Length)
	for n := range data {
		if _, err := pack.ReadHeader(t.Context(), key, int64(n), reader(data[:n])); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("cut to %d of %d bytes: got %v, want ErrDamaged", n, len(data), err)
		}
	}
	for bit := blobs * 8; bit < len(data)*8; bit++ {
		bad := bytes.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := pack.ReadHeader(t.Context(), key, int64(len(bad)), reader(bad)); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("bit %d flipped: got %v, want ErrDamaged", bit, err)
		}
	}
}

func TestBuilder(t *testing.T) {
	b := pack.NewBuilder(nil)
	sealed := make([]byte, 100)
	for n := 1; n <= 10; n++ {
		b.Add(blob.Handle{}, sealed, 0)
		if got, want := b.Full(1000), n == 10; got != want {
			t.Errorf("after %d bytes: full is %v, want %v", n*100, got, want)
		}
	}
	b.Reset()
	for range pack.MaxEntries {
		b.Add(blob.Handle{}, sealed[:32], 0)
	}
	if !b.Full(pack.Target) {
		t.Errorf("a pack of %d tiny blobs must be full", pack.MaxEntries)
	}
}

func FuzzParseHeader(f *testing.F) {
	header, err := hex.DecodeString(vector)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(header)
	f.Add(header[:41])
	f.Add(make([]byte, 37))
	f.Fuzz(func(t *testing.T, header []byte) {
		entries, err := pack.ParseHeader(header)
		if err != nil {
			return
		}
		if again := pack.AppendHeader(nil, entries); !bytes.Equal(again, header) {
			t.Errorf("written again: %x, want %x", again, header)
		}
		for _, e := range entries {
			if e.Check() != nil || e.PlainSize() < 0 {
				t.Errorf("accepted %+v", e)
			}
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	key, err := crypto.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x10\x00\x00\x00"), false)
	f.Add(make([]byte, 100), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal { // let the header's own parser see what the seal would keep away
			var err error
			if data, err = key.Seal(nil, data); err != nil {
				t.Fatal(err)
			}
			data = append(data, byte(len(data)), byte(len(data)>>8), byte(len(data)>>16), byte(len(data)>>24))
		}
		entries, err := pack.ReadHeader(t.Context(), key, int64(len(data)), reader(data))
		if err == nil && pack.Size(entries) != int64(len(data)) {
			t.Errorf("accepted a pack of %d bytes for %d", len(data), pack.Size(entries))
		}
	})
}

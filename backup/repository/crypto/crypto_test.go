package crypto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"emrvault/backup"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func TestDeriveKnownAnswers(t *testing.T) {
	tests := []struct {
		password string
		n        int
		want     string
	}{
		{"geheim", 1024, "afd9918d07af99c41fe53ea3e2602702a2cc0f1d68f2c224f4f4bdff8a4bea38" +
			"e522565c84ab5b1070e2da80cfd4ef48" + "e369ce349fb98016146594b711346c99"},
		{"geheim", 32768, "27933cc8ec79b02eb123bc21e60f7e8ef5ba88d8574d1ae4133b74052386d56d" +
			"0347f1e1c7fd8c914a16d64771e18284" + "15279e3c02e87d177f4773ecdf4374ef"},
		{"密码 pässword", 1024, "9379fb98ea4bd9412cd3fcd776c24c5641388f4de8392cc1719463f82ef90ea0" +
			"fd9b8b1e26f8d0b2d0f636e5eecd211a" + "6d198b4762459a0790d11c510d934728"},
		{"密码 pässword", 32768, "f5a7868ccefa3a01885894a985437bcf3c1b4fad5cb2b4bcbb1573c500a64900" +
			"8e327e61a77107ca0ee3581c916ad1ec" + "b9d9692d456d19c956651ac7a50165e7"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s N=%d", tt.password, tt.n), func(t *testing.T) {
			key, err := KDF{N: tt.n, R: 8, P: 1}.Derive(tt.password, count(0, SaltSize))
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(key.raw[:]); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestKDFCheck(t *testing.T) {
	tests := []struct {
		name string
		kdf  KDF
		ok   bool
	}{
		{"what we write", DefaultKDF(), true},
		{"twice the memory", KDF{N: 1 << 16, R: 8, P: 1}, true},
		{"N is 1", KDF{N: 1, R: 8, P: 1}, false},
		{"N is no power of two", KDF{N: 1000, R: 8, P: 1}, false},
		{"negative", KDF{N: 1024, R: -8, P: 1}, false},
		{"zero p", KDF{N: 1024, R: 8, P: 0}, false},
		{"memory of a supercomputer", KDF{N: 1 << 26, R: 8, P: 1}, false},
		{"time without end", KDF{N: 1 << 15, R: 8, P: 1 << 20}, false},
		{"product overflows", KDF{N: 1 << 62, R: 1 << 62, P: 1 << 62}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.kdf.Check(); (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %v", err, tt.ok)
			}
		})
	}
	if _, err := (KDF{N: 1024, R: 8, P: 1}).Derive("x", make([]byte, 63)); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("short salt: got %v, want ErrInvalid", err)
	}
}

func vectorKey() *Key {
	return newKey(append(append(count(0x00, 32), count(0x20, 16)...), count(0xf0, 16)...))
}

func TestSealKnownAnswers(t *testing.T) {
	const nonce = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	tests := []struct {
		name, plain, nonce, want string
	}{
		{"empty", "", nonce, "8aef4b6f9c4c0ad05bbaa8bbc43c8d7f"},
		{"one byte", "a", nonce, "bdd87d9a4cc7d553a8813eed8ee5bbcc4d"},
		{"a line", "hello world\n", nonce, "b4fa6d9119980b627d278c8f8ffe6f1ec0093e7221bb71fe8adb44e1"},
		{"33 bytes", "0123456789abcdef0123456789abcdef0", nonce,
			"ecae33ce428d4a3a377289e7686f8986d1e0d9224874a31fd4b399e80454b6f9a95926b8f981eaa6cd739c5547d5f2c050"},
		{"the counter wraps", "counter wraps around here, 33 b!!", "ffffffffffffffffffffffffffffffff",
			"8af6917338c202fa24f5700b2eaf369c9de56ed20a21faa2ccdfba59ee0e15a1d1f610d9f712165f447f99823aa9552af6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := vectorKey()
			sealed := key.sealWith([nonceSize]byte(unhex(t, tt.nonce)), nil, []byte(tt.plain))
			if got := hex.EncodeToString(sealed); got != tt.nonce+tt.want {
				t.Fatalf("got %s, want %s", got, tt.nonce+tt.want)
			}
			plain, err := key.Open(nil, sealed)
			if err != nil || string(plain) != tt.plain {
				t.Errorf("open: got %q, %v; want %q", plain, err, tt.plain)
			}
			plain, err = key.OpenInPlace(sealed)
			if err != nil || string(plain) != tt.plain {
				t.Errorf("open in place: got %q, %v; want %q", plain, err, tt.plain)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	key := vectorKey()
	sealed, err := key.Seal(nil, []byte("the patient's record"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Open(nil, make([]byte, 64)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("zero nonce: got %v, want ErrDamaged", err)
	}
	for n := range sealed {
		if _, err := key.Open(nil, sealed[:n]); !errors.Is(err, ErrSeal) {
			t.Errorf("cut to %d bytes: got %v, want ErrSeal", n, err)
		}
	}
	for bit := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := key.Open(nil, bad); !errors.Is(err, ErrSeal) {
			t.Errorf("bit %d flipped: got %v, want ErrSeal", bit, err)
		}
	}
	other, err := NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(nil, sealed); !errors.Is(err, ErrSeal) {
		t.Errorf("another key: got %v, want ErrSeal", err)
	}
}

func TestMasterRoundTrip(t *testing.T) {
	key, err := NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalMaster()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseMaster(text)
	if err != nil || again.raw != key.raw {
		t.Errorf("got another key or %v", err)
	}
	for _, bad := range []string{"", "{}", `{"encrypt":"AAAA","mac":{"k":"","r":""}}`, "[]"} {
		if _, err := ParseMaster([]byte(bad)); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%q: got %v, want ErrDamaged", bad, err)
		}
	}
}

// Some programs store r with the bits cleared that Poly1305 clears anyway.
func TestClampedKeyIsTheSameKey(t *testing.T) {
	key := vectorKey()
	clamped := key.raw
	r := clamped[encryptSize+macKSize:]
	for _, i := range []int{3, 7, 11, 15} {
		r[i] &= 15
	}
	for _, i := range []int{4, 8, 12} {
		r[i] &= 252
	}
	other := newKey(clamped[:])
	sealed, err := key.Seal(nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(nil, sealed); err != nil {
		t.Errorf("open with the clamped key: %v", err)
	}
	if key.Secret("cuts") != other.Secret("cuts") {
		t.Error("the derived secret depends on clamping")
	}
	if key.Secret("cuts") == key.Secret("other") {
		t.Error("the derived secret does not depend on its purpose")
	}
}

// The cuts of every repository depend on it.
func TestSecretKnownAnswer(t *testing.T) {
	const want = "2d0ba99c367c95834a4dc3ba076a0bff22cc7f15330673b1269aefb3cd6c7369"
	secret := vectorKey().Secret("a purpose")
	if got := hex.EncodeToString(secret[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	key := vectorKey()
	sealed, err := key.Seal(nil, []byte("seed"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := key.Open(nil, b); err == nil && len(plain) != len(b)-Overhead {
			t.Errorf("opened %d bytes to %d", len(b), len(plain))
		}
	})
}

func FuzzParseMaster(f *testing.F) {
	text, err := vectorKey().MarshalMaster()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParseMaster(b)
		if (key == nil) == (err == nil) {
			t.Errorf("got key %v and error %v", key != nil, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	key := vectorKey()
	for _, size := range []int{12 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%d KiB", size>>10), func(b *testing.B) {
			plain, buf := make([]byte, size), []byte(nil)
			b.SetBytes(int64(size))
			for b.Loop() {
				var err error
				if buf, err = key.Seal(buf[:0], plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

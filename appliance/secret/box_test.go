package secret_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
)

func open(t *testing.T, layout config.Layout) *secret.Box {
	t.Helper()
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	b, err := secret.Open(layout)
	if err != nil {
		t.Fatalf("open box key: %v", err)
	}
	return b
}

func TestSealedTextSurvivesRestart(t *testing.T) {
	layout := config.NewLayout(t.TempDir())
	first := open(t, layout)
	sealed, err := first.Seal("repository/1/password", []byte("秘密 word"))
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, layout)
	plain, err := second.Unseal("repository/1/password", sealed)
	if err != nil || string(plain) != "秘密 word" {
		t.Errorf("unsealed %q, %v, want the word", plain, err)
	}
	if first.Protection() != second.Protection() || !strings.HasPrefix(first.Protection().Key(), "secret.protection.") {
		t.Errorf("protection = %q, then %q", first.Protection(), second.Protection())
	}
	info, err := os.Stat(filepath.Join(layout.Secret(), "box.key"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("box.key has rights %v (%v), want the owner's only", info.Mode(), err)
	}
}

func TestUnsealRefuses(t *testing.T) {
	b := open(t, config.NewLayout(t.TempDir()))
	other := open(t, config.NewLayout(t.TempDir()))
	sealed, err := b.Seal("a", []byte("word"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		box     *secret.Box
		purpose string
		sealed  string
	}{
		{"other purpose", b, "b", sealed},
		{"other box", other, "a", sealed},
		{"cut short", b, "a", sealed[:len(sealed)-4]},
		{"changed", b, "a", sealed[:len(sealed)-2] + flip(sealed[len(sealed)-2:])},
		{"other version", b, "a", "sealed9" + sealed[7:]},
		{"nothing", b, "a", ""},
		{"dots", b, "a", "sealed1.."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.box.Unseal(test.purpose, test.sealed)
			if !errors.Is(err, secret.ErrForeign) || errs.KindOf(err) != errs.Conflict {
				t.Errorf("error = %v, want ErrForeign", err)
			}
		})
	}
}

func flip(two string) string {
	if two[0] == 'A' {
		return "B" + two[1:]
	}
	return "A" + two[1:]
}

func TestSealingTwiceDiffers(t *testing.T) {
	b := open(t, config.NewLayout(t.TempDir()))
	one, err1 := b.Seal("a", []byte("same"))
	two, err2 := b.Seal("a", []byte("same"))
	if err1 != nil || err2 != nil || one == two {
		t.Errorf("sealed %q and %q (%v, %v), want two different texts", one, two, err1, err2)
	}
}

func TestDamagedKeyIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "other file": "hello world again", "version": "emrvault-box-key-2 file AAAA\n",
		"short": "emrvault-box-key-1 file AAAA\n", "protection": "emrvault-box-key-1 magic AAAA\n",
		"letters": "emrvault-box-key-1 file !!!!\n",
	} {
		t.Run(name, func(t *testing.T) {
			layout := config.NewLayout(t.TempDir())
			if err := layout.Make(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(layout.Secret(), "box.key")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.Open(layout); errs.KindOf(err) != errs.Conflict || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %v, want one that names the file", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, []byte(content)) {
				t.Errorf("the damaged key was changed to %q (%v)", after, err)
			}
		})
	}
}

// A lost key is never replaced beside words that only it opens.
func TestLostKeyIsNotReplaced(t *testing.T) {
	layout := config.NewLayout(t.TempDir())
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), layout.Database(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b, err := secret.OpenFor(t.Context(), layout, s)
	if err != nil {
		t.Fatalf("first start: %v", err)
	}
	path, aside := filepath.Join(layout.Secret(), "box.key"), filepath.Join(t.TempDir(), "box.key")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return b.Keep(tx, "a", secret.NewText("word")) }); err != nil {
		t.Fatal(err)
	}
	move(path, aside)
	_, err = secret.OpenFor(t.Context(), layout, s)
	if errs.KindOf(err) != errs.Conflict || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "recovery sheet") {
		t.Errorf("key gone: got %v, want a conflict with the file and the way out", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made all the same (%v)", err)
	}
	move(aside, path)
	if b, err = secret.OpenFor(t.Context(), layout, s); err != nil {
		t.Fatalf("key put back: %v", err)
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return b.Drop(tx, "a") }); err != nil {
		t.Fatal(err)
	}
	move(path, aside)
	if _, err := secret.OpenFor(t.Context(), layout, s); err != nil {
		t.Errorf("nothing sealed: got %v, want a new key", err)
	}
}

func TestKeepFetchDrop(t *testing.T) {
	layout := config.NewLayout(t.TempDir())
	b := open(t, layout)
	s, err := store.Open(t.Context(), layout.Database(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // the test is over
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		for _, word := range []string{"first", "second"} {
			if err := b.Keep(tx, "source/1/password", secret.NewText(word)); err != nil {
				return err
			}
		}
		word, err := b.Fetch(tx, "source/1/password")
		if err != nil || word.Reveal() != "second" {
			t.Errorf("fetched %q, %v, want the last word kept", word.Reveal(), err)
		}
		if err := b.Drop(tx, "source/1/password"); err != nil {
			return err
		}
		_, err = b.Fetch(tx, "source/1/password")
		if errs.KindOf(err) != errs.NotFound {
			t.Errorf("fetch after drop = %v, want not found", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"emrvault/appliance/store"
)

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 22, 10, 22, 3, 123456789, time.UTC) }
	s, err := store.Open(t.Context(), path, now)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func TestWrittenRowIsRead(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "数据 #1?%.db"))
	ctx := context.Background()
	err := s.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO settings (key, value, changed) VALUES ('a', '1', ?)`, store.Stamp(tx.Now))
		return err
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	var at store.Time
	err = s.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT changed FROM settings WHERE key = 'a'`).Scan(&at)
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if got, want := at.Time, s.Now(); !got.Equal(want) {
		t.Errorf("moment = %v, want %v", got, want)
	}
	err = s.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM settings`)
		return err
	})
	if err == nil {
		t.Error("a read transaction deleted rows, want an error")
	}
}

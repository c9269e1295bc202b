package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

var today = time.Date(2026, 11, 22, 10, 22, 3, 123456789, time.UTC)

func now() time.Time { return today }

func open(t *testing.T, path string) *store.Store {
	t.Helper()
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

func set(tx *store.Tx, key, value string) error {
	_, err := tx.Exec(`
		INSERT INTO settings (key, value, changed) VALUES (?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, changed = excluded.changed`,
		key, value, store.Stamp(tx.Now))
	return err
}

func count(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	err := s.Read(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM settings`).Scan(&n)
	})
	if err != nil {
		t.Fatalf("count: %v", err)
	}
	return n
}

func TestWrittenRowIsRead(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "数据 #1?%.db"))
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return set(tx, "a", "1") }); err != nil {
		t.Fatalf("write: %v", err)
	}
	var at store.Time
	err := s.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT changed FROM settings WHERE key = 'a'`).Scan(&at)
	})
	if err != nil || !at.Equal(s.Now()) || !at.Equal(today.Truncate(time.Microsecond)) {
		t.Errorf("moment = %v, %v, want that of the transaction, %v", at, err, s.Now())
	}
	if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the database has rights %v (%v), want the owner's only", info.Mode(), err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	err := s.Read(t.Context(), func(tx *store.Tx) error { return set(tx, "a", "1") })
	if err == nil || count(t, s) != 0 {
		t.Errorf("write in a read transaction = %v, %d rows, want a refusal", err, count(t, s))
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	wrong := errors.New("wrong")
	tests := map[string]func(*store.Tx) error{
		"error": func(tx *store.Tx) error { return errors.Join(set(tx, "a", "1"), wrong) },
		"panic": func(tx *store.Tx) error { panic(set(tx, "a", "1")) },
	}
	for name, fn := range tests {
		t.Run(name, func(t *testing.T) {
			func() {
				defer func() { _ = recover() }()
				if err := s.Write(t.Context(), fn); !errors.Is(err, wrong) {
					t.Errorf("write = %v, want the function's own error", err)
				}
			}()
			if got := count(t, s); got != 0 {
				t.Errorf("%d rows are left, want none", got)
			}
		})
	}
	// The writer is free again after both.
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return set(tx, "b", "1") }); err != nil {
		t.Errorf("write afterwards: %v", err)
	}
}

func TestWritersQueueAndReadersSeeWholeStates(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	ctx := t.Context()
	const writers, rounds = 4, 20
	var group sync.WaitGroup
	fail := make(chan error, 2*writers)
	for w := range writers {
		group.Go(func() {
			for r := range rounds {
				// Reads first, then writes: with deferred transactions two such
				// writers fail as busy.
				fail <- s.Write(ctx, func(tx *store.Tx) error {
					var n int
					if err := tx.QueryRow(`SELECT count(*) FROM settings`).Scan(&n); err != nil {
						return err
					}
					key := fmt.Sprintf("%d-%d", w, r)
					return errors.Join(set(tx, key+"-a", "x"), set(tx, key+"-b", "x"))
				})
			}
		})
		group.Go(func() {
			for range rounds {
				fail <- s.Read(ctx, func(tx *store.Tx) error {
					var n int
					if err := tx.QueryRow(`SELECT count(*) FROM settings`).Scan(&n); err != nil {
						return err
					}
					if n%2 != 0 {
						return fmt.Errorf("a reader saw half a transaction: %d rows", n)
					}
					return nil
				})
			}
		})
	}
	go func() { group.Wait(); close(fail) }()
	for err := range fail {
		if err != nil {
			t.Error(err)
		}
	}
	if got := count(t, s); got != writers*rounds*2 {
		t.Errorf("%d rows, want %d", got, writers*rounds*2)
	}
}

func TestEachAndChange(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		for _, key := range []string{"a", "b", "c"} {
			if err := set(tx, key, "x"); err != nil {
				return err
			}
		}
		if n, err := tx.Change(`DELETE FROM settings WHERE key > 'a'`); err != nil || n != 2 {
			t.Errorf("changed %d rows, %v, want 2", n, err)
		}
		var keys []string
		err := tx.Each(func(scan func(...any) error) error {
			keys = append(keys, "")
			return scan(&keys[len(keys)-1])
		}, `SELECT key FROM settings`)
		if strings.Join(keys, " ") != "a" {
			t.Errorf("keys = %v, want a", keys)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnfitDatabasesAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, path string)
		kind  errs.Kind
		want  string
	}{
		{"newer schema", func(t *testing.T, path string) {
			run(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)`)
		}, errs.Conflict, "9000"},
		{"no database", func(t *testing.T, path string) { overwrite(t, path, 0, "this is a letter to the editor") }, errs.Conflict, "damaged"},
		{"bytes of a page flipped", func(t *testing.T, path string) {
			overwrite(t, path, 4096, strings.Repeat("\xff", 3000))
		}, errs.Conflict, "damaged"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, path)
			s, err := store.Open(t.Context(), path, now)
			if err == nil {
				_ = s.Close()
			}
			if errs.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("open = %v (%s), want %s that says %q", err, errs.KindOf(err), test.kind, test.want)
			}
		})
	}
}

func TestMissingFolderIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.db")
	if _, err := store.Open(t.Context(), path, now); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("open = %v, want an error that names the file", err)
	}
}

// run changes a database behind the back of the store.
func run(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // the error of Exec says more
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(text), at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTimeInTheDatabase(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	if got, want := store.Stamp(time.Date(2026, 1, 2, 8, 4, 5, 60700, zone)), "2026-01-02T00:04:05.000060Z"; got != want {
		t.Errorf("stamp = %s, want %s", got, want)
	}
	for name, value := range map[string]any{"NULL": nil, "empty": ""} {
		at := store.Time{Time: today}
		if err := at.Scan(value); err != nil || !at.IsZero() {
			t.Errorf("%s is read as %v, %v, want the zero time", name, at, err)
		}
	}
	var at store.Time
	for _, value := range []any{"2026-01-02", "yesterday", 7} {
		if err := at.Scan(value); err == nil {
			t.Errorf("%v is read as %v, want an error", value, at)
		}
	}
	if value, err := (store.Time{}).Value(); value != nil || err != nil {
		t.Errorf("the zero time is written as %v, %v, want NULL", value, err)
	}
}

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"emrvault/appliance/store"
)

// Databases of earlier versions are kept as text in testdata/kept, named after
// the last migration they had. Each must open with today's program and still
// hold what it held.
func TestKeptDatabasesOpen(t *testing.T) {
	kept, err := filepath.Glob("testdata/kept/*.sql")
	if err != nil || len(kept) == 0 {
		t.Fatalf("no kept databases: %v", err)
	}
	for _, name := range kept {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "old.db")
			run(t, path, string(text))
			for range 2 { // the second start finds nothing left to do
				s := open(t, path)
				checkKept(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func checkKept(t *testing.T, s *store.Store) {
	t.Helper()
	for query, want := range map[string]string{
		`SELECT value FROM settings WHERE key = 'site'`:                   `{"name":"市第一人民医院"}`,
		`SELECT sealed FROM secrets WHERE name = 'repository/1/password'`: `sealed1.00000000.AAAA`,
		`SELECT name FROM users WHERE id = 1`:                             `李工`,
		`SELECT count(*) FROM pragma_foreign_key_check`:                   `0`,
	} {
		var got string
		err := s.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(query).Scan(&got) })
		if err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", query, got, err, want)
		}
	}
	if findings, err := s.Check(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("check = %v, %v", findings, err)
	}
}

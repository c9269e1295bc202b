package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/store"
)

// TestMain lets the test binary play a box that writes until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_CHILD"); path != "" {
		if err := writeForever(path); err != nil {
			fmt.Println("error:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever says each number only after its transaction is done.
func writeForever(path string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, path, time.Now)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		err := s.Write(ctx, func(tx *store.Tx) error {
			for part := range 3 {
				if err := set(tx, fmt.Sprintf("%06d-%d", i, part), "x"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func TestCommittedRowsSurviveKill(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	path := filepath.Join(t.TempDir(), "a.db")
	for round := range rounds {
		last := killAfter(t, path, 20+13*round)
		s := open(t, path)
		findings, err := s.Check(t.Context())
		if err != nil || len(findings) > 0 {
			t.Fatalf("after the kill: %v, %v", findings, err)
		}
		var rows, said int
		err = s.Read(t.Context(), func(tx *store.Tx) error {
			if err := tx.QueryRow(`SELECT count(*) FROM settings`).Scan(&rows); err != nil {
				return err
			}
			return tx.QueryRow(`SELECT count(*) FROM settings WHERE key <= ?`, fmt.Sprintf("%06d-9", last)).Scan(&said)
		})
		if err != nil || said != 3*(last+1) || rows%3 != 0 {
			t.Errorf("%d rows, %d of those reported done (%v), want all %d and no half transaction", rows, said, err, 3*(last+1))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter starts a writer, kills it after some reports, and gives the last
// number it reported.
func killAfter(t *testing.T, path string, reports int) (last int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "STORE_CHILD="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if last, err = strconv.Atoi(strings.TrimSpace(lines.Text())); err != nil {
			t.Fatalf("child said %q", lines.Text())
		}
		if n == reports {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // killed on purpose
	return last
}

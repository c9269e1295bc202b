package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

func TestBackupUnderAWriter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a.db"))
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			err := s.Write(ctx, func(tx *store.Tx) error {
				return errors.Join(set(tx, fmt.Sprintf("%d-a", i), "x"), set(tx, fmt.Sprintf("%d-b", i), "x"))
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("write %d: %v", i, err)
			}
		}
	})
	for round := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("copy-%d.db", round))
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatalf("backup: %v", err)
		}
		for _, beside := range []string{path + "-wal", path + "-shm"} {
			if _, err := os.Stat(beside); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the copy is not alone: %s (%v)", beside, err)
			}
		}
		if n := count(t, open(t, path)); n%2 != 0 {
			t.Errorf("the copy holds half a transaction: %d rows", n)
		}
	}
	stop()
	writer.Wait()
	if err := s.Backup(t.Context(), filepath.Join(dir, "copy-0.db")); errs.KindOf(err) != errs.Conflict {
		t.Errorf("backup over an existing file = %v, want a refusal", err)
	}
}

func TestExamineBesideTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	if findings, err := store.Examine(t.Context(), path); err != nil || len(findings) > 0 {
		t.Errorf("examine a sound database = %v, %v", findings, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, 0, "no database at all, sorry")
	if findings, err := store.Examine(t.Context(), path); err != nil || len(findings) == 0 {
		t.Errorf("examine a damaged database = %v, %v, want findings", findings, err)
	}
	if _, err := store.Examine(t.Context(), path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("examine nothing = %v, want not exist", err)
	}
}

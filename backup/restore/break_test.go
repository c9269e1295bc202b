//go:build linux

package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"emrvault/backup"
	"emrvault/backup/restore"
)

// stopper ends the work at the first step.
type stopper struct {
	backup.Silent
	stop context.CancelFunc
}

func (s stopper) Problem(string, error) { s.stop() }
func (s stopper) Stage(name string) {
	if name == backup.StageVerify {
		s.stop()
	}
}

// A comparison that a person stops has found no damage.
func TestStoppedVerifyIsNoDamage(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("good", "file", evil()))
	target := t.TempDir()
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := restore.Verify(ctx, repo, sn, target, restore.VerifyOptions{Progress: stopper{stop: cancel}})
		if !errors.Is(err, context.Canceled) || errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("got %v, want that it was stopped", err)
		}
	}
}

// A file of the snapshot must not cost a whole folder of somebody else.
func TestFolderInTheWayIsNotWiped(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("good", "file", evil()))
	target := t.TempDir()
	mkdir(t, filepath.Join(target, "good"))
	precious := filepath.Join(target, "good", "precious")
	write(t, precious, []byte("x"))
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, AllowNotEmpty: true})
	if err == nil || len(res.Problems) != 1 {
		t.Errorf("got %+v, %v; want one problem", res, err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("it was wiped: %v", err)
	}
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target, Delete: true}); err != nil {
		t.Errorf("asked to delete: %v", err)
	}
}

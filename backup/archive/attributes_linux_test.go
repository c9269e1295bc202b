package archive_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

const elsewhere = "EMRVAULT_TEST_ELSEWHERE"

// An attribute that we may not read, here of a folder above what is backed up,
// costs nothing but itself.
func TestAttributesThatCannotBeRead(t *testing.T) {
	dir := os.Getenv(elsewhere)
	if dir == "" && os.Geteuid() == 0 { // who may read everything
		const nobody = 65534
		dir, err := os.MkdirTemp("", "emrvault-archive-")
		must(t, err)
		t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
		must(t, os.Chown(dir, nobody, nobody))
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$") // nobody may enter its folder
		cmd.Env, cmd.Dir = append(os.Environ(), elsewhere+"="+dir), dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	if dir == "" {
		dir = t.TempDir()
	}
	above, data := filepath.Join(dir, "above"), filepath.Join(dir, "above", "data")
	must(t, os.MkdirAll(data, 0o700))
	must(t, os.WriteFile(filepath.Join(data, "f"), []byte("f"), 0o600))
	if err := unix.Setxattr(above, "user.x", []byte("x"), 0); err != nil {
		t.Skipf("NOT TESTED: the temporary folder's file system takes no attributes: %v; set TMPDIR to ext4 or xfs", err)
	}
	must(t, os.Chmod(above, 0o300))
	t.Cleanup(func() { must(t, os.Chmod(above, 0o700)) })
	repo := newRepository(t)
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{data}}))
	if !errors.Is(err, backup.ErrIncomplete) || len(result.Problems) != 1 || result.Problems[0].Path != above {
		t.Fatalf("got %v, want to be told of the folder above", err)
	}
	if _, err := snapshot.Lookup(t.Context(), repo, result.Snapshot, filepath.Join(data, "f")); err != nil {
		t.Errorf("the file below: %v", err)
	}
}

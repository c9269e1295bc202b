//go:build linux

package restore_test

import (
	"os"
	"path/filepath"
	"testing"

	"emrvault/backup/restore"
)

// A target hands down its group and an access list to all that is made in it;
// what is restored has neither.
func TestRightsAreNotInherited(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, filepath.Join(src, "sub"))
	write(t, filepath.Join(src, "a"), []byte("a"))
	write(t, filepath.Join(src, "sub", "b"), []byte("b"))
	must(t, os.Chmod(filepath.Join(src, "a"), 0o664))
	must(t, os.Chmod(filepath.Join(src, "sub", "b"), 0o400))
	repo := inMemory(t)
	sn := archiveDir(t, repo, src).Snapshot
	for _, tt := range []struct {
		name string
		make func(target string)
	}{
		{"plain", func(string) {}},
		{"setgid of another group", func(target string) {
			if os.Geteuid() != 0 {
				t.Log("NOT TESTED: a target of another group; run the tests as root")
				return
			}
			must(t, os.Chown(target, 0, 4321))
			must(t, os.Chmod(target, 0o777|os.ModeSetgid))
		}},
		{"access list", func(target string) {
			if os.Geteuid() != 0 {
				t.Log("NOT TESTED: a target with an access list that shuts us out; run the tests as root")
				return
			}
			setXattr(t, target, "system.posix_acl_default", acl())
		}},
	} {
		target := t.TempDir()
		tt.make(target)
		in := filepath.Join(target, "in")
		if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: in, Subtree: src, Verify: true}); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, want := describe(t, in), describe(t, src)
		if tt.name == "access list" {
			// The lists themselves stay where a folder hands them down.
			continue
		}
		compare(t, want, got)
	}
}

//go:build linux

package restore_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup/restore"
)

// Zeros within a piece become a hole, in a fresh file and in one that is
// healed.
func TestHoles(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	mkdir(t, src)
	rnd := rand.New(rand.NewPCG(8, 8))
	data := bytes.Join([][]byte{noise(rnd, 70_000), make([]byte, 500_000), noise(rnd, 3), make([]byte, 6<<20), noise(rnd, 50_000)}, nil)
	write(t, filepath.Join(src, "disk.img"), data)
	write(t, filepath.Join(src, "small"), append([]byte("x"), make([]byte, 100_000)...))
	write(t, filepath.Join(src, "zeros"), make([]byte, 20_000))
	repo, _ := newRepository(t)
	sn := archiveDir(t, repo, src).Snapshot
	target := t.TempDir()
	opts := restore.Options{Target: target, Subtree: src, Sparse: true, Verify: true}
	_, err := restore.Run(t.Context(), repo, sn, opts)
	must(t, err)
	name := filepath.Join(target, "disk.img")
	const most = 400 << 10
	if got := onDisk(t, name); got > most {
		t.Errorf("fresh: got %d bytes on disk of %d, want at most %d", got, len(data), most)
	}
	compare(t, describe(t, src), describe(t, target))

	must(t, os.WriteFile(name, bytes.Repeat([]byte{7}, len(data)), 0o644))
	opts.Resume = true
	_, err = restore.Run(t.Context(), repo, sn, opts)
	must(t, err)
	if got := onDisk(t, name); got > most {
		t.Errorf("healed: got %d bytes on disk of %d, want at most %d", got, len(data), most)
	}
	compare(t, describe(t, src), describe(t, target))
}

func onDisk(t *testing.T, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(name, &st))
	return st.Blocks * 512
}

// What Windows cannot hold is renamed, told, and found again by verify.
func TestPortableNames(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	sn := forge(t, repo, node("x:y", "file", evil()),
		node("CON", "dir", `"content":null,"subtree":"%s"`)+","+node("README", "file", evil())+","+node("readme", "file", evil())+","+node("good", "file", evil()))
	target := t.TempDir()
	opts := restore.Options{Target: target, PortableNames: true, Verify: true}
	res, err := restore.Run(t.Context(), repo, sn, opts)
	if err != nil || len(res.Renamed) != 3 {
		t.Fatalf("got %v, renamed %v, want three", err, res.Renamed)
	}
	for _, name := range []string{"%43ON/x%3Ay", "README", "%72eadme", "good"} {
		if !exists(filepath.Join(target, name)) {
			t.Errorf("%s is missing", name)
		}
	}
	opts.Delete = true
	if res, err = restore.Run(t.Context(), repo, sn, opts); err != nil || res.Deleted != 0 || res.Kept != 4 {
		t.Errorf("again: got %+v, %v, want all four kept", res, err)
	}
}

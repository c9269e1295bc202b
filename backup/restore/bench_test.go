//go:build linux

package restore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
)

// records makes folders of small documents, as an EMR keeps them.
func records(t testing.TB, dir string, folders, each int) {
	t.Helper()
	for i := range folders {
		in := filepath.Join(dir, fmt.Sprintf("patient %04d", i))
		mkdir(t, in)
		for k := range each {
			line := fmt.Sprintf("病程记录 %d/%d: the patient slept well and took soup\n", i, k)
			write(t, filepath.Join(in, fmt.Sprintf("%02d.txt", k)), bytes.Repeat([]byte(line), 60))
		}
	}
}

// manyRecords is a repository with 2,000 documents in 200 folders.
func manyRecords(b *testing.B) (*repository.Repository, *snapshot.Snapshot) {
	b.Helper()
	src := filepath.Join(b.TempDir(), "src")
	mkdir(b, src)
	records(b, src, 200, 10)
	repo, _ := newRepository(b)
	sn := archiveDir(b, repo, src).Snapshot
	must(b, repo.LoadIndex(b.Context()))
	return repo, sn
}

func BenchmarkRun(b *testing.B) {
	repo, sn := manyRecords(b)
	for _, temporary := range []bool{false, true} {
		b.Run(fmt.Sprintf("2000 files/temporary=%v", temporary), func(b *testing.B) {
			for b.Loop() {
				// A new folder each time: a file system may be slow to give away what was just deleted.
				dir := b.TempDir()
				if _, err := restore.Run(b.Context(), repo, sn, restore.Options{Target: dir, Temporary: temporary}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	repo, sn := manyRecords(b)
	dir := b.TempDir()
	if _, err := restore.Run(b.Context(), repo, sn, restore.Options{Target: dir, Temporary: true}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := restore.Verify(b.Context(), repo, sn, dir, restore.VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// More folders than are kept open at once, and one below the other deeper than
// that.
func TestManyFolders(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "src")
	deep := filepath.Join(src, strings.Repeat("down/", 200))
	must(t, os.MkdirAll(deep, 0o750))
	write(t, filepath.Join(deep, "bottom.txt"), []byte("far down"))
	records(t, src, 300, 2)
	repo, _ := newRepository(t)
	sn := archiveDir(t, repo, src).Snapshot
	dst := t.TempDir()
	res, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: dst, Subtree: src, Verify: true, Temporary: true})
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	if want := int64(300*2 + 1); res.Files != want || res.Verified.Files != want {
		t.Errorf("files: got %d restored and %d verified, want %d", res.Files, res.Verified.Files, want)
	}
	compare(t, describe(t, src), describe(t, dst))
}

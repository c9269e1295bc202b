//go:build linux

package restore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// A stranger's index may tell a wrong length of a piece that is good in another
// pack. The places of what follows in the file then are wrong, too.
func TestPieceOfAnotherLengthThanTold(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	id := blob.Hash([]byte("evil"))
	sn := forge(t, repo, node("twice", "file", fmt.Sprintf(`"size":8,"content":["%s","%s"]`, id, id)))
	pack, offset, length, _, _ := repo.Locate(blob.DataHandle(id))
	lie := fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[{"id":"%s","type":"data","offset":0,"length":136}]},{"id":"%s","blobs":[{"id":"%s","type":"data","offset":%d,"length":%d}]}]}`,
		strings.Repeat("ab", 32), id, pack, id, offset, length)
	var old []storage.Name
	must(t, repo.Storage().List(t.Context(), storage.Index, func(i storage.Info) error { old = append(old, i.Name); return nil }))
	_, err := repo.SaveUnpacked(t.Context(), storage.Index, json.RawMessage(lie))
	must(t, err)
	trees := keepTrees(t, repo, sn)
	for _, name := range old {
		must(t, repo.Storage().Remove(t.Context(), name))
	}
	_, err = repo.SaveUnpacked(t.Context(), storage.Index, json.RawMessage(trees))
	must(t, err)
	repo, err = repository.Open(t.Context(), repo.Storage(), password, repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	must(t, err)
	must(t, repo.LoadIndex(t.Context()))

	target := t.TempDir()
	if _, err := restore.Run(t.Context(), repo, sn, restore.Options{Target: target}); !errors.Is(err, backup.ErrDamaged) {
		got, _ := os.ReadFile(filepath.Join(target, "twice"))
		t.Errorf("restore: got %v and %q, want ErrDamaged", err, got)
	}
	n, err := snapshot.Lookup(t.Context(), repo, sn, "/twice")
	must(t, err)
	r, err := restore.Open(t.Context(), repo, n)
	must(t, err)
	defer r.Close()
	if got, err := io.ReadAll(r); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("read: got %q, %v; want ErrDamaged", got, err)
	}
}

// keepTrees is an index document of the snapshot's tree alone.
func keepTrees(t *testing.T, repo *repository.Repository, sn *snapshot.Snapshot) string {
	t.Helper()
	pack, offset, length, plain, ok := repo.Locate(blob.TreeHandle(sn.Tree))
	if !ok {
		t.Fatal("no tree")
	}
	return fmt.Sprintf(`{"packs":[{"id":"%s","blobs":[{"id":"%s","type":"tree","offset":%d,"length":%d,"uncompressed_length":%d}]}]}`,
		pack, sn.Tree, offset, length, plain)
}

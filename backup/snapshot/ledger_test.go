package snapshot_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage/mem"
)

// shelf writes snapshots of one folder with files of the given contents.
type shelf struct {
	t    testing.TB
	repo *repository.Repository
	list []*snapshot.Snapshot
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	repo, err := repository.Create(t.Context(), mem.New(), "geheim", repository.WithKDF(crypto.KDF{N: 16, R: 1, P: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{t: t, repo: repo}
}

// put makes a snapshot: each folder has its files, and the same folder is one
// tree in every snapshot.
func (s *shelf) put(summary bool, folders ...[]string) {
	s.t.Helper()
	sn := &snapshot.Snapshot{Time: time.Unix(int64(len(s.list)), 0), Paths: []string{"/"}}
	err := s.repo.Write(s.t.Context(), func(ctx context.Context, w *repository.Writer) error {
		top := &snapshot.Tree{}
		for i, folder := range folders {
			tree := &snapshot.Tree{}
			for j, plain := range folder {
				saved, err := w.Save(ctx, blob.Data, []byte(plain))
				if err != nil {
					return err
				}
				tree.Nodes = append(tree.Nodes, &snapshot.Node{
					Name: fmt.Sprintf("f%03d", j), Type: snapshot.File, Size: uint64(len(plain)), Content: []blob.ID{saved.ID},
				})
			}
			saved, err := snapshot.SaveTree(ctx, w, tree)
			if err != nil {
				return err
			}
			top.Nodes = append(top.Nodes, &snapshot.Node{Name: fmt.Sprintf("d%03d", i), Type: snapshot.Dir, Subtree: saved.ID})
		}
		saved, err := snapshot.SaveTree(ctx, w, top)
		sn.Tree = saved.ID
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if summary {
		sn.Summary = &snapshot.Summary{TotalBytesProcessed: 4711, TotalFilesProcessed: 1}
	}
	if err := snapshot.Save(s.t.Context(), s.repo, sn); err != nil {
		s.t.Fatal(err)
	}
	s.list = append(s.list, sn)
}

func (s *shelf) measure() *snapshot.Usage {
	s.t.Helper()
	if err := s.repo.LoadIndex(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	u, err := snapshot.Measure(s.t.Context(), s.repo, s.list)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestMeasureTellsWhoseTheBytesAre(t *testing.T) {
	s := newShelf(t)
	s.put(false, []string{"shared one", "shared two"}, []string{"only the first"}, []string{"twice inside", "twice inside"})
	s.put(false, []string{"shared one", "shared two"}, []string{"only the second", "shared one"})
	s.put(true, []string{"shared one", "shared two"})
	u := s.measure()
	for i, want := range []struct{ logical, files, blobs int64 }{
		{20 + 14 + 24, 5, 2 + 3}, // two contents; two folders and the root
		{20 + 15 + 10, 4, 1 + 2}, // a content; a folder and the root
		{4711, 1, 1},             // the root
	} {
		got := u.Shares[i]
		if got.Logical != want.logical || got.Files != want.files || got.UniqueBlobs != want.blobs || (got.UniqueBytes > 0) != (want.blobs > 0) {
			t.Errorf("snapshot %d: got %+v, want %+v", i, got, want)
		}
	}
	if u.Data.Blobs != 5 || u.Tree.Blobs != 7 || u.Unused.Blobs != 0 || u.Duplicates.Blobs != 0 || u.Missing != 0 {
		t.Errorf("got %+v, want 5 contents and 7 folders", u)
	}
	sum := u.SharedBytes
	for _, share := range u.Shares {
		sum += share.UniqueBytes
	}
	if sum != u.Data.Bytes+u.Tree.Bytes {
		t.Errorf("shared and unique are %d bytes, want %d", sum, u.Data.Bytes+u.Tree.Bytes)
	}
}

// What is said to be unique is what forgetting the snapshot and a prune free.
func TestUniqueBytesAreWhatAPruneFrees(t *testing.T) {
	s := newShelf(t)
	s.put(false, []string{"shared"}, []string{"the first alone", "and more of it"})
	s.put(false, []string{"shared"}, []string{"the second alone"})
	before := s.measure()
	if err := snapshot.Remove(t.Context(), s.repo, s.list[0].ID); err != nil {
		t.Fatal(err)
	}
	promised := before.Shares[0]
	s.list = s.list[1:]
	after := s.measure()
	if after.Unused.Bytes != promised.UniqueBytes || after.Unused.Blobs != promised.UniqueBlobs {
		t.Errorf("got %+v unused, want %+v", after.Unused, promised)
	}
	if _, err := snapshot.Prune(t.Context(), s.repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil); err != nil {
		t.Fatal(err)
	}
	if clean := s.measure(); clean.Unused.Blobs != 0 || clean.Shares[0] != after.Shares[0] {
		t.Errorf("after a prune: got %+v", clean)
	}
}

// Ten thousand nights of a folder of which a little changes each night.
func BenchmarkMeasure(b *testing.B) {
	s := newShelf(b)
	folders := make([][]string, 50)
	for i := range folders {
		for j := range 20 {
			folders[i] = append(folders[i], fmt.Sprintf("record %d in folder %d", j, i))
		}
	}
	for night := range 10_000 {
		folders[night%50][night%20] = fmt.Sprintf("record of night %d", night)
		s.put(night%2 == 0, folders...)
	}
	if err := s.repo.LoadIndex(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		if _, err := snapshot.Measure(b.Context(), s.repo, s.list); err != nil {
			b.Fatal(err)
		}
	}
}

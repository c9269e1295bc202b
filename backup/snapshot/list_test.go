package snapshot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage/mem"
)

// newRepository holds three snapshots of one tree with a folder and a file.
func newRepository(t *testing.T) (*repository.Repository, []*snapshot.Snapshot) {
	t.Helper()
	repo, err := repository.Create(t.Context(), mem.New(), "geheim", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	var root blob.ID
	err = repo.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		inner, err := snapshot.SaveTree(ctx, w, &snapshot.Tree{Nodes: []*snapshot.Node{{Name: "f", Type: snapshot.File, Content: []blob.ID{}}}})
		if err != nil {
			return err
		}
		outer, err := snapshot.SaveTree(ctx, w, &snapshot.Tree{Nodes: []*snapshot.Node{{Name: "d", Type: snapshot.Dir, Subtree: inner.ID}}})
		root = outer.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list := []*snapshot.Snapshot{
		{Time: time.Unix(100, 0), Tree: root, Hostname: "h1", Paths: []string{"/a"}, Tags: []string{"x", "y"}},
		{Time: time.Unix(300, 0), Tree: root, Hostname: "h2", Paths: []string{"/a", "/b"}},
		{Time: time.Unix(200, 0), Tree: root, Hostname: "h1", Paths: []string{"/b"}, Tags: []string{"x"}},
	}
	for _, s := range list {
		if err := snapshot.Save(t.Context(), repo, s); err != nil {
			t.Fatal(err)
		}
	}
	return repo, list
}

func TestFind(t *testing.T) {
	repo, list := newRepository(t)
	for _, tt := range []struct {
		name, word string
		filter     snapshot.Filter
		want       *snapshot.Snapshot
		err        error
	}{
		{"latest", "latest", snapshot.Filter{}, list[1], nil},
		{"latest of a host", "latest", snapshot.Filter{Host: "h1"}, list[2], nil},
		{"latest with both tags", "latest", snapshot.Filter{Tags: []string{"x,y"}}, list[0], nil},
		{"latest with one of two tags", "latest", snapshot.Filter{Tags: []string{"y", "x"}}, list[2], nil},
		{"latest without tags", "latest", snapshot.Filter{Tags: []string{""}}, list[1], nil},
		{"latest of a path", "latest", snapshot.Filter{Host: "h1", Paths: []string{"/a"}}, list[0], nil},
		{"latest of nothing", "latest", snapshot.Filter{Host: "h3"}, nil, backup.ErrNotFound},
		{"full id", list[0].ID, snapshot.Filter{}, list[0], nil},
		{"prefix", list[0].ID[:16], snapshot.Filter{}, list[0], nil},
		{"unknown", "zz", snapshot.Filter{}, nil, backup.ErrNotFound},
		{"empty word", "", snapshot.Filter{}, nil, backup.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := snapshot.Find(t.Context(), repo, tt.word, tt.filter)
			if !errors.Is(err, tt.err) || tt.want != nil && (got == nil || got.ID != tt.want.ID) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestListGivesTheNewestLast(t *testing.T) {
	repo, list := newRepository(t)
	got, err := snapshot.List(t.Context(), repo, snapshot.Filter{})
	if err != nil || len(got) != 3 || got[0].ID != list[0].ID || got[2].ID != list[1].ID {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLookup(t *testing.T) {
	repo, list := newRepository(t)
	for _, tt := range []struct {
		path string
		kind snapshot.NodeType
		err  error
	}{
		{"/", snapshot.Dir, nil}, {"", snapshot.Dir, nil}, {"/d", snapshot.Dir, nil}, {"d/f", snapshot.File, nil},
		{"/d/../d/f", snapshot.File, nil}, {"/../../d", snapshot.Dir, nil},
		{"/x", "", backup.ErrNotFound}, {"/d/f/g", "", backup.ErrNotFound},
	} {
		n, err := snapshot.Lookup(t.Context(), repo, list[0], tt.path)
		if !errors.Is(err, tt.err) || err == nil && n.Type != tt.kind {
			t.Errorf("Lookup(%q): got %+v, %v, want a %s, %v", tt.path, n, err, tt.kind, tt.err)
		}
	}
}

func TestUsed(t *testing.T) {
	repo, list := newRepository(t)
	used, err := snapshot.Used(t.Context(), repo)
	if err != nil || used.Len() != 2 {
		t.Errorf("got %d, %v, want the two trees", used.Len(), err)
	}
	if err := snapshot.Remove(t.Context(), repo, list[0].ID); err != nil {
		t.Error(err)
	}
	if err := snapshot.Remove(t.Context(), repo, list[0].ID); err != nil {
		t.Errorf("removing twice: got %v, want nothing", err)
	}
}

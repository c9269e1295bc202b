package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// folder is a tree written down: a []string is a file and its pieces, a folder
// a folder.
type folder map[string]any

var day0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// ward is a repository for tests of damage. Each point is a folder.
type ward struct {
	t    testing.TB
	st   *mem.Storage
	repo *repository.Repository
}

func newWard(t testing.TB) *ward {
	t.Helper()
	st := mem.New()
	repo, err := repository.Create(t.Context(), st, "geheim", cheap(), repository.WithPackSize(1))
	if err != nil {
		t.Fatal(err)
	}
	return &ward{t, st, repo}
}

func cheap() repository.Option { return repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}) }

// open reads the repository anew, as another process would.
func (w *ward) open() *repository.Repository {
	w.t.Helper()
	return openWard(w.t, w.st)
}

func openWard(t testing.TB, st storage.Storage) *repository.Repository {
	t.Helper()
	repo, err := repository.Open(t.Context(), st, "geheim", cheap(), repository.WithPackSize(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return repo
}

// point makes a recovery point of a folder, on the given day.
func (w *ward) point(day int, f folder) *snapshot.Snapshot {
	w.t.Helper()
	var root blob.ID
	err := w.repo.Write(w.t.Context(), func(ctx context.Context, to *repository.Writer) (err error) {
		root, err = save(ctx, to, f)
		return err
	})
	s := &snapshot.Snapshot{Time: day0.AddDate(0, 0, day), Tree: root, Paths: []string{"/emr"}, Hostname: "ward"}
	if err == nil {
		err = snapshot.Save(w.t.Context(), w.repo, s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func save(ctx context.Context, w *repository.Writer, f folder) (blob.ID, error) {
	var tree snapshot.Tree
	for _, name := range slices.Sorted(maps.Keys(f)) {
		n := &snapshot.Node{Name: name, Type: snapshot.File, Mode: 0o644, Content: []blob.ID{}}
		switch v := f[name].(type) {
		case folder:
			below, err := save(ctx, w, v)
			if err != nil {
				return blob.ID{}, err
			}
			n.Type, n.Subtree, n.Content = snapshot.Dir, below, nil
		case []string:
			for _, piece := range v {
				saved, err := w.Save(ctx, blob.Data, []byte(piece))
				if err != nil {
					return blob.ID{}, err
				}
				n.Content, n.Size = append(n.Content, saved.ID), n.Size+uint64(len(piece))
			}
		}
		tree.Nodes = append(tree.Nodes, n)
	}
	saved, err := snapshot.SaveTree(ctx, w, &tree)
	return saved.ID, err
}

// lose takes the pack of a piece off the storage and out of the index, as a
// repair does with what nobody can save. Packs hold one blob each.
func (w *ward) lose(h blob.Handle) {
	w.t.Helper()
	repo := w.open()
	pack, _, _, _, ok := repo.Locate(h)
	if !ok {
		w.t.Fatalf("%s is not there", h)
	}
	if err := w.st.Remove(w.t.Context(), storage.Name{Kind: storage.Pack, ID: pack.String()}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := repo.RepairIndex(w.t.Context(), repository.IndexOptions{}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func piece(text string) blob.Handle { return blob.DataHandle(blob.Hash([]byte(text))) }

func losses(t testing.TB, repo *repository.Repository, bad *blob.Set) (list []snapshot.Loss, report snapshot.LossReport) {
	t.Helper()
	report, err := snapshot.Losses(t.Context(), repo, bad, func(l snapshot.Loss) { list = append(list, l) })
	if err != nil {
		t.Fatal(err)
	}
	return list, report
}

func TestLossesAreTheSameForManyPoints(t *testing.T) {
	w := newWard(t)
	const points = 60
	for day := range points {
		w.point(day, folder{
			"data":  folder{"chart.db": []string{"old part", fmt.Sprint("part of day ", day/20)}, "fine.txt": []string{"fine"}},
			"today": []string{fmt.Sprint("day ", day)},
		})
	}
	if list, report := losses(t, w.open(), nil); len(list) > 0 || report != (snapshot.LossReport{}) {
		t.Fatalf("of a whole repository: got %v, %+v", list, report)
	}
	w.lose(piece("part of day 1"))
	list, report := losses(t, w.open(), nil)
	if len(list) != 1 || report.Points != 20 || report.Paths != 1 {
		t.Fatalf("got %+v, %+v, want one line for 20 points", list, report)
	}
	l := list[0]
	if l.Path != "/data/chart.db" || l.Points != 20 || !l.First.Equal(day0.AddDate(0, 0, 20)) || !l.Last.Equal(day0.AddDate(0, 0, 39)) {
		t.Errorf("got %+v", l)
	}
	if l.Size != 21 || l.Missing != 13 {
		t.Errorf("got %d of %d bytes, want 13 of 21", l.Missing, l.Size)
	}
	// What is in the index but cannot be read is told by the caller.
	list, _ = losses(t, w.open(), blob.NewSet(piece("fine")))
	if len(list) != 2 || list[1].Path != "/data/fine.txt" || list[1].Points != points || list[1].Missing != list[1].Size {
		t.Errorf("got %+v", list)
	}
}

func TestLossesOfFolders(t *testing.T) {
	w := newWard(t)
	s := w.point(0, folder{"a": folder{"b": folder{"c": []string{"x"}}}, "d": []string{"y"}})
	n, err := snapshot.Lookup(t.Context(), w.repo, s, "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	w.lose(blob.TreeHandle(n.Subtree))
	list, _ := losses(t, w.open(), nil)
	if len(list) != 1 || list[0].Path != "/a/b" || list[0].Type != snapshot.Dir {
		t.Errorf("got %+v, want the folder", list)
	}
	w.lose(blob.TreeHandle(s.Tree))
	list, _ = losses(t, w.open(), nil)
	if len(list) != 1 || list[0].Path != "/" {
		t.Errorf("got %+v, want all of it", list)
	}
}

// content reads a file of the newest point; ok is false when it is not there.
func content(t *testing.T, repo *repository.Repository, name string) (text string, ok bool) {
	t.Helper()
	s, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := snapshot.Lookup(t.Context(), repo, s, name)
	if err != nil {
		return "", false
	}
	var b bytes.Buffer
	for _, id := range n.Content {
		plain, err := repo.LoadBlob(t.Context(), blob.DataHandle(id), nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(plain)
	}
	if uint64(b.Len()) != n.Size {
		t.Errorf("%s: %d bytes, says %d", name, b.Len(), n.Size)
	}
	return b.String(), true
}

func TestRepairKeepsWhatIsLeft(t *testing.T) {
	tests := []struct {
		name   string
		pieces []string
		lose   []string
		want   string // of the damaged file; empty: nothing is left
	}{
		{"the middle", []string{"begin", "middle", "end"}, []string{"middle"}, "begin\x00\x00\x00\x00\x00\x00end"},
		{"the first", []string{"begin", "middle", "end"}, []string{"begin"}, "\x00\x00\x00\x00\x00middleend"},
		{"the last", []string{"begin", "middle", "end"}, []string{"end"}, "beginmiddle\x00\x00\x00"},
		{"two apart: what is between has no place", []string{"a1", "b2", "c3", "d4"}, []string{"a1", "c3"}, "\x00\x00\x00\x00\x00\x00d4"},
		{"all", []string{"only"}, []string{"only"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t)
			old := w.point(0, folder{"f": tt.pieces, "f.damaged": []string{"was there before"}, "whole": []string{"whole"}})
			for _, p := range tt.lose {
				w.lose(piece(p))
			}
			repo := w.open()
			report, err := snapshot.Repair(t.Context(), repo, nil, false, nil)
			if err != nil || len(report.Points) != 1 || report.Points[0].To != "" || report.Points[0].Lost != 1 {
				t.Fatalf("plan: got %+v, %v", report, err)
			}
			if _, err := snapshot.Repair(t.Context(), repo, nil, true, nil); err != nil {
				t.Fatal(err)
			}
			repo = w.open()
			if list, _ := losses(t, repo, nil); len(list) > 0 {
				t.Errorf("still lost: %+v", list)
			}
			if _, there := content(t, repo, "/f"); there {
				t.Error("a damaged file stands under its old name")
			}
			if got, _ := content(t, repo, "/f.damaged-2"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got, _ := content(t, repo, "/whole"); got != "whole" {
				t.Errorf("got %q", got)
			}
			record, _ := content(t, repo, "/"+snapshot.RepairedRecord)
			if !strings.Contains(record, old.ID) || !strings.Contains(record, "\nf\t") {
				t.Errorf("the record says\n%s", record)
			}
			s, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{Tags: []string{snapshot.RepairedTag}})
			if err != nil || s.Original.String() != old.ID || !s.Time.Equal(old.Time) {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
}

// TestRepairStoppedAtEveryCall stops the repair at each call of the storage;
// the next one ends it, with one new point for each old one.
func TestRepairStoppedAtEveryCall(t *testing.T) {
	w := newWard(t)
	for day := range 2 {
		w.point(day, folder{"d": folder{"f": []string{"a", "b"}}, "own": []string{fmt.Sprint(day)}})
	}
	w.lose(piece("b"))
	origin := w.st
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; ; at++ {
			st := origin.Clone()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true}
			if _, err := snapshot.Repair(t.Context(), openWard(t, faulty), nil, true, nil); err == nil {
				break
			}
			if _, err := snapshot.Repair(t.Context(), openWard(t, st), nil, true, nil); err != nil {
				t.Fatalf("after a crash at call %d: %v", at, err)
			}
			wantPoints(t, st, 2)
		}
	}
}

func TestRepairOfAPointWithNothingLeft(t *testing.T) {
	w := newWard(t)
	gone := w.point(0, folder{"f": []string{"x"}})
	w.point(1, folder{"g": []string{"y"}})
	w.lose(blob.TreeHandle(gone.Tree))
	report, err := snapshot.Repair(t.Context(), w.open(), nil, true, nil)
	if err != nil || len(report.Points) != 1 || !report.Points[0].Gone {
		t.Fatalf("got %+v, %v", report, err)
	}
	list, err := snapshot.List(t.Context(), w.open(), snapshot.Filter{})
	if err != nil || len(list) != 1 {
		t.Errorf("got %v, %v, want one point", list, err)
	}
}

func TestFillBringsFoldersAndWhatIsBelow(t *testing.T) {
	w := newWard(t)
	f := folder{"a": folder{"b": folder{"c": []string{"x", "y"}}}}
	s := w.point(0, f)
	twin := newWard(t)
	twin.point(0, f)
	n, err := snapshot.Lookup(t.Context(), w.repo, s, "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	w.lose(piece("x"))
	w.lose(blob.TreeHandle(n.Subtree))
	w.lose(blob.TreeHandle(s.Tree))
	report, err := snapshot.Fill(t.Context(), w.open(), twin.open(), nil)
	if err != nil || report.Fetched != 3 || len(report.Lost) > 0 {
		t.Fatalf("got %+v, %v, want three fetched", report, err)
	}
	if got, _ := content(t, w.open(), "/a/b/c"); got != "xy" {
		t.Errorf("got %q", got)
	}
}

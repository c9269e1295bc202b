package snapshot_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

var errLine = errors.New("the line is down")

// glitch is a storage that does not give one document for a while. What
// it returns is no damage: nobody knows what lies there.
type glitch struct {
	storage.Storage
	name  storage.Name
	times atomic.Int32 // how often it fails
	wrong bool         // it gives other bytes instead
}

func (g *glitch) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	data, err := g.Storage.Load(ctx, name, buf, offset, length)
	if name != g.name || g.times.Add(-1) < 0 {
		return data, err
	}
	if !g.wrong {
		return nil, errLine
	}
	data[0]++
	return data, err
}

// glitched is the ward's storage with a glitch at the pack of a blob.
func (w *ward) glitched(h blob.Handle, times int32) *glitch {
	w.t.Helper()
	pack, _, _, _, ok := w.open().Locate(h)
	if !ok {
		w.t.Fatalf("%s is not there", h)
	}
	g := &glitch{Storage: w.st, name: storage.Name{Kind: storage.Pack, ID: pack.String()}}
	g.times.Store(times)
	return g
}

func treeOf(t testing.TB, repo *repository.Repository, s *snapshot.Snapshot, path string) blob.Handle {
	t.Helper()
	n, err := snapshot.Lookup(t.Context(), repo, s, path)
	if err != nil {
		t.Fatal(err)
	}
	return blob.TreeHandle(n.Subtree)
}

// TestRepairGivesNothingUpForAFault: a folder or a piece that the storage does
// not give for now is not lost, and the old point must stay.
func TestRepairGivesNothingUpForAFault(t *testing.T) {
	w := newWard(t)
	s := w.point(0, folder{"d": folder{"f": []string{"a"}}, "lost": []string{"b"}})
	w.lose(piece("b"))
	for name, h := range map[string]blob.Handle{"folder": treeOf(t, w.repo, s, "/d"), "root": blob.TreeHandle(s.Tree), "piece": piece("a")} {
		t.Run(name, func(t *testing.T) {
			repo := openWard(t, w.glitched(h, 1))
			_, err := snapshot.Repair(t.Context(), repo, blob.NewSet(piece("a")), true, nil)
			if !errors.Is(err, errLine) {
				t.Errorf("got %v, want the storage's error", err)
			}
			if _, err := snapshot.Load(t.Context(), w.repo, s.ID); err != nil {
				t.Errorf("the old point is gone: %v", err)
			}
		})
	}
	// A piece that was unreadable before and is not any more stays.
	if _, err := snapshot.Repair(t.Context(), w.open(), blob.NewSet(piece("a")), true, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := content(t, w.open(), "/d/f"); got != "a" {
		t.Errorf("got %q, want the file as it was", got)
	}
}

// TestRepairReadsADocumentTwice: a document that came damaged once is whole.
func TestRepairReadsADocumentTwice(t *testing.T) {
	w := newWard(t)
	s := w.point(0, folder{"f": []string{"a"}})
	g := &glitch{Storage: w.st, name: storage.Name{Kind: storage.Snapshot, ID: s.ID}, wrong: true}
	g.times.Store(1)
	report, err := snapshot.Repair(t.Context(), openWard(t, g), nil, true, nil)
	if err != nil || len(report.Unreadable) > 0 {
		t.Errorf("got %+v, %v", report, err)
	}
	wantPoints(t, w.st, 1)
}

// TestRepairRemovesADamagedCheckpoint: else no prune could ever end.
func TestRepairRemovesADamagedCheckpoint(t *testing.T) {
	w := newWard(t)
	w.point(0, folder{"f": []string{"a"}})
	left := w.point(1, folder{"f": []string{"a"}, "g": []string{"b"}})
	if err := snapshot.Remove(t.Context(), w.repo, left.ID); err != nil {
		t.Fatal(err)
	}
	left.Tags = []string{snapshot.CheckpointTag}
	if err := snapshot.Save(t.Context(), w.repo, left); err != nil {
		t.Fatal(err)
	}
	w.lose(piece("b"))
	if _, err := snapshot.Prune(t.Context(), w.open(), repository.PruneOptions{}, nil); !errors.Is(err, backup.ErrDamaged) {
		t.Fatalf("prune: got %v, want the damage", err)
	}
	for _, confirm := range []bool{false, true} {
		report, err := snapshot.Repair(t.Context(), w.open(), nil, confirm, nil)
		if err != nil || len(report.Points) > 0 || len(report.Unfinished) != 1 || report.Unfinished[0] != left.ID {
			t.Fatalf("got %+v, %v", report, err)
		}
	}
	if _, err := snapshot.Prune(t.Context(), w.open(), repository.PruneOptions{}, nil); err != nil {
		t.Errorf("prune after the repair: %v", err)
	}
	wantPoints(t, w.st, 1)
}

// TestCopyOfAFolderThatCannotBeReadForNow: what is in it was not looked at, so
// no point may be written that needs it.
func TestCopyOfAFolderThatCannotBeReadForNow(t *testing.T) {
	w := newWard(t)
	s := w.point(0, folder{"d": folder{"f": []string{"a"}}})
	for _, wrong := range []bool{false, true} {
		g := w.glitched(treeOf(t, w.repo, s, "/d"), 1)
		if g.wrong = wrong; wrong {
			g.times.Store(2) // what looks damaged is read once more
		}
		target := newWard(t)
		report, err := snapshot.Copy(t.Context(), openWard(t, g), target.open(), snapshot.CopyOptions{}, nil)
		if err == nil || len(report.Copied) > 0 {
			t.Errorf("other bytes %v: got %+v, %v, want an error", wrong, report, err)
		}
		wantPoints(t, target.st, 0)
	}
}

// TestRepairOfARuin: where nothing of any point is left, the disk is missing
// rather than the data.
func TestRepairOfARuin(t *testing.T) {
	w, list := wardOfThree(t)
	for _, s := range list {
		w.lose(blob.TreeHandle(s.Tree))
	}
	if _, err := snapshot.Repair(t.Context(), w.open(), nil, true, nil); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want a refusal", err)
	}
	if left, err := snapshot.List(t.Context(), w.repo, snapshot.Filter{}); err != nil || len(left) != len(list) {
		t.Errorf("%d points are left, %v, want all", len(left), err)
	}
}

// busy is a storage in which a backup ends while the index is being read.
type busy struct {
	storage.Storage
	now func()
}

func (b *busy) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	err := b.Storage.List(ctx, kind, fn)
	if now := b.now; kind == storage.Index && now != nil {
		b.now = nil
		now()
	}
	return err
}

// TestABackupThatEndsMeanwhileLosesNothing: what a point needs that came after
// the index was read is not lost.
func TestABackupThatEndsMeanwhileLosesNothing(t *testing.T) {
	w, target := newWard(t), newWard(t)
	w.point(0, folder{"f": []string{"a"}})
	b := &busy{Storage: w.st}
	from := openWard(t, b)
	b.now = func() { w.point(1, folder{"f": []string{"b"}}) }
	if report, err := snapshot.Copy(t.Context(), from, target.open(), snapshot.CopyOptions{}, nil); err != nil {
		t.Errorf("copy: got %+v, %v", report, err)
	}
	from = openWard(t, b)
	w.point(2, folder{"f": []string{"c"}})
	if list, report := losses(t, from, nil); len(list) > 0 {
		t.Errorf("losses: got %+v, %+v, want none", list, report)
	}
}

package snapshot_test

import (
	"errors"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func wardOfThree(t testing.TB) (*ward, []*snapshot.Snapshot) {
	w := newWard(t)
	var list []*snapshot.Snapshot
	for day, text := range []string{"one", "two", "three"} {
		list = append(list, w.point(day, folder{"shared": folder{"f": []string{"shared"}}, "own": []string{text}}))
	}
	return w, list
}

// wantPoints proves that a repository holds so many points, all of them whole.
func wantPoints(t testing.TB, st storage.Storage, want int) {
	t.Helper()
	repo := openWard(t, st)
	list, err := snapshot.List(t.Context(), repo, snapshot.Filter{})
	if err != nil || len(list) != want {
		t.Fatalf("got %d points, %v, want %d", len(list), err, want)
	}
	found := func(f repository.Finding) {
		if f.Level == repository.Error {
			t.Errorf("the check finds %v", f)
		}
	}
	if err := repo.CheckStore(t.Context(), repository.CheckOptions{ReadData: true}, found, nil); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Check(t.Context(), repo, found); err != nil {
		t.Fatal(err)
	}
}

func TestCopyKeepsWhereAPointComesFrom(t *testing.T) {
	w, list := wardOfThree(t)
	target, third := newWard(t), newWard(t)
	report, err := snapshot.Copy(t.Context(), w.open(), target.open(), snapshot.CopyOptions{}, nil)
	if err != nil || len(report.Copied) != 3 {
		t.Fatalf("got %+v, %v", report, err)
	}
	wantPoints(t, target.st, 3)
	report, err = snapshot.Copy(t.Context(), target.open(), third.open(), snapshot.CopyOptions{Points: []string{snapshot.Latest}}, nil)
	if err != nil || len(report.Copied) != 1 {
		t.Fatalf("got %+v, %v", report, err)
	}
	s, err := snapshot.Find(t.Context(), third.open(), snapshot.Latest, snapshot.Filter{})
	if err != nil || s.Original.String() != list[2].ID {
		t.Errorf("got %+v, %v, want the original %s", s, err, list[2].ID)
	}
	// From the first to the third: the newest is known there, whichever way it took.
	report, err = snapshot.Copy(t.Context(), w.open(), third.open(), snapshot.CopyOptions{}, nil)
	if err != nil || len(report.Present) != 1 || len(report.Copied) != 2 {
		t.Errorf("got %+v, %v, want one present", report, err)
	}
}

func TestCopySkipsOnlyThePointsThatAreHit(t *testing.T) {
	w, list := wardOfThree(t)
	w.lose(piece("two"))
	target := newWard(t)
	report, err := snapshot.Copy(t.Context(), w.open(), target.open(), snapshot.CopyOptions{}, nil)
	if !errors.Is(err, backup.ErrIncomplete) || len(report.Copied) != 2 || len(report.Skipped) != 1 || report.Skipped[0] != list[1].ID {
		t.Fatalf("got %+v, %v", report, err)
	}
	if len(report.Lost) != 1 {
		t.Errorf("told as lost: %v", report.Lost)
	}
	wantPoints(t, target.st, 2)

	w.lose(blob.TreeHandle(list[0].Tree))
	other := newWard(t)
	report, err = snapshot.Copy(t.Context(), w.open(), other.open(), snapshot.CopyOptions{}, nil)
	if !errors.Is(err, backup.ErrIncomplete) || len(report.Copied) != 1 || len(report.Skipped) != 2 {
		t.Fatalf("got %+v, %v", report, err)
	}
	wantPoints(t, other.st, 1)
}

func TestCopyMakesUpForWhatTheTargetLost(t *testing.T) {
	w, _ := wardOfThree(t)
	target := newWard(t)
	if _, err := snapshot.Copy(t.Context(), w.open(), target.open(), snapshot.CopyOptions{Points: []string{snapshot.Latest}}, nil); err != nil {
		t.Fatal(err)
	}
	pack, _, _, _, _ := target.open().Locate(piece("shared"))
	if err := target.st.Remove(t.Context(), storage.Name{Kind: storage.Pack, ID: pack.String()}); err != nil {
		t.Fatal(err)
	}
	report, err := snapshot.Copy(t.Context(), w.open(), target.open(), snapshot.CopyOptions{}, nil)
	if err != nil || len(report.Passed) != 1 {
		t.Fatalf("got %+v, %v", report, err)
	}
	if _, err := target.open().RepairIndex(t.Context(), repository.IndexOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	wantPoints(t, target.st, 3)
}

// TestCopyStoppedAtEveryCall stops copying at each call of the target's
// storage; what is there is whole, and the next copy goes on.
func TestCopyStoppedAtEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the lock at every call: run without -short")
	}
	w, _ := wardOfThree(t)
	origin := newWard(t).st
	for at := 1; ; at++ {
		st := origin.Clone()
		faulty := &storagetest.Faulty{Storage: st, At: at, Fault: storagetest.After, Dead: true}
		_, err := snapshot.Copy(t.Context(), w.open(), openWard(t, faulty), snapshot.CopyOptions{}, nil)
		if err == nil {
			break
		}
		removeLocks(t, st)
		wantWhole(t, st)
		if _, err := snapshot.Copy(t.Context(), w.open(), openWard(t, st), snapshot.CopyOptions{}, nil); err != nil {
			t.Fatalf("after a crash at call %d: %v", at, err)
		}
		wantPoints(t, st, 3)
	}
}

// removeLocks takes away what the crashed process, which is this one, holds.
func removeLocks(t *testing.T, st *mem.Storage) {
	t.Helper()
	var locks []storage.Name
	err := st.List(t.Context(), storage.Lock, func(i storage.Info) error { locks = append(locks, i.Name); return nil })
	for _, name := range locks {
		err = errors.Join(err, st.Remove(t.Context(), name))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantWhole(t *testing.T, st storage.Storage) {
	t.Helper()
	list, err := snapshot.List(t.Context(), openWard(t, st), snapshot.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	wantPoints(t, st, len(list))
}

package repository_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// halfUsed is a repository of many packs, half of each in use.
func halfUsed(t *testing.T) (st *mem.Storage, used contents) {
	t.Helper()
	st = mem.New()
	create(t, st)
	used = contents{}
	for i := range uint64(12) {
		c := contents{}
		h := c.add(blob.Data, noise(2*i, 3000))
		c.add(blob.Data, noise(2*i+1, 3000))
		write(t, open(t, st), c)
		used[h] = c[h]
	}
	return st, used
}

// watched tells a test when packs are read.
type watched struct {
	*mem.Storage
	read func(packs int) // called with how many were read before
	seen atomic.Int64
}

func (s *watched) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name.Kind == storage.Pack {
		s.read(int(s.seen.Add(1)) - 1)
	}
	return s.Storage.Load(ctx, name, buf, offset, length)
}

// An interrupted prune has not worked in vain: what it copied is in the index,
// and the next one copies only the rest.
func TestInterruptedPruneGoesOn(t *testing.T) {
	st, used := halfUsed(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	impatient := &watched{Storage: st, read: func(packs int) {
		if packs == 6 {
			cancel()
		}
	}}
	small := repository.WithPackSize(2000)
	r := open(t, impatient, small)
	synctest.Test(t, func(t *testing.T) {
		if _, err := r.Prune(ctx, fixed{used.set()}, repository.PruneOptions{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want Canceled", err)
		}
	})
	wantSound(t, st, used)
	if got := len(names(t, st, storage.Lock)); got > 0 {
		t.Errorf("%d locks are left", got)
	}
	dry := prune(t, st, used, repository.PruneOptions{DryRun: true}, small)
	if dry.PacksRepacked == 0 || dry.PacksRepacked > 7 || dry.PacksRemoved < 5 {
		t.Errorf("got %+v, want some six packs still to be copied and the others only removed", dry)
	}
	prune(t, st, used, repository.PruneOptions{}, small)
	wantSound(t, st, used)
	if left := prune(t, st, used, repository.PruneOptions{DryRun: true}, small); left.UnusedBlobs > 0 {
		t.Errorf("left: %+v", left)
	}
}

// Beside somebody who reads, prune copies, but nothing is removed, and it says
// so; later it only has to remove.
func TestPruneBesideAnotherLeavesTheRestForLater(t *testing.T) {
	st, used := halfUsed(t)
	synctest.Test(t, func(t *testing.T) {
		reader := lock(t, open(t, st), repository.Append)
		packs := len(names(t, st, storage.Pack))
		report, err := open(t, st).Prune(t.Context(), fixed{used.set()}, repository.PruneOptions{}, nil)
		if err != nil || report.Postponed != repository.PruneSwitch || report.PacksLeft != 12 || !strings.Contains(report.Why, "locked") {
			t.Errorf("got %+v, %v; want the switch postponed", report, err)
		}
		if got := len(names(t, st, storage.Pack)); got != packs+1 {
			t.Errorf("got %d packs, want %d and a new one", got, packs)
		}
		unlock(t, reader)
		report, err = open(t, st).Prune(t.Context(), fixed{used.set()}, repository.PruneOptions{}, nil)
		if err != nil || report.Postponed != "" || report.PacksRepacked != 0 || report.PacksRemoved != 12 {
			t.Errorf("later: got %+v, %v; want 12 packs removed and none copied", report, err)
		}
	})
	wantSound(t, st, used)
}

// slowly takes its time to remove packs.
type slowly struct{ *mem.Storage }

func (s slowly) Remove(ctx context.Context, name storage.Name) error {
	if name.Kind == storage.Pack {
		time.Sleep(2 * time.Second)
	}
	return s.Storage.Remove(ctx, name)
}

// A backup that waits gets in while packs are deleted, and the rest is left.
func TestAWaitingBackupGetsInBetweenTurns(t *testing.T) {
	st := mem.New()
	create(t, st)
	for i := range 60 {
		c := contents{}
		c.add(blob.Data, noise(uint64(i), 2000))
		write(t, open(t, st), c)
	}
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *repository.Lock)
		r := open(t, st)
		go func() {
			time.Sleep(time.Second)
			for {
				l, err := r.Lock(t.Context(), repository.Append)
				if err == nil {
					got <- l
					return
				}
				time.Sleep(2 * time.Second) // as a plan does
			}
		}()
		report, err := open(t, slowly{st}).Prune(t.Context(), fixed{blob.NewSet()}, repository.PruneOptions{}, nil)
		if err != nil || report.Postponed != repository.PruneRemove || report.PacksLeft == 0 || report.PacksLeft == 60 {
			t.Errorf("got %+v, %v; want some packs left for later", report, err)
		}
		if files := names(t, st, storage.Index); len(files) != 0 {
			t.Errorf("%d index files are left, want none to name packs that go", len(files))
		}
		unlock(t, <-got)
		report, err = open(t, st).Prune(t.Context(), fixed{blob.NewSet()}, repository.PruneOptions{}, nil)
		if err != nil || report.PacksLeft != 0 || len(names(t, st, storage.Pack)) != 0 {
			t.Errorf("later: got %+v, %v; want all packs gone", report, err)
		}
	})
}

// Orphans beside somebody else's lock may be packs of his backup.
func TestOrphansOfARunningBackupAreLeft(t *testing.T) {
	used := sample(1, 3)
	st := filled(t, used)
	write(t, open(t, st), sample(2, 3))
	newest := names(t, st, storage.Index)
	synctest.Test(t, func(t *testing.T) {
		other := lock(t, open(t, st), repository.Append)
		for _, name := range newest[1:] {
			remove(t, st, name)
		}
		report, err := open(t, st).Prune(t.Context(), fixed{blob.NewSet()}, repository.PruneOptions{DryRun: true}, nil)
		if err != nil || report.PacksOrphans != 0 {
			t.Errorf("got %+v, %v; want no orphans counted", report, err)
		}
		unlock(t, other)
	})
}

// Stock restic accepts whatever a prune leaves when it stops at any call.
func TestResticAcceptsEveryStateOfAPrune(t *testing.T) {
	st := localRepo(t)
	stock := newRestic(t, st.Location())
	r := create(t, st, repository.WithPackSize(20_000))
	write(t, r, sample(2, 60))
	files := writeSnapshot(t, r, sample(1, 60))
	write(t, open(t, st, repository.WithPackSize(20_000)), sample(3, 20))
	used := usedBy(t, r, files)
	small := repository.WithPackSize(20_000)
	kept := mem.New()
	mirror(t, st, kept)
	for at := 1; ; at++ {
		faulty := &storagetest.Faulty{Storage: kept.Clone(), At: at, Dead: true}
		var err error
		synctest.Test(t, func(t *testing.T) {
			_, err = open(t, faulty, small).Prune(t.Context(), fixed{used}, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
		})
		if err == nil {
			if at < 12 {
				t.Errorf("a prune of %d calls: the scene is too poor", at)
			}
			return
		}
		stopped := localRepo(t)
		mirror(t, faulty.Storage, stopped)
		for _, name := range names(t, stopped, storage.Lock) {
			remove(t, stopped, name)
		}
		there := stock
		there.repo = stopped.Location()
		there.run(t, "", "check", "--read-data")
		if errs, _ := findings(t, open(t, stopped)); len(errs) > 0 {
			t.Errorf("call %d: %v", at, errs)
		}
	}
}

func usedBy(t *testing.T, r *repository.Repository, files map[string][]byte) *blob.Set {
	t.Helper()
	used := blob.NewSet()
	for _, plain := range files {
		used.Add(blob.DataHandle(blob.Hash(plain)))
	}
	var snapshot struct{ Tree blob.ID }
	if err := r.LoadUnpacked(t.Context(), storage.Snapshot, names(t, r.Storage(), storage.Snapshot)[0].ID, &snapshot); err != nil {
		t.Fatal(err)
	}
	used.Add(blob.TreeHandle(snapshot.Tree))
	return used
}

// mirror copies every document to another place.
func mirror(t *testing.T, from, to storage.Storage) {
	t.Helper()
	if err := to.Create(t.Context()); err != nil && !errors.Is(err, backup.ErrRepositoryExists) {
		t.Fatal(err)
	}
	for _, kind := range []storage.Kind{storage.Key, storage.Pack, storage.Index, storage.Snapshot, storage.Lock} {
		for _, name := range names(t, from, kind) {
			mirrorOne(t, from, to, name)
		}
	}
	mirrorOne(t, from, to, storage.Name{Kind: storage.Config})
}

func mirrorOne(t *testing.T, from, to storage.Storage, name storage.Name) {
	t.Helper()
	data, err := from.Load(t.Context(), name, nil, 0, -1)
	if err == nil {
		err = to.Save(t.Context(), name, data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// drowsy takes longer to list the index than a turn lasts.
type drowsy struct{ storage.Storage }

func (s drowsy) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if kind == storage.Index {
		time.Sleep(5 * time.Second)
	}
	return s.Storage.List(ctx, kind, fn)
}

// Each turn gets something done, however slow the storage is.
func TestPruneOnASlowStorageComesToItsEnd(t *testing.T) {
	st := filled(t, sample(1, 30), repository.WithPackSize(1))
	synctest.Test(t, func(t *testing.T) {
		r := open(t, drowsy{st})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		report, err := r.Prune(ctx, fixed{blob.NewSet()}, repository.PruneOptions{}, nil)
		if err != nil || report.PacksLeft != 0 || len(names(t, st, storage.Pack)) != 0 {
			t.Errorf("got %+v, %v; want all packs gone", report, err)
		}
	})
}

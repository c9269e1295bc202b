package repository_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func prune(t testing.TB, st storage.Storage, used contents, opts repository.PruneOptions, more ...repository.Option) repository.PruneReport {
	t.Helper()
	report, err := tryPrune(t, open(t, st, more...), used, opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// fixed are needs that do not change.
type fixed struct{ *blob.Set }

func (fixed) List(context.Context) error { return nil }

func (f fixed) Mark(_ context.Context, add func(blob.Handle) bool) error {
	for h := range f.All() {
		add(h)
	}
	return nil
}

// tryPrune prunes where waiting for locks costs no time.
func tryPrune(t testing.TB, r *repository.Repository, used contents, opts repository.PruneOptions) (report repository.PruneReport, err error) {
	t.Helper()
	synctest.Test(t.(*testing.T), func(t *testing.T) {
		report, err = r.Prune(t.Context(), fixed{used.set()}, opts, nil)
	})
	return report, err
}

func TestPruneFates(t *testing.T) {
	used, unused := sample(1, 20), sample(2, 20)
	tests := []struct {
		name string
		fill func(t *testing.T, st *mem.Storage)
		opts repository.PruneOptions
		want repository.PruneReport // of the counts of packs
	}{
		{"nothing to do", func(t *testing.T, st *mem.Storage) {
			write(t, open(t, st), used)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2}},
		{"packs without use are removed", func(t *testing.T, st *mem.Storage) {
			write(t, open(t, st), used)
			write(t, open(t, st), unused)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2, PacksRemoved: 2}},
		{"half used packs are repacked", func(t *testing.T, st *mem.Storage) {
			both := maps.Clone(used)
			maps.Copy(both, unused)
			write(t, open(t, st), both)
		}, repository.PruneOptions{}, repository.PruneReport{PacksRepacked: 2}},
		{"unless that much may stay", func(t *testing.T, st *mem.Storage) {
			both := maps.Clone(used)
			maps.Copy(both, unused)
			write(t, open(t, st), both)
		}, repository.PruneOptions{MaxUnusedPercent: 500}, repository.PruneReport{PacksKept: 2}},
		{"a little slack stays", func(t *testing.T, st *mem.Storage) {
			both := maps.Clone(used)
			both.add(blob.Data, []byte("a byte or two"))
			write(t, open(t, st), both)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2}},
		{"unless none may", func(t *testing.T, st *mem.Storage) {
			both := maps.Clone(used)
			both.add(blob.Data, []byte("a byte or two"))
			write(t, open(t, st), both)
		}, repository.PruneOptions{MaxUnusedPercent: -1}, repository.PruneReport{PacksKept: 1, PacksRepacked: 1}},
		{"orphans are removed", func(t *testing.T, st *mem.Storage) {
			write(t, open(t, st), unused)
			removeAll(storage.Index)(t, st)
			write(t, open(t, st), used)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2, PacksOrphans: 2}},
		{"copies of the same are removed", func(t *testing.T, st *mem.Storage) {
			a, b := open(t, st), open(t, st) // neither knows of the other
			write(t, a, used)
			write(t, b, used)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2, PacksRemoved: 2}},
		{"many small packs are merged", func(t *testing.T, st *mem.Storage) {
			write(t, open(t, st, repository.WithPackSize(1)), used)
		}, repository.PruneOptions{}, repository.PruneReport{PacksRepacked: 60}},
		{"a lost pack that nobody needs is forgotten", func(t *testing.T, st *mem.Storage) {
			write(t, open(t, st), unused)
			for _, name := range names(t, st, storage.Pack) {
				if err := st.Remove(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			write(t, open(t, st), used)
		}, repository.PruneOptions{}, repository.PruneReport{PacksKept: 2, PacksRemoved: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			create(t, st)
			tt.fill(t, st)
			before := size(t, st)
			dry := tt.opts
			dry.DryRun = true
			planned := prune(t, st, used, dry)
			if size(t, st) != before {
				t.Fatal("the dry run changed something")
			}
			got := prune(t, st, used, tt.opts)
			wantCounts(t, got, tt.want)
			wantCounts(t, planned, tt.want)
			wantSound(t, st, used)
			if after := size(t, st); before-after != got.BytesFreed {
				t.Errorf("freed %d, reported %d", before-after, got.BytesFreed)
			}
			if _, hints := findings(t, open(t, st)); len(hints) > 0 {
				t.Errorf("afterwards: %v", hints)
			}
			again := prune(t, st, used, tt.opts)
			if again.PacksRepacked+again.PacksRemoved+again.PacksOrphans > 0 {
				t.Errorf("there is work left: %+v", again)
			}
		})
	}
}

func wantCounts(t *testing.T, got, want repository.PruneReport) {
	t.Helper()
	got = repository.PruneReport{PacksKept: got.PacksKept, PacksRepacked: got.PacksRepacked,
		PacksRemoved: got.PacksRemoved, PacksOrphans: got.PacksOrphans}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// size is the sum of all packs.
func size(t *testing.T, st storage.Storage) (sum int64) {
	t.Helper()
	err := st.List(t.Context(), storage.Pack, func(info storage.Info) error { sum += info.Size; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestPruneRefusesWhenSomethingNeededIsMissing(t *testing.T) {
	tests := []struct {
		name   string
		damage damage
	}{
		{"a pack is lost", removeOne},
		{"a pack was cut", truncate(storage.Pack, 0.5)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			used := sample(1, 10)
			st := filled(t, used)
			r := open(t, st)
			tt.damage(t, st)
			before := st.Clone()
			if _, err := tryPrune(t, r, used, repository.PruneOptions{}); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			if size(t, st) != size(t, before) {
				t.Error("something was removed")
			}
		})
	}
}

func TestPruneMendsTheIndex(t *testing.T) {
	for name, damage := range map[string]damage{
		"an index file is damaged": flip(storage.Index, 0.5),
		"the index is lost":        removeAll(storage.Index),
	} {
		t.Run(name, func(t *testing.T) {
			used, unused := sample(1, 10), sample(2, 10)
			st := filled(t, used)
			write(t, open(t, st), unused)
			r := open(t, st)
			damage(t, st)
			if _, err := tryPrune(t, r, used, repository.PruneOptions{}); err != nil {
				t.Fatal(err)
			}
			wantSound(t, st, used)
			if got := len(names(t, st, storage.Pack)); got != 2 {
				t.Errorf("%d packs are left, want 2", got)
			}
		})
	}
}

// A copy that is damaged does not matter while another is whole.
func TestPruneReadsTheOtherCopy(t *testing.T) {
	used := contents{}
	used.add(blob.Data, noise(1, 5000))
	both := maps.Clone(used)
	both.add(blob.Data, noise(2, 9000))
	st := mem.New()
	create(t, st)
	a, b := open(t, st), open(t, st)
	write(t, a, both)
	damaged := first(t, st, storage.Pack)
	write(t, b, both)
	data := load(t, st, damaged)
	for i := range data[:len(data)-300] {
		data[i] ^= 1
	}
	st.Put(damaged, data)
	prune(t, st, used, repository.PruneOptions{MaxUnusedPercent: -1})
	wantSound(t, st, used)
}

// scene is a repository with work of every sort for prune.
func scene(t *testing.T) (st *mem.Storage, used contents) {
	t.Helper()
	st = mem.New()
	create(t, st)
	used = contents{}
	random := rand.New(rand.NewPCG(7, 7))
	for round := range 3 {
		c := sample(10+round, 6)
		write(t, open(t, st, repository.WithPackSize(2500)), c)
		handles := slices.SortedFunc(maps.Keys(c), func(a, b blob.Handle) int { return a.ID.Compare(b.ID) })
		for _, h := range handles { // in one order, so that every run has the same scene
			if random.IntN(3) > 0 {
				used[h] = c[h]
			}
		}
	}
	a, b := open(t, st), open(t, st)
	twice := sample(20, 3)
	write(t, a, twice)
	write(t, b, twice)
	maps.Copy(used, twice)
	index := names(t, st, storage.Index)
	write(t, open(t, st), sample(30, 2))
	for _, name := range names(t, st, storage.Index) {
		if !contains(index, name) { // its packs become orphans
			if err := st.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return st, used
}

// tight has room for so many bytes of packs.
type tight struct {
	*mem.Storage
	t    *testing.T
	room int64
}

func (s *tight) Save(ctx context.Context, name storage.Name, data []byte) error {
	if name.Kind == storage.Pack && size(s.t, s.Storage)+int64(len(data)) > s.room {
		return backup.ErrStorageFull
	}
	return s.Storage.Save(ctx, name, data)
}

// On a full storage, packs without use make room for what is written anew.
func TestPruneMakesItsOwnRoom(t *testing.T) {
	st := mem.New()
	create(t, st)
	used := sample(1, 20)
	both := maps.Clone(used)
	maps.Copy(both, sample(2, 20))
	write(t, open(t, st), both)
	unused := sample(3, 60)
	write(t, open(t, st), unused)
	before := size(t, st)
	full := &tight{Storage: st, t: t, room: before}
	report := prune(t, full, used, repository.PruneOptions{})
	wantCounts(t, report, repository.PruneReport{PacksRepacked: 2, PacksRemoved: 2})
	wantSound(t, st, used)
	if after := size(t, st); before-after != report.BytesFreed {
		t.Errorf("freed %d, reported %d", before-after, report.BytesFreed)
	}
}

func contains(list []storage.Name, name storage.Name) bool {
	for _, other := range list {
		if other == name {
			return true
		}
	}
	return false
}

// Whatever call the machine dies at, before or after it had its effect, what
// snapshots need is still there and readable, and the next prune finishes.
func TestPruneSurvivesACrashAtEveryCall(t *testing.T) {
	whole, used := scene(t)
	small := repository.WithPackSize(2500)
	options := repository.PruneOptions{MaxUnusedPercent: -1}
	count := &storagetest.Faulty{Storage: whole.Clone()}
	prune(t, count, used, options, small)
	if count.Calls() < 15 {
		t.Fatalf("only %d calls: the scene is too poor", count.Calls())
	}
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for _, dead := range []bool{true, false} {
			if testing.Short() && dead == (fault == storagetest.After) {
				continue // half of the cases must do
			}
			for at := 1; at <= count.Calls(); at++ {
				st := whole.Clone()
				faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: dead}
				_, err := tryPrune(t, open(t, faulty, small), used, options)
				if !errors.Is(err, storagetest.ErrFault) {
					t.Fatalf("call %d: got %v, want the fault", at, err)
				}
				wantSound(t, st, used)
				dropLocks(t, st)
				prune(t, st, used, options, small)
				wantSound(t, st, used)
				if _, hints := findings(t, open(t, st)); len(hints) > 0 {
					t.Fatalf("call %d: left behind: %v", at, hints)
				}
			}
		}
	}
}

// dropLocks removes what a machine that died has left.
func dropLocks(t *testing.T, st *mem.Storage) {
	t.Helper()
	if _, err := open(t, st).RemoveAllLocks(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The same for writing: a crash leaves at most orphans.
func TestWriteSurvivesACrashAtEveryCall(t *testing.T) {
	old, fresh := sample(1, 5), sample(2, 10)
	whole := filled(t, old)
	small := repository.WithPackSize(2500)
	count := &storagetest.Faulty{Storage: whole.Clone()}
	write(t, open(t, count, small), fresh)
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; at <= count.Calls(); at++ {
			st := whole.Clone()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true}
			if _, err := tryWrite(t.Context(), open(t, faulty, small), fresh); !errors.Is(err, storagetest.ErrFault) {
				t.Fatalf("call %d: got %v, want the fault", at, err)
			}
			wantSound(t, st, old)
			write(t, open(t, st, small), fresh)
			wantSound(t, st, fresh)
		}
	}
}

// A random life: write, forget, prune; the model is a map.
func TestPruneAgainstAModel(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			st := mem.New()
			create(t, st)
			model := contents{}
			for round := range rounds {
				c := sample(random.IntN(12), 1+random.IntN(5)) // often the same again
				write(t, open(t, st, repository.WithPackSize(1+random.IntN(6000))), c)
				maps.Copy(model, c)
				if random.IntN(3) == 0 {
					maps.DeleteFunc(model, func(blob.Handle, []byte) bool { return random.IntN(3) == 0 })
					options := repository.PruneOptions{MaxUnusedPercent: float64(random.IntN(40) - 5)}
					report := prune(t, st, model, options, repository.WithPackSize(1+random.IntN(6000)))
					if report.UsedBlobs != int64(len(model)) {
						t.Fatalf("round %d: %d blobs counted as used, want %d", round, report.UsedBlobs, len(model))
					}
				}
			}
			wantSound(t, st, model)
		})
	}
}

func TestPruneCancelled(t *testing.T) {
	st, used := scene(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := open(t, st)
	cancel()
	if _, err := r.Prune(ctx, fixed{used.set()}, repository.PruneOptions{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	wantSound(t, st, used)
}

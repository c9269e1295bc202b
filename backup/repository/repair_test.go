package repository_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// change replaces the bytes of a document, as a bad disk does.
func change(t testing.TB, st *mem.Storage, name storage.Name, fn func([]byte) []byte) {
	t.Helper()
	data, err := st.Load(t.Context(), name, nil, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	st.Put(name, fn(append([]byte(nil), data...)))
}

func flipAt(at int) func([]byte) []byte {
	return func(data []byte) []byte {
		if at < 0 {
			at += len(data)
		}
		data[at%len(data)] ^= 0x10
		return data
	}
}

func cutTo(share float64) func([]byte) []byte {
	return func(data []byte) []byte { return data[:int(float64(len(data))*share)] }
}

func repairIndex(t testing.TB, st storage.Storage, opts repository.IndexOptions) repository.IndexReport {
	t.Helper()
	r, err := repository.Open(t.Context(), st, password, cheap())
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.RepairIndex(t.Context(), opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// twoBackups is a repository with two backups in it: two index files, four packs.
func twoBackups(t testing.TB) (st *mem.Storage, all contents) {
	first, second := sample(1, 8), sample(2, 8)
	st = filled(t, first)
	write(t, open(t, st), second)
	all = maps.Clone(first)
	maps.Copy(all, second)
	return st, all
}

// lie stores an index file that says of the first pack what is not so.
func lie(t *testing.T, st *mem.Storage) {
	t.Helper()
	pack := names(t, st, storage.Pack)[0]
	_, err := open(t, st).SaveUnpacked(t.Context(), storage.Index, map[string]any{"packs": []any{map[string]any{
		"id": pack.ID, "blobs": []any{map[string]any{"id": blob.Hash([]byte("never")), "type": "data", "offset": 0, "length": 100}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRepairIndex(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, st *mem.Storage)
		opts   repository.IndexOptions
		want   repository.IndexReport // lists by their lengths
	}{
		{"nothing to do", func(*testing.T, *mem.Storage) {}, repository.IndexOptions{}, repository.IndexReport{Files: 2}},
		{"nothing to do, every pack asked", func(*testing.T, *mem.Storage) {}, repository.IndexOptions{ReadAllPacks: true}, repository.IndexReport{Files: 2}},
		{"a bit flipped", func(t *testing.T, st *mem.Storage) {
			change(t, st, names(t, st, storage.Index)[0], flipAt(70))
		}, repository.IndexOptions{}, repository.IndexReport{Files: 2, Damaged: make([]string, 1), Written: 1, Added: make([]blob.ID, 2)}},
		{"cut short", func(t *testing.T, st *mem.Storage) {
			change(t, st, names(t, st, storage.Index)[0], cutTo(0.5))
		}, repository.IndexOptions{}, repository.IndexReport{Files: 2, Damaged: make([]string, 1), Written: 1, Added: make([]blob.ID, 2)}},
		{"emptied", func(t *testing.T, st *mem.Storage) {
			change(t, st, names(t, st, storage.Index)[0], cutTo(0))
		}, repository.IndexOptions{}, repository.IndexReport{Files: 2, Damaged: make([]string, 1), Written: 1, Added: make([]blob.ID, 2)}},
		{"one file lost", func(t *testing.T, st *mem.Storage) {
			take(t, st, names(t, st, storage.Index)[0])
		}, repository.IndexOptions{}, repository.IndexReport{Files: 1, Written: 1, Added: make([]blob.ID, 2)}},
		{"all files lost", func(t *testing.T, st *mem.Storage) { removeAll(storage.Index)(t, st) }, repository.IndexOptions{}, repository.IndexReport{Written: 1, Added: make([]blob.ID, 4)}},
		{"two files contradict each other", lie, repository.IndexOptions{}, repository.IndexReport{Files: 3, Replaced: 2, Written: 1, Changed: make([]blob.ID, 1)}},
		{"only the wrong one is there", func(t *testing.T, st *mem.Storage) {
			before := names(t, st, storage.Index)
			lie(t, st)
			for _, name := range before {
				take(t, st, name)
			}
		}, repository.IndexOptions{}, repository.IndexReport{Files: 1, Replaced: 1, Written: 1, Added: make([]blob.ID, 3), Changed: make([]blob.ID, 1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, all := twoBackups(t)
			tt.damage(t, st)
			before := size(t, st)
			dry := tt.opts
			dry.DryRun = true
			wantIndexReport(t, repairIndex(t, st, dry), tt.want)
			if size(t, st) != before {
				t.Fatal("the dry run changed something")
			}
			wantIndexReport(t, repairIndex(t, st, tt.opts), tt.want)
			wantSound(t, st, all)
			if again := repairIndex(t, st, tt.opts); !again.Clean() {
				t.Errorf("there is work left: %+v", again)
			}
		})
	}
}

func take(t testing.TB, st storage.Storage, name storage.Name) {
	t.Helper()
	if err := st.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func wantIndexReport(t *testing.T, got, want repository.IndexReport) {
	t.Helper()
	summary := func(r repository.IndexReport) string {
		return fmt.Sprintf("files %d, damaged %d, replaced %d, written %d, added %d, changed %d, dropped %d, unlisted %d, torn %d",
			r.Files, len(r.Damaged), r.Replaced, r.Written, len(r.Added), len(r.Changed), len(r.Dropped), len(r.Unlisted), len(r.Torn))
	}
	if g, w := summary(got), summary(want); g != w {
		t.Errorf("got %s\nwant %s", g, w)
	}
}

func TestRepairIndexDropsWhatIsGoneAndKeepsTheWayToWhatIsTorn(t *testing.T) {
	st, _ := twoBackups(t)
	packs := names(t, st, storage.Pack)
	take(t, st, packs[0])
	change(t, st, packs[1], cutTo(0.9))
	wantIndexReport(t, repairIndex(t, st, repository.IndexOptions{}), repository.IndexReport{
		Files: 2, Replaced: 1, Written: 1, Dropped: make([]blob.ID, 1), Torn: make([]blob.ID, 1),
	})
	errs, _ := findings(t, open(t, st))
	for _, f := range errs {
		if f.Kind == repository.PackMissing {
			t.Errorf("still listed: %v", f)
		}
	}
	if len(errs) == 0 {
		t.Error("the torn pack is no longer known")
	}
}

func TestMendIndexLetsWritersGoOn(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *mem.Storage){
		"damaged file":   func(t *testing.T, st *mem.Storage) { change(t, st, names(t, st, storage.Index)[0], flipAt(99)) },
		"contradiction":  lie,
		"nothing at all": func(*testing.T, *mem.Storage) {},
	} {
		t.Run(name, func(t *testing.T) {
			st, all := twoBackups(t)
			damage(t, st)
			r, err := repository.Open(t.Context(), st, password, cheap())
			if err != nil {
				t.Fatal(err)
			}
			report, err := r.MendIndex(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if name == "nothing at all" && !report.Clean() {
				t.Errorf("got %+v, want no work", report)
			}
			more := sample(3, 4)
			if stats := write(t, r, more); stats.DataBlobs == 0 {
				t.Error("nothing was written")
			}
			if stats := write(t, r, all); stats.DataBlobs+stats.TreeBlobs > 0 {
				t.Errorf("stored again: %+v", stats)
			}
			maps.Copy(all, more)
			wantSound(t, st, all)
		})
	}
}

// TestRepairIndexStoppedAtEveryCall crashes the repair before and after the
// effect of each call of the storage; the next one brings it to its end.
func TestRepairIndexStoppedAtEveryCall(t *testing.T) {
	origin, all := twoBackups(t)
	change(t, origin, names(t, origin, storage.Index)[0], flipAt(33))
	lie2(t, origin)
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; ; at++ {
			st := origin.Clone()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true, CountReads: true}
			r, err := repository.Open(t.Context(), faulty, password, cheap())
			if err == nil {
				_, err = r.RepairIndex(t.Context(), repository.IndexOptions{}, nil)
			}
			if err == nil {
				if faulty.Calls() >= at {
					t.Fatalf("call %d failed and nobody noticed", at)
				}
				break
			}
			if !errors.Is(err, storagetest.ErrFault) && !errors.Is(err, backup.ErrDamaged) {
				t.Fatalf("call %d: got %v", at, err)
			}
			repairIndex(t, st, repository.IndexOptions{})
			wantSound(t, st, all)
		}
	}
}

// lie2 is lie beside an index file that is damaged already.
func lie2(t *testing.T, st *mem.Storage) {
	t.Helper()
	r, err := repository.Open(t.Context(), st, password, cheap())
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.SaveUnpacked(t.Context(), storage.Index, map[string]any{"packs": []any{map[string]any{
		"id": names(t, st, storage.Pack)[0].ID, "blobs": []any{},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

// appending is a place that lets nobody remove anything but locks.
type appending struct{ storage.Storage }

func (a appending) Remove(ctx context.Context, name storage.Name) error {
	if name.Kind == storage.Lock {
		return a.Storage.Remove(ctx, name)
	}
	return backup.ErrReadOnly
}

func TestMendIndexWhereNothingCanBeRemoved(t *testing.T) {
	st, all := twoBackups(t)
	change(t, st, names(t, st, storage.Index)[0], flipAt(99))
	for range 2 {
		r, err := repository.Open(t.Context(), appending{st}, password, cheap())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.MendIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if stats := write(t, r, all); stats.DataBlobs > 0 {
			t.Errorf("stored again: %+v", stats)
		}
	}
	if got := len(names(t, st, storage.Index)); got != 3 {
		t.Errorf("%d index files, want the two old ones and one new", got)
	}
}

package repository_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// The index may know packs that are not there any more. A backup that relied
// on them would make a point that cannot be restored.
func TestPassOverLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, st storage.Storage, pack storage.Name)
		lost  int
	}{
		{"all there", func(*testing.T, storage.Storage, storage.Name) {}, 0},
		{"a pack is gone", func(t *testing.T, st storage.Storage, pack storage.Name) { remove(t, st, pack) }, 1},
		{"a pack was cut short", func(t *testing.T, st storage.Storage, pack storage.Name) {
			data, err := st.Load(t.Context(), pack, nil, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			remove(t, st, pack)
			if err := st.Save(t.Context(), pack, data[:len(data)/2]); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			c := sample(1, 4)
			write(t, create(t, st, repository.WithPackSize(2000)), c)
			packs := names(t, st, storage.Pack)
			slices.SortFunc(packs, func(a, b storage.Name) int { return blob.Hash([]byte(a.ID)).Compare(blob.Hash([]byte(b.ID))) })
			tt.spoil(t, st, packs[0])
			r := open(t, st)
			lost, err := r.PassOverLost(t.Context())
			if err != nil || len(lost) != tt.lost {
				t.Fatalf("got %d lost packs, %v; want %d", len(lost), err, tt.lost)
			}
			stats := write(t, r, c)
			if stored := stats.DataBlobs + stats.TreeBlobs; (stored > 0) != (tt.lost > 0) {
				t.Errorf("stored %d blobs again, lost packs %d", stored, tt.lost)
			}
			wantBlobs(t, open(t, st), c)
		})
	}
}

func remove(t *testing.T, st storage.Storage, name storage.Name) {
	t.Helper()
	if err := st.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// Whoever removes a lock may go on to remove packs. What was written under it
// must not become part of the repository any more.
func TestRemovedLockStopsIndexAndSnapshot(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	l := lock(t, r, repository.Append)
	defer unlock(t, l)
	if _, err := open(t, st).RemoveAllLocks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tryWrite(l.Context(), r, sample(1, 2)); !errors.Is(err, backup.ErrLockLost) {
		t.Errorf("write: got %v, want ErrLockLost", err)
	}
	if got := names(t, st, storage.Index); len(got) != 0 {
		t.Errorf("got %d index files, want none", len(got))
	}
	if _, err := r.SaveUnpacked(l.Context(), storage.Snapshot, map[string]string{}); !errors.Is(err, backup.ErrLockLost) {
		t.Errorf("snapshot: got %v, want ErrLockLost", err)
	}
	if l.Context().Err() == nil {
		t.Error("the lock's context still lives")
	}
}

// robbed is a storage where somebody removes every lock whenever the index is
// listed.
type robbed struct{ *mem.Storage }

func (s robbed) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if kind == storage.Index {
		err := s.Storage.List(ctx, storage.Lock, func(i storage.Info) error { return s.Remove(ctx, i.Name) })
		if err != nil {
			return err
		}
	}
	return s.Storage.List(ctx, kind, fn)
}

func TestRemovedLockStopsPrune(t *testing.T) {
	st := mem.New()
	write(t, create(t, st), sample(1, 2))
	packs := len(names(t, st, storage.Pack))
	if _, err := tryPrune(t, open(t, robbed{st}), contents{}, repository.PruneOptions{}); !errors.Is(err, backup.ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost", err)
	}
	if got := len(names(t, st, storage.Pack)); got != packs {
		t.Errorf("%d of %d packs are left", got, packs)
	}
}

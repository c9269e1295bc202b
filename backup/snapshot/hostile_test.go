package snapshot_test

import (
	"context"
	"errors"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// blind is a storage that lists a document and says at times that it is not
// there, as shares do.
type blind struct {
	storage.Storage
	hidden storage.Name
	cut    bool // instead: it is there, and cut short
}

func (b *blind) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	data, err := b.Storage.Load(ctx, name, buf, offset, length)
	switch {
	case name != b.hidden:
		return data, err
	case b.cut:
		return data[:len(data)/2], err
	}
	return nil, backup.ErrNotFound
}

// reopen opens what newRepository made over a storage that can be blind.
func reopen(t *testing.T) (*repository.Repository, *blind, []*snapshot.Snapshot) {
	t.Helper()
	repo, list := newRepository(t)
	b := &blind{Storage: repo.Storage()}
	again, err := repository.Open(t.Context(), b, "geheim", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return again, b, list
}

// What a snapshot needs that was listed and did not come would be pruned.
func TestUsedWantsEverySnapshotItHasSeen(t *testing.T) {
	repo, b, list := reopen(t)
	if used, err := snapshot.Used(t.Context(), repo); err != nil || used.Len() == 0 {
		t.Fatalf("got %v, %v", used, err)
	}
	b.hidden = storage.Name{Kind: storage.Snapshot, ID: list[0].ID}
	if _, err := snapshot.Used(t.Context(), repo); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

// Whoever asks for the latest must not be given an older one without a word.
func TestLatestIsNotGuessed(t *testing.T) {
	repo, b, list := reopen(t)
	b.hidden, b.cut = storage.Name{Kind: storage.Snapshot, ID: list[1].ID}, true
	if sn, err := snapshot.Find(t.Context(), repo, snapshot.Latest, snapshot.Filter{}); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %+v, %v; want ErrDamaged", sn, err)
	}
	if sn, err := snapshot.Find(t.Context(), repo, list[2].ID, snapshot.Filter{}); err != nil || sn.ID != list[2].ID {
		t.Errorf("by its id: got %+v, %v", sn, err)
	}
}

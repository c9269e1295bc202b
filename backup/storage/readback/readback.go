// Package readback makes a place prove what it has saved: the document is read
// from it again and compared, byte for byte, with what was to be saved.
//
// A storage that says yes and holds something else is found on the day of the
// restore, or here. Where the comparison fails it is made once more, for it may
// have been the way back that changed the bytes; then the document is saved
// again over the wrong one, then removed and saved anew, and then it is an
// error. A name that is the hash of its bytes may be written again at any time,
// so nobody can be harmed by that.
package readback

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Policy says how much is read back.
type Policy string

// The policies; the empty one is Off.
const (
	All     Policy = "all"     // every document
	Sampled Policy = "sampled" // index, snapshots, keys and config, and one pack in sixteen
	Off     Policy = "off"
)

// ParsePolicy reads a policy's word.
func ParsePolicy(word string) (Policy, error) {
	switch p := Policy(word); p {
	case All, Sampled, Off:
		return p, nil
	case "":
		return Off, nil
	}
	return Off, fmt.Errorf("%q is no policy for reading back; there are all, sampled and off: %w", word, backup.ErrInvalid)
}

// share is one in how many packs Sampled reads.
const share = 16

// Storage is a place that proves what it has saved.
type Storage struct {
	storage.Storage
	policy Policy
	packs  atomic.Uint64 // saved so far
}

// New wraps a place.
func New(st storage.Storage, p Policy) *Storage { return &Storage{Storage: st, policy: p} }

// Unwrap gives what is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }

// Save stores a document and, where it is due, proves it.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	if err := s.Storage.Save(ctx, name, data); err != nil || !s.due(name.Kind) {
		return err
	}
	right, err := s.proven(ctx, name, data)
	for _, again := range []func(context.Context, storage.Name, []byte) error{s.over, s.renew} {
		if right || err != nil {
			break
		}
		if err = again(ctx, name, data); err == nil {
			right, err = s.proven(ctx, name, data)
		}
	}
	if right || err != nil {
		return readBack(name, err)
	}
	return s.giveUp(ctx, name)
}

func readBack(name storage.Name, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s back: %w", name, err)
}

// due tells whether a document is to be proven.
func (s *Storage) due(kind storage.Kind) bool {
	switch {
	case s.policy == All:
		return true
	case s.policy != Sampled || kind == storage.Lock:
		return false
	}
	return kind != storage.Pack || s.packs.Add(1)%share == 1
}

// proven compares, at most twice.
func (s *Storage) proven(ctx context.Context, name storage.Name, data []byte) (right bool, err error) {
	for range 2 {
		if right, err = storage.Holds(ctx, s.Storage, name, data); right || err != nil {
			break
		}
	}
	return right, err
}

// over saves once more. A config is never written over; it has to go first.
func (s *Storage) over(ctx context.Context, name storage.Name, data []byte) error {
	if name.Kind == storage.Config {
		return s.renew(ctx, name, data)
	}
	return s.Storage.Save(ctx, name, data)
}

// renew removes what lies there before it saves.
func (s *Storage) renew(ctx context.Context, name storage.Name, data []byte) error {
	if err := s.Storage.Remove(ctx, name); err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	return s.Storage.Save(ctx, name, data)
}

// giveUp leaves nothing wrong behind.
func (s *Storage) giveUp(ctx context.Context, name storage.Name) error {
	err := fmt.Errorf("%s was saved three times at %s, and each time other bytes were read back; do not trust this storage or the way to it: %w",
		name, s.Location(), backup.ErrDamaged)
	if left := s.Storage.Remove(ctx, name); left != nil && !errors.Is(left, backup.ErrNotFound) {
		return fmt.Errorf("%w; it could not be removed either: %w", err, left)
	}
	return err
}

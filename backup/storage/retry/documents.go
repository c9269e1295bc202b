package retry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Create makes the layout.
func (s *Storage) Create(ctx context.Context) error {
	return s.try(ctx, call{operation: "create"}, s.Storage.Create)
}

// Save sends a document. Before it is sent again, Save looks whether it has
// arrived although the answer said otherwise.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	sent := false
	return s.try(ctx, call{operation: "save", document: name.String(), bytes: int64(len(data))}, func(ctx context.Context) error {
		if sent {
			if there, err := s.arrived(ctx, name, data); there || err != nil {
				return err
			}
		}
		err := s.Storage.Save(ctx, name, data)
		sent = sent || !refused(err)
		return err
	})
}

// arrived looks for a document that may have been saved. An error says that
// the place is still in trouble, and that sending would be in vain.
func (s *Storage) arrived(ctx context.Context, name storage.Name, data []byte) (bool, error) {
	info, err := s.Storage.Stat(ctx, name)
	if err == nil && info.Size != int64(len(data)) {
		return false, nil
	}
	there := false
	if err == nil {
		there, err = storage.Holds(ctx, s.Storage, name, data)
	}
	if err != nil && final(err) {
		err = nil // not there, or not for us to read
	}
	return there, err
}

// Load reads from a document.
func (s *Storage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) (data []byte, err error) {
	err = s.try(ctx, call{operation: "load", document: name.String(), bytes: s.expected(length)}, func(ctx context.Context) (err error) {
		data, err = s.Storage.Load(ctx, name, buf, offset, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// whole is what a document of unknown length is granted: a pack of usual size.
const whole = 16 << 20

func (s *Storage) expected(length int64) int64 {
	if length < 0 {
		return whole
	}
	return length
}

// Stat tells the size of a document.
func (s *Storage) Stat(ctx context.Context, name storage.Name) (info storage.Info, err error) {
	err = s.try(ctx, call{operation: "stat", document: name.String()}, func(ctx context.Context) (err error) {
		info, err = s.Storage.Stat(ctx, name)
		return err
	})
	return info, err
}

const idBytes = 32

// List visits every document once, however often it begins anew.
func (s *Storage) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	told := make(map[[idBytes]byte]struct{}) // a million packs take a third of what their names would
	var stopped error                        // by fn
	err := s.try(ctx, call{operation: "list", document: string(kind)}, func(ctx context.Context) error {
		err := s.Storage.List(ctx, kind, func(info storage.Info) error {
			var id [idBytes]byte
			if info.Name.ID != "" && !storage.IsID(info.Name.ID) { // the config has none
				return fmt.Errorf("list %s: %q is no id: %w", kind, info.Name.ID, backup.ErrDamaged)
			}
			if _, err := hex.Decode(id[:], []byte(info.Name.ID)); err != nil {
				return err
			}
			if _, ok := told[id]; ok {
				Alive(ctx)
				return nil
			}
			told[id] = struct{}{}
			stopped = Outside(ctx, func() error { return fn(info) })
			return stopped
		})
		if stopped != nil {
			return nil
		}
		return err
	})
	if stopped != nil {
		return stopped
	}
	return err
}

// Remove deletes a document. When an attempt failed that may have had its
// effect, a document that is not there any more is what was wanted.
func (s *Storage) Remove(ctx context.Context, name storage.Name) error {
	asked := false
	return s.try(ctx, call{operation: "remove", document: name.String()}, func(ctx context.Context) error {
		err := s.Storage.Remove(ctx, name)
		if asked && errors.Is(err, backup.ErrNotFound) && !errors.Is(err, storage.ErrPermanent) { // which a whole bucket that is gone would be
			return nil
		}
		asked = asked || !refused(err)
		return err
	})
}

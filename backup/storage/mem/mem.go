// Package mem keeps documents in memory. It is for tests: a repository in it
// is as fast as the engine itself, and gone with the process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Storage is a place in memory.
type Storage struct {
	mu        sync.RWMutex
	documents map[storage.Name][]byte
}

// New makes an empty place.
func New() *Storage {
	return &Storage{documents: make(map[storage.Name][]byte)}
}

// Location is the same for every place in memory.
func (s *Storage) Location() string { return "memory" }

// Create only looks whether a repository is there already.
func (s *Storage) Create(ctx context.Context) error {
	if _, err := s.Stat(ctx, storage.Name{Kind: storage.Config}); err == nil {
		return fmt.Errorf("memory: %w", backup.ErrRepositoryExists)
	}
	return ctx.Err()
}

// Save keeps a copy of data.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.documents[name]; ok && name.Kind == storage.Config && !bytes.Equal(old, data) {
		return fmt.Errorf("%s: %w", name, backup.ErrRepositoryExists)
	}
	s.documents[name] = slices.Clone(data)
	return nil
}

// Load copies from a document.
func (s *Storage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	data, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	size := int64(len(data))
	if length < 0 {
		length = max(0, size-offset)
	}
	if offset < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("%s has %d bytes, not %d from %d on: %w", name, size, length, offset, backup.ErrDamaged)
	}
	return append(buf[:0], data[offset:offset+length]...), nil
}

func (s *Storage) get(ctx context.Context, name storage.Name) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	data, ok := s.documents[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, backup.ErrNotFound)
	}
	return data, nil
}

// Stat tells the size of a document.
func (s *Storage) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	data, err := s.get(ctx, name)
	return storage.Info{Name: name, Size: int64(len(data))}, err
}

// List visits the documents of a kind as they are when it begins.
func (s *Storage) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	s.mu.RLock()
	var infos []storage.Info
	for name, data := range s.documents {
		if name.Kind == kind && (kind == storage.Config || storage.IsID(name.ID)) {
			infos = append(infos, storage.Info{Name: name, Size: int64(len(data))})
		}
	}
	s.mu.RUnlock()
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Remove forgets a document.
func (s *Storage) Remove(ctx context.Context, name storage.Name) error {
	if _, err := s.get(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.documents, name)
	return nil
}

// Close does nothing; the documents stay.
func (s *Storage) Close() error { return nil }

// Clone is a second place with the same documents.
func (s *Storage) Clone() *Storage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := New()
	for name, data := range s.documents {
		c.documents[name] = data
	}
	return c
}

// Put replaces a document by any bytes, as damage would.
func (s *Storage) Put(name storage.Name, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[name] = slices.Clone(data)
}

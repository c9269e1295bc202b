package backupcmd

import (
	"bytes"
	"context"
	"sync"

	"emrvault/backup/storage"
)

// dryStorage lets a backup run as it would and stores nothing: packs are
// dropped, documents live until the end in memory.
type dryStorage struct {
	storage.Storage
	mu   sync.Mutex
	docs map[storage.Name][]byte
}

func newDryStorage(st storage.Storage) *dryStorage {
	return &dryStorage{Storage: st, docs: map[storage.Name][]byte{}}
}

// Save stores nothing.
func (d *dryStorage) Save(_ context.Context, name storage.Name, data []byte) error {
	if name.Kind == storage.Pack {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.docs[name] = bytes.Clone(data)
	return nil
}

func (d *dryStorage) doc(name storage.Name) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	data, ok := d.docs[name]
	return data, ok
}

// Load reads what is there, or would be.
func (d *dryStorage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if data, ok := d.doc(name); ok && offset == 0 && length < 0 {
		return append(buf[:0], data...), nil
	}
	return d.Storage.Load(ctx, name, buf, offset, length)
}

// Stat tells of what is there, or would be.
func (d *dryStorage) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	if data, ok := d.doc(name); ok {
		return storage.Info{Name: name, Size: int64(len(data))}, nil
	}
	return d.Storage.Stat(ctx, name)
}

// Remove removes nothing that is there.
func (d *dryStorage) Remove(_ context.Context, name storage.Name) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.docs, name)
	return nil
}

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

// past is a view of a place as it was, below whose surface more may lie. What
// it loads whole is right if there is a version that is.
type past struct {
	storage.Storage
}

// rightfully tells whether a document hashes to its name.
func rightfully(name storage.Name, data []byte) bool { return blob.Hash(data).String() == name.ID }

// Load gives the right content of a document where that can be known.
func (p *past) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name.Kind == storage.Config || offset != 0 || length >= 0 {
		return p.Storage.Load(ctx, name, buf, offset, length)
	}
	data, _, err := p.right(ctx, name)
	if err == nil && data == nil {
		err = fmt.Errorf("no version of %s is right: %w", name, backup.ErrDamaged)
	}
	return data, err
}

// right finds the newest version that hashes to the name; nil when there is
// none. replaced tells that it was not the newest of all.
func (p *past) right(ctx context.Context, name storage.Name) (data []byte, replaced bool, err error) {
	data, err = p.Storage.Load(ctx, name, nil, 0, -1)
	switch {
	case err == nil && rightfully(name, data):
		return data, false, nil
	case err != nil && !absent(err) && !errors.Is(err, backup.ErrDamaged):
		return nil, false, fmt.Errorf("load %s: %w", name, err)
	}
	data = nil
	err = p.older(ctx, name, func(version []byte) bool {
		if rightfully(name, version) {
			data = bytes.Clone(version)
		}
		return data == nil
	})
	return data, data != nil, err
}

func (p *past) older(ctx context.Context, name storage.Name, fn func([]byte) bool) error {
	history, ok := storage.As[storage.History](p.Storage)
	if !ok {
		return nil
	}
	if err := history.Older(ctx, name, func(_ time.Time, data []byte) bool { return fn(data) }); err != nil {
		return fmt.Errorf("look for older versions of %s: %w", name, err)
	}
	return nil
}

package repository

import (
	"context"
	"encoding/json"
	"errors"

	"emrvault/backup/storage"
)

// Downgrade makes an empty repository one of format version 1, as old programs
// made them.
func (r *Repository) Downgrade(ctx context.Context) error {
	r.config.Version = 1
	text, err := json.Marshal(r.config)
	if err != nil {
		return err
	}
	sealed, err := r.key.Seal(nil, text)
	if err != nil {
		return err
	}
	name := storage.Name{Kind: storage.Config}
	return errors.Join(r.storage.Remove(ctx, name), r.storage.Save(ctx, name, sealed))
}

package repository

import (
	"context"

	"emrvault/backup"
)

// CheckOptions says how deep CheckStore looks.
type CheckOptions struct {
	ReadData bool    // read and prove every byte
	Subset   float64 // 0 < share < 1: with ReadData, only this share of the packs, drawn at random
}

// CheckStore proves keys, index and packs.
func (r *Repository) CheckStore(ctx context.Context, opts CheckOptions, report func(Finding), progress backup.Progress) error {
	return backup.ErrUnsupported
}

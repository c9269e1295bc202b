package repository

import (
	"context"
	"errors"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// twin looks for a good copy of a blob in a pack that stays.
func (h *healer) twin(ctx context.Context, each blob.Handle) (bool, error) {
	for _, at := range h.repo.index().Copies(each) {
		if h.sick[at.Pack] != nil {
			continue
		}
		if _, err := h.repo.loadCopy(ctx, at, nil); err == nil {
			h.found(each, &h.report.Copies)
			return true, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	return false, nil
}

// again tries the damaged packs once more before a blob is given up: a faulty
// cable damages what is whole.
func (h *healer) again(ctx context.Context, w *Writer, each blob.Handle) (bool, error) {
	for _, at := range h.repo.index().Copies(each) {
		s := h.sick[at.Pack]
		if s == nil || !s.there {
			continue
		}
		plain, err := h.repo.loadCopy(ctx, at, nil)
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err == nil {
			h.found(each, &h.report.Salvaged)
			return true, w.again(ctx, each, plain)
		}
		s.silent = s.silent || !errors.Is(err, backup.ErrDamaged)
	}
	return false, nil
}

// mayReturn keeps the packs that the storage does not give for now and that may
// hold the last copy of a blob. where is one that should have it.
func (h *healer) mayReturn(each blob.Handle, where *sickPack) (may bool) {
	packs := []*sickPack{where}
	for _, at := range h.repo.index().Copies(each) {
		if s := h.sick[at.Pack]; s != nil {
			packs = append(packs, s)
		}
	}
	for _, s := range packs {
		if s.silent {
			s.keep, may = true, true
		}
	}
	return may
}

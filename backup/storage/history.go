package storage

import (
	"bytes"
	"context"
	"errors"
	"time"

	"emrvault/backup"
)

// History is an optional ability of the view that Versioned.At gives: it knows
// what lay under a name before. An attacker who may not delete what is locked
// may still lay rubbish on top of it.
type History interface {
	// Older visits the contents a document had at or before the moment of the
	// view, the newest first, each whole, until fn returns false or there are
	// no more. Times when the document was deleted are passed over.
	Older(ctx context.Context, name Name, fn func(written time.Time, data []byte) bool) error
}

// comparePiece bounds the memory that a comparison takes.
const comparePiece = 4 << 20

// Holds tells whether a place holds a document with exactly these bytes. It
// reads all of it. A document that is missing, shorter, longer or otherwise
// different is no error.
func Holds(ctx context.Context, st Storage, name Name, data []byte) (bool, error) {
	buf := make([]byte, 0, min(len(data)+1, comparePiece))
	for offset := 0; ; offset += comparePiece {
		want, length := data[offset:], int64(-1) // the last piece goes to the end: nothing may follow it
		if len(want) > comparePiece {
			want, length = want[:comparePiece], comparePiece
		}
		got, err := st.Load(ctx, name, buf, int64(offset), length)
		switch {
		case errors.Is(err, backup.ErrNotFound), errors.Is(err, backup.ErrDamaged):
			return false, nil
		case err != nil:
			return false, err
		case !bytes.Equal(got, want):
			return false, nil
		case length < 0:
			return true, nil
		}
	}
}

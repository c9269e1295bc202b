package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// What stands as zeros in a copy may be the text of a record: no check of
// SQLite's would notice. Such a copy must not pass for a sound one.
func TestCopyAtRestWithHolesIsRefused(t *testing.T) {
	h := newHospital(t, "delete", 100)
	for lost, want := range map[int64]error{0: nil, 4096: errLost} {
		raw := func(ctx context.Context, src, dst string) (int64, error) {
			_, err := rawFiles(ctx, src, dst)
			return lost, err
		}
		_, err := atRestBy(t.Context(), h.path, filepath.Join(t.TempDir(), "copy.db"), raw)
		if !errors.Is(err, want) {
			t.Errorf("%d bytes lost: got %v, want %v", lost, err, want)
		}
	}
}

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"emrvault/backup"
)

// ClaimTarget refuses a target that would mix or overwrite: one that holds
// something, or that lies in, on or around one of the live places. A confirmed
// target is taken as it is; the caller keeps what must never be overwritten
// out by itself. dir need not be there.
func ClaimTarget(target Target, live ...string) error {
	if target.Dir == "" {
		return fmt.Errorf("recover needs a target folder (--target-dir): %w", backup.ErrInvalid)
	}
	if target.Confirm {
		return nil
	}
	for _, place := range live {
		if Overlap(target.Dir, place) {
			return fmt.Errorf("%s is where the source itself lives (%s); choose another folder, or confirm: %w",
				target.Dir, place, backup.ErrTargetNotEmpty)
		}
	}
	return mustBeEmpty(target.Dir)
}

func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look into target: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("%s holds %q already; choose an empty folder, or confirm: %w",
			dir, entries[0].Name(), backup.ErrTargetNotEmpty)
	}
	return nil
}

// Overlap says whether one of two places is the other or lies inside it, with
// links followed as far as the places exist.
func Overlap(a, b string) bool {
	a, b = resolve(a), resolve(b)
	return inside(a, b) || inside(b, a)
}

// inside says whether path is dir or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolve follows links in the part of path that exists.
func resolve(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if filepath.Dir(at) == at {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

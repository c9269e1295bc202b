package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"emrvault/backup"
)

// target is one path to be taken, and where it goes in the snapshot.
type target struct {
	path  string   // on this machine, as given
	parts []string // folders of the snapshot above it, and its own name
	above []string // for each of parts but the last: the folder on this machine
}

// absolute is the path that snapshots record and patterns are matched with.
func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil { // the working folder is gone
		return filepath.Clean(path)
	}
	return abs
}

// newTarget finds the place of a path in the snapshot. An absolute path keeps
// all its folders; a relative one keeps those it names, ".." is dropped, and
// "." puts the contents at the root.
func newTarget(given string) target {
	clean := filepath.Clean(given)
	t := target{path: clean}
	volume := filepath.VolumeName(clean)
	here := volume
	rest := strings.TrimPrefix(clean, volume)
	if filepath.IsAbs(clean) {
		here += string(filepath.Separator)
		if name := strings.TrimSuffix(volume, ":"); name != "" {
			t.parts, t.above = append(t.parts, slashless(name)), append(t.above, here)
		}
	}
	for part := range strings.SplitSeq(filepath.ToSlash(rest), "/") {
		if part == "" || part == "." {
			continue
		}
		here = filepath.Join(here, part)
		if part == ".." {
			continue
		}
		t.parts, t.above = append(t.parts, part), append(t.above, here)
	}
	if len(t.above) > 0 {
		t.above = t.above[:len(t.above)-1]
	}
	return t
}

// slashless makes one name of a network share's two.
func slashless(volume string) string {
	return strings.Trim(strings.NewReplacer(`\`, "_", "/", "_").Replace(volume), "_")
}

// resolve turns the given paths into targets: those that are missing are told,
// the contents of "." and "/" become targets of their own, and paths inside
// others are left out. All missing is an error.
func (r *run) resolve(paths []string) ([]target, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("no path to back up: %w", backup.ErrInvalid)
	}
	var list []target
	var missing []Problem
	for _, p := range paths {
		if p == "" {
			return nil, fmt.Errorf("empty path to back up: %w", backup.ErrInvalid)
		}
		if _, err := os.Lstat(p); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: no such file or folder", backup.ErrNotFound)
			}
			missing = append(missing, Problem{Path: p, Err: err})
			continue
		}
		targets, err := expand(p)
		if err != nil {
			return nil, fmt.Errorf("back up %s: %w", p, err)
		}
		list = append(list, targets...)
	}
	if len(missing) == len(paths) {
		return nil, fmt.Errorf("back up %s: %w; check the path and whether its disk is mounted", missing[0].Path, missing[0].Err)
	}
	for _, p := range missing {
		r.problem(p)
	}
	return withoutInner(list)
}

func expand(path string) ([]target, error) {
	t := newTarget(path)
	if len(t.parts) > 0 {
		return []target{t}, nil
	}
	entries, err := os.ReadDir(t.path)
	if err != nil {
		return nil, err
	}
	var list []target
	for _, e := range entries {
		list = append(list, target{path: filepath.Join(t.path, e.Name()), parts: []string{e.Name()}})
	}
	return list, nil
}

// withoutInner leaves out targets that lie inside another one, and refuses two
// different paths that would meet in one place.
func withoutInner(list []target) ([]target, error) {
	slices.SortStableFunc(list, func(a, b target) int { return slices.Compare(a.parts, b.parts) })
	var out []target
	for _, t := range list {
		if len(out) == 0 || !inside(out[len(out)-1], t) {
			out = append(out, t)
			continue
		}
		outer := out[len(out)-1]
		want := filepath.Join(append([]string{absolute(outer.path)}, t.parts[len(outer.parts):]...)...)
		if want != absolute(t.path) {
			return nil, fmt.Errorf("%s and %s would both be /%s in the snapshot; back them up separately: %w",
				outer.path, t.path, strings.Join(t.parts, "/"), backup.ErrInvalid)
		}
	}
	return out, nil
}

func inside(outer, t target) bool {
	return len(t.parts) >= len(outer.parts) && slices.Equal(outer.parts, t.parts[:len(outer.parts)])
}

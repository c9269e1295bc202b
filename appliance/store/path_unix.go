//go:build !windows

package store

import "path/filepath"

// slashed gives the path as a file address wants it.
func slashed(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

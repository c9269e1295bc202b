package store

import "path/filepath"

// slashed gives the path as a file address wants it: "/C:/ProgramData/…".
func slashed(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return "/" + filepath.ToSlash(path)
}

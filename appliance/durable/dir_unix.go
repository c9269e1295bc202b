//go:build !windows

package durable

import (
	"errors"
	"os"
)

// SyncDir flushes a folder: names made, renamed and removed in it are durable
// afterwards.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func rename(from, to string) error { return os.Rename(from, to) }

func removeFile(path string) error { return os.Remove(path) }

// syncDir brings a folder's list of names to the disk. Some network file
// systems cannot and say so; for them the server decides.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

func writable(dir string) error { return unix.Access(dir, unix.W_OK) }

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func isReadOnly(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission)
}

// isMedium tells whether a disk has lost what it was to read.
func isMedium(err error) bool {
	return errors.Is(err, unix.EIO)
}

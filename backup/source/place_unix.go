//go:build unix

package source

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Readable asks whether this process may read path, without opening it: on
// Unix, closing any descriptor of a file drops the record locks that this
// process holds on it, and a database in use here would lose its protection.
func Readable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("read %s: %w", path, asPathError(err))
	}
	return nil
}

// Writable asks whether this process may write path.
func Writable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("write %s: %w", path, asPathError(err))
	}
	return nil
}

// asPathError leaves errno as it is, for errors.Is knows it; only the read-only
// file system counts as a missing permission too.
func asPathError(err error) error {
	if errors.Is(err, unix.EROFS) {
		return fs.ErrPermission
	}
	return err
}

package sqlite

import (
	"errors"

	"golang.org/x/sys/windows"
)

// errForeignShm sends a capture to the copy at rest.
var errForeignShm = errors.New("reading would leave a file that the database's owner may not open")

// foreignShm: files inherit their rights from the folder on Windows, so the
// application can open what we make.
func foreignShm(string) bool { return false }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

package config

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes the lock or gives errHeld at once. Windows forbids others to
// read a locked range, so the lock sits far behind the process id.
func tryLock(f *os.File) error {
	far := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, far)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

//go:build !windows

package config

import (
	"os"
	"syscall"
)

// tryLock takes the lock or gives errHeld at once.
func tryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EWOULDBLOCK:
			return errHeld
		default:
			return err
		}
	}
}

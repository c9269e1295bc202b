//go:build unix && !linux

package repository

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// running tells whether a process with this number exists.
func running(pid int, _ time.Time) bool {
	return !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

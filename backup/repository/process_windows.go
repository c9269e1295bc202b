package repository

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// running tells whether the process that wrote a lock at a given time can
// still be there. A process that began after that time has only inherited the
// number.
func running(pid int, locked time.Time) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return !errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	defer windows.CloseHandle(h)
	var code uint32
	const stillActive = 259
	if err := windows.GetExitCodeProcess(h, &code); err == nil && code != stillActive {
		return false
	}
	var began, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &began, &ended, &kernel, &user); err != nil {
		return true
	}
	tolerance := time.Minute // the clock may have been set since
	if pid == os.Getpid() {
		tolerance = 20 * time.Millisecond
	}
	return !time.Unix(0, began.Nanoseconds()).After(locked.Add(tolerance))
}

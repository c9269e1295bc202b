package repository

import (
	"errors"
	"strconv"

	"golang.org/x/sys/windows"
)

// processMark tells whether a process exists, and what tells it from others
// that had its number before: the moment in which it was made, which stays the
// same when the clock is set. The mark is empty if the system does not say.
func processMark(pid int) (mark string, exists bool) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return "", !errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	defer windows.CloseHandle(h) //nolint:errcheck // Nothing depends on it.
	var code uint32
	const stillActive = 259
	if err := windows.GetExitCodeProcess(h, &code); err == nil && code != stillActive {
		return "", false
	}
	var began, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &began, &ended, &kernel, &user); err != nil {
		return "", true
	}
	return strconv.FormatInt(began.Nanoseconds(), 10), true
}

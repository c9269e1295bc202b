package repository

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// running tells whether the process that wrote a lock at a given time can
// still be there. A process that began after that time has only inherited the
// number: after a reboot, or in a container, where numbers repeat every time.
func running(pid int, locked time.Time) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	began, err := processStart(pid)
	if err != nil {
		return true
	}
	tolerance := time.Minute // the clock may have been set since
	if pid == os.Getpid() {
		tolerance = 2 * tick
	}
	return !began.After(locked.Add(tolerance))
}

// tick is the unit in which the kernel tells times of processes to programs.
const tick = time.Second / 100

func processStart(pid int) (time.Time, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return time.Time{}, err
	}
	// The name in brackets may hold anything; 20 fields follow up to the start.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return time.Time{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, err
	}
	boot := time.Now().Add(-time.Duration(up.Nano()))
	return boot.Add(time.Duration(ticks) * tick), nil
}

package repository

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// processMark tells whether a process exists, and what tells it from others
// that had its number before: the boot of the machine and the tick in which
// the process began. No clock is in it that somebody could set. The mark is
// empty if the system does not say.
func processMark(pid int) (mark string, exists bool) {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return "", false
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", true
	}
	// The name in brackets may hold anything; the start is the 20th field after it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", true
	}
	return fmt.Sprintf("%s/%s", strings.TrimSpace(string(boot)), fields[19]), true
}

package restore

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hold keeps a second restore out as long as the file is open. A file system
// without such locks goes without.
func hold(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("restore to %s: %w", f.Name(), errBusy)
	}
	return nil
}

// syncDir makes the names in the target durable.
func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// era names the time since the machine was started and the target's file system
// was mounted: as long as both go on, what was written is in memory or on disk.
// It is empty where that cannot be told.
func era(root *os.Root) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	dir, err := root.Open(".")
	if err != nil {
		return ""
	}
	defer dir.Close() // only asked
	var st unix.Statx_t
	err = unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		st.Mnt_id = 0 // before Linux 6.8 numbers of mounts are used again
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(boot)), st.Mnt_id)
}

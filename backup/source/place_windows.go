package source

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Readable asks whether this process may read path, by opening it: rights on
// Windows are too rich to compute, and an open file disturbs no lock there.
func Readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// Writable asks whether this process may make files in the folder path.
func Writable(path string) error {
	f, err := os.CreateTemp(path, "emrvault-probe-")
	if err != nil {
		return err
	}
	name := f.Name()
	if err := f.Close(); err != nil {
		return err
	}
	return os.Remove(name)
}

// Network names the kind of network share path lies on, "" for a local disk.
func Network(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	volume := filepath.VolumeName(full)
	if strings.HasPrefix(volume, `\\`) {
		return "smb"
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	if err == nil && windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "smb"
	}
	return ""
}

// Free tells the bytes this process may still write where path lies; ok is
// false when it cannot be told.
func Free(path string) (free uint64, ok bool) {
	folder, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, false
	}
	if err := windows.GetDiskFreeSpaceEx(folder, &free, nil, nil); err != nil {
		return 0, false
	}
	return free, true
}

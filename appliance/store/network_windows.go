package store

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Network names the network file system that path lies on, "" when it lies on
// a disk of this machine.
func Network(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	volume := filepath.VolumeName(abs)
	if strings.HasPrefix(volume, `\\`) {
		return "SMB"
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	if err == nil && windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "SMB"
	}
	return ""
}

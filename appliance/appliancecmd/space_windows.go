package appliancecmd

import "golang.org/x/sys/windows"

// space tells how much of a disk is free for us, and its size, in bytes.
func space(path string) (free, size uint64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, &size, nil)
	return free, size, err
}

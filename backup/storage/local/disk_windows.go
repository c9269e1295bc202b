package local

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// rename replaces an existing file, which must not be read-only for that.
func rename(from, to string) error {
	if err := clearReadOnly(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func removeFile(path string) error {
	if err := clearReadOnly(path); err != nil {
		return err
	}
	return os.Remove(path)
}

func clearReadOnly(path string) error {
	if err := os.Chmod(path, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir has nothing to do: NTFS writes names through its own journal, and a
// folder cannot be flushed without rights of an administrator.
func syncDir(string) error { return nil }

// writable asks for the attribute only; rights show when a file is made.
func writable(dir string) error {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	root := make([]uint16, windows.MAX_PATH)
	if err := windows.GetVolumePathName(path, &root[0], uint32(len(root))); err != nil {
		return err
	}
	var flags uint32
	if err := windows.GetVolumeInformation(&root[0], nil, 0, nil, nil, &flags, nil, 0); err != nil {
		return err
	}
	if flags&windows.FILE_READ_ONLY_VOLUME != 0 {
		return windows.ERROR_WRITE_PROTECT
	}
	return nil
}

func space(dir string) (free, total uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(path, &free, &total, nil)
	return free, total, err
}

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func isReadOnly(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, fs.ErrPermission)
}

// isMedium tells whether a disk has lost what it was to read.
func isMedium(err error) bool {
	return errors.Is(err, windows.ERROR_CRC) || errors.Is(err, windows.ERROR_IO_DEVICE)
}

//go:build !windows

package appliancecmd

import "golang.org/x/sys/unix"

// space tells how much of a disk is free for us, and its size, in bytes.
func space(path string) (free, size uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, 0, err
	}
	block := uint64(stat.Bsize) // a block size is positive
	return stat.Bavail * block, stat.Blocks * block, nil
}

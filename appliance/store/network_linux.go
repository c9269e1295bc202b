package store

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// networks are the file systems of other machines. Their locks and shared
// memory cannot be trusted with a write-ahead log.
var networks = map[uint32]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "SMB",
	unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.V9FS_MAGIC:       "9p",
}

// Network names the network file system that path lies on, "" when it lies on
// a disk of this machine.
func Network(path string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &stat); err != nil {
		return ""
	}
	return networks[uint32(stat.Type)] // the magic has 32 bits on every machine
}

package source

import "golang.org/x/sys/unix"

// Numbers of statfs(2) that the system package does not name.
const (
	smb2Magic = 0xFE534D42
	cephMagic = 0x00C36400
	gfs2Magic = 0x01161970
)

// Network names the kind of network file system path lies on, "" for a local
// disk or when it cannot be told.
func Network(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return ""
	}
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, smb2Magic:
		return "smb"
	case unix.V9FS_MAGIC:
		return "9p"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	case unix.AFS_FS_MAGIC, unix.AFS_SUPER_MAGIC:
		return "afs"
	case cephMagic:
		return "ceph"
	case gfs2Magic:
		return "gfs2"
	}
	return ""
}

// Free tells the bytes this process may still write where path lies; ok is
// false when it cannot be told.
func Free(path string) (free uint64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}

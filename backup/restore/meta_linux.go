package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"emrvault/backup/snapshot"
)

const settable = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// fileMeta works on the descriptor that wrote the file. born says that owner
// and mode are right and that there are no attributes.
func (r *run) fileMeta(f *file, handle output, born bool) error {
	if born {
		return r.held(moments, f.path, setTimes(int(handle), f.node))
	}
	return r.meta(int(handle), f.node, f.path)
}

// inputMeta works on a descriptor that can only read: of a file that has its
// content, and perhaps a mode that lets nobody write.
func (r *run) inputMeta(f *file, handle input) error { return r.meta(int(handle), f.node, f.path) }

func (r *run) folderMeta(f *folder) error {
	at, err := r.tree.take(f)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	return r.meta(int(at.fd), f.node, f.path)
}

// meta sets all that a file or folder has besides content. The order matters:
// a change of owner takes set-user-id and capabilities away, attributes want a
// mode that lets us write, an access list is followed by the mode that it was
// read with, and the time comes last. What the target cannot hold is told; the
// content is there all the same.
func (r *run) meta(fd int, n *snapshot.Node, path func() string) error {
	mode, err := r.own(n, path, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) })
	if err != nil {
		return err
	}
	err = r.setXattrs(n, path, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) })
	if err != nil {
		return err
	}
	if err := r.held(modes, path, unix.Fchmod(fd, posix(mode))); err != nil {
		return err
	}
	return r.held(moments, path, setTimes(fd, n))
}

// own gives an entry to its owner, and tells the mode it is to have then. What
// still belongs to us must not run as us.
func (r *run) own(n *snapshot.Node, path func() string, chown func(uid, gid int) error) (fs.FileMode, error) {
	mode := r.mode(n)
	if !r.root {
		return mode, nil
	}
	err := chown(int(n.UID), int(n.GID))
	if err != nil {
		mode &^= fs.ModeSetuid | fs.ModeSetgid
	}
	return mode, r.held(owners, path, err)
}

// lacking says of an error that the target's file system, or the server behind
// it, cannot do what was asked: FAT knows no owners and no second names, an NFS
// server may take nobody for root.
func lacking(err error) bool {
	for _, no := range []error{unix.EPERM, unix.ENOTSUP, unix.ENOSYS, unix.EINVAL, unix.EMLINK, unix.EXDEV} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// mode is what an entry is given. Who cannot give a program to its owner does
// not let it run as himself either.
func (r *run) mode(n *snapshot.Node) fs.FileMode {
	if !r.root && n.UID != r.uid {
		return n.Mode & settable &^ (fs.ModeSetuid | fs.ModeSetgid)
	}
	return n.Mode & settable
}

// sameRights says whether owner and mode are as they should be.
func (r *run) sameRights(n *snapshot.Node, was seen) bool {
	if was.mode&settable != r.mode(n) {
		return false
	}
	return !r.root || was.uid == n.UID && was.gid == n.GID
}

// posix gives the bits of a mode as the kernel has them.
func posix(mode fs.FileMode) uint32 { return uint32(posixMode(mode)) }

// setTimes is futimens: a call on the descriptor, without a path.
func setTimes(fd int, n *snapshot.Node) error {
	ts := times(n)
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func times(n *snapshot.Node) [2]unix.Timespec {
	return [2]unix.Timespec{timespec(n.AccessTime), timespec(n.ModTime)}
}

// timespec keeps moments beyond the years that nanoseconds in one number reach.
func timespec(t time.Time) unix.Timespec {
	ts, err := unix.TimeToTimespec(t)
	if err != nil { // a 32-bit system
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return ts
}

func (r *run) setXattrs(n *snapshot.Node, path func() string, set func(name string, value []byte) error) error {
	for _, x := range n.Xattrs {
		err := set(x.Name, x.Value)
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOTSUP):
			r.skip(path(), fmt.Errorf("attribute %s: the target's file system holds none", x.Name))
		case !r.root && !strings.HasPrefix(x.Name, "user."):
			r.skip(path(), fmt.Errorf("attribute %s: only root may set it", x.Name))
		case lacking(err) || tooLarge(err):
			r.skip(path(), fmt.Errorf("attribute %s of %d bytes: the target cannot hold it: %w", x.Name, len(x.Value), err))
		default:
			return fmt.Errorf("set attribute %s: %w", x.Name, err)
		}
	}
	return nil
}

// tooLarge says that there is no room for an attribute. ext4 has one block for
// all of a file, and calls that a full disk.
func tooLarge(err error) bool {
	return full(err) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE)
}

// entryMeta works on a name in an open folder and never follows a link.
func (r *run) entryMeta(at *place, e *entry) error {
	n, name, dir := e.node, e.name, int(at.fd)
	mode, err := r.own(n, e.path, func(uid, gid int) error {
		return unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err == nil && n.Type != snapshot.Symlink {
		err = r.held(modes, e.path, at.chmod(name, mode))
	}
	if err != nil {
		return err
	}
	way := fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
	err = r.setXattrs(n, e.path, func(attr string, value []byte) error { return unix.Lsetxattr(way, attr, value, 0) })
	if err != nil {
		return err
	}
	ts := times(n)
	return r.held(moments, e.path, unix.UtimesNanoAt(dir, name, ts[:], unix.AT_SYMLINK_NOFOLLOW))
}

func makeSpecial(at *place, name string, n *snapshot.Node) error {
	kind := map[snapshot.NodeType]uint32{
		snapshot.Device: unix.S_IFBLK, snapshot.CharDevice: unix.S_IFCHR, snapshot.Fifo: unix.S_IFIFO,
	}[n.Type]
	if err := unix.Mknodat(int(at.fd), name, kind|0o600, int(n.Device)); err != nil {
		return fmt.Errorf("make %s: %w", n.Type, err)
	}
	return nil
}

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
		return setTimes(int(handle), f.node)
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
// read with, and the time comes last.
func (r *run) meta(fd int, n *snapshot.Node, path func() string) error {
	if r.root {
		if err := unix.Fchown(fd, int(n.UID), int(n.GID)); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	err := r.setXattrs(n, path, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) })
	if err != nil {
		return err
	}
	if err := unix.Fchmod(fd, posix(r.mode(n))); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return setTimes(fd, n)
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
		return fmt.Errorf("set times: %w", errno)
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
		default:
			return fmt.Errorf("set attribute %s: %w", x.Name, err)
		}
	}
	return nil
}

// entryMeta works on a name in an open folder and never follows a link.
func (r *run) entryMeta(at *place, e *entry) error {
	n, name, dir := e.node, e.name, int(at.fd)
	if r.root {
		if err := unix.Fchownat(dir, name, int(n.UID), int(n.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if n.Type != snapshot.Symlink {
		if err := at.chmod(name, r.mode(n)); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	way := fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
	err := r.setXattrs(n, e.path, func(attr string, value []byte) error { return unix.Lsetxattr(way, attr, value, 0) })
	if err != nil {
		return err
	}
	ts := times(n)
	if err := unix.UtimesNanoAt(dir, name, ts[:], unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
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

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

// unsafeName names what this system cannot hold; Linux takes every name that
// CheckName lets pass.
func unsafeName(string) error { return nil }

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// fileMeta works on the descriptor that wrote the file. The order matters:
// a change of owner takes set-user-id and capabilities away, and access lists
// speak of the mode.
func (r *run) fileMeta(f *file) error { return r.meta(int(f.handle), f.node, f.path) }

func (r *run) folderMeta(f *folder) error {
	at, err := r.tree.take(f)
	if err != nil {
		return err
	}
	defer r.tree.give(f)
	return r.meta(int(at.fd), f.node, f.path)
}

func (r *run) meta(fd int, n *snapshot.Node, path string) error {
	if r.root {
		if err := unix.Fchown(fd, int(n.UID), int(n.GID)); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if err := unix.Fchmod(fd, posix(n.Mode)); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	err := r.setXattrs(n, path, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) })
	if err != nil {
		return err
	}
	return setTimes(fd, n)
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

func (r *run) setXattrs(n *snapshot.Node, path string, set func(name string, value []byte) error) error {
	for _, x := range n.Xattrs {
		err := set(x.Name, x.Value)
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOTSUP):
			r.skip(path, fmt.Errorf("attribute %s: the target's file system holds none", x.Name))
		case !r.root && !strings.HasPrefix(x.Name, "user."):
			r.skip(path, fmt.Errorf("attribute %s: only root may set it", x.Name))
		default:
			return fmt.Errorf("set attribute %s: %w", x.Name, err)
		}
	}
	return nil
}

// entryMeta works on a name in an open folder and never follows a link.
func (r *run) entryMeta(at *place, e *entry) error {
	n, dir := e.node, int(at.fd)
	if r.root {
		if err := unix.Fchownat(dir, n.Name, int(n.UID), int(n.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if n.Type != snapshot.Symlink {
		if err := at.chmod(n.Name, n.Mode&settable); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	name := fmt.Sprintf("/proc/self/fd/%d/%s", dir, n.Name)
	err := r.setXattrs(n, e.path(), func(attr string, value []byte) error { return unix.Lsetxattr(name, attr, value, 0) })
	if err != nil {
		return err
	}
	ts := times(n)
	if err := unix.UtimesNanoAt(dir, n.Name, ts[:], unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

func makeSpecial(at *place, n *snapshot.Node) error {
	kind := map[snapshot.NodeType]uint32{
		snapshot.Device: unix.S_IFBLK, snapshot.CharDevice: unix.S_IFCHR, snapshot.Fifo: unix.S_IFIFO,
	}[n.Type]
	if err := unix.Mknodat(int(at.fd), n.Name, kind|0o600, int(n.Device)); err != nil {
		return fmt.Errorf("make %s: %w", n.Type, err)
	}
	return nil
}

package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// directory is an open folder; its entries are looked at through it, which
// spares the kernel the way down for each.
type directory struct{ f *os.File }

func openDirectory(path string) (*directory, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return &directory{f}, nil
}

func (d *directory) Close() error { return d.f.Close() }

func (d *directory) names() ([]string, error) { return d.f.Readdirnames(-1) }

func (d *directory) stat(name string) (*snapshot.Node, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(d.f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			return nodeOf(&st)
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("look at it: %w", err)
		}
	}
}

// openFile opens without following a link and without waiting for a pipe that
// somebody put in the file's place.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

func statFile(f *os.File, _ string) (*snapshot.Node, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("look at it: %w", err)
	}
	return nodeOf(&st)
}

// statPath makes a node of what os.Stat or os.Lstat has found.
func statPath(_ string, info fs.FileInfo) (*snapshot.Node, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("metadata of an unknown kind: %w", backup.ErrUnsupported)
	}
	return nodeOf(&unix.Stat_t{
		Dev: st.Dev, Ino: st.Ino, Nlink: st.Nlink, Mode: st.Mode, Uid: st.Uid, Gid: st.Gid,
		Rdev: st.Rdev, Size: st.Size, Mtim: unix.Timespec(st.Mtim), Ctim: unix.Timespec(st.Ctim),
	})
}

// nodeOf translates what the kernel tells.
func nodeOf(st *unix.Stat_t) (*snapshot.Node, error) {
	n := &snapshot.Node{
		Mode: fs.FileMode(st.Mode & 0o777), UID: st.Uid, GID: st.Gid, Inode: st.Ino,
		DeviceID: st.Dev, Links: uint64(st.Nlink), //nolint:unconvert // 32 bits wide on arm64
		ModTime: moment(st.Mtim), ChangeTime: moment(st.Ctim),
	}
	n.AccessTime = n.ModTime // reading times would change every tree every day
	n.Mode |= special(st.Mode)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.Type, n.Size = snapshot.File, uint64(st.Size)
	case unix.S_IFDIR:
		n.Type, n.Mode = snapshot.Dir, n.Mode|fs.ModeDir
	case unix.S_IFLNK:
		n.Type, n.Mode = snapshot.Symlink, n.Mode|fs.ModeSymlink
	case unix.S_IFBLK:
		n.Type, n.Mode, n.Device = snapshot.Device, n.Mode|fs.ModeDevice, st.Rdev
	case unix.S_IFCHR:
		n.Type, n.Mode, n.Device = snapshot.CharDevice, n.Mode|fs.ModeDevice|fs.ModeCharDevice, st.Rdev
	case unix.S_IFIFO:
		n.Type, n.Mode = snapshot.Fifo, n.Mode|fs.ModeNamedPipe
	case unix.S_IFSOCK:
		n.Type, n.Mode = snapshot.Socket, n.Mode|fs.ModeSocket
	default:
		return nil, fmt.Errorf("file type %o: %w", st.Mode&unix.S_IFMT, backup.ErrUnsupported)
	}
	return n, nil
}

// special gives Go's bits for set-user-id, set-group-id and sticky.
func special(mode uint32) (bits fs.FileMode) {
	if mode&unix.S_ISUID != 0 {
		bits |= fs.ModeSetuid
	}
	if mode&unix.S_ISGID != 0 {
		bits |= fs.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		bits |= fs.ModeSticky
	}
	return bits
}

func moment(ts unix.Timespec) time.Time { return snapshot.Clamp(time.Unix(ts.Unix())) }

// complete adds what a look at the entry does not tell.
func complete(path string, n *snapshot.Node) (err error) {
	if n.Type == snapshot.Symlink {
		if n.LinkTarget, err = os.Readlink(path); err != nil {
			return err
		}
	}
	n.Xattrs, err = readXattrs(path)
	return err
}

// readXattrs reads the extended attributes of a path, POSIX access lists among
// them. A file system without any is no fault.
func readXattrs(path string) ([]snapshot.Xattr, error) {
	return xattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		func(name string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

func fileXattrs(f *os.File, _ string) ([]snapshot.Xattr, error) {
	fd := int(f.Fd())
	return xattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

func xattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]snapshot.Xattr, error) {
	names, err := grown(list, 0)
	if len(names) == 0 || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var out []snapshot.Xattr
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		value, err := grown(func(buf []byte) (int, error) { return get(string(name), buf) }, 256)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			continue // gone meanwhile, or not for us
		}
		if err != nil {
			return nil, fmt.Errorf("read extended attribute %q: %w", name, err)
		}
		out = append(out, snapshot.Xattr{Name: string(name), Value: value})
	}
	return out, nil
}

// grown calls read with a buffer that is large enough. Most files have no
// attributes: asking for the length first is one call for them.
func grown(read func([]byte) (int, error), guess int) ([]byte, error) {
	for size := guess; ; {
		buf := make([]byte, size)
		n, err := read(buf)
		switch {
		case errors.Is(err, unix.ERANGE):
			size = max(2*size, 1024)
		case err != nil:
			return nil, err
		case n > len(buf) || size == 0 && n > 0:
			size = n + 64
		default:
			return buf[:n], nil
		}
	}
}

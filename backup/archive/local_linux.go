package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	short, done, err := reach(path)
	if err != nil {
		return nil, err
	}
	defer done()
	f, err := os.OpenFile(short, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return &directory{f}, nil
}

// reach gives a way to a path that the kernel takes. It refuses paths of 4096
// bytes, which folders moved into each other can have; then the way begins at
// the folder above, that is kept open until done is called.
func reach(path string) (short string, done func(), err error) {
	if len(path) < unix.PathMax {
		return path, func() {}, nil
	}
	above, name := filepath.Split(filepath.Clean(path))
	at := unix.AT_FDCWD
	for len(above) > 0 {
		part := above
		if len(part) >= unix.PathMax {
			part = part[:strings.LastIndexByte(part[:unix.PathMax-1], '/')+1]
		}
		next, err := unix.Openat(at, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if at != unix.AT_FDCWD {
			closeQuietly(at)
		}
		if err != nil {
			return "", nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		at, above = next, above[len(part):]
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", at, name), func() { closeQuietly(at) }, nil
}

// closeQuietly closes what nothing was written to: there is nothing to lose.
func closeQuietly(fd int) { _ = unix.Close(fd) }

func (d *directory) Close() error { return d.f.Close() }

func (d *directory) names() ([]string, error) { return d.f.Readdirnames(-1) }

// file is a file being read. It is a bare descriptor: what an os.File does to
// wait for pipes and connections costs two system calls more for each file.
type file struct {
	fd   int
	path string
	at   int64
}

// openFile opens without following a link and without waiting for a pipe that
// somebody put in the file's place.
func openFile(path string) (*file, error) {
	short, done, err := reach(path)
	if err != nil {
		return nil, err
	}
	defer done()
	for {
		fd, err := unix.Open(short, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			return &file{fd: fd, path: path}, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// Read reads on from where the last call ended.
func (f *file) Read(buf []byte) (int, error) {
	for {
		n, err := unix.Pread(f.fd, buf, f.at)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
		case n == 0 && len(buf) > 0:
			return 0, io.EOF
		}
		f.at += int64(n)
		return n, nil
	}
}

// Close lets go of the file.
func (f *file) Close() error { return unix.Close(f.fd) }

// regular refuses what turned into a device or pipe since it was looked at:
// reading it might never end.
func (f *file) regular() error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("look at it: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular
	}
	return nil
}

// hole tells how far the file is known to hold nothing but zeros from a place
// on, without reading them; not beyond that place when it is not known.
func (f *file) hole(from int64) (to int64) {
	data, err := unix.Seek(f.fd, from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing more up to the end
		end, err := unix.Seek(f.fd, 0, unix.SEEK_END)
		if err != nil {
			return from
		}
		return max(from, end)
	case err != nil:
		return from
	}
	return data
}

// holed tells whether the file takes less room than its length.
func (f *file) holed() bool {
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) == nil && st.Blocks*512 < st.Size
}

// jump goes on reading at another place.
func (f *file) jump(to int64) { f.at = to }

func statFile(f *file, _ string) (*snapshot.Node, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
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
func complete(path string, n *snapshot.Node) error {
	short, done, err := reach(path)
	if err != nil {
		return err
	}
	defer done()
	if n.Type == snapshot.Symlink {
		if n.LinkTarget, err = os.Readlink(short); err != nil {
			return err
		}
	}
	n.Xattrs, err = readXattrs(short)
	return err
}

// readXattrs reads the extended attributes of a path, POSIX access lists among
// them. A file system without any is no fault. Beside an error stand those that
// could be read.
func readXattrs(path string) ([]snapshot.Xattr, error) {
	short, done, err := reach(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return xattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(short, buf) },
		func(name string, buf []byte) (int, error) { return unix.Lgetxattr(short, name, buf) })
}

func fileXattrs(f *file, _ string) ([]snapshot.Xattr, error) {
	return xattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(f.fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(f.fd, name, buf) })
}

func xattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]snapshot.Xattr, error) {
	names, err := grown(list, 0)
	if len(names) == 0 || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %w: %w", errAttributes, err)
	}
	var out []snapshot.Xattr
	var failed error
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		value, err := grown(func(buf []byte) (int, error) { return get(string(name), buf) }, 256)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			continue // gone meanwhile, or not for us
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read %w: %q: %w", errAttributes, name, err))
			continue
		}
		out = append(out, snapshot.Xattr{Name: string(name), Value: value})
	}
	return out, failed
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

package restore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// comparableMode are the bits of a mode that a restore gives for certain: who is
// not root does not let programs run as their owners.
func comparableMode() fs.FileMode {
	if os.Geteuid() != 0 {
		return settable &^ (fs.ModeSetuid | fs.ModeSetgid)
	}
	return settable
}

// finest is how finely the system keeps time.
const finest = time.Nanosecond

// look tells what a name stands for, without following a link.
func (at *place) look(name string) (seen, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(at.fd), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err == nil:
			return seen{goMode(st.Mode), st.Size, time.Unix(st.Mtim.Unix()), st.Uid, st.Gid, inode{st.Dev, st.Ino}}, nil
		case !errors.Is(err, unix.EINTR):
			return seen{}, err
		}
	}
}

// kinds translates the kernel's types of entries.
var kinds = map[uint32]fs.FileMode{
	unix.S_IFREG: 0, unix.S_IFDIR: fs.ModeDir, unix.S_IFLNK: fs.ModeSymlink, unix.S_IFIFO: fs.ModeNamedPipe,
	unix.S_IFSOCK: fs.ModeSocket, unix.S_IFBLK: fs.ModeDevice, unix.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice,
}

func goMode(mode uint32) fs.FileMode {
	kind, known := kinds[mode&unix.S_IFMT]
	if !known {
		kind = fs.ModeIrregular
	}
	bits := fs.FileMode(mode&0o777) | kind
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

func (at *place) readlink(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(at.fd), name, buf)
	return string(buf[:max(n, 0)]), err
}

// input is the bare descriptor of a file that is read, for the same reason as
// output is.
type input int

// input opens a file, without waiting for a pipe that somebody put in its place.
func (at *place) input(name string) (input, error) {
	fd, err := openat(int(at.fd), name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	return input(fd), err
}

// Read reads on.
func (f input) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Close gives the descriptor back.
func (f input) Close() error { return unix.Close(int(f)) }

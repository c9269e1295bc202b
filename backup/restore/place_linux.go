package restore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// descriptor is an open folder.
type descriptor int

// Close gives the descriptor back.
func (d descriptor) Close() error { return unix.Close(int(d)) }

// descend opens a folder by its own name from the one above it, or the target
// itself. A link in its place is refused.
func (p *places) descend(up *place, f *folder) (descriptor, error) {
	from, name := int(p.base.Fd()), "."
	if up != nil {
		from, name = int(up.fd), f.name
	}
	fd, err := openat(from, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return descriptor(fd), err
}

// openat never follows a link and is tried again after a signal.
func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// exact says whether what is made in the folder is ours, user and group, and
// has the mode that is asked for less the umask. It is not so where the folder
// hands down its group or an access list, or where the server of a network
// file system decides.
func (at *place) exact() bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(at.fd), &st); err != nil {
		return false
	}
	if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
		return false
	}
	_, err := unix.Fgetxattr(int(at.fd), "system.posix_acl_default", nil)
	return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP)
}

// umask reads the bits that the process takes from the mode of new files. To
// ask the kernel by umask(2) would change them for a moment, for all threads.
// When it cannot be read, all bits are taken for masked.
func umask() fs.FileMode {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fs.ModePerm
	}
	_, rest, _ := bytes.Cut(status, []byte("\nUmask:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	bits, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 8, 12)
	if err != nil {
		return fs.ModePerm
	}
	return fs.FileMode(bits)
}

func (at *place) mkdir(name string) error { return unix.Mkdirat(int(at.fd), name, uint32(private)) }

func (at *place) symlink(target, name string) error { return unix.Symlinkat(target, int(at.fd), name) }

// chmod is for what is no link.
func (at *place) chmod(name string, mode fs.FileMode) error {
	dir, err := at.dir()
	if err != nil {
		return err
	}
	return dir.Chmod(name, mode)
}

// sync makes everything in the target durable: one call for all files, which
// the kernel writes out in an order of its own, where a call for each file
// would wait for the disk each time. It also writes out what others have
// written to the same file system.
func (p *places) sync() error { return unix.Syncfs(int(p.base.Fd())) }

package restore

import (
	"errors"
	"io/fs"

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
	fd, err := openat(from, name, unix.O_RDONLY|unix.O_DIRECTORY)
	return descriptor(fd), err
}

// openat never follows a link and is tried again after a signal.
func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
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

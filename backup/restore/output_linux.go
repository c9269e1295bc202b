package restore

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// output is the descriptor of a file that is written. It is bare, because an
// os.File asks the kernel several questions that a restore of a million files
// need not have answered.
type output int

// output opens a file by its name in the folder, without following a link. A
// new one must not be there yet.
func (at *place) output(name string, fresh bool) (output, error) {
	flags := unix.O_WRONLY
	if fresh {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	fd, err := openat(int(at.fd), name, flags)
	return output(fd), err
}

// WriteAt writes all of data at an offset.
func (o output) WriteAt(data []byte, offset int64) (int, error) {
	done := 0
	for done < len(data) {
		n, err := unix.Pwrite(int(o), data[done:], offset+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
		default:
			done += n
		}
	}
	return done, nil
}

// Truncate sets the length.
func (o output) Truncate(size int64) error { return unix.Ftruncate(int(o), size) }

// durable leaves it to places.sync, which does it for all files at once.
func (o output) durable() error { return nil }

// Close gives the descriptor back.
func (o output) Close() error { return unix.Close(int(o)) }

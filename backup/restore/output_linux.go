package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// output is the descriptor of a file that is written. It is bare, because an
// os.File asks the kernel several questions that a restore of a million files
// need not have answered.
type output int

// output opens a file by its name in the folder, without following a link. A
// fresh one must not be there yet.
func (at *place) output(name string, fresh bool, mode fs.FileMode) (output, error) {
	flags := unix.O_WRONLY
	if fresh {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	fd, err := openat(int(at.fd), name, flags, uint32(mode))
	return output(fd), err
}

// both opens a file to be read and written, without waiting for a pipe that
// somebody put in its place.
func (at *place) both(name string) (output, error) {
	fd, err := openat(int(at.fd), name, unix.O_RDWR|unix.O_NONBLOCK, 0)
	return output(fd), err
}

// alone says that it is a regular file with no other name.
func (o output) alone() (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(o), &st); err != nil {
		return false, fmt.Errorf("look at the file: %w", err)
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1, nil
}

// punch makes a hole where there may be data.
func (o output) punch(offset, length int64) error {
	return unix.Fallocate(int(o), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
}

// ReadAt reads from an offset until data is full or the file ends.
func (o output) ReadAt(data []byte, offset int64) (int, error) {
	done := 0
	for done < len(data) {
		n, err := unix.Pread(int(o), data[done:], offset+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
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

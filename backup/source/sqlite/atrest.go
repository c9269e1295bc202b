package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"emrvault/backup"
)

// companions are the files SQLite keeps beside a database and without which
// its content may not be whole. The -shm file is no content.
var companions = []string{"-wal", "-journal"}

// Bounds of waiting for files to keep still.
const (
	stillTries = 5
	stillPause = 300 * time.Millisecond
)

// atRest copies a database that SQLite cannot read where it lies without
// writing beside it: the raw files go to scratch, and SQLite settles them
// there (rolls a left journal back, folds the log in). Nothing keeps writers
// away meanwhile, so the copy counts only if no file moved while it was made.
func atRest(ctx context.Context, src, dst string) (taken, error) {
	return atRestBy(ctx, src, dst, rawFiles)
}

// errLost says that the disk gave back only a part of the files.
var errLost = errors.New("some of it cannot be read from its disk")

// atRestBy is atRest with a way of copying. A copy with holes is none: a check
// of it need not notice them.
func atRestBy(ctx context.Context, src, dst string, raw func(ctx context.Context, src, dst string) (lost int64, err error)) (taken, error) {
	for try := 0; ; try++ {
		asOf := time.Now().UTC()
		before := sizesAndTimes(src)
		switch lost, err := raw(ctx, src, dst); {
		case err != nil:
			return taken{}, err
		case lost > 0:
			return taken{}, errLost
		}
		if before == sizesAndTimes(src) {
			journal, err := settle(ctx, dst)
			return taken{asOf: asOf, way: WayAtRest, journal: journal}, err
		}
		if try == stillTries {
			return taken{}, fmt.Errorf("%s changes while it is copied, and its folder or rights keep SQLite from an online copy; "+
				"let the service write in the database's folder: %w", src, fs.ErrPermission)
		}
		if err := rest(ctx, stillPause); err != nil {
			return taken{}, err
		}
	}
}

// settle lets SQLite bring a raw copy in order and fold its log into it, so
// that one file holds everything.
func settle(ctx context.Context, path string) (journal string, err error) {
	err = withConn(ctx, path, asOwner, func(conn *sql.Conn) error {
		var objects int
		if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&objects); err != nil {
			return err
		}
		if err := conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
		return err
	})
	return journal, err
}

// sizesAndTimes is a mark of the files of a database that a write would move.
func sizesAndTimes(path string) string {
	mark := ""
	for _, name := range append([]string{""}, companions...) {
		info, err := os.Stat(path + name)
		if err == nil {
			mark += fmt.Sprintf("%s %d %d;", name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return mark
}

// rawFiles copies the database and its companions byte by byte, and tells how
// many bytes could not be read and stand as zeros in the copy.
func rawFiles(ctx context.Context, src, dst string) (lost int64, err error) {
	for _, name := range append([]string{""}, companions...) {
		n, err := rawFile(ctx, src+name, dst+name)
		switch {
		case name != "" && errors.Is(err, fs.ErrNotExist):
			if err := os.Remove(dst + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return lost, fmt.Errorf("clear scratch: %w", err)
			}
		case err != nil:
			return lost, err
		}
		lost += n
	}
	return lost, nil
}

func rawFile(ctx context.Context, src, dst string) (lost int64, err error) {
	in, err := os.Open(src)
	if err != nil {
		return 0, fmt.Errorf("copy database file: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return 0, fmt.Errorf("copy database file: %w", err)
	}
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("copy into scratch: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return copyAround(ctx, out, in, info.Size())
}

// Sizes of reading: large while all is well, one disk page around a bad spot.
const (
	readSize = 1 << 20
	spotSize = 4096
)

// copyAround copies size bytes and steps around what the disk will not give
// back; such spots are zeros in the copy.
func copyAround(ctx context.Context, out io.Writer, in io.ReaderAt, size int64) (lost int64, err error) {
	buf := make([]byte, readSize)
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return lost, ctx.Err()
		}
		want := min(readSize, size-at)
		n, err := in.ReadAt(buf[:want], at)
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return lost, nil // shrunk while it was read
			}
		} else if err != nil && n == 0 {
			n = int(min(spotSize-at%spotSize, size-at))
			clear(buf[:n])
			lost += int64(n)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return lost, fmt.Errorf("copy into scratch: %w", full(err))
		}
		at += int64(n)
	}
	return lost, nil
}

// full names the one writing error a person can act on.
func full(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w (%w)", backup.ErrStorageFull, err)
	}
	return err
}

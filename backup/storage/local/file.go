package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// floor is the room that packs leave free; on a disk smaller than twenty
// floors it is a twentieth.
const floor = 64 << 20

// tempMark stands between the name of a document and a random number while it
// is being written.
const tempMark = "-tmp-"

// Save writes a document. A name that is there already is written anew: the
// new bytes are known to be right, the old ones are not.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.admit(name, data); err != nil {
		return err
	}
	path := s.path(name)
	if name.Kind == storage.Config {
		if done, err := same(path, data); done || err != nil {
			return err
		}
	}
	temp, err := writeTemp(ctx, path, data)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDir(filepath.Dir(path)); err == nil {
			temp, err = writeTemp(ctx, path, data)
		}
	}
	if err == nil {
		err = replace(temp, path)
	}
	s.sawConfig(name, err)
	if err != nil {
		return written("save "+name.String(), err)
	}
	return nil
}

// sawConfig notes that the repository's config is there.
func (s *Storage) sawConfig(name storage.Name, err error) {
	if name.Kind == storage.Config && err == nil {
		s.config.Store(true)
	}
}

// admit refuses packs that would eat into the floor.
func (s *Storage) admit(name storage.Name, data []byte) error {
	if name.Kind != storage.Pack {
		return nil
	}
	free, total, err := space(s.dir)
	if err != nil {
		return nil //nolint:nilerr // A place that cannot tell says so itself when it is full.
	}
	if keep := min(floor, total/20); free < uint64(len(data))+keep {
		return fmt.Errorf("save %s: %s has %d MiB free and %d MiB are kept for making room: %w; add space, or expire and prune recovery points",
			name, s.dir, free>>20, keep>>20, backup.ErrStorageFull)
	}
	return nil
}

// same tells whether a document is there with the same bytes. Other bytes are
// an error: only the config has a name that two contents could share.
func same(path string, data []byte) (bool, error) {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, told("read config", err)
	case !bytes.Equal(old, data):
		return false, fmt.Errorf("%s: %w", path, backup.ErrRepositoryExists)
	}
	return true, nil
}

// makeDir makes one missing folder of the layout, but never the repository's
// own: a disk that is not mounted must not be filled in its absence. Where a
// config has been and is no more, the disk went away at work and left its
// mount point.
func (s *Storage) makeDir(dir string) error {
	if _, err := os.Stat(s.dir); err != nil {
		return err
	}
	if s.config.Load() {
		if _, err := os.Lstat(s.path(storage.Name{Kind: storage.Config})); err != nil {
			return fmt.Errorf("the repository has gone away, is its disk still mounted?: %w", err)
		}
	}
	if err := s.complete(storage.Kind(filepath.Base(dir))); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// writeTemp writes data beside path, brings it to the disk and returns the
// temporary file's name. On failure nothing is left behind.
func writeTemp(ctx context.Context, path string, data []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	const piece = 4 << 20 // between two looks at the context
	for part := range slices.Chunk(data, piece) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := f.Write(part); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(fileMode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// replace makes temp visible under its name, durably.
func replace(temp, path string) error {
	if err := rename(temp, path); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	return syncDir(filepath.Dir(path))
}

// maxWhole bounds what is read when no length is given; longer files are no
// documents of ours, and packs of any length are read in parts.
const maxWhole = 1 << 30

func readAt(f *os.File, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, told(name.String(), err)
	}
	size := info.Size()
	if length < 0 {
		length = max(0, size-offset)
		if length > maxWhole {
			return nil, fmt.Errorf("%s has %d bytes, far too many: %w", name, size, backup.ErrDamaged)
		}
	}
	if !info.Mode().IsRegular() || offset < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("%s has %d bytes, not %d from %d on: %w", name, size, length, offset, backup.ErrDamaged)
	}
	buf = slices.Grow(buf[:0], int(length))[:length]
	if _, err := f.ReadAt(buf, offset); err != nil && length > 0 {
		switch {
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("%s was cut short while it was read: %w", name, backup.ErrDamaged)
		case isMedium(err):
			err = fmt.Errorf("the disk does not give it back: %w: %w", backup.ErrDamaged, err)
		}
		return nil, told(name.String(), err)
	}
	return buf, nil
}

// told names what was being done and says in our words what the system means.
func told(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: %w", what, backup.ErrNotFound, err)
	case isFull(err):
		return fmt.Errorf("%s: %w: %w", what, backup.ErrStorageFull, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// written is told for what changes the place: there a missing right means that
// the place is read-only for us.
func written(what string, err error) error {
	if isReadOnly(err) {
		return fmt.Errorf("%s: %w: %w", what, backup.ErrReadOnly, err)
	}
	return told(what, err)
}

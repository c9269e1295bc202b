package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxEntry bounds what is read into memory; nobody keeps entries that long.
const maxEntry = 1 << 30

// readFile reads a file whole into buf, growing it when it is too small, and
// tells when the file was last used.
func readFile(path string, buf []byte) (data []byte, used time.Time, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, used, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEntry {
		return nil, used, false
	}
	data = slices.Grow(buf[:0], int(info.Size()))[:info.Size()]
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, used, false
	}
	return data, info.ModTime(), true
}

// touch notes that an entry was used: its time decides who goes first.
func touch(path string, used time.Time) {
	if now := time.Now(); now.Sub(used) > touchAge || used.After(now) {
		_ = os.Chtimes(path, time.Time{}, now) // at worst it goes too early
	}
}

// writeFile makes a file appear under its name with all its bytes. Only what
// cannot be computed again is worth waiting for the disk.
func writeFile(path string, data []byte, lasting bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), tempMark+"*") // mode 0600
	if errors.Is(err, fs.ErrNotExist) {                       // somebody has deleted the cache
		if err = os.MkdirAll(filepath.Dir(path), dirMode); err == nil {
			f, err = os.CreateTemp(filepath.Dir(path), tempMark+"*")
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil && lasting {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Package local keeps documents as files below a folder, in restic's layout.
//
// A document is first written beside its place as "<id>-tmp-<random>", brought
// to the disk, made read-only, renamed, and its folder is brought to the disk
// too. So a document that can be seen is whole, also after a power cut;
// leftover temporary files are looked at by nobody until Sweep removes them.
//
// A disk that is really full can hold nothing more, not even what is needed to
// make room. Save therefore refuses packs while less than a floor is free (64
// MiB, or a twentieth of a smaller disk); locks, index files and snapshots may
// use the floor, so that the running backup can end and prune can start.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Storage is a folder.
type Storage struct {
	dir    string
	config atomic.Bool // a config has been seen here
}

// Open names a folder; it need not exist before Create.
func Open(dir string) (*Storage, error) {
	if dir == "" {
		return nil, fmt.Errorf("the folder has no name: %w", backup.ErrInvalid)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", dir, err)
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder: %w", path, backup.ErrInvalid)
	}
	return &Storage{dir: path}, nil
}

// Location is the absolute path of the folder.
func (s *Storage) Location() string { return s.dir }

func (s *Storage) path(name storage.Name) string {
	return filepath.Join(s.dir, filepath.FromSlash(name.Path()))
}

const (
	dirMode  = 0o700
	fileMode = 0o400
)

// Create makes the folder and all folders in it.
func (s *Storage) Create(ctx context.Context) error {
	if _, err := os.Lstat(s.path(storage.Name{Kind: storage.Config})); err == nil {
		return fmt.Errorf("%s: %w", s.dir, backup.ErrRepositoryExists)
	}
	dirs := []string{"."}
	for _, kind := range []storage.Kind{storage.Key, storage.Snapshot, storage.Index, storage.Lock, storage.Pack} {
		dirs = append(dirs, string(kind))
	}
	for i := range 256 {
		dirs = append(dirs, filepath.Join(string(storage.Pack), fmt.Sprintf("%02x", i)))
	}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(s.dir, dir), dirMode); err != nil {
			return written("make folder", err)
		}
	}
	for _, dir := range []string{string(storage.Pack), "."} {
		if err := syncDir(filepath.Join(s.dir, dir)); err != nil {
			return written("make folder", err)
		}
	}
	// The folder above may be one we can enter but not read.
	if err := syncDir(filepath.Dir(s.dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return written("make folder", err)
	}
	return nil
}

// Load reads from a document.
func (s *Storage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, told(name.String(), err)
	}
	defer f.Close()
	data, err := readAt(f, name, buf, offset, length)
	s.sawConfig(name, err)
	return data, err
}

// Stat tells the size of a document.
func (s *Storage) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	if err := ctx.Err(); err != nil {
		return storage.Info{}, err
	}
	info, err := os.Stat(s.path(name))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: %w", s.path(name), backup.ErrDamaged)
	}
	if err != nil {
		return storage.Info{}, told(name.String(), err)
	}
	return storage.Info{Name: name, Size: info.Size()}, nil
}

// List visits the documents of a kind.
func (s *Storage) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if kind == storage.Config {
		info, err := s.Stat(ctx, storage.Name{Kind: kind})
		if errors.Is(err, backup.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return fn(info)
	}
	if err := s.complete(kind); err != nil {
		return err
	}
	dirs := []string{filepath.Join(s.dir, string(kind))}
	if kind == storage.Pack {
		var err error
		if dirs, err = packDirs(dirs[0]); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		if err := listDir(ctx, kind, dir, fn); err != nil {
			return err
		}
	}
	return nil
}

// complete refuses a repository without its folder of snapshots, as the repair
// of a file system may leave one. It must not look like one without snapshots:
// a prune would remove all that they need.
func (s *Storage) complete(kind storage.Kind) error {
	if kind != storage.Snapshot || !s.config.Load() {
		return nil
	}
	dir := filepath.Join(s.dir, string(kind))
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("the folder %s is gone, and with it the list of recovery points; bring it back (look into lost+found), or make it if there never was a point: %w", dir, backup.ErrDamaged)
}

// packDirs lists the folders below data, whichever of them exist.
func packDirs(data string) ([]string, error) {
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, told("list packs", err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) == 2 {
			dirs = append(dirs, filepath.Join(data, e.Name()))
		}
	}
	return dirs, nil
}

func listDir(ctx context.Context, kind storage.Kind, dir string, fn func(storage.Info) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return told("list "+string(kind), err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !storage.IsID(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if kind == storage.Pack && e.Name()[:2] != filepath.Base(dir) {
			continue // in the wrong folder nobody would find it
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return told("list "+string(kind), err)
		}
		if err := fn(storage.Info{Name: storage.Name{Kind: kind, ID: e.Name()}, Size: info.Size()}); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes a document.
func (s *Storage) Remove(ctx context.Context, name storage.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := s.path(name)
	if err := removeFile(path); err != nil {
		return written("remove "+name.String(), err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return written("remove "+name.String(), err)
	}
	if name.Kind == storage.Scratch {
		_ = os.Remove(filepath.Dir(path)) // the last one takes its folder along; while there are others, it stays
	}
	return nil
}

// Writable tells whether files can be made here.
func (s *Storage) Writable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := writable(s.dir); err != nil {
		return written("write to "+s.dir, err)
	}
	return nil
}

// Space tells how much room the disk has.
func (s *Storage) Space(ctx context.Context) (free, total uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	free, total, err = space(s.dir)
	if err != nil {
		return 0, 0, told("free space of "+s.dir, err)
	}
	return free, total, nil
}

// Sweep removes temporary files that a killed program has left behind.
func (s *Storage) Sweep(ctx context.Context, age time.Duration) (removed int, err error) {
	limit := time.Now().Add(-age)
	err = filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		name, _, temp := strings.Cut(e.Name(), tempMark)
		if !temp || !e.Type().IsRegular() || !storage.IsID(name) && name != string(storage.Config) {
			return nil
		}
		info, err := e.Info()
		if err != nil || info.ModTime().After(limit) {
			return nil //nolint:nilerr // It is gone, and that is what we want.
		}
		if err := removeFile(path); err != nil {
			return written("sweep", err)
		}
		removed++
		return nil
	})
	return removed, err
}

// Close does nothing: no file is open between calls.
func (s *Storage) Close() error { return nil }

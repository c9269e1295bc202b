package archive

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// directory is a folder whose entries are looked at by path.
type directory struct{ path string }

func openDirectory(path string) (*directory, error) { return &directory{path}, nil }

func (d *directory) Close() error { return nil }

func (d *directory) names() ([]string, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return names, err
}

func (d *directory) stat(name string) (*snapshot.Node, error) {
	path := filepath.Join(d.path, name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return statPath(path, info)
}

// file is a file being read.
type file struct{ *os.File }

func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

// regular refuses what turned into a device or pipe since it was looked at:
// reading it might never end.
func (f *file) regular() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errNotRegular
	}
	return nil
}

// hole knows of none here.
func (f *file) hole(from int64) int64 { return from }

func (f *file) holed() bool { return false }

func (f *file) jump(int64) {}

func statFile(f *file, path string) (*snapshot.Node, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return statPath(path, info)
}

// statPath makes a node of what Windows tells: kind, times, size, and the
// attributes that only this system has.
func statPath(path string, info fs.FileInfo) (*snapshot.Node, error) {
	n := &snapshot.Node{Mode: info.Mode(), ModTime: snapshot.Clamp(info.ModTime())}
	n.AccessTime, n.ChangeTime = n.ModTime, n.ModTime
	switch mode := info.Mode(); {
	case mode.IsRegular():
		n.Type, n.Size, n.Links = snapshot.File, uint64(info.Size()), 1
	case mode.IsDir():
		n.Type = snapshot.Dir
	case mode&fs.ModeSymlink != 0:
		n.Type = snapshot.Symlink
	default:
		return nil, fmt.Errorf("file type %s: %w", mode.Type(), backup.ErrUnsupported)
	}
	data, ok := info.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return n, nil
	}
	var err error
	n.Generic, err = genericAttributes(data)
	return n, err
}

func genericAttributes(data *syscall.Win32FileAttributeData) (map[string]json.RawMessage, error) {
	created, err := json.Marshal(windows.Filetime(data.CreationTime))
	if err != nil {
		return nil, fmt.Errorf("creation time: %w", err)
	}
	attributes, err := json.Marshal(data.FileAttributes)
	if err != nil {
		return nil, fmt.Errorf("file attributes: %w", err)
	}
	return map[string]json.RawMessage{
		snapshot.WindowsCreationTime: created, snapshot.WindowsFileAttributes: attributes,
	}, nil
}

func complete(path string, n *snapshot.Node) (err error) {
	if n.Type == snapshot.Symlink {
		n.LinkTarget, err = os.Readlink(path)
	}
	return err
}

func readXattrs(string) ([]snapshot.Xattr, error) { return nil, nil }

func fileXattrs(*file, string) ([]snapshot.Xattr, error) { return nil, nil }

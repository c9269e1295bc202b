package restore

import (
	"io/fs"
	"os"
	"time"
)

// comparableMode is empty: Windows makes up its modes from the read-only mark.
func comparableMode() fs.FileMode { return 0 }

// finest is how finely Windows keeps time.
const finest = 100 * time.Nanosecond

// look tells what a name stands for, without following a link.
func (at *place) look(name string) (seen, error) {
	dir, err := at.dir()
	if err != nil {
		return seen{}, err
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return seen{}, err
	}
	return seen{mode: info.Mode(), size: info.Size(), modTime: info.ModTime()}, nil
}

func (at *place) readlink(name string) (string, error) {
	dir, err := at.dir()
	if err != nil {
		return "", err
	}
	return dir.Readlink(name)
}

// input opens a file to be read.
func (at *place) input(name string) (*os.File, error) {
	dir, err := at.dir()
	if err != nil {
		return nil, err
	}
	return dir.Open(name)
}

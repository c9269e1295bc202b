package restore

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"emrvault/backup"
)

// output is a file that is written.
type output struct{ *os.File }

// durable waits until the disk has the file.
func (o output) durable() error { return o.Sync() }

// output opens a file by its name in the folder. A fresh one must not be there
// yet.
func (at *place) output(name string, fresh bool, mode fs.FileMode) (output, error) {
	flags := os.O_WRONLY
	if fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	dir, err := at.dir()
	if err != nil {
		return output{}, err
	}
	f, err := dir.OpenFile(name, flags, mode|secret)
	return output{f}, err
}

// both opens a file to be read and written.
func (at *place) both(name string) (output, error) {
	dir, err := at.dir()
	if err != nil {
		return output{}, err
	}
	f, err := dir.OpenFile(name, os.O_RDWR, secret)
	return output{f}, err
}

// alone says that it is a file with no other name.
func (o output) alone() (bool, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(o.Fd()), &info); err != nil {
		return false, fmt.Errorf("look at the file: %w", err)
	}
	const special = windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_REPARSE_POINT
	return info.FileAttributes&special == 0 && info.NumberOfLinks == 1, nil
}

// punch is left to programs that know the volume.
func (o output) punch(int64, int64) error { return backup.ErrUnsupported }

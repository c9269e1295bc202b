package restore

import "os"

// output is a file that is written.
type output struct{ *os.File }

// durable waits until the disk has the file.
func (o output) durable() error { return o.Sync() }

// output opens a file by its name in the folder. A new one must not be there
// yet.
func (at *place) output(name string, fresh bool) (output, error) {
	flags := os.O_WRONLY
	if fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	dir, err := at.dir()
	if err != nil {
		return output{}, err
	}
	f, err := dir.OpenFile(name, flags, 0o600)
	return output{f}, err
}

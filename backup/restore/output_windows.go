package restore

import "os"

// output is a file that is written.
type output = *os.File

// output opens a file by its name in the folder. A new one must not be there
// yet.
func (at *place) output(name string, fresh bool) (output, error) {
	flags := os.O_WRONLY
	if fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	return at.dir.OpenFile(name, flags, 0o600)
}

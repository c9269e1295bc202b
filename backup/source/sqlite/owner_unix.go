//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// errForeignShm sends a capture to the copy at rest.
var errForeignShm = errors.New("reading would leave a file that the database's owner may not open")

// foreignShm says that reading path might make SQLite create the shared-memory
// file of a write-ahead log under our name, and the application, which runs as
// somebody else, could then not open its own database. Root hands such files
// to the owner; everybody else must not make them.
func foreignShm(path string) bool {
	if os.Geteuid() == 0 {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() {
		return false
	}
	if _, err := os.Stat(path + "-shm"); err == nil {
		return false
	}
	return usesLog(path)
}

// usesLog reads the journal mode from the header (byte 18: 2 is write-ahead
// logging). Opening the file here costs no lock: it belongs to somebody else,
// whose programs are not this process.
func usesLog(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	header := make([]byte, 20)
	_, err = f.ReadAt(header, 0)
	return err == nil && header[18] == 2
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"emrvault/appliance/errs"
)

// errHeld says that another process holds the lock.
var errHeld = errors.New("held by another process")

// Lock is the right to use a data folder. The operating system frees it when
// the process ends, however it ends.
type Lock struct{ file *os.File }

// Lock takes the data folder for this process. When another has it, the error
// is errs.Busy and names the holder's process id.
func (l Layout) Lock() (*Lock, error) {
	path := filepath.Join(l.Run(), "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errs.Wrap(errs.Denied, err, "config.folder", "path", l.Data)
	}
	if err := l.hold(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{file: f}, nil
}

func (l Layout) hold(f *os.File) error {
	switch err := tryLock(f); {
	case errors.Is(err, errHeld):
		return errs.New(errs.Busy, "config.locked", "path", l.Data, "pid", holder(f))
	case err != nil:
		return fmt.Errorf("lock data folder %s: %w", l.Data, err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// holder reads the process id the holder wrote, "?" while it is writing.
func holder(f *os.File) string {
	buf := make([]byte, 20)
	n, _ := f.ReadAt(buf, 0) // a short file ends in io.EOF
	pid := strings.TrimSpace(string(buf[:n]))
	if _, err := strconv.Atoi(pid); err != nil {
		return "?"
	}
	return pid
}

// Unlock gives the folder free. The file stays: removing it would let two
// processes lock two files of the same name.
func (k *Lock) Unlock() error {
	if err := k.file.Truncate(0); err != nil {
		return errors.Join(fmt.Errorf("clear lock: %w", err), k.file.Close())
	}
	return k.file.Close()
}

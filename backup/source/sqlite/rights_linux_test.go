package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/backup/source/sourcetest"
)

const nobody = 65534

// asNobody runs fn on a thread that has given up root's rights for good. A
// test that is not root cannot make the files of two owners.
func asNobody(t *testing.T, fn func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user (run the tests as root)")
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)      // a test that gave up sends nothing
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			done <- errno
			return
		}
		done <- fn()
	}()
	return <-done
}

// enterable lets others into the folders above a test's files.
func enterable(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != string(filepath.Separator); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRights(t *testing.T) {
	for name, c := range map[string]struct {
		mode    string
		prepare func(t *testing.T, h *hospital)
		way     string
		key     string
	}{
		"log mode, closed, read-only folder": {"wal", func(t *testing.T, h *hospital) {
			do(t, os.Chown(h.path, nobody, nobody))
		}, WayAtRest, "at_rest_only"},
		"log mode, log left, no shm": {"wal", func(t *testing.T, h *hospital) {
			leaveLog(t, h)
			do(t, os.Chown(h.path, nobody, nobody))
		}, WayAtRest, "at_rest_only"},
		"rollback mode, read-only folder": {"delete", func(*testing.T, *hospital) {}, WayOnline, "rollback_mode"},
		"another's database in a folder for all": {"wal", func(t *testing.T, h *hospital) {
			do(t, os.Chmod(filepath.Dir(h.path), 0o777))
		}, WayAtRest, "at_rest_only"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHospital(t, c.mode, 200)
			enterable(t, filepath.Dir(h.path))
			c.prepare(t, h)
			want, beside := rowsOf(t, h), list(t, h)
			kept := sourcetest.NewShelf(t)
			kept.Room = t.TempDir()
			enterable(t, kept.Room)
			do(t, os.Chown(kept.Room, nobody, nobody))
			var db Database
			err := asNobody(t, func() error {
				findings, err := h.src.Check(t.Context())
				if !hasKey(findings, "source.sqlite."+c.key) {
					t.Errorf("check: got %+v, want %s", findings, c.key)
				}
				if err != nil {
					return err
				}
				_, captured, err := kept.Keep(t.Context(), h.src)
				if err == nil {
					db = only(t, captured)
				}
				return err
			})
			if err != nil || db.Way != c.way || db.Damaged || db.Rows["ward"] != want {
				t.Errorf("got way %s, damaged %v, %d rows, %v, want %s, sound, %d", db.Way, db.Damaged, db.Rows["ward"], err, c.way, want)
			}
			if after := list(t, h); after != beside {
				t.Errorf("beside the database: got %s, want %s", after, beside)
			}
		})
	}
}

func TestNotAllowedToRead(t *testing.T) {
	h := newHospital(t, "wal", 20)
	enterable(t, filepath.Dir(h.path))
	do(t, os.Chmod(h.path, 0o600))
	kept := sourcetest.NewShelf(t)
	kept.Room = t.TempDir()
	err := asNobody(t, func() error {
		findings, err := h.src.Check(t.Context())
		if err != nil || !hasKey(findings, "source.sqlite.denied") {
			t.Errorf("check: got %+v, %v, want denied", findings, err)
		}
		_, _, err = kept.Keep(t.Context(), h.src)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("capture: got %v, want %v", err, fs.ErrPermission)
	}
}

// leaveLog replaces the database by one whose program died with commits in the
// log: the file and its log are there, the shared memory is not.
func leaveLog(t *testing.T, h *hospital) {
	t.Helper()
	db, err := openDB(h.path)
	do(t, err)
	_, err = db.Exec(`PRAGMA wal_autocheckpoint=0`)
	do(t, err)
	for i := range 20 {
		do(t, commit(db, i))
	}
	copied := filepath.Join(t.TempDir(), "emr.db")
	_, err = rawFiles(t.Context(), h.path, copied)
	do(t, err)
	do(t, db.Close())
	for _, name := range []string{"", "-wal"} {
		do(t, os.Rename(copied+name, h.path+name))
		do(t, os.Chmod(h.path+name, 0o644))
	}
}

// rowsOf counts in a copy, so that the database stays as it was left.
func rowsOf(t *testing.T, h *hospital) int64 {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "emr.db")
	_, err := rawFiles(t.Context(), h.path, copied)
	do(t, err)
	db := Database{Way: WayRaw}
	db.inspect(t.Context(), copied)
	return db.Rows["ward"]
}

func list(t *testing.T, h *hospital) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(h.path))
	do(t, err)
	names := ""
	for _, entry := range entries {
		names += entry.Name() + " "
	}
	return names
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	driver "modernc.org/sqlite"

	"emrvault/backup"
)

// pace says how a copy shares a database with its writers.
type pace struct {
	whole    int64         // up to this size a rollback-journal database is read in one go
	slice    int32         // pages between two looks at the context, or two turns of the writers
	turn     time.Duration // what writers get between slices
	restarts int           // so many times a writer may send us back to page one
	patience time.Duration // how long we wait for a lock that writers hold
}

func usualPace() pace {
	return pace{whole: 256 << 20, slice: 2048, turn: 2 * time.Millisecond, restarts: 3, patience: 15 * time.Second}
}

// taken tells how a copy came about.
type taken struct {
	asOf    time.Time
	way     string        // one of the Way words
	journal string        // journal mode of the source
	held    time.Duration // how long writers of a rollback-journal database could not commit
}

// online copies the live database src to dst through SQLite itself.
func online(ctx context.Context, src, dst string, size int64, p pace) (taken, error) {
	if foreignShm(src) {
		return taken{}, errForeignShm
	}
	t := taken{way: WayOnline}
	err := withConn(ctx, src, patientReader(p.patience), func(conn *sql.Conn) error {
		if err := conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&t.journal); err != nil {
			return err
		}
		if t.journal != "wal" && size > p.whole {
			asOf, err := sliced(ctx, conn, dst, p)
			if !errors.Is(err, errRestarted) {
				t.asOf = asOf
				return err
			}
			if err := os.Remove(dst); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("begin the copy again: %w", err)
			}
		}
		return pinned(ctx, conn, dst, p, &t)
	})
	return t, err
}

// pinned copies within one read transaction: the view cannot move, however
// many slices it takes, and the moment is that of the transaction's first read.
func pinned(ctx context.Context, conn *sql.Conn, dst string, p pace, t *taken) error {
	t.asOf = time.Now().UTC() // before the lock: whatever was committed by now is in the copy
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	var objects int
	err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&objects)
	if code(err) == codeCorrupt {
		err = nil // the first page was read, the lock is held; the pages are copied as they are
	}
	locked := time.Now()
	if err == nil {
		err = copyPages(conn, dst, func(b *driver.Backup) error {
			return stepThrough(ctx, b, p.slice)
		})
	}
	if t.journal != "wal" {
		t.held = time.Since(locked)
	}
	_, end := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	return errors.Join(err, end)
}

// stepThrough copies slice by slice, so that a cancelled capture ends soon. A
// damaged schema may have cost us the transaction; then writers can send us
// back to page one, and after some rounds the rest goes in one step.
func stepThrough(ctx context.Context, b *driver.Backup, slice int32) error {
	for steps := 0; ; steps++ {
		if rounds := steps / (b.PageCount()/int(slice) + 1); rounds > 3 {
			slice = -1
		}
		more, err := b.Step(slice)
		if err != nil || !more {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// errRestarted says that writers changed the database too often for slices.
var errRestarted = errors.New("writers were faster than the slices")

// sliced copies without holding the lock between slices. A write by somebody
// else makes SQLite begin again at page one, which is correct and may never
// end, so the restarts are counted.
func sliced(ctx context.Context, conn *sql.Conn, dst string, p pace) (asOf time.Time, err error) {
	err = copyPages(conn, dst, func(b *driver.Backup) error {
		restarts, copied := 0, 0
		for {
			began := time.Now().UTC()
			more, err := b.Step(p.slice)
			if err != nil {
				return err
			}
			now := b.PageCount() - b.Remaining()
			if asOf.IsZero() {
				asOf = began
			} else if more && now <= copied || !more && now-copied > int(p.slice) {
				asOf = began
				restarts++
			}
			copied = now
			switch {
			case !more:
				return nil
			case restarts > p.restarts:
				return errRestarted
			}
			if err := rest(ctx, p.turn); err != nil {
				return err
			}
		}
	})
	return asOf, err
}

// copyPages opens dst as the other end of a backup of conn. The copy is not
// synced: a power cut ends the capture anyway, and under a rollback journal
// the writers would wait for the disk.
func copyPages(conn *sql.Conn, dst string, steps func(*driver.Backup) error) error {
	uri, err := address(dst, "_pragma=journal_mode(OFF)", "_pragma=synchronous(OFF)", "_pragma=locking_mode(EXCLUSIVE)")
	if err != nil {
		return err
	}
	return conn.Raw(func(raw any) error {
		giver, ok := raw.(interface {
			NewBackup(string) (*driver.Backup, error)
		})
		if !ok {
			return fmt.Errorf("online copy: the SQLite driver offers no backup: %w", backup.ErrUnsupported)
		}
		b, err := giver.NewBackup(uri)
		if err != nil {
			return err
		}
		err = steps(b)
		if done := b.Finish(); err == nil {
			err = done
		}
		return err
	})
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

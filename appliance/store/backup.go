package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"modernc.org/sqlite"

	"emrvault/appliance/errs"
)

// backuper is what the driver's connection can do besides database/sql.
type backuper interface {
	NewBackup(path string) (*sqlite.Backup, error)
}

// Backup writes a whole, checked copy of the database to path while readers
// and the writer go on. An existing file is refused, a half written one is
// removed.
func (s *Store) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errs.Wrap(errs.Conflict, err, "store.exists", "path", path)
	}
	err := s.copyTo(ctx, path)
	if err == nil {
		err = proveCopy(ctx, path)
	}
	if err != nil {
		return fmt.Errorf("copy database to %s: %w", path, errors.Join(err, discard(path)))
	}
	return nil
}

// copyTo copies all pages in one step: with smaller ones every write by
// another connection would begin the copy anew, for ever on a busy box.
func (s *Store) copyTo(ctx context.Context, path string) (err error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(driver any) error {
		source, ok := driver.(backuper)
		if !ok {
			return fmt.Errorf("%T cannot copy", driver)
		}
		backup, err := source.NewBackup(path)
		if err != nil {
			return err
		}
		_, err = backup.Step(-1)
		return errors.Join(err, backup.Finish())
	})
}

// proveCopy reads every page of the copy and makes it one file that needs no
// log beside it.
func proveCopy(ctx context.Context, path string) (err error) {
	db, err := dial(path, pool{conns: 1, pragmas: []string{"busy_timeout(5000)", "synchronous(FULL)"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var finding, mode string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		return fmt.Errorf("the copy is damaged: %s", finding)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode(DELETE)").Scan(&mode); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

// discard removes a copy that came to nothing, with what SQLite put beside it.
func discard(path string) (err error) {
	for _, name := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		if e := os.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Check reads the whole database and tells what is wrong with it; none is
// good. It works beside a running writer.
func (s *Store) Check(ctx context.Context) (findings []string, err error) {
	err = s.Read(ctx, func(tx *Tx) error {
		return tx.Each(func(scan func(...any) error) error {
			var finding string
			if err := scan(&finding); err != nil {
				return err
			}
			if finding != "ok" {
				findings = append(findings, finding)
			}
			return nil
		}, "PRAGMA integrity_check(20)")
	})
	return findings, err
}

// Examine opens an existing database for reading only, beside whoever writes
// it, and tells what is wrong with it. It neither makes nor migrates anything.
func Examine(ctx context.Context, path string) (findings []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := dial(path, reading)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, read: db, now: time.Now}
	findings, err = s.Check(ctx)
	if err != nil && damage(err) {
		findings, err = append(findings, err.Error()), nil
	}
	return findings, errors.Join(err, db.Close())
}

// Peek reads in the database at path without changing anything, also beside a
// box that has it open. No file is fs.ErrNotExist.
func Peek(ctx context.Context, path string, fn func(*Tx) error) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := dial(path, reading)
	if err != nil {
		return err
	}
	s := &Store{path: path, read: db, now: time.Now}
	return errors.Join(s.Read(ctx, fn), db.Close())
}

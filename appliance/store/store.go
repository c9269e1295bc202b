// Package store keeps what the box must not forget, in one SQLite file.
//
// There is one writer and there are some readers. Write begins an immediate
// transaction on the only writing connection, so two writers queue up instead
// of failing half way; Read gives a consistent view on a connection that cannot
// write at all. A Tx carries one moment, Now, for all rows it touches. The
// journal is a write-ahead log with full synchronisation: a row whose Write has
// returned is still there after a power cut, which is what tickets, recovery
// points and the audit trail need.
//
// The schema is one numbered book in migrations/. Open turns to the last page
// by itself, each step in its own transaction, and refuses a book with pages
// this program does not know. Each area keeps its SQL in its own queries.go.
//
// On disk: emrvault.db with emrvault.db-wal and emrvault.db-shm beside it while
// it is open. Never copy the first alone; Backup makes a whole copy.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"emrvault/appliance/errs"
)

// Store is the open database of the box.
type Store struct {
	path  string
	write *sql.DB // one connection, immediate transactions
	read  *sql.DB // four connections that cannot write
	now   func() time.Time
	close sync.Once
}

// Open opens the database at path, makes it when it is missing, proves it
// whole and brings its schema up to date. now gives the moment of every
// transaction.
func Open(ctx context.Context, path string, now func() time.Time) (*Store, error) {
	if err := touch(path); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "store.open", "path", path)
	}
	if network := Network(path); network != "" {
		slog.WarnContext(ctx, "the data folder lies on a network file system, where a power cut or a lost connection may damage the database",
			"path", path, "file_system", network)
	}
	s := &Store{path: path, now: now}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.write, err = dial(s.path, writing); err != nil {
		return err
	}
	if err := s.prove(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, s.write, s.path); err != nil {
		return err
	}
	s.read, err = dial(s.path, reading)
	return err
}

// touch makes an empty database file that only the owner may read, because
// SQLite would make it with whatever the umask allows.
func touch(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Path tells where the database lies.
func (s *Store) Path() string { return s.path }

// Now gives the moment a transaction begun now would carry.
func (s *Store) Now() time.Time { return moment(s.now()) }

// Read runs fn in a transaction that sees one consistent state and cannot
// write. It never waits for a writer.
func (s *Store) Read(ctx context.Context, fn func(*Tx) error) error {
	return s.run(ctx, s.read, fn)
}

// Write runs fn in the only writing transaction. When fn returns nil and Write
// returns nil, every row is on disk; otherwise none is.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	return s.run(ctx, s.write, fn)
}

func (s *Store) run(ctx context.Context, db *sql.DB, fn func(*Tx) error) error {
	inner, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	// After a commit this does nothing; after an error or a panic in fn it
	// frees the connection, which would otherwise block every later writer.
	defer inner.Rollback() //nolint:errcheck // the error of fn says more
	if err := fn(&Tx{Tx: inner, Now: s.Now(), ctx: ctx}); err != nil {
		return err
	}
	if err := inner.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Close ends all connections; SQLite folds the log into the main file.
func (s *Store) Close() (err error) {
	s.close.Do(func() {
		if s.read != nil {
			err = s.read.Close()
		}
		if s.write != nil {
			err = errors.Join(err, s.write.Close())
		}
	})
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"emrvault/appliance/errs"
)

// pool says what a set of connections may do. Its pragmas become part of the
// connections' address, so each of them has them. They are constants: SQLite
// runs their text as it is.
type pool struct {
	conns     int
	immediate bool // transactions take the write lock when they begin
	pragmas   []string
}

var (
	pragmas = []string{
		"busy_timeout(5000)",
		"journal_mode(WAL)",
		"synchronous(FULL)", // NORMAL may forget the last commits at a power cut
		"foreign_keys(1)",
		"temp_store(MEMORY)",
		"trusted_schema(0)",
	}
	// A writer that first reads and then writes would fail as busy when
	// another wrote in between, so it takes the lock at once.
	writing = pool{conns: 1, immediate: true, pragmas: pragmas}
	reading = pool{conns: 4, pragmas: append(pragmas[:len(pragmas):len(pragmas)], "query_only(1)")}
)

// dial makes a pool of connections.
func dial(path string, p pool) (*sql.DB, error) {
	query := url.Values{"_pragma": p.pragmas}
	if p.immediate {
		query.Set("_txlock", "immediate")
	}
	// The path travels escaped, so that '?', '#' and '%' in a folder name
	// stay part of the name.
	address := url.URL{Scheme: "file", OmitHost: true, Path: slashed(path), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "store.open", "path", path)
	}
	db.SetMaxOpenConns(p.conns)
	db.SetMaxIdleConns(p.conns)
	return db, nil
}

// prove asks SQLite for a quick check of all pages. The file of a box is some
// megabytes, so this takes a moment once per start.
func (s *Store) prove(ctx context.Context) error {
	var finding string
	err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&finding)
	if err == nil && finding == "ok" {
		return nil
	}
	if err != nil && !damage(err) {
		return errs.Wrap(errs.Internal, err, "store.open", "path", s.path)
	}
	if err != nil {
		finding = err.Error()
	}
	return errs.Wrap(errs.Conflict, err, "store.damaged", "path", s.path, "finding", finding)
}

// damage says whether SQLite found the file to be no whole database.
func damage(err error) bool {
	var told *sqlite.Error
	if !errors.As(err, &told) {
		return false
	}
	code := told.Code() & 0xff
	return code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB
}

// KeepLocks makes this process lock databases so that a capture may read their
// files: with classic POSIX locks, closing a file of a database that is open
// here as well would drop the database's locks. It is called before the first
// database is opened.
func KeepLocks() error {
	if _, err := sqlite.OFDLocking(true); err != nil && !errors.Is(err, sqlite.ErrOFDLockingUnavailable) {
		return fmt.Errorf("lock databases by open file: %w", err)
	}
	return nil
}

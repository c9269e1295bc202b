package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	driver "modernc.org/sqlite"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Result codes of SQLite (sqlite.org/rescode.html) that we act on.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// code is the primary result code within err, 0 when there is none.
func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// address writes path as SQLite's URI with the given parameters.
func address(path string, params ...string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	slashed := filepath.ToSlash(full)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/emr.db
	}
	return "file://" + (&url.URL{Path: slashed}).EscapedPath() + "?" + strings.Join(params, "&"), nil
}

// The ways we open a database.
var (
	// asReader is for a database that others may use: never written.
	asReader = patientReader(3 * time.Second)
	// asStill is for a copy that nobody else touches: no lock, no file beside it.
	asStill = []string{"mode=ro", "immutable=1", "_pragma=query_only(1)"}
	// asOwner is for a copy in scratch that SQLite may settle.
	asOwner = []string{"mode=rw", "_pragma=busy_timeout(1000)"}
)

// patientReader waits that long for a lock that writers hold.
func patientReader(patience time.Duration) []string {
	return []string{"mode=ro", fmt.Sprintf("_pragma=busy_timeout(%d)", patience.Milliseconds()), "_pragma=query_only(1)"}
}

// withConn opens path in one of the ways and gives fn its only connection.
func withConn(ctx context.Context, path string, way []string, fn func(*sql.Conn) error) error {
	uri, err := address(path, way...)
	if err != nil {
		return err
	}
	connector, err := driver.NewConnector(uri)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return errors.Join(fn(conn), conn.Close(), db.Close())
}

// verifyFile tells the plain refusals apart before SQLite, whose word for all
// of them is "unable to open database file".
func verifyFile(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("database %s: the file is not there: %w", path, backup.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("database %s: %w", path, err)
	case info.IsDir():
		return nil, fmt.Errorf("database %s is a folder, name the database file in it: %w", path, backup.ErrInvalid)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("database %s is no ordinary file: %w", path, backup.ErrInvalid)
	}
	if err := source.Readable(path); err != nil {
		return nil, fmt.Errorf("database %s: this process may not read it: %w", path, err)
	}
	return info, nil
}

// explain turns SQLite's words into what a person can act on.
func explain(path string, err error) error {
	switch code(err) {
	case codeNotADB:
		return fmt.Errorf("%s is no SQLite database, or it is encrypted, or its first page is destroyed: %w (%w)",
			path, backup.ErrInvalid, err)
	case codeBusy:
		return fmt.Errorf("%s is held exclusively by another program; end its long transaction or its exclusive locking mode: %w", path, err)
	case codeFull:
		return fmt.Errorf("no room for the copy of %s: %w (%w)", path, backup.ErrStorageFull, err)
	}
	return fmt.Errorf("copy %s: %w", path, err)
}

// refusal is the finding for a database that could not be had at all.
func refusal(path string, err error) source.Finding {
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return finding(source.Bad, "missing", path)
	case errors.Is(err, fs.ErrPermission):
		return finding(source.Bad, "denied", path)
	case code(err) == codeNotADB:
		return finding(source.Bad, "not_a_database", path)
	case code(err) == codeBusy:
		return finding(source.Bad, "busy", path)
	}
	return finding(source.Bad, "unreadable", path, "error", err.Error())
}

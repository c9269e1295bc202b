package drill

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"emrvault/backup/plan"
)

// database is a restored SQLite file.
type database struct {
	path string // inside the point, with slashes
	file string // on this machine
}

// head is how every SQLite file begins.
var head = []byte("SQLite format 3\x00")

// openDatabases finds every SQLite file that was restored and lets SQLite
// check it.
func (a *attempt) openDatabases(ctx context.Context) (plan.Note, error) {
	var err error
	if a.databases, err = findDatabases(ctx, a.dir); err != nil {
		return plan.Note{}, err
	}
	bad := 0
	for _, db := range a.databases {
		a.job.Current(db.path)
		said, err := db.check(ctx)
		if ctx.Err() != nil {
			return plan.Note{}, context.Cause(ctx)
		}
		check := Check{Note: plan.Say("drill.check.database", "path", db.path), OK: err == nil && said == "ok", Detail: plan.Say("drill.said", "text", said)}
		if err != nil {
			check.Detail = plan.Say("drill.said", "text", err.Error())
		}
		if !check.OK {
			bad++
		}
		a.verdict.Checks = append(a.verdict.Checks, check)
	}
	a.verdict.Figures.Databases = len(a.databases)
	detail := plan.Say("drill.detail.databases", "n", len(a.databases))
	if bad > 0 {
		return detail, wrong("drill.fail.database", "n", bad)
	}
	return detail, nil
}

func findDatabases(ctx context.Context, dir string) (list []database, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		is, err := isDatabase(path)
		if err != nil || !is {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		list = append(list, database{path: "/" + filepath.ToSlash(rel), file: path})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for databases: %w", err)
	}
	return list, nil
}

func isDatabase(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // restored with a mode that keeps its owner out; compare has read it
	}
	if err != nil {
		return false, err
	}
	begin := make([]byte, len(head))
	_, err = io.ReadFull(f, begin)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return bytes.Equal(begin, head), errors.Join(err, f.Close())
}

// open opens the copy for reading. It is at rest, so SQLite need not look for
// others who use it; only where a journal lies beside it, SQLite must settle
// that first and may write into the scratch folder. No statement may write.
func (d database) open() (*sql.DB, error) {
	query := url.Values{"_pragma": {"query_only(1)", "trusted_schema(0)", "mmap_size(0)"}}
	if !beside(d.file, "-wal") && !beside(d.file, "-journal") {
		query.Set("mode", "ro")
		query.Set("immutable", "1")
	}
	name := filepath.ToSlash(d.file)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive letter
	}
	address := url.URL{Scheme: "file", OmitHost: true, Path: name, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func beside(file, suffix string) bool {
	info, err := os.Stat(file + suffix)
	return err == nil && info.Size() > 0
}

// check gives SQLite's own finding, "ok" when all is well.
func (d database) check(ctx context.Context) (said string, err error) {
	db, err := d.open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `PRAGMA integrity_check(10)`)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return "", err
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; "), rows.Err()
}

// ask runs a query that reads one value and gives it as text. A query without
// a row, and NULL, is the empty text.
func (d database) ask(ctx context.Context, query string) (text string, err error) {
	db, err := d.open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var value sql.NullString
	err = db.QueryRowContext(ctx, query).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return value.String, err
}

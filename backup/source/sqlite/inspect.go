package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"emrvault/backup/source"
)

// The ways a copy can come about.
const (
	WayOnline = "online"  // through SQLite, while in use
	WayAtRest = "at_rest" // raw files that kept still, settled in scratch
	WayRaw    = "raw"     // raw files as they are, for SQLite cannot read them
)

// Database is what a point knows about one database in it.
type Database struct {
	Name        string           `json:"name"` // file name below /database
	Path        string           `json:"path"` // where it lived
	AsOf        time.Time        `json:"as_of"`
	Way         string           `json:"way"`
	Companions  []string         `json:"companions,omitempty"` // file names of a raw copy's log and journal
	Size        int64            `json:"size"`
	Engine      string           `json:"engine"` // SQLite's version here
	JournalMode string           `json:"journal_mode"`
	Held        float64          `json:"writers_held_seconds"` // 0 under write-ahead logging
	PageSize    int64            `json:"page_size"`
	PageCount   int64            `json:"page_count"`
	FreePages   int64            `json:"free_pages"`
	Encoding    string           `json:"encoding"`
	UserVersion int64            `json:"user_version"`
	Objects     map[string]int64 `json:"objects"`        // tables, indexes, views, triggers
	Rows        map[string]int64 `json:"rows,omitempty"` // per table
	RowsWhole   bool             `json:"rows_whole"`     // false: time ran out, some tables are not counted
	Integrity   []string         `json:"integrity"`      // ["ok"], or what is wrong
	Damaged     bool             `json:"damaged"`
}

// Bounds of an inspection.
const (
	maxIntegrity = 50               // lines of an integrity check
	countingTime = 20 * time.Second // for counting rows; the integrity check takes what it takes
)

// inspect opens a copy and learns what a drill can compare later. What goes
// wrong is itself a fact: it is kept in Integrity and marks the database.
func (db *Database) inspect(ctx context.Context, path string) {
	way := asStill
	if db.Way == WayRaw {
		way = asReader // the log beside it belongs to the content
	}
	err := withConn(ctx, path, way, func(conn *sql.Conn) error {
		err := db.integrity(ctx, conn)
		return errors.Join(err, db.figures(ctx, conn), db.countRows(ctx, conn))
	})
	if err != nil && ctx.Err() == nil {
		db.Integrity = append(db.Integrity, clip(err.Error()))
	}
	db.Damaged = db.Way == WayRaw || len(db.Integrity) != 1 || db.Integrity[0] != "ok"
}

// integrity reads the whole copy and collects what SQLite complains about.
func (db *Database) integrity(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, fmt.Sprintf(`PRAGMA integrity_check(%d)`, maxIntegrity))
	if err != nil {
		return fmt.Errorf("integrity check: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return fmt.Errorf("integrity check: %w", err)
		}
		db.Integrity = append(db.Integrity, clip(line))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("integrity check: %w", err)
	}
	return nil
}

func (db *Database) figures(ctx context.Context, conn *sql.Conn) error {
	for query, into := range map[string]any{
		`SELECT sqlite_version()`: &db.Engine,
		`PRAGMA page_size`:        &db.PageSize,
		`PRAGMA page_count`:       &db.PageCount,
		`PRAGMA freelist_count`:   &db.FreePages,
		`PRAGMA encoding`:         &db.Encoding,
		`PRAGMA user_version`:     &db.UserVersion,
	} {
		if err := conn.QueryRowContext(ctx, query).Scan(into); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return db.countObjects(ctx, conn)
}

func (db *Database) countObjects(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT type, count(*) FROM sqlite_schema GROUP BY type`)
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	defer rows.Close()
	db.Objects = map[string]int64{}
	for rows.Next() {
		var kind string
		var n int64
		if err := rows.Scan(&kind, &n); err != nil {
			return fmt.Errorf("read schema: %w", err)
		}
		db.Objects[kind] = n
	}
	return rows.Err()
}

// countRows counts what it can within its time. Virtual tables are passed
// over: their modules may not be here, and their rows lie in shadow tables.
func (db *Database) countRows(ctx context.Context, conn *sql.Conn) error {
	tables, err := tablesOf(ctx, conn)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, countingTime)
	defer cancel()
	db.Rows = make(map[string]int64, len(tables))
	for _, table := range tables {
		var n int64
		err := conn.QueryRowContext(limited, `SELECT count(*) FROM `+quote(table)).Scan(&n)
		switch {
		case limited.Err() != nil && ctx.Err() == nil:
			return nil // RowsWhole stays false
		case err != nil:
			return fmt.Errorf("count rows of %s: %w", table, err)
		}
		db.Rows[table] = n
	}
	db.RowsWhole = true
	return nil
}

func tablesOf(ctx context.Context, conn *sql.Conn) ([]string, error) {
	rows, err := conn.QueryContext(ctx,
		`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}

// findings tells what a person must hear about a captured database.
func (db *Database) findings() []source.Finding {
	var findings []source.Finding
	if db.Damaged {
		said := strings.Join(db.Integrity[:min(len(db.Integrity), 3)], "; ")
		findings = append(findings, finding(source.Bad, "damaged", db.Path, "said", said))
	}
	if db.Held > slowLock.Seconds() {
		f := finding(source.Warning, "held", db.Path, "seconds", fmt.Sprintf("%.1f", db.Held))
		f.Remedy = "PRAGMA journal_mode=WAL;"
		findings = append(findings, f)
	}
	if !db.RowsWhole && !db.Damaged {
		findings = append(findings, finding(source.Warning, "rows_not_counted", db.Path))
	}
	return findings
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// clip bounds one line of SQLite's complaints.
func clip(line string) string {
	const most = 300
	if len(line) <= most {
		return line
	}
	return strings.ToValidUTF8(line[:most], "") + "…"
}

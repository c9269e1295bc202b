package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Tx is a transaction with its moment. Its Exec, Query and QueryRow are bound
// to the context the transaction was begun with, so areas write plain SQL
// functions that take a *Tx and nothing else.
type Tx struct {
	*sql.Tx
	Now time.Time // one moment for all rows, UTC, whole microseconds
	ctx context.Context
}

// Context gives the context of the transaction.
func (t *Tx) Context() context.Context { return t.ctx }

// Exec runs a statement that gives no rows.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	return t.ExecContext(t.ctx, query, args...)
}

// Query runs a statement that gives rows; the caller closes them.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return t.QueryContext(t.ctx, query, args...)
}

// QueryRow runs a statement that gives at most one row.
func (t *Tx) QueryRow(query string, args ...any) *sql.Row {
	return t.QueryRowContext(t.ctx, query, args...)
}

// Insert runs an INSERT and gives the id of the new row.
func (t *Tx) Insert(query string, args ...any) (int64, error) {
	result, err := t.Exec(query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// Change runs an UPDATE or DELETE and tells how many rows it met.
func (t *Tx) Change(query string, args ...any) (int64, error) {
	result, err := t.Exec(query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Each runs a query and hands every row to fn; it closes the rows and asks for
// their error.
func (t *Tx) Each(fn func(scan func(into ...any) error) error, query string, args ...any) (err error) {
	rows, err := t.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

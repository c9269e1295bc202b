// Package chunk cuts files where their content says so.
package chunk

import (
	"errors"
	"io"
)

// Table decides, together with the bytes of a file, where it is cut.
type Table struct{ gear [256]uint64 }

// NewTable expands a secret into a table. The same secret gives the same cuts.
func NewTable(secret [32]byte) *Table { return &Table{} }

// Chunker cuts what a reader gives.
type Chunker struct{}

// New cuts r by a rule.
func New(r io.Reader, table *Table, rule Rule) *Chunker { return &Chunker{} }

// Next returns the next piece, in buf if it is large enough, and io.EOF after
// the last one. The piece is the caller's.
func (c *Chunker) Next(buf []byte) ([]byte, error) { return nil, errors.New("not written yet") }

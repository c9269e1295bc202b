// Package sample makes a small hospital's EMR out of nothing: a SQLite database
// and a tree of documents, for demonstrations, drills and tests. Everybody in
// it is made up.
package sample

import (
	"context"
	"time"

	"emrvault/backup"
)

// Options say what to make. The same Seed, Bytes and Now give the same content.
type Options struct {
	Bytes    int64           // rough size of database and tree together; 0 means 300 MB
	Seed     uint64          // whose hospital it is
	Now      time.Time       // the last moment of its history; documents reach up to it
	Progress backup.Progress // nil is silent
}

// Changes tell what happened in the EMR.
type Changes struct {
	Patients  int   `json:"patients"`  // new
	Visits    int   `json:"visits"`    // new
	Documents int   `json:"documents"` // new
	Changed   int   `json:"changed"`   // documents with a new version
	Deleted   int   `json:"deleted"`   // drafts thrown away
	Bytes     int64 `json:"bytes"`     // written into database and tree, roughly
}

// Assertion is a question with an answer that holds on every day of the EMR.
type Assertion struct {
	Key      string // texts: what it asks
	Database string // file name of the database
	SQL      string // one row, one column
	Want     string // the answer as text
}

// Database is the file name of the database below the folder of the EMR.
const Database = "emr.db"

// Documents is the folder of the document tree.
const Documents = "documents"

// Exists says whether a whole EMR lies in dir.
func Exists(dir string) bool { return false }

// Create makes the EMR in dir.
func Create(ctx context.Context, dir string, o Options) (Changes, error) {
	return Changes{}, backup.ErrUnsupported
}

// Day moves the EMR in dir on to now.
func Day(ctx context.Context, dir string, now time.Time, progress backup.Progress) (Changes, error) {
	return Changes{}, backup.ErrUnsupported
}

// Assertions are questions a drill can ask a restored copy.
func Assertions() []Assertion { return nil }

// NewestDocument asks for the moment of the newest document: RFC 3339, UTC.
const NewestDocument = `SELECT max(saved_at) FROM document_versions`

// Package sample makes a small hospital's EMR out of nothing: a SQLite database
// and a tree of documents, for demonstrations, drills and tests. Everybody in
// it is made up.
//
//	emr.db                                     patients, visits, documents with versions, users
//	documents/2026/11/ZY260000121/病程记录.xml       archived documents of that stay
//	documents/2026/11/ZY260000121/扫描件_外院资料.jpg  now and then what a scanner left
//
// Every patient's chart follows from the seed and the patient's number alone.
// Charts are therefore written by several hands at once and still come out the
// same, and Day can go on where Create stopped. The database takes its name
// last: a folder with emr.db in it holds a whole EMR.
package sample

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// Names below the folder of the EMR.
const (
	Database  = "emr.db"    // the database
	Documents = "documents" // the folder of the document tree

	unfinished = "emr.db.new" // the database while it is made
)

// StageMake is the stage that Create and Day report to their Progress.
const StageMake = "make"

// usualBytes is the size when none is asked for.
const usualBytes = 300 << 20

// Exists says whether a whole EMR lies in dir.
func Exists(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, Database))
	return err == nil && info.Mode().IsRegular()
}

// Create makes the EMR in dir, which must be absent or empty; what an earlier,
// interrupted Create left is taken away first.
func Create(ctx context.Context, dir string, o Options) (Changes, error) {
	if o.Bytes == 0 {
		o.Bytes = usualBytes
	}
	if o.Progress == nil {
		o.Progress = backup.Silent{}
	}
	if o.Bytes < 0 || o.Now.IsZero() {
		return Changes{}, fmt.Errorf("make sample EMR: a size of %d and the moment %v make no sense: %w", o.Bytes, o.Now, backup.ErrInvalid)
	}
	if err := clearPlace(dir); err != nil {
		return Changes{}, err
	}
	changes, err := newMaker(dir, o).make(ctx)
	if ctx.Err() != nil {
		return Changes{}, ctx.Err() // what the closing transaction says besides helps nobody
	}
	if err != nil {
		return Changes{}, fmt.Errorf("make sample EMR in %s: %w", dir, err)
	}
	return changes, nil
}

func clearPlace(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make folder of the sample EMR: %w", err)
	}
	begun := filepath.Join(dir, unfinished)
	if _, err := os.Stat(begun); err == nil {
		if err := os.RemoveAll(filepath.Join(dir, Documents)); err != nil {
			return fmt.Errorf("clear an unfinished sample EMR: %w", err)
		}
		if err := os.Remove(begun); err != nil {
			return fmt.Errorf("clear an unfinished sample EMR: %w", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds %q already: %w", dir, entries[0].Name(), backup.ErrTargetNotEmpty)
	}
	return nil
}

// NewestDocument asks for the moment of the newest document: RFC 3339, UTC.
const NewestDocument = `SELECT max(saved_at) FROM document_versions`

// Assertions are questions a drill can ask a restored copy.
func Assertions() []Assertion {
	return []Assertion{
		{"sample.assert.documents_of_visits", Database,
			`SELECT count(*) FROM documents d LEFT JOIN visits v ON v.id = d.visit_id WHERE v.id IS NULL`, "0"},
		{"sample.assert.visits_of_patients", Database,
			`SELECT count(*) FROM visits v LEFT JOIN patients p ON p.id = v.patient_id WHERE p.id IS NULL`, "0"},
		{"sample.assert.versions_complete", Database,
			`SELECT count(*) FROM documents d WHERE d.version <> (SELECT count(*) FROM document_versions v WHERE v.document_id = d.id)`, "0"},
		{"sample.assert.archived_after_discharge", Database,
			`SELECT count(*) FROM documents d JOIN visits v ON v.id = d.visit_id WHERE d.status = '已归档' AND v.discharged_at IS NULL`, "0"},
		{"sample.assert.as_many_as_at_first", Database,
			`SELECT count(*) >= (SELECT CAST(value AS INTEGER) FROM about WHERE name = 'documents_at_least') FROM documents`, "1"},
		{"sample.assert.patients_on_ward", Database,
			`SELECT count(*) > 0 FROM visits WHERE kind = '住院' AND discharged_at IS NULL`, "1"},
	}
}

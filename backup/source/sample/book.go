package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// schema is the database of the sample EMR. Times are texts in UTC.
const schema = `
CREATE TABLE about (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);
CREATE TABLE departments (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	beds INTEGER NOT NULL
);
CREATE TABLE users (
	id            INTEGER PRIMARY KEY,
	login         TEXT NOT NULL UNIQUE,
	name          TEXT NOT NULL,
	role          TEXT NOT NULL,
	department_id INTEGER NOT NULL REFERENCES departments(id)
);
CREATE TABLE patients (
	id         INTEGER PRIMARY KEY,
	number     TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	sex        TEXT NOT NULL,
	birth_date TEXT NOT NULL,
	id_number  TEXT NOT NULL,
	phone      TEXT NOT NULL,
	address    TEXT NOT NULL,
	blood      TEXT NOT NULL,
	allergy    TEXT NOT NULL
);
CREATE TABLE visits (
	id            INTEGER PRIMARY KEY,
	patient_id    INTEGER NOT NULL REFERENCES patients(id),
	kind          TEXT NOT NULL CHECK (kind IN ('住院', '门诊')),
	number        TEXT NOT NULL UNIQUE,
	department_id INTEGER NOT NULL REFERENCES departments(id),
	doctor_id     INTEGER NOT NULL REFERENCES users(id),
	bed           INTEGER,
	diagnosis     TEXT NOT NULL,
	icd           TEXT NOT NULL,
	admitted_at   TEXT NOT NULL,
	discharged_at TEXT
);
CREATE TABLE documents (
	id         INTEGER PRIMARY KEY,
	visit_id   INTEGER NOT NULL REFERENCES visits(id),
	kind       TEXT NOT NULL,
	author_id  INTEGER NOT NULL REFERENCES users(id),
	status     TEXT NOT NULL CHECK (status IN ('草稿', '已签名', '已归档')),
	created_at TEXT NOT NULL,
	version    INTEGER NOT NULL,
	path       TEXT
);
CREATE TABLE document_versions (
	document_id INTEGER NOT NULL REFERENCES documents(id),
	version     INTEGER NOT NULL,
	author_id   INTEGER NOT NULL REFERENCES users(id),
	saved_at    TEXT NOT NULL,
	content     TEXT NOT NULL,
	UNIQUE (document_id, version)
);
CREATE TABLE vital_signs (
	visit_id    INTEGER NOT NULL REFERENCES visits(id),
	taken_at    TEXT NOT NULL,
	temperature REAL NOT NULL,
	pulse       INTEGER NOT NULL,
	breath      INTEGER NOT NULL,
	systolic    INTEGER NOT NULL,
	diastolic   INTEGER NOT NULL,
	spo2        INTEGER NOT NULL
);`

// indexes are made after the rows: that is several times faster.
const indexes = `
CREATE INDEX visits_of_patient ON visits(patient_id);
CREATE INDEX visits_on_ward ON visits(admitted_at) WHERE discharged_at IS NULL AND kind = '住院';
CREATE INDEX documents_of_visit ON documents(visit_id);
CREATE INDEX versions_by_time ON document_versions(saved_at);
CREATE INDEX vital_signs_of_visit ON vital_signs(visit_id, taken_at);`

// stamp writes a moment as the tables keep it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// open opens the database of the EMR with settings (pragmas) of its own.
func open(path string, pragmas ...string) (*sql.DB, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	slashed := filepath.ToSlash(full)
	if slashed[0] != '/' {
		slashed = "/" + slashed
	}
	uri := "file://" + (&url.URL{Path: slashed}).EscapedPath() + "?_pragma=busy_timeout(10000)"
	for _, pragma := range pragmas {
		uri += "&_pragma=" + pragma
	}
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// book writes charts into the database, within one transaction.
type book struct {
	ctx                                      context.Context
	tx                                       *sql.Tx
	patient, visit, document, version, vital *sql.Stmt
	visits, documents                        int64 // last ids given
	changes                                  Changes
}

func newBook(ctx context.Context, tx *sql.Tx) (*book, error) {
	b := &book{ctx: ctx, tx: tx}
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&b.patient, `INSERT INTO patients VALUES (?,?,?,?,?,?,?,?,?,?)`},
		{&b.visit, `INSERT INTO visits VALUES (?,?,?,?,?,?,?,?,?,?,?)`},
		{&b.document, `INSERT INTO documents VALUES (?,?,?,?,?,?,?,?)`},
		{&b.version, `INSERT INTO document_versions VALUES (?,?,?,?,?)`},
		{&b.vital, `INSERT INTO vital_signs VALUES (?,?,?,?,?,?,?,?)`},
	} {
		var err error
		if *p.into, err = tx.PrepareContext(ctx, p.text); err != nil { //nolint:sqlclosecheck // book.close closes them
			return nil, errors.Join(fmt.Errorf("prepare: %w", err), b.close())
		}
	}
	err := tx.QueryRowContext(ctx, `SELECT (SELECT ifnull(max(id), 0) FROM visits), (SELECT ifnull(max(id), 0) FROM documents)`).Scan(&b.visits, &b.documents)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read last numbers: %w", err), b.close())
	}
	return b, nil
}

func (b *book) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{b.patient, b.visit, b.document, b.version, b.vital} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

func (b *book) exec(s *sql.Stmt, args ...any) error {
	_, err := s.ExecContext(b.ctx, args...)
	return err
}

// add writes a whole chart.
func (b *book) add(c *chart) error {
	b.changes.Patients++
	err := b.exec(b.patient, c.id, c.number, c.name, c.sex, c.birth.Format(time.DateOnly), c.idNumber, c.phone, c.address, c.blood, c.allergy)
	if err != nil {
		return fmt.Errorf("write patient %s: %w", c.number, err)
	}
	for _, s := range c.stays {
		if err := b.addStay(c.id, s); err != nil {
			return fmt.Errorf("write visit %s: %w", s.number, err)
		}
	}
	return nil
}

func (b *book) addStay(patient int64, s *stay) error {
	b.visits++
	b.changes.Visits++
	s.id = b.visits
	var bed, out any
	if s.kind == inpatient {
		bed = s.bed
	}
	if !s.discharged.IsZero() {
		out = stamp(s.discharged)
	}
	err := b.exec(b.visit, s.id, patient, s.kind, s.number, s.disease.department+1, s.doctor, bed, s.disease.name, s.disease.icd, stamp(s.admitted), out)
	if err != nil {
		return err
	}
	for _, d := range s.documents {
		if err := b.addDocument(s.id, d); err != nil {
			return err
		}
	}
	return b.addVitals(s.id, s.vitals)
}

func (b *book) addDocument(visit int64, d *document) error {
	b.documents++
	b.changes.Documents++
	d.id = b.documents
	var path any
	if d.path != "" {
		path = d.path
	}
	if err := b.exec(b.document, d.id, visit, d.form.title, d.author, d.status, stamp(d.at), len(d.versions), path); err != nil {
		return err
	}
	for i, v := range d.versions {
		if err := b.addVersion(d.id, i+1, d.author, v); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) addVersion(document int64, number int, author int64, v version) error {
	b.changes.Bytes += int64(len(v.content))*23/20 + 200 // the row with what its pages leave empty, and index entries
	return b.exec(b.version, document, number, author, stamp(v.at), v.content)
}

func (b *book) addVitals(visit int64, vitals []measure) error {
	for _, m := range vitals {
		b.changes.Bytes += 80
		if err := b.exec(b.vital, visit, stamp(m.at), m.temperature, m.pulse, m.breath, m.systolic, m.low, m.spo2); err != nil {
			return err
		}
	}
	return nil
}

// addStaff writes departments and the people who work there.
func (b *book) addStaff(w ward) error {
	r := rand.New(rand.NewPCG(w.seed, 0)) //nolint:gosec // made-up people must come out the same for a seed; nothing secret is drawn
	for i, d := range departments {
		if _, err := b.tx.ExecContext(b.ctx, `INSERT INTO departments VALUES (?,?,?)`, i+1, d.name, d.beds); err != nil {
			return fmt.Errorf("write departments: %w", err)
		}
	}
	for id := int64(1); id <= w.users; id++ {
		role := "医师"
		if id > w.doctors {
			role = "护士"
		}
		_, err := b.tx.ExecContext(b.ctx, `INSERT INTO users VALUES (?,?,?,?,?)`, id, fmt.Sprintf("u%04d", id), newName(r, id), role, 1+int(id)%len(departments))
		if err != nil {
			return fmt.Errorf("write users: %w", err)
		}
	}
	return nil
}

// remember writes what the next day needs to know.
func (b *book) remember(facts map[string]string) error {
	for name, value := range facts {
		if _, err := b.tx.ExecContext(b.ctx, `INSERT INTO about VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value); err != nil {
			return fmt.Errorf("write about: %w", err)
		}
	}
	return nil
}

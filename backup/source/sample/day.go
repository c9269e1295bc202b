package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emrvault/backup"
)

// dayStream separates the chances of a day from those of the charts.
const dayStream = 1 << 62

// Day moves the EMR in dir on to now: people come, wards write, some patients
// go home and their documents are archived, a few documents are corrected and
// one draft is thrown away. It works as the EMR itself would, with the
// database in use.
func Day(ctx context.Context, dir string, now time.Time, progress backup.Progress) (changes Changes, err error) {
	if !Exists(dir) {
		return changes, fmt.Errorf("no sample EMR in %s: %w", dir, backup.ErrNotFound)
	}
	if progress == nil {
		progress = backup.Silent{}
	}
	progress.Stage(StageMake)
	db, err := open(filepath.Join(dir, Database))
	if err != nil {
		return changes, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return changes, fmt.Errorf("begin the day: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	d, err := newDay(ctx, tx, dir, now.UTC().Truncate(time.Second))
	if err != nil {
		return changes, err
	}
	if err := errors.Join(d.live(), d.close()); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return changes, fmt.Errorf("a day of the sample EMR: %w", err)
	}
	progress.Add(int64(d.changes.Documents+d.changes.Changed), d.changes.Bytes)
	return d.changes, tx.Commit()
}

// day is one day's work.
type day struct {
	*book
	chance      *rand.Rand
	dir         string
	ward        ward // begin is where yesterday ended
	number      int64
	lastPatient int64
}

func newDay(ctx context.Context, tx *sql.Tx, dir string, now time.Time) (*day, error) {
	var seed, number, patient int64
	var last string
	err := tx.QueryRowContext(ctx, `
		SELECT max(CAST(value AS INTEGER)) FILTER (WHERE name = 'seed'), max(CAST(value AS INTEGER)) FILTER (WHERE name = 'day'),
			max(CAST(value AS INTEGER)) FILTER (WHERE name = 'last_patient'), max(value) FILTER (WHERE name = 'now')
		FROM about`).Scan(&seed, &number, &patient, &last)
	if err != nil {
		return nil, fmt.Errorf("read what the EMR says about itself: %w", err)
	}
	begin, err := time.Parse(time.RFC3339, last)
	if err != nil {
		return nil, fmt.Errorf("read what the EMR says about itself: %w", err)
	}
	if !now.After(begin) {
		return nil, fmt.Errorf("the EMR has reached %s, it cannot go back to %s: %w", stamp(begin), stamp(now), backup.ErrInvalid)
	}
	d := &day{dir: dir, number: number + 1, lastPatient: patient, ward: newWard(uint64(seed), now)}
	d.ward.begin, d.ward.fresh = begin, true
	d.chance = rand.New(rand.NewPCG(uint64(seed), dayStream+uint64(d.number))) //nolint:gosec // made-up people must come out the same for a seed; nothing secret is drawn
	d.book, err = newBook(ctx, tx)
	return d, err
}

// live does the work in its order.
func (d *day) live() error {
	yesterday := d.documents // ids above are today's
	for _, step := range []func() error{d.receive, d.round, func() error { return d.correct(yesterday) }, d.throwAway} {
		if err := step(); err != nil {
			return err
		}
	}
	return d.remember(map[string]string{
		"day": strconv.FormatInt(d.number, 10), "last_patient": strconv.FormatInt(d.lastPatient, 10), "now": stamp(d.ward.now),
	})
}

// receive takes in new patients.
func (d *day) receive() error {
	for range max(3, d.lastPatient/250) {
		d.lastPatient++
		c := d.ward.chart(d.lastPatient)
		if err := d.add(c); err != nil {
			return err
		}
		for _, s := range c.stays {
			if err := d.file(s.leaves(&c.patient)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *day) file(leaves []leaf) error {
	for _, l := range leaves {
		d.changes.Bytes += int64(len(l.content))
		if err := l.write(d.dir); err != nil {
			return err
		}
	}
	return nil
}

// leastOnWard keeps the hospital from emptying.
const leastOnWard = 5

// round visits everybody who lay in the hospital yesterday.
func (d *day) round() error {
	guests, err := d.guests()
	if err != nil {
		return err
	}
	left := len(guests)
	for _, g := range guests {
		s, p := &g.stays[0].visit, &pen{Rand: d.chance, who: &g.patient, visit: &g.stays[0].visit}
		if left > leastOnWard && s.days(d.ward.now) > 3 && d.chance.IntN(6) == 0 {
			left--
			err = d.sendHome(p, g)
		} else {
			err = d.writeOn(p, s)
		}
		if err != nil {
			return fmt.Errorf("visit %s: %w", s.number, err)
		}
	}
	return nil
}

// writeOn adds a day's notes to a stay.
func (d *day) writeOn(p *pen, v *visit) error {
	today := &stay{visit: *v}
	d.ward.writeToday(p, today, d.ward.begin)
	today.add(p, nursingNote, d.ward.author(d.chance, nursingNote, v.doctor), d.ward.now.Add(-time.Duration(1+d.chance.IntN(60))*time.Second))
	for _, doc := range today.documents {
		if err := d.addDocument(v.id, doc); err != nil {
			return err
		}
	}
	return d.addVitals(v.id, []measure{p.measure(d.ward.begin.Add(d.ward.now.Sub(d.ward.begin) / 2)), p.measure(d.ward.now)})
}

// sendHome writes the last documents and archives the stay.
func (d *day) sendHome(p *pen, c *chart) error {
	s := c.stays[0]
	written, err := d.written(s.id)
	if err != nil {
		return err
	}
	s.documents = written
	s.discharged = d.ward.now.Add(-time.Minute)
	d.ward.close(p, s)
	for _, doc := range s.documents[len(written):] {
		if err := d.addDocument(s.id, doc); err != nil {
			return err
		}
	}
	for _, doc := range s.documents {
		if _, err := d.tx.ExecContext(d.ctx, `UPDATE documents SET status = ?, path = nullif(?, '') WHERE id = ?`, archived, doc.path, doc.id); err != nil {
			return err
		}
	}
	if _, err := d.tx.ExecContext(d.ctx, `UPDATE visits SET discharged_at = ? WHERE id = ?`, stamp(s.discharged), s.id); err != nil {
		return err
	}
	d.changes.Changed += len(written)
	return d.file(s.leaves(&c.patient))
}

// corrections is how many documents are corrected on a day.
const corrections = 8

// correct changes some of the newest documents of earlier days.
func (d *day) correct(newest int64) error {
	for range corrections {
		var id, author int64
		var last int
		var kind, content string
		var path sql.NullString
		err := d.tx.QueryRowContext(d.ctx, `
			SELECT d.id, d.author_id, d.version, d.kind, v.content, d.path
			FROM documents d JOIN document_versions v ON v.document_id = d.id AND v.version = d.version
			WHERE d.id <= ? AND d.status <> '草稿' ORDER BY d.id DESC LIMIT 1`, max(1, newest-d.chance.Int64N(400))).
			Scan(&id, &author, &last, &kind, &content, &path)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("choose a document to correct: %w", err)
		}
		p := &pen{Rand: d.chance}
		line := "更正:" + p.symptomsToday()
		if err := d.addVersion(id, last+1, author, version{at: d.ward.now, content: content + "\n" + line}); err != nil {
			return err
		}
		if _, err := d.tx.ExecContext(d.ctx, `UPDATE documents SET version = ? WHERE id = ?`, last+1, id); err != nil {
			return err
		}
		d.changes.Changed++
		if err := d.correctFile(path.String, kind, line); err != nil {
			return err
		}
	}
	return nil
}

// correctFile adds a correction to an archived file.
func (d *day) correctFile(path, kind, line string) error {
	if path == "" {
		return nil
	}
	full := filepath.Join(d.dir, filepath.FromSlash(path))
	text, err := os.ReadFile(full)
	if err != nil {
		return fmt.Errorf("correct a file: %w", err)
	}
	whole := strings.TrimSuffix(string(text), fileFoot)
	whole += fmt.Sprintf("<Correction document=%q at=%q>%s</Correction>\n%s", kind, d.ward.now.In(zone).Format(time.RFC3339), line, fileFoot)
	return d.file([]leaf{{path, []byte(whole), d.ward.now}})
}

// throwAway deletes one draft.
func (d *day) throwAway() error {
	var id int64
	err := d.tx.QueryRowContext(d.ctx, `SELECT id FROM documents WHERE status = ? ORDER BY id LIMIT 1`, draft).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("choose a draft: %w", err)
	}
	for _, statement := range []string{`DELETE FROM document_versions WHERE document_id = ?`, `DELETE FROM documents WHERE id = ?`} {
		if _, err := d.tx.ExecContext(d.ctx, statement, id); err != nil {
			return fmt.Errorf("delete a draft: %w", err)
		}
	}
	d.changes.Deleted++
	return nil
}

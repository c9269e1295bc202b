package ticket

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// nextNumber takes the next number of a year out of the book. It belongs to
// the transaction: when that fails the number was never given.
func nextNumber(tx *store.Tx, year int) (string, error) {
	var n int
	err := tx.QueryRow(`INSERT INTO ticket_number (year, last) VALUES (?, 1)
		ON CONFLICT (year) DO UPDATE SET last = last + 1 RETURNING last`, year).Scan(&n)
	if err != nil {
		return "", fmt.Errorf("take a ticket number: %w", err)
	}
	return fmt.Sprintf("GD-%d-%04d", year, n), nil
}

const columns = `id, number, source, dedup, state, item, module, title, description, reporter, department, phone,
	channel, off_contract, created, created_by, reported, backdated, rule, due, responded, responder, response_by,
	response_off, response_proof, solved, closed, closed_by, result, changed`

func scan(from func(...any) error) (t Ticket, err error) {
	var created, reported, due, responded, solved, closed, changed store.Time
	err = from(&t.ID, &t.Number, &t.Source, &t.Dedup, &t.State, &t.Item, &t.Module, &t.Title, &t.Description,
		&t.Reporter, &t.Department, &t.Phone, &t.Channel, &t.OffContract, &created, &t.CreatedBy, &reported,
		&t.Backdated, &t.Rule, &due, &responded, &t.Response.Engineer, &t.Response.Channel, &t.Response.OffContract,
		&t.Response.Proof, &solved, &closed, &t.ClosedBy, &t.Result, &changed)
	t.Created, t.Reported, t.Due, t.Response.At = created.Time, reported.Time, due.Time, responded.Time
	t.Solved, t.Closed, t.Changed = solved.Time, closed.Time, changed.Time
	return t, err
}

func insert(tx *store.Tx, t Ticket) (int64, error) {
	id, err := tx.Insert(`INSERT INTO tickets (number, source, dedup, state, item, module, title, description, reporter,
		department, phone, channel, off_contract, created, created_by, reported, backdated, rule, due, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.Number, t.Source, t.Dedup, t.State, t.Item, t.Module, t.Title, t.Description, t.Reporter,
		t.Department, t.Phone, t.Channel, t.OffContract, store.Stamp(t.Created), t.CreatedBy, store.Time{Time: t.Reported},
		t.Backdated, t.Rule, store.Time{Time: t.Due}, store.Stamp(t.Changed))
	if err != nil {
		return 0, fmt.Errorf("open ticket %s: %w", t.Number, err)
	}
	return id, nil
}

// save writes what acts may change; what was reported at first stays.
func save(tx *store.Tx, t *Ticket) error {
	t.Changed = tx.Now
	_, err := tx.Exec(`UPDATE tickets SET state = ?, reporter = ?, department = ?, phone = ?, channel = ?, off_contract = ?,
		reported = ?, rule = ?, due = ?, responded = ?, responder = ?, response_by = ?, response_off = ?, response_proof = ?,
		solved = ?, closed = ?, closed_by = ?, result = ?, changed = ? WHERE id = ?`,
		t.State, t.Reporter, t.Department, t.Phone, t.Channel, t.OffContract,
		store.Time{Time: t.Reported}, t.Rule, store.Time{Time: t.Due}, store.Time{Time: t.Response.At}, t.Response.Engineer,
		t.Response.Channel, t.Response.OffContract, t.Response.Proof,
		store.Time{Time: t.Solved}, store.Time{Time: t.Closed}, t.ClosedBy, t.Result, store.Stamp(t.Changed), t.ID)
	if err != nil {
		return fmt.Errorf("change ticket %s: %w", t.Number, err)
	}
	return nil
}

func byNumber(tx *store.Tx, number string) (Ticket, error) {
	t, err := scan(tx.QueryRow(`SELECT `+columns+` FROM tickets WHERE number = ?`, strings.ToUpper(strings.TrimSpace(number))).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, errs.New(errs.NotFound, "ticket.not_found", "number", number)
	}
	return t, err
}

// openOf finds the open ticket about the same trouble.
func openOf(tx *store.Tx, dedup string) (Ticket, bool, error) {
	t, err := scan(tx.QueryRow(`SELECT `+columns+` FROM tickets
		WHERE dedup = ? AND dedup <> '' AND state <> 'closed'`, dedup).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, false, nil
	}
	return t, err == nil, err
}

func addEvent(tx *store.Tx, id int64, by string, kind EventType, text string) error {
	_, err := tx.Exec(`INSERT INTO ticket_events (ticket, seq, at, by, type, text)
		VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM ticket_events WHERE ticket = ?), ?, ?, ?, ?)`,
		id, id, store.Stamp(tx.Now), by, kind, text)
	if err != nil {
		return fmt.Errorf("add a line to ticket %d: %w", id, err)
	}
	return nil
}

func countEvents(tx *store.Tx, id int64, kind EventType) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM ticket_events WHERE ticket = ? AND type = ?`, id, kind).Scan(&n)
	return n, err
}

func timeline(tx *store.Tx, id int64) (list []Event, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		var e Event
		var at store.Time
		err := scan(&e.Seq, &at, &e.By, &e.Type, &e.Text)
		e.At = at.Time
		list = append(list, e)
		return err
	}, `SELECT seq, at, by, type, text FROM ticket_events WHERE ticket = ? ORDER BY seq`, id)
	return list, err
}

// where turns set fields into clauses.
func (f Filter) where(now time.Time) (string, []any) {
	clauses, args := []string{"1 = 1"}, []any{}
	add := func(clause string, values ...any) {
		clauses, args = append(clauses, clause), append(args, values...)
	}
	if len(f.Numbers) > 0 {
		clause, list := store.OneOf("number", f.Numbers)
		add(clause, list...)
	}
	if len(f.States) > 0 {
		clause, list := store.OneOf("state", f.States)
		add(clause, list...)
	}
	if f.Source != "" {
		add(`source = ?`, f.Source)
	}
	if f.Open {
		add(`state <> 'closed'`)
	}
	if f.Item != 0 {
		add(`item = ?`, f.Item)
	}
	if f.Module != "" {
		add(`module = ?`, f.Module)
	}
	if f.Text != "" {
		clause, values := matching(f.Text)
		add(clause, values...)
	}
	if f.Overdue {
		add(`responded IS NULL AND due < ?`, store.Stamp(now))
	}
	return strings.Join(clauses, " AND "), args
}

// matching looks for a text as it stands; below some ten thousand tickets
// a plain search is quick, and it finds single characters and rare ones.
func matching(text string) (string, []any) {
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	fields := []string{"number", "title", "description", "reporter", "department", "phone", "result"}
	var clauses []string
	var args []any
	for _, field := range fields {
		clauses, args = append(clauses, field+` LIKE ? ESCAPE '\'`), append(args, pattern)
	}
	return "(" + strings.Join(clauses, " OR ") + ")", args
}

const pageLength = 50

func find(tx *store.Tx, f Filter) (list []Ticket, total int, err error) {
	where, args := f.where(tx.Now)
	if err := tx.QueryRow(`SELECT count(*) FROM tickets WHERE `+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 {
		f.Limit = pageLength
	}
	err = tx.Each(func(from func(...any) error) error {
		t, err := scan(from)
		list = append(list, t)
		return err
	}, `SELECT `+columns+` FROM tickets WHERE `+where+` ORDER BY id DESC LIMIT ? OFFSET ?`,
		append(slices.Clone(args), f.Limit, f.Offset)...)
	return list, total, err
}

func counts(tx *store.Tx) (s Stats, err error) {
	err = tx.QueryRow(`SELECT count(*),
		count(*) FILTER (WHERE reported IS NOT NULL AND responded IS NULL),
		count(*) FILTER (WHERE reported IS NOT NULL AND responded IS NULL AND due < ?),
		count(*) FILTER (WHERE source = 'system' AND reported IS NULL)
		FROM tickets WHERE state <> 'closed'`, store.Stamp(tx.Now)).
		Scan(&s.Open, &s.Waiting, &s.Overdue, &s.Unsent)
	return s, err
}

// answers counts first answers to items that name hours, and finds their
// median.
func answers(tx *store.Tx, since time.Time, s *Stats) error {
	var took []time.Duration
	err := tx.Each(func(scan func(...any) error) error {
		var reported, responded, due store.Time
		if err := scan(&reported, &responded, &due); err != nil {
			return err
		}
		took = append(took, responded.Sub(reported.Time))
		if responded.After(due.Time) {
			s.Late++
		}
		return nil
	}, `SELECT reported, responded, due FROM tickets WHERE due IS NOT NULL AND responded >= ?`, store.Stamp(since))
	s.Answered, s.Median = len(took), median(took)
	return err
}

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	half := len(list) / 2
	if len(list)%2 == 1 {
		return list[half]
	}
	return (list[half-1] + list[half]) / 2
}

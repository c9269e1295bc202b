package ticket

import (
	"context"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
	"emrvault/service/contract"
	"emrvault/service/sla"
)

// Desk keeps the tickets.
type Desk struct {
	store *store.Store
	zone  *time.Location
	clock sla.Clock
}

// NewDesk makes a desk over an open store. zone is the site's: the year in
// a ticket's number is the hospital's year. A nil zone is UTC.
func NewDesk(st *store.Store, zone *time.Location) *Desk {
	if zone == nil {
		zone = time.UTC
	}
	return &Desk{store: st, zone: zone}
}

// New opens a person's ticket and starts its clock at the report.
func (d *Desk) New(ctx context.Context, by string, draft Draft) (t Ticket, err error) {
	draft.trim()
	if err := draft.check(); err != nil {
		return Ticket{}, err
	}
	if err := present(by, "ticket.by_missing"); err != nil {
		return Ticket{}, err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		t = draft.ticket()
		t.Created, t.CreatedBy = tx.Now, by
		if t.Reported, err = draft.reportedAt(tx.Now); err != nil {
			return err
		}
		if t.Reported.Equal(tx.Now) {
			t.Backdated = ""
		}
		d.start(&t)
		if err := d.open(tx, &t); err != nil {
			return err
		}
		return addEvent(tx, t.ID, by, Opened, t.Backdated)
	})
	return t, err
}

// start reckons the due moment and keeps the rule it was reckoned by.
func (d *Desk) start(t *Ticket) {
	item, _ := contract.ItemOf(t.Item)
	t.OffContract = !item.Allows(t.Channel)
	if due, timed := d.clock.Due(item, t.Reported); timed {
		t.Due, t.Rule = due, d.clock.Rule()
	}
}

// open gives a ticket its number and writes it down.
func (d *Desk) open(tx *store.Tx, t *Ticket) (err error) {
	if t.Number, err = nextNumber(tx, tx.Now.In(d.zone).Year()); err != nil {
		return err
	}
	t.State, t.Changed = Waiting, tx.Now
	t.ID, err = insert(tx, *t)
	return err
}

// maxRepeats bounds the lines that the same trouble adds to one ticket.
const maxRepeats = 200

// OpenSystem opens a ticket of the box, without a clock. While one of the same
// Dedup is open, that one gets a line instead; opened tells which it was.
func (d *Desk) OpenSystem(ctx context.Context, trouble Trouble) (t Ticket, opened bool, err error) {
	trouble.trim()
	if err := trouble.check(); err != nil {
		return Ticket{}, false, err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		found, open, err := openOf(tx, trouble.Dedup)
		if err != nil {
			return err
		}
		if open {
			t = found
			return repeat(tx, &t, trouble)
		}
		t, opened = trouble.ticket(), true
		t.Created = tx.Now
		if err := d.open(tx, &t); err != nil {
			return err
		}
		return addEvent(tx, t.ID, "", Opened, "")
	})
	return t, opened && err == nil, err
}

func repeat(tx *store.Tx, t *Ticket, trouble Trouble) error {
	n, err := countEvents(tx, t.ID, Repeated)
	if err != nil {
		return err
	}
	if n < maxRepeats {
		if err := addEvent(tx, t.ID, "", Repeated, strings.TrimSpace(trouble.Title+"\n"+trouble.Description)); err != nil {
			return err
		}
	}
	return save(tx, t)
}

// act changes an open ticket in one transaction and adds its line.
func (d *Desk) act(ctx context.Context, by, number string, kind EventType, change func(*Ticket, time.Time) (line string, err error)) (t Ticket, err error) {
	if err := present(by, "ticket.by_missing"); err != nil {
		return Ticket{}, err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if t, err = byNumber(tx, number); err != nil {
			return err
		}
		if t.State == Closed {
			return errs.New(errs.Conflict, "ticket.is_closed", "number", t.Number, "by", t.ClosedBy)
		}
		line, err := change(&t, tx.Now)
		if err != nil {
			return err
		}
		if err := addEvent(tx, t.ID, by, kind, line); err != nil {
			return err
		}
		return save(tx, &t)
	})
	if err != nil {
		return Ticket{}, err
	}
	return t, nil
}

// ReportToVendor reports a ticket of the box to the vendor: its clock starts
// now. Without a reporter it is the person who does it.
func (d *Desk) ReportToVendor(ctx context.Context, by, number string, report Report) (Ticket, error) {
	report.trim()
	if report.Reporter == "" {
		report.Reporter = by
	}
	if err := report.check(); err != nil {
		return Ticket{}, err
	}
	return d.act(ctx, by, number, Reported, func(t *Ticket, now time.Time) (string, error) {
		if !t.Reported.IsZero() {
			return "", errs.New(errs.Conflict, "ticket.is_reported", "number", t.Number)
		}
		t.Reporter, t.Department, t.Phone, t.Channel = report.Reporter, report.Department, report.Phone, report.Channel
		t.Reported = now
		d.start(t)
		return joined(report.Reporter, report.Department, report.Phone), nil
	})
}

// Respond writes down the first answer; it stops the clock for good. A second
// one is errs.Conflict, naming the first.
func (d *Desk) Respond(ctx context.Context, by, number string, answer Answer) (Ticket, error) {
	answer.trim()
	if err := answer.check(); err != nil {
		return Ticket{}, err
	}
	return d.act(ctx, by, number, Responded, func(t *Ticket, now time.Time) (string, error) {
		if t.Reported.IsZero() {
			return "", errs.New(errs.Conflict, "ticket.not_reported", "number", t.Number)
		}
		if t.Answered() {
			return "", errs.New(errs.Conflict, "ticket.is_answered", "number", t.Number,
				"engineer", t.Response.Engineer, "at", t.Response.At.In(d.zone))
		}
		at, err := answer.when(t.Reported, now)
		if err != nil {
			return "", err
		}
		item, _ := contract.ItemOf(t.Item)
		t.Response = Response{
			At: at, Engineer: answer.Engineer, Channel: answer.Channel,
			OffContract: !item.Allows(answer.Channel), Proof: answer.Proof,
		}
		if t.State == Waiting {
			t.State = Working
		}
		return joined(answer.Engineer, answer.Proof), nil
	})
}

// Note adds a line to the timeline of a ticket that is not closed.
func (d *Desk) Note(ctx context.Context, by, number, text string) (Ticket, error) {
	text = strings.TrimSpace(text)
	if err := checkText(text, "ticket.note_missing"); err != nil {
		return Ticket{}, err
	}
	return d.act(ctx, by, number, Noted, func(*Ticket, time.Time) (string, error) { return text, nil })
}

// Solve says how the matter was settled; the ticket stays open for the
// reporter's word.
func (d *Desk) Solve(ctx context.Context, by, number, result string) (Ticket, error) {
	result = strings.TrimSpace(result)
	if err := checkText(result, "ticket.result_missing"); err != nil {
		return Ticket{}, err
	}
	return d.act(ctx, by, number, Resolved, func(t *Ticket, now time.Time) (string, error) {
		t.State, t.Solved, t.Result = Solved, now, result
		return result, t.settled()
	})
}

// Close ends a ticket. An empty result is taken from Solve; without either it
// is errs.Invalid. A reported ticket must have been answered first: closing is
// no way round the clock.
func (d *Desk) Close(ctx context.Context, by, number, result string) (Ticket, error) {
	result = strings.TrimSpace(result)
	return d.act(ctx, by, number, Ended, func(t *Ticket, now time.Time) (string, error) {
		if result != "" || t.Result == "" {
			t.Result = result
		}
		if err := checkText(t.Result, "ticket.result_missing"); err != nil {
			return "", err
		}
		if t.Solved.IsZero() {
			t.Solved = now
		}
		t.State, t.Closed, t.ClosedBy = Closed, now, by
		return result, t.settled()
	})
}

// settled says whether a ticket may count as solved.
func (t Ticket) settled() error {
	if !t.Reported.IsZero() && !t.Answered() {
		return errs.New(errs.Conflict, "ticket.unanswered", "number", t.Number)
	}
	return nil
}

// Get reads a ticket by its number.
func (d *Desk) Get(ctx context.Context, number string) (t Ticket, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		t, err = byNumber(tx, number)
		return err
	})
	return t, err
}

// Timeline reads the lines of a ticket, oldest first.
func (d *Desk) Timeline(ctx context.Context, number string) (list []Event, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		t, err := byNumber(tx, number)
		if err != nil {
			return err
		}
		list, err = timeline(tx, t.ID)
		return err
	})
	return list, err
}

// List reads tickets, newest first, and how many match in all.
func (d *Desk) List(ctx context.Context, f Filter) (list []Ticket, total int, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		list, total, err = find(tx, f)
		return err
	})
	return list, total, err
}

// Unfinished counts the tickets that are still open.
func (d *Desk) Unfinished(ctx context.Context) (int, error) {
	stats, err := d.Stats(ctx, time.Time{})
	return stats.Open, err
}

// Stats reads the figures of the overview; answers since the given moment, to
// items that name hours, count for the median.
func (d *Desk) Stats(ctx context.Context, since time.Time) (s Stats, err error) {
	err = d.store.Read(ctx, func(tx *store.Tx) error {
		if s, err = counts(tx); err != nil {
			return err
		}
		return answers(tx, since, &s)
	})
	return s, err
}

package ticket

import (
	"context"
	"errors"
	"time"

	"emrvault/appliance/store"
)

var errSoon = errors.New("not built yet")

// Desk keeps the tickets.
type Desk struct{}

// NewDesk makes a desk over an open store. zone is the site's: the year in
// a ticket's number is the hospital's year.
func NewDesk(st *store.Store, zone *time.Location) *Desk { return &Desk{} }

// New opens a person's ticket and starts its clock.
func (d *Desk) New(ctx context.Context, by string, draft Draft) (Ticket, error) {
	return Ticket{}, errSoon
}

// OpenSystem opens a ticket of the box, without a clock. While one of the same
// Dedup is open, that one gets a line instead; opened tells which it was.
func (d *Desk) OpenSystem(ctx context.Context, trouble Trouble) (t Ticket, opened bool, err error) {
	return Ticket{}, false, errSoon
}

// ReportToVendor reports a ticket of the box to the vendor: its clock starts
// now.
func (d *Desk) ReportToVendor(ctx context.Context, by, number string, report Report) (Ticket, error) {
	return Ticket{}, errSoon
}

// Respond writes down the first answer. A second one is errs.Conflict, naming
// the first.
func (d *Desk) Respond(ctx context.Context, by, number string, answer Answer) (Ticket, error) {
	return Ticket{}, errSoon
}

// Note adds a line to the timeline of a ticket that is not closed.
func (d *Desk) Note(ctx context.Context, by, number, text string) (Ticket, error) {
	return Ticket{}, errSoon
}

// Solve says how the matter was settled; the ticket stays open for the
// reporter's word.
func (d *Desk) Solve(ctx context.Context, by, number, result string) (Ticket, error) {
	return Ticket{}, errSoon
}

// Close ends a ticket. An empty result is taken from Solve; without either it
// is errs.Invalid.
func (d *Desk) Close(ctx context.Context, by, number, result string) (Ticket, error) {
	return Ticket{}, errSoon
}

// Get reads a ticket by its number.
func (d *Desk) Get(ctx context.Context, number string) (Ticket, error) { return Ticket{}, errSoon }

// Timeline reads the lines of a ticket, oldest first.
func (d *Desk) Timeline(ctx context.Context, number string) ([]Event, error) { return nil, errSoon }

// List reads tickets, newest first, and how many match in all.
func (d *Desk) List(ctx context.Context, f Filter) ([]Ticket, int, error) { return nil, 0, errSoon }

// Stats reads the figures of the overview; answers since the given moment
// count for the median.
func (d *Desk) Stats(ctx context.Context, since time.Time) (Stats, error) { return Stats{}, errSoon }

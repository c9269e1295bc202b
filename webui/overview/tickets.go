package overview

import (
	"context"
	"time"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/sla"
	"emrvault/service/ticket"
)

// deskCard is what the page tells of the service desk.
type deskCard struct {
	ticket.Stats
	Tickets []ticketLine
}

// ticketLine is one open ticket with its response clock.
type ticketLine struct {
	ticket.Ticket
	Clock sla.Status
}

// Percent is the used part of the promised time, at most 100.
func (l ticketLine) Percent() int { return int(min(1, l.Clock.Used) * 100) }

// Over is by how much the promised time was or is exceeded.
func (l ticketLine) Over() time.Duration { return -l.Clock.Left }

// ItemTitle names the service item with its number.
func (l ticketLine) ItemTitle(lang locale.Lang) string {
	item, ok := contract.ItemOf(l.Item)
	if !ok {
		return ""
	}
	return item.Title(lang)
}

// shown is how many open tickets the card lists.
const shown = 4

// tickets reads the desk: open tickets, and the figures since New Year.
func (p *Pages) tickets(ctx context.Context, now time.Time) (*deskCard, error) {
	list, _, err := p.desk.List(ctx, ticket.Filter{Open: true, Limit: shown})
	if err != nil {
		return nil, err
	}
	d := &deskCard{}
	for _, t := range list {
		d.Tickets = append(d.Tickets, ticketLine{t, t.Clock(now)})
	}
	year := time.Date(now.Year(), 1, 1, 0, 0, 0, 0, now.Location())
	d.Stats, err = p.desk.Stats(ctx, year)
	return d, err
}

// OnTime is the share of first answers that came in time; 1 when none was due.
func (d *deskCard) OnTime() float64 {
	if d.Answered == 0 {
		return 1
	}
	return float64(d.Answered-d.Late) / float64(d.Answered)
}

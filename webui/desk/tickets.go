// Package desk holds the pages of the service desk: tickets, and the catalogue
// of the contract they are measured by.
//
// The list and the form for a call stand side by side, because whoever answers
// the phone has fifteen seconds. Only the first response is a promise of the
// contract, so only it has a bar; how long a matter took to settle is told as a
// statistic. A ticket of the box has no clock until a person reports it to the
// vendor, and its page says so in words.
package desk

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/sla"
	"emrvault/service/ticket"
	"emrvault/webui/render"
)

// Tickets keeps the tickets; *ticket.Desk is it.
type Tickets interface {
	New(ctx context.Context, by string, draft ticket.Draft) (ticket.Ticket, error)
	ReportToVendor(ctx context.Context, by, number string, report ticket.Report) (ticket.Ticket, error)
	Respond(ctx context.Context, by, number string, answer ticket.Answer) (ticket.Ticket, error)
	Note(ctx context.Context, by, number, text string) (ticket.Ticket, error)
	Solve(ctx context.Context, by, number, result string) (ticket.Ticket, error)
	Close(ctx context.Context, by, number, result string) (ticket.Ticket, error)
	Get(ctx context.Context, number string) (ticket.Ticket, error)
	Timeline(ctx context.Context, number string) ([]ticket.Event, error)
	List(ctx context.Context, f ticket.Filter) ([]ticket.Ticket, int, error)
	Stats(ctx context.Context, since time.Time) (ticket.Stats, error)
}

// Pages are the pages of the desk.
type Pages struct {
	render  *render.Renderer
	tickets Tickets
}

// New makes the pages.
func New(r *render.Renderer, tickets Tickets) *Pages { return &Pages{r, tickets} }

// line is one ticket with its clock.
type line struct {
	ticket.Ticket
	Clock sla.Status
}

// lineOf reads the clock of a ticket.
func lineOf(t ticket.Ticket, now time.Time) line { return line{t, t.Clock(now)} }

// Percent is the used part of the promised time, at most 100.
func (l line) Percent() int { return int(min(1, l.Clock.Used) * 100) }

// Over is by how much the promised time was or is exceeded.
func (l line) Over() time.Duration { return -l.Clock.Left }

// Target is the promised time; 0 when the item names none.
func (l line) Target() time.Duration {
	if l.Due.IsZero() {
		return 0
	}
	return l.Due.Sub(l.Reported)
}

// ItemTitle names the service item.
func (l line) ItemTitle(lang locale.Lang) string {
	item, _ := contract.ItemOf(l.Item)
	return item.Title(lang)
}

// ModuleTitle names the module, empty when none was named.
func (l line) ModuleTitle(lang locale.Lang) string {
	m, ok := contract.ModuleOf(l.Module)
	if !ok {
		return ""
	}
	return m.Code + " " + m.Title(lang)
}

// At is the moment the matter came to the desk.
func (l line) At() time.Time {
	if l.Reported.IsZero() {
		return l.Created
	}
	return l.Reported
}

// listPage is the data of tickets.html.
type listPage struct {
	ticket.Stats
	Lines   []line
	Query   query
	Items   []contract.Item
	Modules []contract.Module
	Page    render.Pager
	Draft   draftForm
}

// query is what the list was asked for.
type query struct{ Text, State, Source, Item, Module string }

func readQuery(c render.Context) query {
	return query{c.Query("q"), c.Query("state"), c.Query("source"), c.Query("item"), c.Query("module")}
}

// values are the query as an address carries it; what is empty stays away.
func (q query) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.Text, "state": q.State, "source": q.Source, "item": q.Item, "module": q.Module} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// WithState is the address of the list with another state.
func (q query) WithState(state string) string {
	q.State = state
	v := q.values()
	if len(v) == 0 {
		return "/tickets"
	}
	return "/tickets?" + v.Encode()
}

// Any says whether anything narrows the list.
func (q query) Any() bool { return q != query{} }

// filter is the query as the desk understands it. Words it does not know
// narrow nothing.
func (q query) filter() ticket.Filter {
	f := ticket.Filter{Text: q.Text, Module: q.Module}
	f.Item, _ = strconv.Atoi(q.Item)
	if q.Source == string(ticket.System) || q.Source == string(ticket.Person) {
		f.Source = ticket.Source(q.Source)
	}
	switch q.State {
	case "open":
		f.Open = true
	case "overdue":
		f.Overdue = true
	default:
		for _, s := range ticket.States() {
			if q.State == string(s) {
				f.States = []ticket.State{s}
			}
		}
	}
	return f
}

// shown is how many tickets one page lists.
const shown = 25

// List is GET /tickets.
func (p *Pages) List(c render.Context) {
	d, err := p.list(c, newDraft(render.FrameOf(c)))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.Page(c, "desk/tickets", d)
}

func (p *Pages) list(c render.Context, draft draftForm) (*listPage, error) {
	ctx, now := render.Ctx(c), render.FrameOf(c).Now
	d := &listPage{Query: readQuery(c), Items: contract.Items(), Modules: contract.Modules(), Draft: draft}
	filter := d.Query.filter()
	filter.Limit, filter.Offset = shown, render.OffsetOf(c)
	list, total, err := p.tickets.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		d.Lines = append(d.Lines, lineOf(t, now))
	}
	d.Page = render.NewPager("/tickets", d.Query.values(), filter.Offset, shown, len(list), total)
	d.Stats, err = p.tickets.Stats(ctx, time.Date(now.Year(), 1, 1, 0, 0, 0, 0, now.Location()))
	return d, err
}

// OnTime is the share of first answers that came in time.
func (d *listPage) OnTime() float64 {
	if d.Answered == 0 {
		return 1
	}
	return float64(d.Answered-d.Late) / float64(d.Answered)
}

// InTime is how many first answers came in time.
func (d *listPage) InTime() int { return d.Answered - d.Late }

// Catalogue is GET /catalogue: the fourteen items and twenty-one modules.
func (p *Pages) Catalogue(c render.Context) {
	p.render.Page(c, "desk/catalogue", struct {
		Items   []contract.Item
		Modules []contract.Module
	}{contract.Items(), contract.Modules()})
}

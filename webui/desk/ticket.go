package desk

import (
	"net/http"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/ticket"
	"emrvault/webui/render"
)

// ticketPage is the data of ticket.html.
type ticketPage struct {
	line
	Service  contract.Item
	Events   []ticket.Event
	Answer   answerForm
	Report   reportForm
	Text     string // of the note or the result, when it comes back
	Problem  string
	Where    string // the form the problem belongs to
	Channels []channelChoice
	Settled  time.Duration // report to solution, up to now while open
}

// answerForm is a first response as it is typed.
type answerForm struct {
	Engineer, Proof, At string
	Channel             contract.Channel
}

// reportForm is a report to the vendor as it is typed.
type reportForm struct {
	Reporter, Department, Phone string
	Channel                     contract.Channel
}

// Show is GET /tickets/:number.
func (p *Pages) Show(c render.Context) {
	if d, ok := p.load(c); ok {
		if render.IsFragment(c) {
			p.render.Fragment(c, "desk/ticket", "clocks", d)
			return
		}
		p.render.Page(c, "desk/ticket", d)
	}
}

// load reads what the page shows; when it cannot, it has answered.
func (p *Pages) load(c render.Context) (*ticketPage, bool) {
	ctx, f := render.Ctx(c), render.FrameOf(c)
	t, err := p.tickets.Get(ctx, c.Param("number"))
	if err != nil {
		p.render.Error(c, err)
		return nil, false
	}
	d := &ticketPage{line: lineOf(t, f.Now), Answer: answerForm{Channel: contract.Phone}, Report: reportForm{Channel: contract.Phone}}
	d.Service, _ = contract.ItemOf(t.Item)
	d.Channels = channelsOf(t.Item, contract.Phone)
	if f.Person != nil {
		d.Report.Reporter = f.Person.Title()
	}
	if d.Events, err = p.tickets.Timeline(ctx, t.Number); err != nil {
		p.render.Error(c, err)
		return nil, false
	}
	d.Settled = settled(t, f.Now)
	return d, true
}

// settled is how long the matter has taken; a statistic, no promise.
func settled(t ticket.Ticket, now time.Time) time.Duration {
	begin := t.Reported
	if begin.IsZero() {
		begin = t.Created
	}
	switch {
	case !t.Solved.IsZero():
		return t.Solved.Sub(begin)
	case !t.Closed.IsZero():
		return t.Closed.Sub(begin)
	}
	return now.Sub(begin)
}

// act carries out one step of a ticket and leads back to its page, or shows
// the page again with what is wrong beside the form it belongs to.
func (p *Pages) act(c render.Context, where, done string, keep func(*ticketPage), do func(number, by string) error) {
	number := c.Param("number")
	err := do(number, render.NameOf(c))
	switch {
	case err == nil:
		p.render.Done(c, "/tickets/"+number, done, "number", number)
		return
	case errs.KindOf(err) == errs.Internal, errs.KindOf(err) == errs.NotFound:
		p.render.Error(c, err)
		return
	}
	d, ok := p.load(c)
	if !ok {
		return
	}
	keep(d)
	d.Where, d.Problem = where, render.FrameOf(c).Lang.Error(err)
	status := http.StatusUnprocessableEntity
	if errs.KindOf(err) == errs.Conflict {
		status = http.StatusConflict
	}
	p.render.PageStatus(c, status, "desk/ticket", d)
}

func field(c render.Context, name string) string { return strings.TrimSpace(c.PostForm(name)) }

// Respond is POST /tickets/:number/respond: the first answer, with its proof.
func (p *Pages) Respond(c render.Context) {
	form := answerForm{field(c, "engineer"), field(c, "proof"), field(c, "at"), contract.Channel(field(c, "channel"))}
	p.act(c, "respond", "tickets.did.responded", func(d *ticketPage) {
		d.Answer, d.Channels = form, channelsOf(d.Item, form.Channel)
	}, func(number, by string) error {
		at, err := p.answeredAt(c, number, form.At)
		if err != nil {
			return err
		}
		_, err = p.tickets.Respond(render.Ctx(c), by, number, ticket.Answer{Engineer: form.Engineer, Channel: form.Channel, Proof: form.Proof, At: at})
		return err
	})
}

// answeredAt reads the moment of an answer. People type minutes: one typed in
// the minute of the report is the report's own moment, not one before it.
func (p *Pages) answeredAt(c render.Context, number, text string) (time.Time, error) {
	at, err := moment(text, render.FrameOf(c).Now.Location())
	if err != nil || at.IsZero() {
		return at, err
	}
	t, err := p.tickets.Get(render.Ctx(c), number)
	if err == nil && at.Before(t.Reported) && t.Reported.Sub(at) < time.Minute {
		at = t.Reported
	}
	return at, err
}

// Report is POST /tickets/:number/report: a matter the box found is reported
// to the vendor, and its clock starts.
func (p *Pages) Report(c render.Context) {
	form := reportForm{field(c, "reporter"), field(c, "department"), field(c, "phone"), contract.Channel(field(c, "channel"))}
	p.act(c, "report", "tickets.did.reported", func(d *ticketPage) {
		d.Report, d.Channels = form, channelsOf(d.Item, form.Channel)
	}, func(number, by string) error {
		_, err := p.tickets.ReportToVendor(render.Ctx(c), by, number, ticket.Report(form))
		return err
	})
}

// Note is POST /tickets/:number/note.
func (p *Pages) Note(c render.Context) {
	text := field(c, "text")
	p.act(c, "note", "tickets.did.noted", func(d *ticketPage) { d.Text = text }, func(number, by string) error {
		_, err := p.tickets.Note(render.Ctx(c), by, number, text)
		return err
	})
}

// Solve is POST /tickets/:number/solve.
func (p *Pages) Solve(c render.Context) {
	text := field(c, "result")
	p.act(c, "close", "tickets.did.solved", func(d *ticketPage) { d.Text = text }, func(number, by string) error {
		_, err := p.tickets.Solve(render.Ctx(c), by, number, text)
		return err
	})
}

// Close is POST /tickets/:number/close.
func (p *Pages) Close(c render.Context) {
	text := field(c, "result")
	p.act(c, "close", "tickets.did.closed", func(d *ticketPage) { d.Text = text }, func(number, by string) error {
		_, err := p.tickets.Close(render.Ctx(c), by, number, text)
		return err
	})
}

// IsClosed says that nothing more can be done.
func (d *ticketPage) IsClosed() bool { return d.State == ticket.Closed }

// CanRespond says that the vendor still owes the first answer.
func (d *ticketPage) CanRespond() bool {
	return !d.Reported.IsZero() && d.Response.At.IsZero() && !d.IsClosed()
}

// CanReport says that the box found it and nobody has told the vendor.
func (d *ticketPage) CanReport() bool { return d.Reported.IsZero() && !d.IsClosed() }

// Tone is the class of the card with the clock.
func (d *ticketPage) Tone() string {
	switch d.Clock.State {
	case "overdue", "late":
		return "bad"
	case "due-soon", "waiting", "not-started", "working-day":
		return "warn"
	}
	return ""
}

// mark is how an event looks on the timeline.
type mark struct{ Icon, Class string }

// Mark is icon and class of an event.
func (d *ticketPage) Mark(e ticket.Event) mark {
	switch e.Type {
	case ticket.Opened:
		if d.Source == ticket.System {
			return mark{"alert-triangle", " d-warn"}
		}
		return mark{"phone", " d-b"}
	case ticket.Reported:
		return mark{"phone", " d-b"}
	case ticket.Responded:
		return mark{"check", " d-ok"}
	case ticket.Repeated:
		return mark{"refresh", " d-warn"}
	case ticket.Resolved:
		return mark{"check", " d-ok"}
	case ticket.Ended:
		return mark{"circle-check", " d-ok"}
	}
	return mark{"message", ""}
}

// Clauses lists the clauses of the contract the item stands on.
func (d *ticketPage) Clauses(lang locale.Lang) string {
	return strings.Join(d.Service.Clauses, lang.T("tickets.comma"))
}

// Homeless is a problem whose form is gone: somebody else was faster.
func (d *ticketPage) Homeless() string {
	shown := map[string]bool{
		"respond": d.CanRespond(), "report": d.CanReport(), "note": !d.IsClosed(), "close": !d.IsClosed() && !d.CanRespond(),
	}
	if shown[d.Where] {
		return ""
	}
	return d.Problem
}

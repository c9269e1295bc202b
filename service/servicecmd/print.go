package servicecmd

import (
	"fmt"
	"time"

	"emrvault/appliance/table"
	"emrvault/service/contract"
	"emrvault/service/sla"
	"emrvault/service/ticket"
)

// shownTicket is a ticket as scripts read it: its row, how its clock stands
// now, and on request its timeline.
type shownTicket struct {
	ticket.Ticket
	Clock    clock          `json:"clock"`
	Timeline []ticket.Event `json:"timeline,omitempty"`
}

type clock struct {
	State sla.State `json:"state"`
	Used  float64   `json:"used"`           // share of the promised time
	Left  float64   `json:"left_seconds"`   // below zero: past due
	Took  float64   `json:"answer_seconds"` // 0: unanswered
}

func (e *Env) shown(t ticket.Ticket) shownTicket {
	s := t.Clock(e.Now())
	return shownTicket{Ticket: t, Clock: clock{s.State, s.Used, s.Left.Seconds(), s.Took.Seconds()}}
}

// printStarted tells of a ticket whose clock has just been started; key has
// a twin for items that name no hours.
func (e *Env) printStarted(t ticket.Ticket, asJSON bool, key string) error {
	if asJSON {
		return e.json(e.shown(t))
	}
	if t.OffContract {
		if err := e.say("ticket.off_contract", "channel", t.Channel.Title(e.Lang)); err != nil {
			return err
		}
	}
	if t.Due.IsZero() {
		return e.say(key+"_untimed", "number", t.Number, "rule", sla.WorkingDay.Title(e.Lang))
	}
	return e.say(key, "number", t.Number, "due", e.local(t.Due))
}

func (e *Env) printList(list []ticket.Ticket, total int, asJSON bool) error {
	if asJSON {
		for _, t := range list {
			if err := e.json(e.shown(t)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return e.say("ticket.none")
	}
	rows := [][]string{{
		e.t("ticket.head.number"), e.t("ticket.head.state"), e.t("ticket.head.clock"),
		e.t("ticket.head.item"), e.t("ticket.head.reporter"), e.t("ticket.head.title"),
	}}
	for _, t := range list {
		rows = append(rows, []string{
			t.Number, t.State.Title(e.Lang), e.clockText(t), itemTitle(t.Item, e), t.Reporter, t.Title,
		})
	}
	if err := table.Write(e.Out, rows); err != nil {
		return err
	}
	if len(list) < total {
		return e.say("ticket.more", "n", len(list), "total", total)
	}
	return nil
}

// clockText is the state of the clock, and how much time is left or was taken.
func (e *Env) clockText(t ticket.Ticket) string {
	s := t.Clock(e.Now())
	state := s.State.Title(e.Lang)
	switch {
	case t.Answered():
		return e.t("ticket.clock.took", "state", state, "took", s.Took.Round(time.Second))
	case s.Left < 0:
		return e.t("ticket.clock.over", "state", state, "over", (-s.Left).Round(time.Second))
	case !s.Due.IsZero():
		return e.t("ticket.clock.left", "state", state, "left", s.Left.Round(time.Second))
	}
	return state
}

func itemTitle(no int, e *Env) string {
	item, ok := contract.ItemOf(no)
	if !ok {
		return fmt.Sprint(no)
	}
	return item.Title(e.Lang)
}

func (e *Env) printTicket(t ticket.Ticket, lines []ticket.Event, asJSON bool) error {
	if asJSON {
		shown := e.shown(t)
		shown.Timeline = lines
		return e.json(shown)
	}
	if err := table.Write(e.Out, e.fields(t)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.Out, "\n%s\n", e.t("ticket.head.timeline")); err != nil {
		return err
	}
	rows := make([][]string, 0, len(lines))
	for _, l := range lines {
		by := l.By
		if by == "" {
			by = e.t("ticket.by_box")
		}
		rows = append(rows, []string{e.Lang.Time(e.local(l.At)), l.Type.Title(e.Lang), by, l.Text})
	}
	return table.Write(e.Out, rows)
}

// fields lists what a person wants to know of a ticket; empty ones are left
// out.
func (e *Env) fields(t ticket.Ticket) [][]string {
	var rows [][]string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, []string{e.t(key), value})
		}
	}
	add("ticket.head.number", t.Number)
	add("ticket.head.state", t.State.Title(e.Lang))
	add("ticket.head.clock", e.clockText(t))
	add("ticket.head.source", t.Source.Title(e.Lang))
	add("ticket.head.item", fmt.Sprintf("%d %s", t.Item, itemTitle(t.Item, e)))
	if m, ok := contract.ModuleOf(t.Module); ok {
		add("ticket.head.module", m.Code+" "+m.Title(e.Lang))
	}
	add("ticket.head.title", t.Title)
	add("ticket.head.description", t.Description)
	add("ticket.head.reporter", joined(t.Reporter, t.Department, t.Phone))
	add("ticket.head.channel", e.channelText(t.Channel, t.OffContract))
	if !t.Reported.IsZero() {
		add("ticket.head.reported", e.Lang.Time(e.local(t.Reported)))
	}
	add("ticket.head.backdated", t.Backdated)
	if !t.Due.IsZero() {
		add("ticket.head.due", e.Lang.Time(e.local(t.Due)))
	}
	if t.Answered() {
		add("ticket.head.response", joined(e.Lang.Time(e.local(t.Response.At)), t.Response.Engineer,
			e.channelText(t.Response.Channel, t.Response.OffContract)))
		add("ticket.head.proof", t.Response.Proof)
	}
	add("ticket.head.result", t.Result)
	return rows
}

func (e *Env) channelText(c contract.Channel, off bool) string {
	switch {
	case c == "":
		return ""
	case off:
		return e.t("ticket.channel_off", "channel", c.Title(e.Lang))
	}
	return c.Title(e.Lang)
}

func joined(parts ...string) string {
	text := ""
	for _, p := range parts {
		if p != "" && text != "" {
			text += " · "
		}
		text += p
	}
	return text
}

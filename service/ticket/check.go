package ticket

import (
	"strings"
	"time"
	"unicode/utf8"

	"emrvault/appliance/errs"
	"emrvault/service/contract"
)

// Bounds of what a person enters, in characters.
const (
	maxLine = 200
	maxText = 10_000
)

// slack is how far another clock may be ahead, and how old a report may be and
// still count as entered at once.
const slack = time.Minute

func (d *Draft) trim() {
	trim(&d.Title, &d.Description, &d.Reporter, &d.Department, &d.Phone, &d.Reason, &d.Module)
}

func (d Draft) check() error {
	if err := checkSubject(d.Item, d.Module, d.Title, d.Description); err != nil {
		return err
	}
	if err := checkContact(d.Reporter, d.Department, d.Phone, d.Channel); err != nil {
		return err
	}
	return short(d.Reason)
}

// reportedAt says when the clock of a draft starts. An older report wants
// a reason, because it moves the clock.
func (d Draft) reportedAt(now time.Time) (time.Time, error) {
	at := d.Reported.UTC().Truncate(time.Microsecond)
	switch {
	case d.Reported.IsZero():
		return now, nil
	case at.After(now.Add(slack)):
		return time.Time{}, errs.New(errs.Invalid, "ticket.from_future")
	case at.After(now):
		return now, nil
	case now.Sub(at) > slack && d.Reason == "":
		return time.Time{}, errs.New(errs.Invalid, "ticket.reason_missing")
	}
	return at, nil
}

func (d Draft) ticket() Ticket {
	return Ticket{
		Source: Person, Item: d.Item, Module: d.Module, Title: d.Title, Description: d.Description,
		Reporter: d.Reporter, Department: d.Department, Phone: d.Phone, Channel: d.Channel, Backdated: d.Reason,
	}
}

func (t *Trouble) trim() { trim(&t.Dedup, &t.Module, &t.Title, &t.Description) }

// check cuts nothing off for a person, but the box itself must never fail to
// open a ticket because its text is long.
func (t *Trouble) check() error {
	t.Title, t.Description = cut(t.Title, maxLine), cut(t.Description, maxText)
	if err := present(t.Dedup, "ticket.dedup_missing"); err != nil {
		return err
	}
	return checkSubject(t.Item, t.Module, t.Title, t.Description)
}

func (t Trouble) ticket() Ticket {
	return Ticket{
		Source: System, Dedup: t.Dedup, Item: t.Item, Module: t.Module, Title: t.Title, Description: t.Description,
	}
}

func (a *Answer) trim() { trim(&a.Engineer, &a.Proof) }

func (a Answer) check() error {
	if err := present(a.Engineer, "ticket.engineer_missing"); err != nil {
		return err
	}
	if err := short(a.Engineer); err != nil {
		return err
	}
	if !a.Channel.Known() {
		return errs.New(errs.Invalid, "ticket.channel_wrong", "channel", string(a.Channel))
	}
	return checkText(a.Proof, "ticket.proof_missing")
}

// when says at which moment an answer stops the clock.
func (a Answer) when(reported, now time.Time) (time.Time, error) {
	at := a.At.UTC().Truncate(time.Microsecond)
	switch {
	case a.At.IsZero():
		return now, nil
	case at.After(now.Add(slack)):
		return time.Time{}, errs.New(errs.Invalid, "ticket.from_future")
	case at.Before(reported) && reported.Sub(at) < slack:
		return reported, nil // typed to the minute, in the minute of the report
	case at.Before(reported):
		return time.Time{}, errs.New(errs.Invalid, "ticket.before_report")
	}
	return at, nil
}

func (r *Report) trim() { trim(&r.Reporter, &r.Department, &r.Phone) }

func (r Report) check() error { return checkContact(r.Reporter, r.Department, r.Phone, r.Channel) }

func checkSubject(item int, module, title, description string) error {
	if _, ok := contract.ItemOf(item); !ok {
		return errs.New(errs.Invalid, "ticket.item_wrong", "item", item)
	}
	if _, ok := contract.ModuleOf(module); module != "" && !ok {
		return errs.New(errs.Invalid, "ticket.module_wrong", "module", module)
	}
	if err := present(title, "ticket.title_missing"); err != nil {
		return err
	}
	if err := short(title); err != nil {
		return err
	}
	return long(description)
}

func checkContact(reporter, department, phone string, channel contract.Channel) error {
	if err := present(reporter, "ticket.reporter_missing"); err != nil {
		return err
	}
	for _, text := range []string{reporter, department, phone} {
		if err := short(text); err != nil {
			return err
		}
	}
	if !channel.Known() {
		return errs.New(errs.Invalid, "ticket.channel_wrong", "channel", string(channel))
	}
	return nil
}

func checkText(text, missing string) error {
	if err := present(text, missing); err != nil {
		return err
	}
	return long(text)
}

func present(text, missing string) error {
	if strings.TrimSpace(text) == "" {
		return errs.New(errs.Invalid, missing)
	}
	return nil
}

func short(text string) error { return bounded(text, maxLine) }

func long(text string) error { return bounded(text, maxText) }

func bounded(text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return errs.New(errs.Invalid, "ticket.too_long", "begin", cut(text, 20), "n", n, "max", most)
	}
	if !utf8.ValidString(text) {
		return errs.New(errs.Invalid, "ticket.no_text")
	}
	return nil
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

func trim(texts ...*string) {
	for _, t := range texts {
		*t = strings.TrimSpace(*t)
	}
}

// joined puts the parts that are there into one line.
func joined(parts ...string) string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	return strings.Join(list, " · ")
}

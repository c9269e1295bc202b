package desk

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/ticket"
	"emrvault/webui/render"
)

// draftForm is a call as it is typed.
type draftForm struct {
	Reporter, Department, Phone string
	Item                        int
	Module, Title, Description  string
	Channel                     contract.Channel
	Reported, Reason            string // entered afterwards: when it was, and why so late
	Now                         time.Time
	Problem                     string
	items                       []contract.Item
}

func newDraft(f *render.Frame) draftForm {
	return draftForm{Item: 2, Channel: contract.Phone, Now: f.Now, items: contract.Items()}
}

func readDraft(c render.Context) draftForm {
	get := func(name string) string { return strings.TrimSpace(c.PostForm(name)) }
	d := newDraft(render.FrameOf(c))
	d.Reporter, d.Department, d.Phone = get("reporter"), get("department"), get("phone")
	d.Item, _ = strconv.Atoi(get("item")) // the desk refuses what is no item
	d.Module, d.Title, d.Description = get("module"), get("title"), get("description")
	d.Channel = contract.Channel(get("channel"))
	d.Reported, d.Reason = get("reported"), get("reason")
	return d
}

// channelChoice is one channel of the form.
type channelChoice struct {
	contract.Channel
	Outside bool // the item is not offered over it
	Chosen  bool
}

// Channels lists the channels for the chosen item. Those outside the contract
// may be chosen, because a person who calls cannot be unheard, but are marked.
func (d draftForm) Channels() []channelChoice { return channelsOf(d.Item, d.Channel) }

func channelsOf(no int, chosen contract.Channel) []channelChoice {
	item, known := contract.ItemOf(no)
	var list []channelChoice
	for _, ch := range contract.Channels() {
		list = append(list, channelChoice{ch, known && !item.Allows(ch), ch == chosen})
	}
	return list
}

// Promise tells how fast the chosen item is answered.
func (d draftForm) Promise(lang locale.Lang) string {
	item, ok := contract.ItemOf(d.Item)
	if !ok {
		return ""
	}
	return item.Response.Title(lang)
}

// Often are the items that people call about; the others stand in a list.
func (d draftForm) Often() []contract.Item { return d.items[:min(8, len(d.items))] }

// Seldom are the other items.
func (d draftForm) Seldom() []contract.Item { return d.items[min(8, len(d.items)):] }

// typedTimes are how a moment is typed: as a browser's field writes it, or by
// hand.
var typedTimes = []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// moment reads a typed moment in the site's zone; empty is the zero time.
func moment(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range typedTimes {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.New(errs.Invalid, "tickets.time.wrong", "value", text)
}

// draft turns the form into what the desk takes.
func (d draftForm) draft(zone *time.Location) (ticket.Draft, error) {
	at, err := moment(d.Reported, zone)
	return ticket.Draft{
		Item: d.Item, Module: d.Module, Title: d.Title, Description: d.Description, Reporter: d.Reporter,
		Department: d.Department, Phone: d.Phone, Channel: d.Channel, Reported: at, Reason: d.Reason,
	}, err
}

// Channels is GET /tickets/channels?item=: the channels again, marked for
// another item.
func (p *Pages) Channels(c render.Context) {
	d := newDraft(render.FrameOf(c))
	d.Item, _ = strconv.Atoi(c.Query("item"))
	d.Channel = contract.Channel(c.Query("channel"))
	p.render.Fragment(c, "desk/tickets", "channels", d)
}

// Open is POST /tickets/new.
func (p *Pages) Open(c render.Context) {
	f, form := render.FrameOf(c), readDraft(c)
	draft, err := form.draft(f.Now.Location())
	var made ticket.Ticket
	if err == nil {
		made, err = p.tickets.New(render.Ctx(c), render.NameOf(c), draft)
	}
	switch {
	case err == nil:
		p.render.Done(c, "/tickets/"+made.Number, "tickets.opened", "number", made.Number)
	case errs.KindOf(err) == errs.Internal:
		p.render.Error(c, err)
	default:
		form.Problem = f.Lang.Error(err)
		p.again(c, form)
	}
}

func (p *Pages) again(c render.Context, form draftForm) {
	d, err := p.list(c, form)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	p.render.PageStatus(c, http.StatusUnprocessableEntity, "desk/tickets", d)
}

// Package ticket is the record of the service desk: one ticket for each thing
// the hospital asked of the vendor, from the report to the closing word.
//
// A person's ticket is reported the moment it is made, or earlier when a call
// is entered afterwards, with a reason; from then the response clock of its
// item runs. The first answer of a named engineer over a named channel stops it
// for good. A ticket the box opens by itself has no clock until a person of the
// hospital reports it to the vendor; while it is open, the same trouble adds
// a line to it instead of opening a twin.
//
// Every act is one transaction with its own line on the timeline, and lines are
// only ever added. A ticket's number, GD-2026-0001, comes from a book that gives
// none twice.
package ticket

import (
	"time"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
	"emrvault/service/sla"
)

// Source says who opened a ticket.
type Source string

// The sources.
const (
	Person Source = "person" // 人工
	System Source = "system" // 系统
)

// Title names the source for people.
func (s Source) Title(lang locale.Lang) string { return lang.T("ticket.source." + string(s)) }

// State says where a ticket stands.
type State string

// The states, in order.
const (
	Waiting State = "waiting" // 待响应
	Working State = "working" // 处理中
	Solved  State = "solved"  // 已解决
	Closed  State = "closed"  // 已关闭
)

// States lists all states in order.
func States() []State { return []State{Waiting, Working, Solved, Closed} }

// Title names the state for people.
func (s State) Title(lang locale.Lang) string { return lang.T("ticket.state." + string(s)) }

// Ticket is one ticket.
type Ticket struct {
	ID          int64            `json:"id"`
	Number      string           `json:"number"`
	Source      Source           `json:"source"`
	Dedup       string           `json:"dedup,omitempty"` // what a ticket of the box is about
	State       State            `json:"state"`
	Item        int              `json:"item"`
	Module      string           `json:"module,omitempty"`
	Title       string           `json:"title"`
	Description string           `json:"description,omitempty"`
	Reporter    string           `json:"reporter,omitempty"`
	Department  string           `json:"department,omitempty"`
	Phone       string           `json:"phone,omitempty"`
	Channel     contract.Channel `json:"channel,omitempty"`
	OffContract bool             `json:"off_contract"` // 合同外渠道: reported over a channel the item does not offer
	Created     time.Time        `json:"created"`
	CreatedBy   string           `json:"created_by"`
	Reported    time.Time        `json:"reported,omitzero"` // zero: not reported to the vendor
	Backdated   string           `json:"backdated,omitempty"`
	Rule        string           `json:"rule,omitempty"` // by which Due was reckoned
	Due         time.Time        `json:"due,omitzero"`
	Response    Response         `json:"response,omitzero"`
	Solved      time.Time        `json:"solved,omitzero"`
	Closed      time.Time        `json:"closed,omitzero"`
	ClosedBy    string           `json:"closed_by,omitempty"`
	Result      string           `json:"result,omitempty"`
	Changed     time.Time        `json:"changed"`
}

// Response is the first answer of the vendor.
type Response struct {
	At          time.Time        `json:"at"`
	Engineer    string           `json:"engineer"`
	Channel     contract.Channel `json:"channel"`
	OffContract bool             `json:"off_contract"`
	Proof       string           `json:"proof,omitempty"` // call entry, mail id, what was said
}

// Clock tells how the ticket stands towards its response clock. The due
// moment is the one that was written down when the clock started.
func (t Ticket) Clock(now time.Time) sla.Status {
	return sla.Stand(t.Reported, t.Due, t.Response.At, now)
}

// Answered says that the vendor has answered.
func (t Ticket) Answered() bool { return !t.Response.At.IsZero() }

// Draft is what a person enters for a new ticket.
type Draft struct {
	Item        int
	Module      string // empty: none named
	Title       string
	Description string
	Reporter    string
	Department  string
	Phone       string
	Channel     contract.Channel
	Reported    time.Time // zero: now; earlier wants a reason
	Reason      string    // why the entry is later than the report
}

// Trouble is what the box opens a ticket for.
type Trouble struct {
	Dedup       string // what it is about, as "plan/3/backup"; must be set
	Item        int
	Module      string
	Title       string
	Description string
}

// Answer is the first response as it is entered.
type Answer struct {
	Engineer string
	Channel  contract.Channel
	Proof    string    // must be given: an answer without a trace cannot be shown later
	At       time.Time // zero: now; never before the report
}

// Report tells the vendor of a ticket the box opened.
type Report struct {
	Reporter   string
	Department string
	Phone      string
	Channel    contract.Channel
}

// EventType says what a line of the timeline tells.
type EventType string

// The event types.
const (
	Opened    EventType = "opened"
	Reported  EventType = "reported"
	Responded EventType = "responded"
	Noted     EventType = "note"
	Repeated  EventType = "repeated" // the box met the same trouble again
	Resolved  EventType = "solved"
	Ended     EventType = "closed"
)

// Title names the event for people.
func (e EventType) Title(lang locale.Lang) string { return lang.T("ticket.event." + string(e)) }

// Event is one line of a ticket's timeline.
type Event struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`
	By   string    `json:"by"` // empty: the box itself
	Type EventType `json:"type"`
	Text string    `json:"text,omitempty"`
}

// Filter narrows a list of tickets; set fields must all be met.
type Filter struct {
	Numbers []string
	Source  Source
	States  []State
	Open    bool // not closed
	Item    int
	Module  string
	Text    string // in number, title, description, reporter, department
	Overdue bool   // unanswered past the due moment
	Limit   int    // 0: 50
	Offset  int
}

// Stats are the figures of the overview.
type Stats struct {
	Open     int           `json:"open"`     // not closed
	Waiting  int           `json:"waiting"`  // the vendor owes an answer
	Overdue  int           `json:"overdue"`  // and it is past due
	Unsent   int           `json:"unsent"`   // of the box, not yet reported to the vendor
	Answered int           `json:"answered"` // first answers in the period
	Late     int           `json:"late"`     // of these, past the due moment
	Median   time.Duration `json:"median"`   // report to first answer, over the period; 0: none
}

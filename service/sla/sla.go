// Package sla is the response clock: from the moment the hospital reported,
// how long the vendor has to answer, and how that stands now.
//
// A clock is pure. It is given the item, the moments and now, and answers. It
// never pauses: the contract promises a first answer, and nothing that happens
// meanwhile moves the promise. This version knows one clock, round the clock,
// every day. Items that the contract ties to working days have no hours here:
// their state says so, and no due moment is made up.
package sla

import (
	"time"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
)

// State says how a ticket stands towards its clock.
type State string

// The states.
const (
	NotStarted State = "not-started" // not reported to the vendor: no clock runs
	WorkingDay State = "working-day" // by working days; this version has no calendar
	Waiting    State = "waiting"     // 未响应
	DueSoon    State = "due-soon"    // 即将超时: four fifths of the time are gone
	Overdue    State = "overdue"     // 超时: unanswered past the due moment
	Answered   State = "answered"    // 已响应, in time or without a due moment
	Late       State = "late"        // 已响应, past the due moment
)

// soon is the share of the time from which an answer is due soon.
const soon = 0.8

// Title names the state for people.
func (s State) Title(lang locale.Lang) string { return lang.T("sla." + string(s)) }

// Open says that the vendor still owes the first answer.
func (s State) Open() bool { return s == Waiting || s == DueSoon || s == Overdue || s == WorkingDay }

// Status is how a ticket stands towards its clock at one moment.
type Status struct {
	State State
	Due   time.Time // zero: none
	// Used is the share of the promised time that has gone: until the answer
	// once there is one, until now before; above 1 when it took longer. 0
	// without a due moment.
	Used float64
	// Left is the time until due, below zero when it has passed; counted like
	// Used.
	Left time.Duration
	// Took is report to answer; 0 while unanswered.
	Took time.Duration
}

// Clock reckons due moments. The zero value runs round the clock.
type Clock struct{}

// Rule names the rule and its version, kept beside each due moment so that it
// can be reckoned again later.
func (Clock) Rule() string { return "7x24/1" }

// Due is when the first answer is due; false when the item names no hours or
// nothing was reported.
func (Clock) Due(item contract.Item, reported time.Time) (time.Time, bool) {
	if item.Response.Target <= 0 || reported.IsZero() {
		return time.Time{}, false
	}
	return reported.Add(item.Response.Target), true
}

// At tells how a report stands at now, by the item's own promise.
func (c Clock) At(item contract.Item, reported, responded, now time.Time) Status {
	due, _ := c.Due(item, reported)
	return Stand(reported, due, responded, now)
}

// Stand tells how a report stands at now towards a due moment that was written
// down when its clock started. A zero reported means that no clock was started,
// a zero due that the item names no hours, a zero responded that nobody has
// answered.
func Stand(reported, due, responded, now time.Time) Status {
	if reported.IsZero() {
		return Status{State: NotStarted}
	}
	s := Status{Due: due}
	until := now
	if !responded.IsZero() {
		s.Took, until = responded.Sub(reported), responded
	}
	if !due.IsZero() {
		s.Left = due.Sub(until)
		s.Used = max(0, share(until.Sub(reported), due.Sub(reported)))
	}
	s.State = state(!due.IsZero(), !responded.IsZero(), s)
	return s
}

// share divides two lengths of time; a promise of no length is used up.
func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// state reads the state off the figures. An answer at the due moment itself is
// in time.
func state(timed, answered bool, s Status) State {
	switch {
	case answered && timed && s.Left < 0:
		return Late
	case answered:
		return Answered
	case !timed:
		return WorkingDay
	case s.Left < 0:
		return Overdue
	case s.Used >= soon:
		return DueSoon
	}
	return Waiting
}

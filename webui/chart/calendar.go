package chart

import (
	"html/template"
	"time"
)

// Mark is what a day of the calendar shows.
type Mark int

const (
	// NoMark is a day with nothing to tell: before the first run, or no plan was due.
	NoMark Mark = iota
	// Good says that all runs of the day succeeded.
	Good
	// Drilled says that all succeeded and a restore drill passed.
	Drilled
	// Attention says that something succeeded only in part or after a retry.
	Attention
	// Failed says that a run of the day failed or was missed.
	Failed
)

// marks are class and sign of each mark: the colour never stands alone.
var marks = map[Mark]struct{ class, sign string }{
	NoMark:    {"", "·"},
	Good:      {"c3", "✓"},
	Drilled:   {"c4", "◆"},
	Attention: {"cw", "!"},
	Failed:    {"cb", "✕"},
}

// Sign is the sign of a mark, for legends and tables.
func (m Mark) Sign() string { return marks[m].sign }

// Day is one day of the calendar.
type Day struct {
	Date  time.Time // any moment of the day, in the site's zone
	Mark  Mark
	Label string // what happened, in words: "2026-11-04 2 次失败"
	Href  string // page with the details; empty for none
}

// Calendar is a block of weeks, Monday first.
type Calendar struct {
	Days     []Day     // consecutive, oldest first
	Today    time.Time // gets a ring
	Weekdays [7]string // short names, Monday first
}

// HTML draws the calendar as a grid of seven columns.
func (k Calendar) HTML() template.HTML {
	var c canvas
	c.put(`<div class="heat heat-h" aria-hidden="true">`)
	for _, name := range k.Weekdays {
		c.put(`<div class="wd">%s</div>`, text(name))
	}
	c.put(`</div><div class="heat">`)
	if len(k.Days) > 0 {
		k.before(&c)
	}
	for i, day := range k.Days {
		k.cell(&c, day, i == 0)
	}
	c.put(`</div>`)
	return c.html()
}

// before fills the first week up to the first day.
func (k Calendar) before(c *canvas) {
	first := k.Days[0].Date
	for back := (int(first.Weekday()) + 6) % 7; back > 0; back-- {
		c.put(`<div class="cell out" aria-hidden="true">%d</div>`, first.AddDate(0, 0, -back).Day())
	}
}

func (k Calendar) cell(c *canvas, day Day, first bool) {
	mark, class := marks[day.Mark], "cell"
	if mark.class != "" {
		class += " " + mark.class
	}
	if sameDay(day.Date, k.Today) {
		class += " today"
	}
	tag, link := "div", ""
	if day.Href != "" {
		tag, link = "a", ` href="`+text(day.Href)+`"`
	}
	number, small := day.Date.Format("2"), ""
	if first || day.Date.Day() == 1 {
		number, small = day.Date.Format("1/2"), " m"
	}
	c.put(`<%s class="%s"%s title="%s"><b class="num%s" aria-hidden="true">%s</b><span aria-hidden="true">%s</span><span class="sr">%s</span></%s>`,
		tag, class, link, text(day.Label), small, number, mark.sign, text(day.Label), tag)
}

func sameDay(a, b time.Time) bool {
	y1, m1, d1 := a.Date()
	y2, m2, d2 := b.Date()
	return y1 == y2 && m1 == m2 && d1 == d2
}

// Package chart draws the small pictures of the pages: gauges, the calendar of
// the last thirty days, the growth of the storage, the bar of a drill.
//
// All are pure functions from figures and finished texts to markup. They use
// classes of the stylesheet and no style of their own, so they obey the strict
// content policy and follow the theme; they are drawn on the server, so they
// print and need no script. Every picture says in words what it shows, and
// a status always has a sign beside its colour.
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Tone is how good something is.
type Tone string

// The tones.
const (
	OK   Tone = "ok"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

// ToneOf judges a measured value against its target: over it is bad, close to
// it a warning.
func ToneOf(ratio float64) Tone {
	switch {
	case ratio > 1:
		return Bad
	case ratio > 0.75:
		return Warn
	}
	return OK
}

// canvas collects markup; every text goes through text, which escapes it.
type canvas struct{ strings.Builder }

func (c *canvas) put(format string, args ...any) { fmt.Fprintf(&c.Builder, format, args...) }

func (c *canvas) html() template.HTML {
	return template.HTML(c.String()) //nolint:gosec // every text in it was escaped by text
}

func text(s string) string { return template.HTMLEscapeString(s) }

// short writes a coordinate with at most one decimal.
func short(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// Gauge is a half circle with a mark at the target.
type Gauge struct {
	Ratio   float64 // measured ÷ target; negative when nothing was measured yet
	Value   string  // large, inside: "4 分 38 秒"
	Caption string  // small, below the value
	Label   string  // the whole in words, for readers that speak
}

// targetAt is where on the arc the target lies: room beyond it shows by how
// much it was missed.
const targetAt = 0.8

// SVG draws the gauge.
func (g Gauge) SVG() template.HTML {
	var c canvas
	c.put(`<svg viewBox="0 0 200 112" role="img" aria-label="%s">`, text(g.Label))
	c.put(`<path class="s-line" d="M20 98 A80 80 0 0 1 180 98"/>`)
	if g.Ratio >= 0 && !math.IsNaN(g.Ratio) {
		share := math.Min(g.Ratio*targetAt, 1) * 100
		c.put(`<path class="s-%s" d="M20 98 A80 80 0 0 1 180 98" pathLength="100" stroke-dasharray="%s 200"/>`,
			ToneOf(g.Ratio), short(math.Max(share, 0.5)))
	}
	angle := math.Pi * (1 - targetAt)
	at := func(r float64) (string, string) {
		return short(100 + r*math.Cos(angle)), short(98 - r*math.Sin(angle))
	}
	x1, y1 := at(68)
	x2, y2 := at(90)
	c.put(`<line x1="%s" y1="%s" x2="%s" y2="%s"/>`, x1, y1, x2, y2)
	c.put(`<text class="g-v num" x="100" y="84" text-anchor="middle">%s</text>`, text(g.Value))
	c.put(`<text class="g-u" x="100" y="103" text-anchor="middle">%s</text></svg>`, text(g.Caption))
	return c.html()
}

// Measure is a bar with a mark at the target, as on the sheet of a drill.
type Measure struct {
	Ratio  float64 // measured ÷ target
	Target string  // text below the mark: "目标 60 分"
	Label  string  // the whole in words
}

// SVG draws the bar.
func (m Measure) SVG() template.HTML {
	const width = 400.0
	var c canvas
	c.put(`<svg viewBox="0 0 400 34" role="img" aria-label="%s"><rect class="f-line" y="6" width="400" height="8" rx="4"/>`, text(m.Label))
	if m.Ratio >= 0 && !math.IsNaN(m.Ratio) {
		tone := "ok"
		if m.Ratio > 1 {
			tone = "bad"
		}
		c.put(`<rect class="f-%s" y="6" width="%s" height="8" rx="4"/>`, tone, short(math.Max(math.Min(m.Ratio*targetAt, 1)*width, 4)))
	}
	x := short(targetAt * width)
	c.put(`<line class="s-ink" x1="%s" x2="%s" y1="2" y2="18" stroke-width="2"/><text x="%s" y="31" text-anchor="middle">%s</text></svg>`, x, x, x, text(m.Target))
	return c.html()
}

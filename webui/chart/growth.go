package chart

import (
	"html/template"
	"math"
	"strconv"
	"time"
)

// Sample is the size of things at one moment.
type Sample struct {
	Time   time.Time // in the site's zone
	Values []float64 // one for each series, in the unit of the chart
}

// Growth is how the storage filled over time: a picture, and the same figures
// as a table underneath.
type Growth struct {
	ID      string   // id of the table; "growth" when empty
	Series  []string // names, at most two: what there is, what it takes
	Unit    string   // "GB"
	Samples []Sample // oldest first
	Label   string   // the picture in words
	Day     string   // head of the first column
	Summary string   // the line that opens the table
}

const (
	plotLeft, plotRight = 44.0, 700.0
	plotTop, plotBottom = 16.0, 200.0
)

var inks = []struct{ line, word string }{{"info", "k-i"}, {"brand", "k-b"}}

// HTML draws picture and table. With fewer than two samples there is no line
// to draw, and only the table appears.
func (g Growth) HTML() template.HTML {
	if g.ID == "" {
		g.ID = "growth"
	}
	var c canvas
	if len(g.Samples) >= 2 {
		c.put(`<div class="plot" data-plot="%s" data-unit="%s">`, text(g.ID), text(g.Unit))
		g.picture(&c)
		c.put(`</div>`)
	}
	g.table(&c)
	return c.html()
}

func (g Growth) picture(c *canvas) {
	top := ceiling(g.largest())
	c.put(`<svg class="chart" viewBox="0 0 712 228" role="img" aria-label="%s">`, text(g.Label))
	for i := range 5 {
		v := top * float64(i) / 4
		y := g.y(v, top)
		c.put(`<line class="grid" x1="44" x2="700" y1="%s" y2="%s"/><text x="36" y="%s" text-anchor="end">%s</text>`,
			short(y), short(y), short(y+4), figure(v))
	}
	g.days(c)
	for i := range g.Series {
		g.line(c, i, top)
	}
	c.put(`</svg>`)
}

// days writes at most seven dates under the picture.
func (g Growth) days(c *canvas) {
	n := len(g.Samples)
	steps := min(n-1, 6)
	for i := 0; i <= steps; i++ {
		sample := g.Samples[i*(n-1)/steps]
		anchor := "middle"
		switch i {
		case 0:
			anchor = "start"
		case steps:
			anchor = "end"
		}
		c.put(`<text x="%s" y="220" text-anchor="%s">%s</text>`, short(g.x(sample.Time)), anchor, sample.Time.Format("1/2"))
	}
}

func (g Growth) line(c *canvas, series int, top float64) {
	ink := inks[series%len(inks)]
	points := ""
	for _, s := range g.Samples {
		points += short(g.x(s.Time)) + "," + short(g.y(s.Values[series], top)) + " "
	}
	points = points[:len(points)-1]
	last := g.Samples[len(g.Samples)-1].Values[series]
	c.put(`<polygon class="f-%s a-fill" points="44,200 %s 700,200"/><polyline class="s s-%s" points="%s"/>`, ink.line, points, ink.line, points)
	c.put(`<text class="%s" x="700" y="%s" text-anchor="end">%s %s</text>`, ink.word, short(math.Max(g.y(last, top)-8, 12)), text(g.Series[series]), figure(last))
}

func (g Growth) table(c *canvas) {
	c.put(`<details class="tab"><summary>%s</summary><table class="tbl tbl-d" id="%s"><thead><tr><th>%s</th>`, text(g.Summary), text(g.ID), text(g.Day))
	for _, name := range g.Series {
		c.put(`<th>%s</th>`, text(name+" "+g.Unit))
	}
	c.put(`</tr></thead><tbody>`)
	for _, s := range g.Samples {
		c.put(`<tr><td class="num"><time datetime="%s">%s</time></td>`, s.Time.Format(time.RFC3339), s.Time.Format("1/2"))
		for _, v := range s.Values {
			c.put(`<td class="num" data-v="%s">%s</td>`, strconv.FormatFloat(v, 'g', -1, 64), figure(v))
		}
		c.put(`</tr>`)
	}
	c.put(`</tbody></table></details>`)
}

func (g Growth) x(t time.Time) float64 {
	first, last := g.Samples[0].Time, g.Samples[len(g.Samples)-1].Time
	if !last.After(first) {
		return plotLeft
	}
	return plotLeft + (plotRight-plotLeft)*float64(t.Sub(first))/float64(last.Sub(first))
}

func (g Growth) y(v, top float64) float64 {
	return plotBottom - (plotBottom-plotTop)*v/top
}

func (g Growth) largest() float64 {
	most := 0.0
	for _, s := range g.Samples {
		for _, v := range s.Values {
			most = math.Max(most, v)
		}
	}
	return most
}

// ceiling is the next round number a quarter of which reads well.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 6, 8} {
		if v <= step*base {
			return step * base
		}
	}
	return 10 * base
}

// figure writes a value with three digits that count.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

package overview

import (
	"context"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"emrvault/backup/plan"
	"emrvault/webui/chart"
	"emrvault/webui/render"
)

func planHref(id int64) string       { return "/plans/" + strconv.FormatInt(id, 10) }
func repositoryHref(id int64) string { return "/repositories/" + strconv.FormatInt(id, 10) }

// gauges are the two pictures of the plan that matters most.
type gauges struct {
	Plan             *plan.Standing // nil: no plan
	RPO, RTO         template.HTML
	RPOText, RTOText string // below the picture
}

func gaugesOf(f *render.Frame, s *plan.Standing) gauges {
	if s == nil {
		return gauges{}
	}
	t := f.Lang.T
	g := gauges{Plan: s, RPOText: target(f, s.Plan.RPO), RTOText: target(f, s.Plan.RTO)}
	rpo, rto := s.RPO, s.RTO
	if s.Last == nil {
		rpo = -1
	}
	if rto == 0 {
		rto = -1
	}
	g.RPO = gauge(f, rpo, s.Plan.RPO.D(), t("overview.rpo.now"), t("overview.rpo.unknown"))
	g.RTO = gauge(f, rto, s.Plan.RTO.D(), t("overview.rto.last"), t("overview.rto.unknown"))
	return g
}

func target(f *render.Frame, d plan.Duration) string {
	if d == 0 {
		return f.Lang.T("overview.target.none")
	}
	return f.Lang.T("overview.target", "time", d.D())
}

// gauge draws one measure; is below zero was not measured. Without a target
// the value stands alone, because there is nothing to compare it with.
func gauge(f *render.Frame, is, target time.Duration, caption, unknown string) template.HTML {
	g := chart.Gauge{Ratio: -1, Value: "—", Caption: unknown}
	if is >= 0 {
		g.Value, g.Caption = f.Lang.Duration(is), caption
		if target > 0 {
			g.Ratio = float64(is) / float64(target)
		}
	}
	g.Label = g.Caption + " " + g.Value
	return g.SVG()
}

// calendar is the card of the last thirty days.
type calendar struct {
	HTML template.HTML
	Span string // "10/24 – 11/22"
}

func calendarOf(f *render.Frame, days []plan.Day) calendar {
	if len(days) == 0 {
		return calendar{}
	}
	k := chart.Calendar{Today: f.Now}
	for i := range k.Weekdays {
		k.Weekdays[i] = f.Lang.T("overview.weekday." + strconv.Itoa(i+1))
	}
	for _, d := range days {
		date := d.Date.In(f.Now.Location())
		square := chart.Day{Date: date, Mark: markOf(d), Label: labelOf(f, d, date)}
		if square.Mark != chart.NoMark {
			square.Href = "/points?day=" + date.Format(time.DateOnly)
		}
		k.Days = append(k.Days, square)
	}
	return calendar{k.HTML(), k.Days[0].Date.Format("1/2") + " – " + k.Days[len(days)-1].Date.Format("1/2")}
}

func markOf(d plan.Day) chart.Mark {
	switch d.Mark() {
	case "failed":
		return chart.Failed
	case "partial":
		return chart.Attention
	case "proven":
		return chart.Drilled
	case "good":
		return chart.Good
	}
	return chart.NoMark
}

// labelOf tells a day in words; a part that counts nothing is left out.
func labelOf(f *render.Frame, d plan.Day, date time.Time) string {
	var parts []string
	for _, p := range []struct {
		key string
		n   int
	}{
		{"overview.day.good", d.Good}, {"overview.day.partial", d.Partial}, {"overview.day.failed", d.Failed},
		{"overview.day.drills", d.Drills}, {"overview.day.faults", d.Faults},
	} {
		if p.n > 0 {
			parts = append(parts, f.Lang.Plural(p.key, p.n))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, f.Lang.T("overview.day.nothing"))
	}
	return date.Format(time.DateOnly) + " " + strings.Join(parts, f.Lang.T("overview.comma"))
}

// growth is the card of what is protected and what it takes.
type growth struct {
	HTML template.HTML
	Unit string
}

// growthDays is how far the picture goes back.
const growthDays = 30

// growth works the last days out from the points that exist: what each plan's
// newest point of the day held, and how much the points up to that day have
// stored. Expired points are not in it: it shows what is kept, not what was.
func (p *Pages) growth(ctx context.Context, f *render.Frame, d *page) (growth, error) {
	today := midnight(f.Now)
	first := today.AddDate(0, 0, 1-growthDays)
	points, _, err := p.book.Points(ctx, plan.PointFilter{From: first})
	if err != nil || len(points) == 0 {
		return growth{}, err
	}
	unit, name := unitOf(max(d.Bytes, d.Stored))
	g := chart.Growth{
		Series: []string{f.Lang.T("overview.growth.data"), f.Lang.T("overview.growth.stored")}, Unit: name,
		Label: f.Lang.T("overview.growth.label"), Day: f.Lang.T("overview.growth.day"), Summary: f.Lang.T("overview.growth.table"),
	}
	for day := first; !day.After(today); day = day.AddDate(0, 0, 1) {
		data, later := upTo(points, day.AddDate(0, 0, 1))
		if data == 0 && len(g.Samples) == 0 {
			continue // before the first point
		}
		stored := max(0, d.Stored-later)
		g.Samples = append(g.Samples, chart.Sample{Time: day, Values: []float64{float64(data) / unit, float64(stored) / unit}})
	}
	if len(g.Samples) < 2 {
		return growth{}, nil // a line needs two days
	}
	return growth{g.HTML(), name}, nil
}

// upTo adds up the newest point of every plan before a moment, and what the
// points since then have stored.
func upTo(newestFirst []plan.Point, until time.Time) (data, later int64) {
	seen := map[int64]bool{}
	for _, pt := range newestFirst {
		if !pt.AsOf.Before(until) {
			later += pt.Added
			continue
		}
		if !seen[pt.Plan] {
			seen[pt.Plan] = true
			data += pt.Bytes
		}
	}
	return data, later
}

// unitOf chooses the unit in which the largest value reads well.
func unitOf(n int64) (float64, string) {
	size := 1.0
	for _, name := range []string{"B", "KB", "MB", "GB"} {
		if float64(n) < size*1024 {
			return size, name
		}
		size *= 1024
	}
	return size, "TB"
}

func midnight(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, t.Location())
}

// value is a figure in large and its unit in small, as the cards show them.
type value struct{ Number, Unit string }

// Size cuts the words of a size into number and unit.
func (d *page) Size(f *render.Frame, n int64) value {
	number, unit, _ := strings.Cut(f.Lang.Bytes(n), " ")
	return value{number, unit}
}

// DiskLine tells how full a repository's disk is.
func (d *page) DiskLine(f *render.Frame, r plan.Repository) string {
	if r.Total <= 0 {
		return f.Lang.T("overview.disk.unknown")
	}
	return fmt.Sprintf("%s / %s", f.Lang.Bytes(r.Total-r.Free), f.Lang.Bytes(r.Total))
}

package render

import (
	"time"

	"emrvault/backup/plan"
	"emrvault/backup/source"
)

// Note tells a sentence of the backup wing in the reader's language, its
// moments in the site's zone.
func (f *Frame) Note(n plan.Note) string {
	args := make([]any, len(n.Args))
	for i, a := range n.Args {
		if at, ok := a.(time.Time); ok {
			a = at.In(f.Now.Location())
		}
		args[i] = a
	}
	return plan.Say(n.Key, args...).In(f.Lang)
}

// Finding tells what a source found when it was tried or captured.
func (f *Frame) Finding(x source.Finding) string {
	args := make([]any, 0, 2*len(x.Args))
	for name, value := range x.Args {
		args = append(args, name, value)
	}
	return f.Lang.T(x.Key, args...)
}

// Moment names a moment as people say it: today, tomorrow and yesterday by
// their words, other days by date. The zero time is a dash.
func (f *Frame) Moment(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	t = t.In(f.Now.Location())
	day := func(days int) bool { return sameDay(t, f.Now.AddDate(0, 0, days)) }
	switch {
	case day(0):
		return f.Lang.T("moment.today", "time", t.Format("15:04"))
	case day(1):
		return f.Lang.T("moment.tomorrow", "time", t.Format("15:04"))
	case day(-1):
		return f.Lang.T("moment.yesterday", "time", t.Format("15:04"))
	}
	return f.Lang.TimeNear(t, f.Now)
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

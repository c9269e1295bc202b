package run

import (
	"strings"
	"time"
	"unicode"

	"emrvault/backup/plan"
	"emrvault/backup/snapshot"
)

// maxLosses bounds the files that are named: a person acts on the first few,
// and the verbs of the console name them all.
const maxLosses = 50

// tale turns losses into sentences.
type tale struct {
	zone  *time.Location
	notes []plan.Note
	more  int
	to    time.Time // the newest point concerned
}

func (t *tale) add(l snapshot.Loss) {
	if l.Last.After(t.to) {
		t.to = l.Last
	}
	if len(t.notes) >= maxLosses {
		t.more++
		return
	}
	key := "run.loss.part"
	switch {
	case l.Type == snapshot.Dir:
		key = "run.loss.folder"
	case l.Missing >= l.Size:
		key = "run.loss.file"
	}
	t.notes = append(t.notes, plan.Say(key, "path", legible(l.Path), "size", plan.Size(l.Size), "missing", plan.Size(l.Missing),
		"n", l.Points, "days", days(l.First.In(t.zone), l.Last.In(t.zone))))
}

// days is the span of the points concerned, written alike in all languages.
func days(first, last time.Time) string {
	a, b := first.Format(time.DateOnly), last.Format(time.DateOnly)
	if a == b {
		return a
	}
	return a + " – " + b
}

// legible keeps a path from doing things to a terminal or a mail.
func legible(path string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(path, string(unicode.ReplacementChar)))
}

func (t *tale) end(report snapshot.LossReport) []plan.Note {
	if t.more > 0 || report.More {
		t.notes = append(t.notes, plan.Say("run.loss.more", "n", t.more))
	}
	return t.notes
}

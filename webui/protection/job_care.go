package protection

import (
	"encoding/json"

	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/webui/render"
)

// left reads what a job has left so far; false when it has left nothing.
func (d *jobPage) left(result any) bool {
	return len(d.Result) > 0 && json.Unmarshal(d.Result, result) == nil
}

// copied tells of the copying of points to a second repository.
func (d *jobPage) copied(f *render.Frame) (list []outcome) {
	var ask run.CopyRequest
	if json.Unmarshal(d.Params, &ask) == nil && ask.Plan > 0 {
		list = append(list, outcome{Key: "jobs.plan", Text: f.Lang.T("jobs.plan.open"), Href: planHref(ask.Plan)})
	}
	var got run.CopyResult
	if !d.left(&got) {
		return list
	}
	list = append(list,
		outcome{Key: "jobs.copy.to", Text: got.Repository},
		outcome{Key: "jobs.copied", Text: f.Lang.Plural("jobs.points", got.Copied) + " · " + f.Lang.Bytes(got.Bytes)})
	if got.Expired > 0 {
		list = append(list, outcome{Key: "jobs.copy.expired", Text: f.Lang.Plural("jobs.points", got.Expired)})
	}
	if got.Skipped > 0 {
		list = append(list, outcome{Key: "jobs.copy.skipped", Text: f.Lang.Plural("jobs.points", got.Skipped), Alarm: true})
	}
	return list
}

// cared tells of the care of a repository.
func (d *jobPage) cared(f *render.Frame) (list []outcome) {
	var ask run.CareRequest
	if json.Unmarshal(d.Params, &ask) == nil && ask.Repository > 0 {
		list = append(list, outcome{Key: "jobs.repository", Text: f.Lang.T("jobs.repository.open"), Href: repositoryHref(ask.Repository)})
	}
	var got run.CareResult
	if !d.left(&got) {
		return list
	}
	list = append(list,
		outcome{Key: "jobs.care.verified", Text: f.Lang.Bytes(got.Verified) + " · " + f.Lang.T("jobs.care.percent", "percent", got.Care.Percent)})
	if got.Freed > 0 {
		list = append(list, outcome{Key: "jobs.care.freed", Text: f.Lang.Bytes(got.Freed)})
	}
	if got.Protected > 0 {
		list = append(list, outcome{Key: "jobs.care.protected", Text: f.Lang.Plural("jobs.documents", int(got.Protected))})
	}
	if got.Care.Overdue > 0 {
		list = append(list, outcome{Key: "jobs.care.overdue", Text: f.Lang.Plural("repositories.care.overdue-short", got.Care.Overdue), Alarm: true})
	}
	list = healed(f, list, got.Care.Healed)
	if got.Care.Damaged > 0 {
		list = append(list, outcome{Key: "jobs.findings", Text: f.Lang.Plural("repositories.care.damaged-short", got.Care.Damaged), Alarm: true})
	}
	list = append(list, told(f, "jobs.lost", got.Care.Lost, true)...)
	return append(list, told(f, "repositories.care.left", got.Care.Left, false)...)
}

func healed(f *render.Frame, list []outcome, packs int) []outcome {
	if packs == 0 {
		return list
	}
	return append(list, outcome{Key: "jobs.healed", Text: f.Lang.Plural("repositories.care.healed", packs)})
}

// told gives each sentence a line of its own.
func told(f *render.Frame, key string, notes []plan.Note, alarm bool) (list []outcome) {
	for _, n := range notes {
		list = append(list, outcome{Key: key, Text: f.Note(n), Alarm: alarm})
	}
	return list
}

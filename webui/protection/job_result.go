package protection

import (
	"encoding/json"
	"strconv"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/backup/run"
	"emrvault/webui/render"
)

// outcome is one fact a job leaves, or a way to where its result is kept.
type outcome struct {
	Key   string // of the label
	Text  string
	Href  string
	Mono  bool
	Alarm bool
}

// Outcome tells what the job was about and what came of it, by its kind. What
// cannot be read is left out: the log below still tells the story.
func (d *jobPage) Outcome(f *render.Frame) []outcome {
	switch d.Kind {
	case run.KindBackup:
		return d.backedUp(f)
	case run.KindDrill:
		if d.State != jobs.Queued {
			return []outcome{{Key: "jobs.drill", Text: f.Lang.T("jobs.drill.open"), Href: "/drills/of-job/" + strconv.FormatInt(d.ID, 10)}}
		}
	case run.KindRestore:
		return d.restored(f)
	case run.KindCheck:
		return d.checked(f)
	case run.KindCopy:
		return d.copied(f)
	case run.KindCare:
		return d.cared(f)
	}
	return nil
}

func (d *jobPage) backedUp(f *render.Frame) (list []outcome) {
	var ask run.BackupRequest
	if json.Unmarshal(d.Params, &ask) == nil && ask.Plan > 0 {
		list = append(list, outcome{Key: "jobs.plan", Text: f.Lang.T("jobs.plan.open"), Href: planHref(ask.Plan)})
	}
	var got run.BackupResult
	if len(d.Result) > 0 && json.Unmarshal(d.Result, &got) == nil && got.Point > 0 {
		list = append(list, outcome{Key: "jobs.point", Text: f.Lang.T("jobs.point.open"), Href: pointHref(got.Point)})
	}
	return list
}

func pointHref(id int64) string { return "/points/" + strconv.FormatInt(id, 10) }

func (d *jobPage) restored(f *render.Frame) []outcome {
	var ask run.RestoreRequest
	if json.Unmarshal(d.Params, &ask) != nil {
		return nil
	}
	list := []outcome{
		{Key: "jobs.point", Text: f.Lang.T("jobs.point.open"), Href: pointHref(ask.Point)},
		{Key: "jobs.target", Text: ask.Target, Mono: true},
	}
	var got run.RestoreResult
	if len(d.Result) == 0 || json.Unmarshal(d.Result, &got) != nil {
		return list
	}
	verified := "jobs.verified.no"
	if got.Verified {
		verified = "jobs.verified.yes"
	}
	list = append(list,
		outcome{Key: "jobs.restored", Text: f.Lang.Plural("plans.files", int(got.Files)) + " · " + f.Lang.Bytes(got.Bytes)},
		outcome{Key: "jobs.verified", Text: f.Lang.T(verified)})
	if got.From != "" {
		list = append(list, outcome{Key: "jobs.from", Text: f.Lang.T("jobs.from.copy", "name", got.From)})
	}
	if got.Skipped > 0 {
		list = append(list, outcome{Key: "jobs.skipped", Text: f.Lang.Number(int64(got.Skipped)), Alarm: true})
	}
	return list
}

func (d *jobPage) checked(f *render.Frame) []outcome {
	var ask run.CheckRequest
	if json.Unmarshal(d.Params, &ask) != nil {
		return nil
	}
	depth := "repositories.check.run"
	if ask.ReadData {
		depth = "repositories.check.run-deep"
	}
	list := []outcome{
		{Key: "jobs.repository", Text: f.Lang.T("jobs.repository.open"), Href: repositoryHref(ask.Repository)},
		{Key: "jobs.depth", Text: f.Lang.T(depth)},
	}
	var got run.CheckResult
	if len(d.Result) == 0 || json.Unmarshal(d.Result, &got) != nil || (d.Failure != nil && d.Failure.Kind != string(errs.Conflict)) {
		return list
	}
	list = append(list, outcome{Key: "jobs.findings", Text: f.Lang.Number(int64(got.Errors)), Alarm: got.Errors > 0})
	return append(healed(f, list, got.Healed), told(f, "jobs.lost", got.Lost, true)...)
}

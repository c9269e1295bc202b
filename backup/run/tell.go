package run

import (
	"context"
	"encoding/json"
	"fmt"

	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
)

// ended hears of every job that ended. It closes the record of a backup and
// tells the desk what a person must act on. It may hear of one end twice.
func (r *Runner) ended(ctx context.Context, job jobs.Job) {
	var err error
	switch job.Kind {
	case KindBackup:
		err = r.backupEnded(ctx, job)
	case KindCheck:
		err = r.checkEnded(ctx, job)
	case KindCopy:
		err = r.copyEnded(ctx, job)
	case KindCare:
		err = r.careEnded(ctx, job)
	}
	if err != nil {
		r.Log.ErrorContext(ctx, "end of a job could not be recorded", "job", job.ID, "kind", job.Kind, "error", err)
	}
}

func (r *Runner) backupEnded(ctx context.Context, job jobs.Job) error {
	var req BackupRequest
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	var p plan.Plan
	var record plan.Run
	err := r.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if p, err = plan.ByID(tx, req.Plan); err != nil {
			return err
		}
		record, err = plan.EndRun(tx, job.ID, string(job.State), job.Ended)
		return err
	})
	if err != nil {
		return err
	}
	return r.tellBackup(ctx, job, p, record)
}

// lastAttempt is the number of tries after which the jobs give up repeating
// one that is interrupted again and again.
const lastAttempt = 3

// tellBackup opens a ticket for a failed backup, for a damaged or empty source,
// and for a repository that has lost packs. What
// a person has cancelled is known to that person; what a power cut has
// interrupted is repeated by itself.
func (r *Runner) tellBackup(ctx context.Context, job jobs.Job, p plan.Plan, record plan.Run) error {
	damaged := record.Point != nil && record.Point.Damaged
	key := ""
	switch {
	case damaged:
		key = "run.ticket.damaged"
	case record.Note.Key == "run.partial.lost":
		key = "run.ticket.lost"
	case record.Note.Key == "run.partial.empty":
		key = "run.ticket.empty"
	case job.State == jobs.Failed, job.State == jobs.Interrupted && job.Attempt >= lastAttempt:
		key = "run.ticket.failed"
	default:
		return nil
	}
	text := record.Note
	if text.IsZero() {
		text = plan.Say("run.ticket.see", "job", job.ID)
	}
	return r.Tell(ctx, fmt.Sprintf("%s/%d", key, p.ID), plan.Say(key, "plan", p.Label()), text)
}

// Tell opens a ticket at the desk, when there is one.
func (r *Runner) Tell(ctx context.Context, dedup string, subject, text plan.Note) error {
	if r.Desk == nil {
		return nil
	}
	if err := r.Desk.OpenSystem(ctx, dedup, subject, text); err != nil {
		return fmt.Errorf("open ticket %s: %w", dedup, err)
	}
	return nil
}

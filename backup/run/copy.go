package run

import (
	"context"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
)

// CopyKey is the key of a plan's copy jobs.
func CopyKey(plan int64) string { return fmt.Sprintf("copy/%d", plan) }

// CopyNow hands in the copying of a plan's points to its second repository and
// gives the job.
func (r *Runner) CopyNow(ctx context.Context, planID int64, by string) (job int64, err error) {
	p, err := r.Book.PlanByID(ctx, planID)
	if err != nil {
		return 0, err
	}
	if p.SecondID == 0 {
		return 0, nosecond(p)
	}
	return r.submitCopy(ctx, p, jobs.Manual, by)
}

func nosecond(p plan.Plan) error {
	return errs.New(errs.Conflict, "run.copy.nosecond", "plan", p.Label())
}

func (r *Runner) submitCopy(ctx context.Context, p plan.Plan, trigger jobs.Trigger, by string) (int64, error) {
	job, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindCopy, Key: CopyKey(p.ID), Params: CopyRequest{Plan: p.ID}, Trigger: trigger, By: by,
	})
	return job.ID, err
}

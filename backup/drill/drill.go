// Package drill proves recovery points by bringing them back.
//
// A drill takes the newest point of a plan (or the one it is told), looks
// whether the scratch folder has room, restores everything into a private
// folder there, compares every file with what the snapshot says, opens every
// SQLite file and lets SQLite check it, and asks the plan's assertions. Each
// step is written down as it ends, so a page can follow. The verdict goes into
// the point: unproven, partly proven, or proven. The restored data is deleted
// whatever happens, and looked for once more at the next start.
//
// RTO is the time from the start of the restore until the last assertion has
// passed. RPO is the age of the point when the drill began: what would have
// been lost. A pass says what it does not prove, too.
//
// A drill that fails says who is to blame. When the data is wrong, the point
// loses its proof and retention stops; when the box had no room or could not
// reach the repository, the point stays what it was, and the drill counts as
// one that was not made.
package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// Drills makes drills and keeps their records.
type Drills struct {
	run.Parts
	runner *run.Runner
}

// New makes a Drills over a runner and registers its kind of job.
func New(r *run.Runner) *Drills {
	d := &Drills{Parts: r.Parts, runner: r}
	d.Jobs.Register(jobs.Kind{Name: run.KindDrill, Run: d.drill, Resubmit: true, Partial: partly})
	d.Jobs.OnEnd(d.ended)
	return d
}

// errPartly marks a drill that proved what is there, and knows of gaps.
var errPartly = errors.New("proven in part")

func partly(err error) bool { return errors.Is(err, errPartly) }

// Submit hands in a drill and gives the job: of the newest point of the plan
// when point is 0. When the plan is being drilled already, the answer is
// errs.Busy and the job is that other one.
func (d *Drills) Submit(ctx context.Context, name string, point int64, by string) (job int64, err error) {
	return d.submit(ctx, name, run.DrillRequest{Point: point}, by)
}

// SubmitSecond is Submit for the copy of the point in another repository: it
// proves that the second copy would be enough. The record names it; the proof of
// the point itself stays as it is.
func (d *Drills) SubmitSecond(ctx context.Context, name string, point int64, by string) (job int64, err error) {
	return d.submit(ctx, name, run.DrillRequest{Point: point, Second: true}, by)
}

func (d *Drills) submit(ctx context.Context, name string, req run.DrillRequest, by string) (job int64, err error) {
	p, err := d.Book.Plan(ctx, name)
	if err != nil {
		return 0, err
	}
	if req.Point == 0 {
		// A person's slip is told to the person; it is no failed drill and no ticket.
		if _, live, err := d.Book.Points(ctx, plan.PointFilter{Plan: p.Name, Limit: 1}); err != nil {
			return 0, err
		} else if live == 0 {
			return 0, errs.New(errs.Conflict, "drill.fail.nopoint", "plan", p.Label())
		}
	}
	if req.Point != 0 {
		chosen, err := d.Book.PointByID(ctx, req.Point)
		if err != nil {
			return 0, err
		}
		if chosen.Plan != p.ID {
			return 0, errs.New(errs.Invalid, "drill.otherplan", "point", chosen.Short(), "plan", p.Label())
		}
		if !chosen.ExpiredAt.IsZero() {
			return 0, errs.New(errs.Conflict, "run.restore.expired", "point", chosen.Short())
		}
	}
	req.Plan = p.ID
	handed, err := d.Jobs.Submit(ctx, jobs.Request{
		Kind: run.KindDrill, Key: run.DrillKey(p.ID), Trigger: jobs.Manual, By: by,
		Params: req,
	})
	return handed.ID, err
}

// List lists drills, newest first, and tells how many the filter meets in all.
func (d *Drills) List(ctx context.Context, f Filter) (list []Verdict, total int, err error) {
	err = d.Store.Read(ctx, func(tx *store.Tx) error {
		list, total, err = verdicts(tx, f)
		return err
	})
	return list, total, err
}

// Get finds a drill by its number.
func (d *Drills) Get(ctx context.Context, number string) (v Verdict, err error) {
	err = d.Store.Read(ctx, func(tx *store.Tx) error {
		v, err = oneVerdict(tx, number, `d.number = ?`, number)
		return err
	})
	return v, err
}

// OfJob finds the drill a job made, for the page of a running one.
func (d *Drills) OfJob(ctx context.Context, job int64) (v Verdict, err error) {
	err = d.Store.Read(ctx, func(tx *store.Tx) error {
		v, err = oneVerdict(tx, job, `d.job = ?`, job)
		return err
	})
	return v, err
}

// ended hears of every job that ended, and closes the record of a drill that
// could not do so itself. It may hear of one end twice.
func (d *Drills) ended(ctx context.Context, job jobs.Job) {
	if job.Kind != run.KindDrill {
		return
	}
	if err := d.close(ctx, job); err != nil {
		d.Log.ErrorContext(ctx, "end of a drill could not be recorded", "job", job.ID, "error", err)
	}
}

func (d *Drills) close(ctx context.Context, job jobs.Job) error {
	v, err := d.OfJob(ctx, job.ID)
	if errs.KindOf(err) == errs.NotFound {
		return d.neverBegan(ctx, job)
	}
	if err != nil {
		return err
	}
	if v.State == Running {
		v.stop(job)
		return d.Store.Write(ctx, func(tx *store.Tx) error { return saveVerdict(tx, v) })
	}
	if v.State != Failed {
		return nil
	}
	return d.tell(ctx, v)
}

// stop closes the record of a drill that a person or a crash has ended.
func (v *Verdict) stop(job jobs.Job) {
	v.State, v.Ended = Interrupted, job.Ended
	switch job.State {
	case jobs.Cancelled:
		v.State = Cancelled
	case jobs.Failed:
		v.State, v.Fault = Failed, FaultBox
	}
	for i := range v.Steps {
		if s := &v.Steps[i]; s.State == StepRunning || s.State == StepWaiting {
			s.State = StepSkipped
		}
	}
}

// neverBegan tells a drill that failed before it had a record.
func (d *Drills) neverBegan(ctx context.Context, job jobs.Job) error {
	if job.State != jobs.Failed {
		return nil
	}
	var req run.DrillRequest
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	p, err := d.Book.PlanByID(ctx, req.Plan)
	if err != nil {
		return err
	}
	return d.runner.Tell(ctx, fmt.Sprintf("drill.ticket.failed/%d", p.ID),
		plan.Say("drill.ticket.failed", "plan", p.Label()), plan.Say("run.ticket.see", "job", job.ID))
}

func (d *Drills) tell(ctx context.Context, v Verdict) error {
	text := plan.Say("drill.ticket.see", "number", v.Number)
	if v.Failure != nil {
		text = *v.Failure
	}
	return d.runner.Tell(ctx, "drill.ticket.failed/"+v.Plan,
		plan.Say("drill.ticket.failed.number", "plan", v.Label(), "number", v.Number), text)
}

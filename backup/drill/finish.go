package drill

import (
	"context"
	"errors"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// finish deletes what was restored, whatever happened, and writes the verdict
// into record and point in one transaction.
func (a *attempt) finish(ctx context.Context, failure error) error {
	a.job.Stage(backup.StageClean)
	stopped := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	if a.repo != nil {
		if err := errors.Join(a.unlock(), a.repo.Close()); err != nil {
			a.Log.WarnContext(ctx, "close repository after a drill", "drill", a.verdict.Number, "error", err)
		}
	}
	last := len(a.verdict.Steps) - 1
	cleaning := a.step(ctx, last, func(context.Context) (plan.Note, error) {
		return plan.Say("drill.detail.clean"), a.clean()
	})
	if stopped && failure != nil {
		// The job knows whether a person or the box stopped it; ended writes it.
		return errors.Join(failure, cleaning)
	}
	if failure == nil {
		failure = cleaning
	}
	a.judge(failure)
	err := a.Store.Write(ctx, func(tx *store.Tx) error {
		if a.proves() && a.twin == nil { // what becomes of a copy says nothing against the point
			if err := plan.SetProof(tx, a.point.ID, a.proof()); err != nil {
				return err
			}
		}
		return saveVerdict(tx, a.verdict)
	})
	return errors.Join(a.tellJob(failure), err, a.job.SetResult(Result{a.verdict.Number, a.verdict.State}))
}

// Result is what a drill job leaves.
type Result struct {
	Number string `json:"number"`
	State  string `json:"state"`
}

// judge says how the drill went and what it does not prove.
func (a *attempt) judge(failure error) {
	v := &a.verdict
	v.Ended = a.Now().UTC()
	for i := range v.Steps {
		if v.Steps[i].State == StepWaiting {
			v.Steps[i].State = StepSkipped
		}
	}
	if failure != nil {
		note := run.NoteOf(failure)
		v.State, v.Failure, v.Fault = Failed, &note, fault(failure)
		if v.Fault == FaultPoint {
			v.Proof, v.Percent = backup.Unproven, 0
		}
		return
	}
	v.State, v.Proof, v.Percent = Passed, backup.Proven, 100
	a.gaps()
	v.NotProven = append(v.NotProven, plan.Say("drill.unproven.application"), plan.Say("drill.unproven.machine"))
	if len(a.plan.Drill.Assertions) == 0 {
		v.NotProven = append(v.NotProven, plan.Say("drill.unproven.assertions"))
	}
}

// gaps takes back what a point that came back whole does not prove: names that
// could not be read at the backup, databases that could not be had, or a point
// that holds nothing at all.
func (a *attempt) gaps() {
	v := &a.verdict
	if n := int64(a.point.Problems); n > 0 {
		v.State, v.Proof = Partial, backup.PartlyProven
		v.Percent = int(min(99, v.Figures.Files*100/(v.Figures.Files+n)))
		v.NotProven = append(v.NotProven, plan.Say("drill.unproven.problems", "n", n))
	}
	if a.point.Damaged {
		v.State, v.Proof, v.Percent = Partial, backup.PartlyProven, min(v.Percent, 99)
		v.NotProven = append(v.NotProven, plan.Say("drill.unproven.damaged"))
	}
	if v.Figures.Files == 0 {
		v.State, v.Proof, v.Percent = Partial, backup.Unproven, 0
		v.NotProven = append(v.NotProven, plan.Say("drill.unproven.empty"))
	}
}

// fault says who is to blame. What the repository gave back wrong, and what
// is wrong in the data, is the point's; the rest is the box's.
func fault(err error) string {
	var l lost
	switch {
	case errors.As(err, &l), errors.Is(err, backup.ErrDamaged), errors.Is(err, backup.ErrUnsafe):
		return FaultPoint
	}
	return FaultBox
}

// proves says whether the drill has something to say about the point.
func (a *attempt) proves() bool {
	return a.point != nil && (a.verdict.State != Failed || a.verdict.Fault == FaultPoint)
}

func (a *attempt) proof() plan.Proof {
	v := a.verdict
	return plan.Proof{Drill: v.Number, Failed: v.State == Failed, Proof: v.Proof, Percent: v.Percent}
}

// tellJob turns the verdict into the end of the job.
func (a *attempt) tellJob(failure error) error {
	v := a.verdict
	switch v.State {
	case Partial:
		key := "drill.partly"
		switch {
		case v.Figures.Files == 0:
			key = "drill.partly.empty"
		case a.point.Damaged:
			key = "drill.partly.damaged"
		}
		return errs.Wrap(errs.Conflict, errPartly, key, "number", v.Number, "n", a.point.Problems)
	case Failed:
		return errs.Wrap(errs.Conflict, failure, "drill.failed", "number", v.Number, "why", v.Failure.In(locale.English))
	}
	return nil
}

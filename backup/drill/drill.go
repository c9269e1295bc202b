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
package drill

import (
	"context"
	"errors"

	"emrvault/backup/run"
)

var errSoon = errors.New("not written yet")

// Drills makes drills and keeps their records.
type Drills struct {
	run.Parts
	repositories *run.Repositories
}

// New makes a Drills over the runner's parts and opened repositories.
func New(r *run.Runner) *Drills {
	return &Drills{Parts: r.Parts, repositories: r.Repositories()}
}

// Submit hands in a drill and gives the job: of the newest point of the plan
// when point is 0. A plan that is being drilled already is errs.Busy.
func (d *Drills) Submit(ctx context.Context, plan string, point int64, by string) (job int64, err error) {
	return 0, errSoon
}

// CleanScratch deletes what a dead process left in the scratch folder, closes
// its records as interrupted, and tells how many folders there were. It is
// called once, before the jobs run.
func (d *Drills) CleanScratch(ctx context.Context) (int, error) { return 0, errSoon }

// List lists drills, newest first, and tells how many the filter meets in all.
func (d *Drills) List(ctx context.Context, f Filter) ([]Verdict, int, error) { return nil, 0, errSoon }

// Get finds a drill by its number.
func (d *Drills) Get(ctx context.Context, number string) (Verdict, error) {
	return Verdict{}, errSoon
}

// OfJob finds the drill a job made, for the page of a running one.
func (d *Drills) OfJob(ctx context.Context, job int64) (Verdict, error) { return Verdict{}, errSoon }

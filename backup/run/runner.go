package run

import (
	"context"
	"io"
	"log/slog"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/source"
)

// Parts are what a Runner is made of. All of them are needed except Desk.
type Parts struct {
	Store  *store.Store
	Book   *plan.Book
	Box    *secret.Box
	Layout config.Layout
	Desk   Desk // nil: nobody is told
	Log    *slog.Logger
	Now    func() time.Time
}

// Runner carries plans out.
type Runner struct {
	Parts
	repositories *Repositories
}

// New makes a Runner.
func New(p Parts) *Runner {
	return &Runner{Parts: p, repositories: NewRepositories(p)}
}

// Repositories opens what plans write to.
func (r *Runner) Repositories() *Repositories { return r.repositories }

// Start puts in order what a dead process left: runs marked as running and
// locks of this box. It is called once, before the jobs run.
func (r *Runner) Start(ctx context.Context) error { return errSoon }

// Backup hands in a backup of the plan and gives the job. A plan that is at
// work already is errs.Busy.
func (r *Runner) Backup(ctx context.Context, plan, by string) (job int64, err error) {
	return 0, errSoon
}

// Restore hands in a restore and gives the job.
func (r *Runner) Restore(ctx context.Context, req RestoreRequest, by string) (job int64, err error) {
	return 0, errSoon
}

// Check hands in a repository check and gives the job.
func (r *Runner) Check(ctx context.Context, req CheckRequest, by string) (job int64, err error) {
	return 0, errSoon
}

// Probe tries what a capture of the source will need.
func (r *Runner) Probe(ctx context.Context, spec source.Spec) ([]source.Finding, error) {
	return nil, errSoon
}

// Folder lists one folder of a point.
func (r *Runner) Folder(ctx context.Context, point int64, path string, page Page) (Folder, error) {
	return Folder{}, errSoon
}

// OpenFile opens one file of a point; the caller closes it.
func (r *Runner) OpenFile(ctx context.Context, point int64, path string) (*File, error) {
	return nil, errSoon
}

// Zip writes a folder of a point as one zip file.
func (r *Runner) Zip(ctx context.Context, point int64, path string, w io.Writer) error {
	return errSoon
}

package run

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/jobs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/source"
	"emrvault/backup/source/all"
)

// Parts are what a Runner is made of. All are needed except Desk and Engine.
type Parts struct {
	Store   *store.Store
	Book    *plan.Book
	Box     *secret.Box
	Jobs    *jobs.Manager
	Layout  config.Layout
	Desk    Desk   // nil: nobody is told
	Host    string // this box, as snapshots and records name it
	Version string // of this program
	Log     *slog.Logger
	Now     func() time.Time

	Engine []repository.Option // how repositories are made and opened; none: as is right for people
}

// Runner carries plans out.
type Runner struct {
	Parts
	repositories *Repositories
	browser      *browser
}

// New makes a Runner and registers its kinds of job with the manager.
func New(p Parts) *Runner {
	r := &Runner{Parts: p, repositories: NewRepositories(p)}
	r.browser = &browser{repositories: r.repositories, book: p.Book}
	p.Book.KnowSources(verify)
	for _, kind := range []jobs.Kind{
		{Name: KindBackup, Run: r.backup, Resubmit: true, Partial: gap},
		{Name: KindRestore, Run: r.restore, Partial: gap},
		{Name: KindCheck, Run: r.check},
		{Name: KindCopy, Run: r.copy, Resubmit: true, Partial: gap, Lane: KindCopy},
		{Name: KindCare, Run: r.care, Resubmit: true, Partial: gap, Lane: KindCare},
	} {
		kind.Run = listening(kind.Run)
		p.Jobs.Register(kind)
	}
	p.Jobs.OnEnd(r.ended)
	return r
}

// Repositories opens what plans write to.
func (r *Runner) Repositories() *Repositories { return r.repositories }

// Start removes the locks that dead processes of this box have left in its
// repositories, so that nobody has to unlock anything by hand. It is called
// once, before the jobs run. A repository that cannot be reached now is told
// and passed over: its next run tries again.
func (r *Runner) Start(ctx context.Context) error {
	list, err := r.Book.Repositories(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, place := range list {
		group.Go(func() {
			if err := r.unlock(ctx, place); err != nil {
				r.Log.WarnContext(ctx, "repository could not be opened at start", "repository", place.Name, "error", err)
			}
		})
	}
	group.Wait()
	return nil
}

// unlockTime is how long the start waits for a place that does not answer.
const unlockTime = 4 * time.Second

func (r *Runner) unlock(ctx context.Context, place plan.Repository) error {
	ctx, done := context.WithTimeout(ctx, unlockTime)
	defer done()
	repo, err := r.repositories.attended(ctx, place)
	if err != nil {
		return err
	}
	removed, err := repo.RemoveOwnStaleLocks(ctx)
	if removed > 0 {
		r.Log.InfoContext(ctx, "removed locks of a dead process", "repository", place.Name, "locks", removed)
	}
	return closing(err, repo)
}

// Close closes the opened repositories.
func (r *Runner) Close() error { return r.repositories.Close() }

// Backup hands in a backup of the plan and gives the job. When the plan waits
// or runs already, the answer is errs.Busy and the job is that other one.
func (r *Runner) Backup(ctx context.Context, name, by string) (job int64, err error) {
	p, err := r.Book.Plan(ctx, name)
	if err != nil {
		return 0, err
	}
	return r.submitBackup(ctx, p, jobs.Manual, by, 0)
}

func (r *Runner) submitBackup(ctx context.Context, p plan.Plan, trigger jobs.Trigger, by string, missed int) (int64, error) {
	job, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindBackup, Key: BackupKey(p.ID), Trigger: trigger, By: by,
		Params: BackupRequest{Plan: p.ID, Missed: missed},
	})
	return job.ID, err
}

// Drill hands in a drill of the plan: of its newest point when point is 0.
func (r *Runner) drill(ctx context.Context, p plan.Plan, point int64, trigger jobs.Trigger, by string) (int64, error) {
	job, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindDrill, Key: DrillKey(p.ID), Trigger: trigger, By: by,
		Params: DrillRequest{Plan: p.ID, Point: point},
	})
	return job.ID, err
}

// BackupKey is the key of a plan's backup jobs: no two run at once.
func BackupKey(plan int64) string { return fmt.Sprintf("backup/%d", plan) }

// DrillKey is the key of a plan's drill jobs.
func DrillKey(plan int64) string { return fmt.Sprintf("drill/%d", plan) }

// verify refuses settings that a kind does not know, and places that depend on
// the folder the box was started in.
func verify(spec source.Spec) error {
	if _, err := all.Open(spec); err != nil {
		return err
	}
	for _, kind := range all.Kinds() {
		if kind.Name != spec.Kind {
			continue
		}
		for _, place := range places(kind, spec) {
			if !filepath.IsAbs(place) {
				return fmt.Errorf("%s is not a whole path, write it from the root: %w", place, backup.ErrInvalid)
			}
		}
	}
	return nil
}

// places lists the files and folders that settings name.
func places(kind source.Kind, spec source.Spec) (list []string) {
	for _, s := range kind.Settings {
		if s.Type == source.Path || s.Type == source.Paths {
			list = append(list, spec.List(s.Name)...)
		}
	}
	return list
}

// Probe tries what a capture of the source will need and says what right or
// setting is missing.
func (r *Runner) Probe(ctx context.Context, spec source.Spec) ([]source.Finding, error) {
	if spec.Name == "" {
		spec.Name = "probe"
	}
	src, err := all.Open(spec)
	if err != nil {
		return nil, told(err)
	}
	findings, err := src.Check(ctx)
	if err != nil {
		return nil, told(err)
	}
	return findings, nil
}

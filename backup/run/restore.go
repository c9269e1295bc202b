package run

import (
	"context"
	"errors"
	"path/filepath"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
	"emrvault/backup/restore"
)

// Restore hands in a restore and gives the job. The target must be a folder
// that is absolute, empty or new, and none of those the box or its plans live
// in.
func (r *Runner) Restore(ctx context.Context, req RestoreRequest, by string) (job int64, err error) {
	p, err := r.Book.PointByID(ctx, req.Point)
	if err != nil {
		return 0, err
	}
	if !p.ExpiredAt.IsZero() {
		return 0, errs.New(errs.Conflict, "run.restore.expired", "point", p.Short())
	}
	if req.Target == "" || !filepath.IsAbs(req.Target) {
		return 0, errs.New(errs.Invalid, "run.restore.target", "value", req.Target)
	}
	req.Target = filepath.Clean(req.Target)
	if err := r.freeTarget(ctx, req.Target); err != nil {
		return 0, err
	}
	handed, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindRestore, Key: "restore/" + req.Target, Params: req, Trigger: jobs.Manual, By: by,
	})
	return handed.ID, err
}

// restore is the job kind.
func (r *Runner) restore(ctx context.Context, job *jobs.Run) error {
	var req RestoreRequest
	if err := job.Params(&req); err != nil {
		return err
	}
	p, err := r.Book.PointByID(ctx, req.Point)
	if err != nil {
		return err
	}
	places := []rest{home(p)}
	copies, err := r.repositories.copies(ctx, p)
	if err != nil {
		return err
	}
	for i, at := range append(places, copies...) {
		if i > 0 {
			job.Log("run.log.fromcopy", "repository", at.name, "detail", err.Error())
		}
		err = r.restoreFrom(ctx, job, req, p, at)
		if err == nil || ctx.Err() != nil || !elsewhere(err) {
			break
		}
	}
	return err
}

// restoreFrom restores from one of the places where a point rests. From a copy
// it goes on with what the point's own repository gave.
func (r *Runner) restoreFrom(ctx context.Context, job *jobs.Run, req RestoreRequest, p plan.Point, at rest) error {
	repo, sn, err := r.repositories.load(ctx, p, at)
	if err != nil {
		return err
	}
	var result *restore.Result
	err = Patient(ctx, job, func() (err error) {
		result, err = restore.Run(ctx, repo, sn, restore.Options{
			Target: req.Target, Include: req.Include, Verify: req.Verify, Resume: at.name != "", Progress: job,
		})
		return err
	})
	err = told(closing(err, repo))
	if result == nil {
		return err
	}
	if err == nil && result.Files+result.Dirs+result.Others == 0 && len(req.Include) > 0 {
		err = errs.New(errs.NotFound, "run.restore.nothing", "patterns", req.Include[0])
	}
	for _, s := range result.Skipped {
		job.Log("run.log.skipped", "path", s.Path, "why", s.Err.Error())
	}
	return errors.Join(err, job.SetResult(RestoreResult{
		Files: result.Files, Dirs: result.Dirs, Bytes: result.Bytes, Target: req.Target,
		Verified: req.Verify && err == nil, Skipped: len(result.Skipped), From: at.name,
	}))
}

package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// maxFindings bounds what a check job keeps: a repository whose disk is gone
// would fill the store with one line a pack.
const maxFindings = 200

// Check hands in a repository check and gives the job.
func (r *Runner) Check(ctx context.Context, req CheckRequest, by string) (job int64, err error) {
	if req.Subset < 0 || req.Subset > 1 {
		return 0, errs.New(errs.Invalid, "run.check.subset", "value", req.Subset)
	}
	if _, err := r.Book.RepositoryByID(ctx, req.Repository); err != nil {
		return 0, err
	}
	handed, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindCheck, Key: fmt.Sprintf("check/%d", req.Repository), Params: req, Trigger: jobs.Manual, By: by,
	})
	return handed.ID, err
}

// check is the job kind. It proves the repository whole: keys, index, packs,
// snapshots, trees, and where asked every byte.
func (r *Runner) check(ctx context.Context, job *jobs.Run) error {
	var req CheckRequest
	if err := job.Params(&req); err != nil {
		return err
	}
	job.Stage(backup.StageVerify)
	var result CheckResult
	err := told(r.look(ctx, job, req, &result))
	if ctx.Err() != nil {
		return err
	}
	state := "good"
	switch {
	case result.Errors > 0:
		state = "damaged"
		err = errors.Join(errs.New(errs.Conflict, "run.check.damaged", "n", result.Errors), err)
	case err != nil:
		state = "failed"
	}
	deep := req.ReadData && (req.Subset == 0 || req.Subset == 1)
	write := r.Store.Write(ctx, func(tx *store.Tx) error {
		return plan.SetCheck(tx, req.Repository, state, deep, result.Errors)
	})
	return errors.Join(err, write, job.SetResult(result))
}

func (r *Runner) look(ctx context.Context, job *jobs.Run, req CheckRequest, result *CheckResult) (err error) {
	repo, err := r.repositories.Fresh(ctx, req.Repository)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, repo) }()
	if _, err := repo.RemoveOwnStaleLocks(ctx); err != nil {
		return err
	}
	var lock *repository.Lock
	err = Patient(ctx, job, func() (err error) {
		lock, err = repo.Lock(ctx, repository.Exclusive)
		return err
	})
	if err != nil {
		return fmt.Errorf("lock repository for the check: %w", err)
	}
	report := func(f repository.Finding) {
		if f.Level == repository.Error {
			result.Errors++
			job.Problem(f.Name, errors.New(f.Text))
		}
		if len(result.Findings) < maxFindings {
			result.Findings = append(result.Findings, f)
		}
	}
	options := repository.CheckOptions{ReadData: req.ReadData, Subset: req.Subset}
	return errors.Join(prove(lock.Context(), repo, options, report, job), lock.Unlock())
}

// prove checks what is stored, then what the snapshots say of it.
func prove(ctx context.Context, repo *repository.Repository, options repository.CheckOptions, report func(repository.Finding), job *jobs.Run) error {
	if err := repo.CheckStore(ctx, options, report, job); err != nil {
		return fmt.Errorf("check what is stored: %w", err)
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	return snapshot.Check(ctx, repo, report)
}

// checkEnded opens a ticket for a repository that is damaged.
func (r *Runner) checkEnded(ctx context.Context, job jobs.Job) error {
	if job.State != jobs.Failed {
		return nil
	}
	var req CheckRequest
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	place, err := r.Book.RepositoryByID(ctx, req.Repository)
	if err != nil {
		return err
	}
	return r.Tell(ctx, fmt.Sprintf("run.ticket.check/%d", place.ID),
		plan.Say("run.ticket.check", "repository", place.Name), plan.Say("run.ticket.see", "job", job.ID))
}

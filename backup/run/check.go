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
	found := newDamage()
	err := told(r.look(ctx, job, req, &result, found))
	if ctx.Err() == nil && found.n > 0 {
		err = errors.Join(err, told(r.restored(ctx, job, req, &result, found)))
	}
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

func (r *Runner) look(ctx context.Context, job *jobs.Run, req CheckRequest, result *CheckResult, found *damage) (err error) {
	repo, err := r.repositories.Fresh(ctx, req.Repository)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, repo) }()
	if _, err := repo.RemoveOwnStaleLocks(ctx); err != nil {
		return err
	}
	told := map[string]bool{}
	report := func(f repository.Finding) {
		same := f.Kind + " " + f.Name
		if told[same] {
			return
		}
		told[same] = true
		found.note(f)
		if f.Level == repository.Error {
			result.Errors++
			job.Problem(f.Name, errors.New(f.Text))
		}
		if len(result.Findings) < maxFindings {
			result.Findings = append(result.Findings, f)
		}
	}
	// What is listed where is soon seen, and wants nobody to write meanwhile.
	// Reading every byte may take the day: that is done beside backups.
	err = lockedFor(ctx, job, repo, repository.Exclusive, func(ctx context.Context) error {
		return prove(ctx, repo, report, job)
	})
	if err != nil || !req.ReadData {
		return err
	}
	return lockedFor(ctx, job, repo, repository.Read, func(ctx context.Context) error {
		return repo.CheckStore(ctx, repository.CheckOptions{ReadData: true, Subset: req.Subset}, report, job)
	})
}

// lockedFor does a part of a check under a lock, and waits for it patiently.
func lockedFor(ctx context.Context, job *jobs.Run, repo *repository.Repository, mode repository.LockMode, fn func(context.Context) error) error {
	var lock *repository.Lock
	err := Patient(ctx, job, func() (err error) {
		lock, err = repo.Lock(ctx, mode)
		return err
	})
	if err != nil {
		return fmt.Errorf("lock repository for the check: %w", err)
	}
	return errors.Join(fn(lock.Context()), lock.Unlock())
}

// restored heals what a check found damaged. When everything is whole again,
// the result says what was healed and counts no error.
func (r *Runner) restored(ctx context.Context, job *jobs.Run, req CheckRequest, result *CheckResult, found *damage) (err error) {
	place, err := r.Book.RepositoryByID(ctx, req.Repository)
	if err != nil {
		return err
	}
	repo, err := r.repositories.fresh(ctx, place)
	if err != nil {
		return err
	}
	defer func() {
		r.repositories.retire(context.WithoutCancel(ctx), place.ID)
		err = closing(err, repo)
	}()
	if err := repo.LoadIndex(ctx); err != nil && !found.index {
		return err
	}
	m := &mending{Runner: r, job: job, place: place, repo: repo, found: found}
	if err := m.run(ctx); err != nil {
		return err
	}
	result.Healed, result.Lost = m.healed, m.lost
	for _, lost := range m.lost {
		job.Log(lost.Key, lost.Plain()...)
	}
	if !m.whole() {
		return nil
	}
	left, err := r.again(ctx, job, repo)
	result.Errors = left
	return err
}

// again looks once more, without reading every byte: what was written anew has
// been read back by then.
func (r *Runner) again(ctx context.Context, job *jobs.Run, repo *repository.Repository) (left int, err error) {
	err = lockedFor(ctx, job, repo, repository.Exclusive, func(ctx context.Context) error {
		return prove(ctx, repo, func(f repository.Finding) {
			if f.Level == repository.Error {
				left++
				job.Problem(f.Name, errors.New(f.Text))
			}
		}, job)
	})
	return left, err
}

// prove checks what is stored, without reading every byte, then what the
// snapshots say of it.
func prove(ctx context.Context, repo *repository.Repository, report func(repository.Finding), job *jobs.Run) error {
	if err := repo.CheckStore(ctx, repository.CheckOptions{}, report, job); err != nil {
		return fmt.Errorf("check what is stored: %w", err)
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	return snapshot.Check(ctx, repo, report)
}

// checkEnded opens a ticket for a repository that is damaged, or was.
func (r *Runner) checkEnded(ctx context.Context, job jobs.Job) error {
	var req CheckRequest
	var result CheckResult
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	if len(job.Result) > 0 {
		if err := json.Unmarshal(job.Result, &result); err != nil {
			return fmt.Errorf("result of job %d: %w", job.ID, err)
		}
	}
	if job.State != jobs.Failed && result.Healed == 0 {
		return nil
	}
	place, err := r.Book.RepositoryByID(ctx, req.Repository)
	if err != nil {
		return err
	}
	if job.State == jobs.Failed {
		see := plan.Say("run.ticket.see", "job", job.ID)
		return r.Tell(ctx, fmt.Sprintf("run.ticket.check/%d", place.ID),
			plan.Say("run.ticket.check", "repository", place.Name), damageText(plan.Care{Lost: result.Lost}, see))
	}
	return r.Tell(ctx, fmt.Sprintf("run.ticket.healed/%d", place.ID),
		plan.Say("run.ticket.healed", "repository", place.Name), plan.Say("run.ticket.healed.text", "n", result.Healed, "job", job.ID))
}

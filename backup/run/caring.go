package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// How long the parts of a night may take. What is not done by then goes on the
// next night; a verification that is behind may take the day as well.
const (
	pruneTime  = 2 * time.Hour
	verifyTime = 4 * time.Hour
	behindTime = 20 * time.Hour
	backupTime = 3 * time.Hour // backups are waited for no longer than this
	quietPoll  = 5 * time.Second
)

// caring is one care job at work. A step that fails does not keep the others
// from being done.
type caring struct {
	*Runner
	job    *jobs.Run
	place  plan.Repository
	repo   *repository.Repository
	found  *damage
	care   plan.Care
	result CareResult
	pruned bool
	failed []error
}

// care is the job kind: everything that keeps a repository sound.
func (r *Runner) care(ctx context.Context, job *jobs.Run) error {
	var req CareRequest
	if err := job.Params(&req); err != nil {
		return err
	}
	c := &caring{Runner: r, job: job, found: newDamage()}
	var err error
	if c.place, err = r.Book.RepositoryByID(ctx, req.Repository); err != nil {
		return err
	}
	c.care = c.place.Care
	c.care.Job, c.care.Left, c.care.Healed = job.Job().ID, nil, 0
	err = told(c.carry(ctx))
	if ctx.Err() != nil {
		return err
	}
	if c.repo == nil {
		return err
	}
	c.result.Care = c.care
	verdict := c.verdict(err)
	write := r.Store.Write(ctx, func(tx *store.Tx) error {
		if verdict == nil && c.place.CheckState == "damaged" {
			// All that the check found has been put right, here or by a backup.
			if err := plan.SetCheck(tx, c.place.ID, "good", false, 0); err != nil {
				return err
			}
		}
		return plan.SetCare(tx, c.place.ID, c.care)
	})
	return errors.Join(verdict, write, job.SetResult(c.result))
}

func (c *caring) carry(ctx context.Context) (err error) {
	if err := c.afterBackups(ctx); err != nil {
		return err
	}
	c.job.Stage(backup.StageCheck)
	if c.repo, err = c.repositories.fresh(ctx, c.place); err != nil {
		return err
	}
	defer func() {
		c.repositories.retire(context.WithoutCancel(ctx), c.place.ID)
		err = closing(err, c.repo)
	}()
	for _, step := range []struct {
		key string
		do  func(context.Context) error
	}{
		{"run.care.step.unlock", c.unlock},
		{"run.care.step.expire", c.expire},
		{"run.care.step.prune", c.tidyIfWhole},
		{"run.care.step.verify", c.verify},
		{"run.care.step.heal", c.heal},
		{"run.care.step.prune", c.tidy},
		{"run.care.step.protect", c.protect},
		{"run.care.step.copy", c.copies},
	} {
		err := step.do(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			c.postpone(step.key, err)
		}
	}
	if err := c.repositories.noteSpace(ctx, c.place, c.repo.Storage()); err != nil {
		c.postpone("run.care.step.space", err)
	}
	return errors.Join(c.failed...)
}

// postpone keeps why a step was not done.
func (c *caring) postpone(step string, err error) {
	c.care.Left = append(c.care.Left, plan.Say("run.care.left", "step", plan.Say(step), "why", noteOf(err)))
	c.failed = append(c.failed, err)
	c.job.Problem(c.place.Name, undone{step, told(err)})
}

// undone tells in the reader's language which step was not done, and why.
type undone struct {
	step string // key of a text
	why  error
}

// Error tells it in English.
func (u undone) Error() string {
	key, args := u.Message()
	return locale.English.T(key, args...)
}

// Message is the text for people.
func (u undone) Message() (string, []any) {
	return "run.care.left", []any{"step", errs.New(errs.Conflict, u.step), "why", u.why}
}

// Unwrap gives the cause. As a list, so that nobody tells it a second time
// behind the message, which has it already.
func (u undone) Unwrap() []error { return []error{u.why} }

// afterBackups waits until no backup writes there: at night they go first.
func (c *caring) afterBackups(ctx context.Context) error {
	for began, told := time.Now(), false; time.Since(began) < backupTime; told = true {
		busy, err := c.writing(ctx, c.place.ID)
		if err != nil || !busy {
			return err
		}
		if !told {
			c.job.Log("run.log.afterbackups")
		}
		select {
		case <-time.After(quietPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// writing says whether a backup waits or runs that writes to a repository.
func (r *Runner) writing(ctx context.Context, repository int64) (bool, error) {
	list, _, err := r.Jobs.List(ctx, jobs.Filter{Kinds: []string{KindBackup}, States: []jobs.State{jobs.Queued, jobs.Running}})
	if err != nil || len(list) == 0 {
		return false, err
	}
	plans, err := r.Book.Plans(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(job jobs.Job) bool {
		return slices.ContainsFunc(plans, func(p plan.Plan) bool {
			return p.RepositoryID == repository && job.Key == BackupKey(p.ID)
		})
	}), nil
}

func (c *caring) unlock(ctx context.Context) error {
	removed, err := c.repo.RemoveOwnStaleLocks(ctx)
	if removed > 0 {
		c.job.Log("run.log.unlocked", "n", removed)
	}
	return err
}

// expire removes copies of points that have expired.
func (c *caring) expire(ctx context.Context) error {
	_, err := c.outlive(ctx, c.job, c.place, c.repo)
	return err
}

// tidyIfWhole gives back what earlier runs have left. In a damaged repository
// nobody knows what is needed: there it is done after healing.
func (c *caring) tidyIfWhole(ctx context.Context) error {
	err := c.tidy(ctx)
	c.pruned = !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrNotFound)
	if c.pruned {
		return err
	}
	c.found.rest = true // something that points need is not where it should be
	c.job.Log("run.log.unwhole", "detail", err.Error())
	return nil
}

func (c *caring) tidy(ctx context.Context) error {
	if c.pruned {
		return nil
	}
	limited, done := context.WithTimeout(ctx, pruneTime)
	defer done()
	report, err := c.prune(limited, c.job, c.place, c.repo)
	c.result.Freed = max(0, report.BytesFreed)
	if ctx.Err() == nil && limited.Err() != nil {
		err = nil // it goes on where it was
	}
	if report.BytesLeft > 0 {
		c.care.Left = append(c.care.Left, plan.Say("run.care.left.prune", "left", plan.Size(report.BytesLeft)))
	}
	return err
}

// protect prolongs the locks of what is needed against deletion.
func (c *caring) protect(ctx context.Context) error {
	now := c.Now()
	report, err := c.repo.Protect(ctx, now, c.job)
	c.result.Protected = report.Extended
	if err != nil || report.Period == 0 {
		return err
	}
	if report.Failed > 0 {
		return errs.New(errs.Conflict, "run.care.unprotected", "n", report.Failed)
	}
	// Whatever had less than half a period left was locked for a whole one.
	c.care.LockedTo = now.Add(report.Period / 2)
	c.job.Log("run.log.protected", "n", report.Extended, "until", c.care.LockedTo.In(c.Book.Site()))
	return nil
}

// verify reads what was read longest ago, so that within the time asked for
// everything is. Backups go on meanwhile.
func (c *caring) verify(ctx context.Context) (err error) {
	var lock *repository.Lock
	err = Patient(ctx, c.job, func() (err error) {
		lock, err = c.repo.Lock(ctx, repository.Read)
		return err
	})
	if err != nil {
		return fmt.Errorf("lock repository for verification: %w", err)
	}
	return errors.Join(c.prove(lock.Context()), lock.Unlock())
}

func (c *caring) prove(ctx context.Context) error {
	if err := c.repo.CheckStore(ctx, repository.CheckOptions{}, c.hear, c.job); err != nil {
		return err
	}
	options := repository.RollingOptions{Every: c.place.Settings.VerifyEvery(), Time: verifyTime, Now: c.Now()}
	if c.care.Overdue > 0 {
		options.Time = behindTime
	}
	report, err := c.repo.VerifyRolling(ctx, options, c.hear, c.job)
	if err != nil {
		return err
	}
	for _, id := range c.repo.RememberedSick() {
		c.found.packs[id] = true
	}
	c.result.Verified = report.Bytes
	c.care.Percent, c.care.Overdue, c.care.Oldest = int(report.Covered), int(report.Overdue), report.Oldest
	if report.Never > 0 {
		c.care.Oldest = time.Time{}
	}
	c.job.Log("run.log.verified", "packs", report.Packs, "percent", c.care.Percent)
	return nil
}

func (c *caring) hear(f repository.Finding) {
	if c.found.note(f) {
		c.job.Problem(f.Name, errors.New(f.Text))
	}
}

// heal puts right what is damaged, and names what stays lost.
func (c *caring) heal(ctx context.Context) error {
	ids, err := snapshot.LostPoints(ctx, c.repo)
	if err != nil {
		return err
	}
	before := c.place.Care
	c.found.rest = c.found.rest || len(ids) > 0 || len(before.Lost) > 0 // which may have come back, or not
	if !c.found.rest && c.found.n == 0 && len(c.found.packs) == 0 {
		c.care.Damaged, c.care.Healed, c.care.Lost, c.care.LostTo = 0, 0, nil, time.Time{}
		return nil
	}
	m := &mending{Runner: c.Runner, job: c.job, place: c.place, repo: c.repo, found: c.found}
	err = m.run(ctx)
	c.care.Damaged, c.care.Healed, c.care.Lost, c.care.LostTo = len(m.left), m.healed, m.lost, m.lostTo
	if err != nil {
		c.care.Damaged = max(1, c.care.Damaged)
		return err
	}
	for _, lost := range m.lost {
		c.job.Log(lost.Key, lost.Plain()...)
	}
	return nil
}

// copies hands in what an earlier night could not copy.
func (c *caring) copies(ctx context.Context) error {
	plans, err := c.Book.Plans(ctx)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if p.RepositoryID != c.place.ID || p.SecondID == 0 {
			continue
		}
		var missing []plan.Point
		err := c.Store.Read(ctx, func(tx *store.Tx) (err error) {
			missing, err = plan.Uncopied(tx, p)
			return err
		})
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			continue
		}
		if _, err := c.submitCopy(ctx, p, c.job.Job().Trigger, c.job.Job().By); err != nil && !busy(err) {
			return err
		}
	}
	return nil
}

// verdict says how the job ends. Damage that was healed is a success.
func (c *caring) verdict(err error) error {
	if n := len(c.care.Lost); c.care.Damaged > 0 || n > 0 {
		return errors.Join(errs.New(errs.Conflict, "run.care.damaged", "n", c.care.Damaged, "lost", n), err)
	}
	if err != nil {
		return incomplete(err, "run.care.incomplete", "n", len(c.failed), "why", told(c.failed[0]))
	}
	return err
}

// careEnded tells the desk what a person must act on.
func (r *Runner) careEnded(ctx context.Context, job jobs.Job) error {
	var req CareRequest
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	place, err := r.Book.RepositoryByID(ctx, req.Repository)
	if err != nil {
		return err
	}
	see := plan.Say("run.ticket.see", "job", job.ID)
	tell := func(key string, text plan.Note) error {
		return r.Tell(ctx, fmt.Sprintf("%s/%d", key, place.ID), plan.Say(key, "repository", place.Name), text)
	}
	care, mine := place.Care, place.Care.Job == job.ID
	var said []error
	sick := mine && (care.Damaged > 0 || len(care.Lost) > 0)
	switch {
	case sick:
		said = append(said, tell("run.ticket.check", damageText(care, see)))
	case mine && care.Healed > 0:
		said = append(said, tell("run.ticket.healed", plan.Say("run.ticket.healed.text", "n", care.Healed, "job", job.ID)))
	}
	if mine && care.Overdue > 0 {
		said = append(said, tell("run.ticket.overdue", plan.Say("run.ticket.overdue.text", "n", care.Overdue, "days", int(place.Settings.VerifyEvery().Hours()/24), "percent", care.Percent)))
	}
	if job.State == jobs.Failed && !sick || job.State == jobs.Partial {
		said = append(said, tell("run.ticket.care", see))
	}
	return errors.Join(said...)
}

// damageText names the files and days that are lost.
func damageText(care plan.Care, see plan.Note) plan.Note {
	if len(care.Lost) == 0 {
		return see
	}
	return plan.Say("run.ticket.losses", "list", care.Lost, "see", see)
}

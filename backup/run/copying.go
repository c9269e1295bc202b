package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// batch is how many points are copied under one lock: when the work is cut
// short, so many have to be looked at once more.
const batch = 16

// copying is one copy job at work: what rests in a plan's repository and not in
// its second one goes there, the oldest first.
type copying struct {
	*Runner
	job           *jobs.Run
	plan          plan.Plan
	first, second plan.Repository
	from, to      *repository.Repository
	there         []*snapshot.Snapshot // in the second repository, once they were needed
	result        CopyResult
}

// copy is the job kind.
func (r *Runner) copy(ctx context.Context, job *jobs.Run) error {
	c := &copying{Runner: r, job: job}
	if err := c.begin(ctx); err != nil {
		return told(err)
	}
	return errors.Join(told(c.carry(ctx)), job.SetResult(c.result))
}

func (c *copying) begin(ctx context.Context) error {
	var req CopyRequest
	if err := c.job.Params(&req); err != nil {
		return err
	}
	return c.Store.Read(ctx, func(tx *store.Tx) (err error) {
		if c.plan, err = plan.ByID(tx, req.Plan); err != nil {
			return err
		}
		if c.plan.SecondID == 0 {
			return nosecond(c.plan)
		}
		if c.first, err = plan.RepositoryByID(tx, c.plan.RepositoryID); err != nil {
			return err
		}
		c.second, err = plan.RepositoryByID(tx, c.plan.SecondID)
		c.result.Repository = c.second.Name
		return err
	})
}

func (c *copying) carry(ctx context.Context) (err error) {
	c.job.Stage(backup.StageCheck)
	if c.to, err = c.repositories.fresh(ctx, c.second); err != nil {
		return err
	}
	defer func() {
		c.repositories.retire(context.WithoutCancel(ctx), c.second.ID)
		err = closing(err, c.to)
	}()
	if err := c.points(ctx); err != nil {
		return err
	}
	if c.result.Expired, err = c.outlive(ctx, c.job, c.second, c.to); err != nil {
		return err
	}
	if err := c.repositories.noteSpace(ctx, c.second, c.to.Storage()); err != nil {
		return err
	}
	if n := c.result.Skipped; n > 0 {
		return incomplete(backup.ErrIncomplete, "run.copy.skipped", "n", n, "repository", c.first.Name)
	}
	return nil
}

// points copies what is missing, and what has come to be missing meanwhile.
func (c *copying) points(ctx context.Context) (err error) {
	tried := map[int64]bool{}
	for {
		var missing []plan.Point
		err := c.Store.Read(ctx, func(tx *store.Tx) (err error) {
			missing, err = plan.Uncopied(tx, c.plan)
			return err
		})
		missing = slices.DeleteFunc(missing, func(p plan.Point) bool { return tried[p.ID] })
		if err != nil || len(missing) == 0 {
			return err
		}
		for _, p := range missing {
			tried[p.ID] = true
		}
		if err := c.these(ctx, missing); err != nil {
			return err
		}
	}
}

// these copies points batch by batch.
func (c *copying) these(ctx context.Context, missing []plan.Point) (err error) {
	if c.from, err = c.repositories.fresh(ctx, c.first); err != nil {
		return err
	}
	defer func() { err = closing(err, c.from) }()
	for some := range slices.Chunk(missing, batch) {
		if err := c.some(ctx, some); err != nil {
			return err
		}
	}
	c.job.Log("run.log.copied", "n", c.result.Copied, "repository", c.second.Name, "added", locale.English.Bytes(c.result.Bytes))
	return nil
}

// some copies a few points and writes down where they rest now.
func (c *copying) some(ctx context.Context, points []plan.Point) error {
	byID := map[string]plan.Point{}
	var ids []string
	for _, p := range points {
		if _, err := snapshot.Load(ctx, c.from, p.Snapshot); errors.Is(err, backup.ErrNotFound) || errors.Is(err, backup.ErrDamaged) {
			if !c.expired(ctx, p) {
				c.job.Problem(p.Short(), err)
				c.result.Skipped++
			}
			continue
		} else if err != nil {
			return err
		}
		byID[p.Snapshot] = p
		ids = append(ids, p.Snapshot)
	}
	if len(ids) == 0 {
		return nil
	}
	var report snapshot.CopyReport
	err := Patient(ctx, c.job, func() (err error) {
		report, err = snapshot.Copy(ctx, c.from, c.to, snapshot.CopyOptions{Points: ids}, c.job)
		return err
	})
	c.result.Bytes += report.Packed
	c.result.Skipped += len(report.Skipped)
	if errors.Is(err, backup.ErrIncomplete) {
		err = nil // told by Skipped; the others were copied
	}
	return errors.Join(err, c.note(ctx, report, byID))
}

// expired says that a point has been let go since the missing ones were listed.
func (c *copying) expired(ctx context.Context, p plan.Point) bool {
	now, err := c.Book.PointByID(ctx, p.ID)
	return err == nil && !now.ExpiredAt.IsZero()
}

// note writes down the copies that were made, and those an earlier run has made
// and not come to write down.
func (c *copying) note(ctx context.Context, report snapshot.CopyReport, points map[string]plan.Point) error {
	copies := slices.Clone(report.Copied)
	c.result.Copied += len(copies)
	added := shares(report.Packed, points, copies)
	for _, id := range report.Present {
		twin, err := c.twin(ctx, id)
		if err != nil {
			return err
		}
		copies = append(copies, snapshot.CopiedPoint{From: id, To: twin})
	}
	// The copies are there: a wish to stop that comes now comes too late.
	return c.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, made := range copies {
			p, asked := points[made.From]
			if !asked || made.To == "" {
				continue
			}
			if err := plan.InsertCopy(tx, plan.Copy{Point: p.ID, Repository: c.second.ID, Snapshot: made.To, Added: added[made.From]}); err != nil {
				return err
			}
		}
		return nil
	})
}

// shares says how much of what a batch has added is each point's: as much as
// what it added in its own place is of theirs.
func shares(bytes int64, points map[string]plan.Point, copies []snapshot.CopiedPoint) map[string]int64 {
	var sum float64
	for _, c := range copies {
		sum += float64(points[c.From].Added + 1)
	}
	list := make(map[string]int64, len(copies))
	for _, c := range copies {
		list[c.From] = int64(float64(bytes) * float64(points[c.From].Added+1) / sum)
	}
	return list
}

// twin finds the copy of a snapshot in the second repository.
func (c *copying) twin(ctx context.Context, id string) (string, error) {
	mine, err := snapshot.Load(ctx, c.from, id)
	if err != nil {
		return "", err
	}
	if c.there == nil {
		if c.there, err = snapshot.List(ctx, c.to, snapshot.Filter{}); err != nil {
			return "", err
		}
	}
	origin := mine.ID
	if !mine.Original.IsZero() {
		origin = mine.Original.String()
	}
	for _, other := range c.there {
		if (other.ID == origin || other.Original.String() == origin) && other.Time.Equal(mine.Time) && other.Tree == mine.Tree {
			return other.ID, nil
		}
	}
	return "", nil
}

// outlive removes the copies in a repository whose points have expired: what
// was decided about a point holds for its copies. When somebody reads there,
// they stay until the next time.
func (r *Runner) outlive(ctx context.Context, job *jobs.Run, place plan.Repository, repo *repository.Repository) (n int, err error) {
	var gone []plan.Copy
	err = r.Store.Read(ctx, func(tx *store.Tx) (err error) {
		gone, err = plan.Outlived(tx, place.ID)
		return err
	})
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	lock, err := repo.Lock(ctx, repository.Exclusive)
	if errors.Is(err, backup.ErrLocked) {
		job.Log("run.log.expirelocked", "n", len(gone))
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("lock repository %s: %w", place.Name, err)
	}
	n, err = r.letCopiesGo(lock.Context(), repo, gone)
	if err = errors.Join(err, lock.Unlock()); err != nil || n == 0 {
		return n, err
	}
	job.Log("run.log.copiesexpired", "n", n, "repository", place.Name)
	_, err = r.prune(ctx, job, place, repo)
	return n, err
}

func (r *Runner) letCopiesGo(ctx context.Context, repo *repository.Repository, gone []plan.Copy) (n int, err error) {
	for _, c := range gone {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		err := snapshot.Remove(ctx, repo, c.Snapshot)
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return n, fmt.Errorf("remove snapshot %.8s: %w", c.Snapshot, err)
		}
		if err := r.Store.Write(ctx, func(tx *store.Tx) error { return plan.CopyGone(tx, c) }); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// copyEnded opens a ticket when points did not come to their second place.
func (r *Runner) copyEnded(ctx context.Context, job jobs.Job) error {
	if job.State != jobs.Failed && job.State != jobs.Partial {
		return nil
	}
	var req CopyRequest
	if err := json.Unmarshal(job.Params, &req); err != nil {
		return fmt.Errorf("request of job %d: %w", job.ID, err)
	}
	p, err := r.Book.PlanByID(ctx, req.Plan)
	if err != nil {
		return err
	}
	return r.Tell(ctx, fmt.Sprintf("run.ticket.copy/%d", p.ID), plan.Say("run.ticket.copy", "plan", p.Label()),
		plan.Say("run.ticket.copy.text", "repository", p.Second, "job", job.ID))
}

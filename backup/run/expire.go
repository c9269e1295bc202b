package run

import (
	"context"
	"errors"
	"fmt"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

func busy(err error) bool { return errs.KindOf(err) == errs.Busy }

// expire lets old points go by the plan's policy, removes their snapshots and
// gives the room back. It needs the repository for itself; when somebody reads
// there, the points stay until the next run.
//
// The row expires before the snapshot goes: after a power cut in between, no
// point is shown that cannot be restored, and the next run removes the
// snapshot.
func (a *attempt) expire(ctx context.Context) error {
	a.job.Stage(backup.StageExpire)
	gone, held, err := a.judge(ctx)
	if err != nil {
		return err
	}
	if len(gone) == 0 {
		a.tellHeld(held)
		return nil
	}
	lock, err := a.repo.Lock(ctx, repository.Exclusive)
	if errors.Is(err, backup.ErrLocked) {
		a.tellHeld(held)
		a.job.Log("run.log.expirelocked", "n", len(gone))
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock repository for retention: %w", err)
	}
	removed, err := a.letGo(lock.Context())
	if err = errors.Join(err, lock.Unlock()); err != nil || !removed {
		return err
	}
	_, err = a.prune(ctx, a.job, a.place, a.repo)
	return err
}

// letGo judges once more, under the lock: while it was waited for, a point may
// have been held or have gone, and the first verdict only said whether there is
// anything to do.
func (a *attempt) letGo(ctx context.Context) (removed bool, err error) {
	gone, held, err := a.judge(ctx)
	if err != nil {
		return false, err
	}
	a.tellHeld(held)
	if len(gone) == 0 {
		return false, nil
	}
	return true, a.remove(ctx, gone)
}

// doomed is a snapshot that has to go.
type doomed struct {
	snapshot string
	point    int64 // 0: its row has expired before
	reasons  []plan.Note
}

// judge lists what the policy lets go, and snapshots of points that expired in
// an earlier run that could not finish. held counts, by reason, the points that
// stay beyond the policy.
func (a *attempt) judge(ctx context.Context) (gone []doomed, held map[string]int, err error) {
	held = map[string]int{}
	err = a.Store.Read(ctx, func(tx *store.Tx) error {
		live, err := plan.Live(tx, a.plan)
		if err != nil {
			return err
		}
		verdicts, err := plan.Judge(live, a.plan.Keep, a.plan.Location(a.Book.Site()))
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			if !v.Keep {
				gone = append(gone, doomed{v.Point.Snapshot, v.Point.ID, v.Reasons})
			}
			if !v.Held.IsZero() {
				held[v.Held.Key]++
			}
		}
		left, err := plan.Lingering(tx, a.plan)
		for _, id := range left {
			gone = append(gone, doomed{snapshot: id})
		}
		return err
	})
	return gone, held, err
}

func (a *attempt) tellHeld(held map[string]int) {
	for key, n := range held {
		a.job.Log("run.log.held", "n", n)
		a.job.Log(key)
	}
}

func (a *attempt) remove(ctx context.Context, gone []doomed) error {
	for _, d := range gone {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := a.Store.Write(ctx, func(tx *store.Tx) error { return plan.Expire(tx, d.point, d.reasons) }); err != nil {
			return err
		}
		err := snapshot.Remove(ctx, a.repo, d.snapshot)
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return fmt.Errorf("remove snapshot %.8s: %w", d.snapshot, err)
		}
		if err := a.Store.Write(ctx, func(tx *store.Tx) error { return plan.Removed(tx, a.place.ID, d.snapshot) }); err != nil {
			return err
		}
	}
	a.job.Log("run.log.expired", "n", len(gone))
	return nil
}

// prune gives back the room of what no snapshot needs. What others keep it from
// doing, the next prune does.
func (r *Runner) prune(ctx context.Context, job *jobs.Run, place plan.Repository, repo *repository.Repository) (repository.PruneReport, error) {
	job.Stage(backup.StagePrune)
	var promised []string
	err := r.Store.Read(ctx, func(tx *store.Tx) (err error) {
		promised, err = plan.Promised(tx, place.ID)
		return err
	})
	if err != nil {
		return repository.PruneReport{}, err
	}
	report, err := snapshot.Prune(ctx, repo, repository.PruneOptions{Promised: promised}, job)
	if errors.Is(err, backup.ErrLocked) {
		job.Log("run.log.prunelocked")
		return report, nil
	}
	if err != nil {
		return report, fmt.Errorf("prune repository %s: %w", place.Name, err)
	}
	job.Log("run.log.pruned", "freed", locale.English.Bytes(max(0, report.BytesFreed)))
	if report.Postponed != "" {
		job.Log("run.log.prunelater", "left", locale.English.Bytes(report.BytesLeft))
	}
	return report, nil
}

// reclaim prunes alone. When somebody else is at work in the repository, the
// room stays as it is.
func (a *attempt) reclaim(ctx context.Context) error {
	_, err := a.prune(ctx, a.job, a.place, a.repo)
	return err
}

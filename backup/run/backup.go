package run

import (
	"context"
	"errors"
	"fmt"

	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/source/all"
	"emrvault/backup/storage"
	"emrvault/backup/storage/readback"
)

// attempt is one backup under way.
type attempt struct {
	*Runner
	job     *jobs.Run
	request BackupRequest
	plan    plan.Plan
	place   plan.Repository
	repo    *repository.Repository
	source  source.Source

	checked []source.Finding // what the source said before
	capture *source.Capture
	result  *archive.Result
	point   int64
}

// BackupResult is what a backup job leaves.
type BackupResult struct {
	Point    int64  `json:"point"`
	Snapshot string `json:"snapshot"`
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Added    int64  `json:"added"`
	Problems int    `json:"problems"`
	Damaged  bool   `json:"damaged"`
}

// backup is the job kind: it carries one plan out.
func (r *Runner) backup(ctx context.Context, job *jobs.Run) error {
	a := &attempt{Runner: r, job: job}
	if err := job.Params(&a.request); err != nil {
		return err
	}
	if err := a.begin(ctx); err != nil {
		return told(err)
	}
	err := told(a.carry(ctx))
	if err == nil || ctx.Err() != nil {
		return err // stopped: the job says by whom
	}
	note := noteOf(err)
	write := r.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return plan.NoteRun(tx, job.Job().ID, note)
	})
	return errors.Join(err, write)
}

// begin writes down that the plan is being carried out.
func (a *attempt) begin(ctx context.Context) error {
	job := a.job.Job()
	return a.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if a.plan, err = plan.ByID(tx, a.request.Plan); err != nil {
			return err
		}
		if a.place, err = plan.RepositoryByID(tx, a.plan.RepositoryID); err != nil {
			return err
		}
		return plan.BeginRun(tx, plan.Run{
			Job: job.ID, Plan: a.plan.ID, Trigger: string(job.Trigger), By: job.By, Missed: a.request.Missed,
		})
	})
}

// carry does the steps in order. What comes after the point may fail without
// taking the point back.
func (a *attempt) carry(ctx context.Context) (err error) {
	if a.request.Missed > 0 {
		a.job.Log("run.log.missed", "n", a.request.Missed)
	}
	if err := a.open(ctx); err != nil {
		return err
	}
	defer func() {
		a.repositories.retire(context.WithoutCancel(ctx), a.place.ID)
		err = closing(err, a.repo)
	}()
	if err := a.check(ctx); err != nil {
		return err
	}
	partial, err := a.archive(ctx)
	if err != nil {
		return err
	}
	if err := a.record(ctx); err != nil {
		return err
	}
	return a.afterwards(ctx, partial)
}

// open opens the repository, free of what dead processes of this box left.
func (a *attempt) open(ctx context.Context) (err error) {
	a.job.Stage(backup.StageCheck)
	if a.repo, err = a.repositories.fresh(ctx, a.place); err != nil {
		return err
	}
	removed, err := a.repo.RemoveOwnStaleLocks(ctx)
	if err != nil {
		return closing(fmt.Errorf("remove stale locks: %w", err), a.repo)
	}
	if removed > 0 {
		a.job.Log("run.log.unlocked", "n", removed)
	}
	if err := a.reconcile(ctx); err != nil {
		return closing(err, a.repo)
	}
	return nil
}

// slack is the room that must be left beside what a backup is expected to add.
const slack = 64 << 20

// check looks at the room and asks the source whether it is ready. A bad
// finding alone does not stop the night's work: a source that is damaged or
// partly gone is captured as far as it can be, and marked. When nothing can be
// had, the capture fails and the finding says why.
func (a *attempt) check(ctx context.Context) (err error) {
	if err := a.room(ctx); err != nil {
		return err
	}
	if a.source, err = all.Open(a.plan.Source); err != nil {
		return fmt.Errorf("source of plan %s: %w", a.plan.Name, err)
	}
	if a.checked, err = a.source.Check(ctx); err != nil {
		return fmt.Errorf("check source of plan %s: %w", a.plan.Name, err)
	}
	for _, f := range a.checked {
		if f.Level != source.Good {
			note := findingNote(f)
			a.job.Log(note.Key, note.Plain()...)
		}
	}
	return nil
}

// room refuses to begin when what backups of late have added would not fit
// again. Runs that broke off, perhaps for want of room, have left packs that
// nobody needs: those are given back first.
func (a *attempt) room(ctx context.Context) error {
	if err := a.repositories.noteSpace(ctx, a.place, a.repo.Storage()); err != nil {
		return err
	}
	need, err := a.need(ctx)
	if err != nil {
		return err
	}
	err = a.fits(ctx, need)
	if !errors.Is(err, backup.ErrStorageFull) {
		return err
	}
	if reclaimed := a.reclaim(ctx); reclaimed != nil {
		return errors.Join(err, reclaimed)
	}
	return a.fits(ctx, need)
}

// need is the lesser growth of the last two points: the first point of a plan,
// or one after much was moved about, says nothing about the next.
func (a *attempt) need(ctx context.Context) (uint64, error) {
	need := uint64(slack)
	err := a.Store.Read(ctx, func(tx *store.Tx) error {
		live, err := plan.Live(tx, a.plan)
		if len(live) > 1 {
			need += uint64(max(0, min(live[0].Added, live[1].Added)))
		}
		return err
	})
	return need, err
}

func (a *attempt) fits(ctx context.Context, need uint64) error {
	space, ok := storage.As[storage.Space](a.repo.Storage())
	if !ok {
		return nil
	}
	free, _, err := space.Space(ctx)
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("%s has %s left, the backup needs %s: %w", a.place.Location,
			locale.English.Bytes(int64(free)), locale.English.Bytes(int64(need)), backup.ErrStorageFull)
	}
	return nil
}

// archive turns the source's view into a snapshot. partial is told when some
// of it could not be read, or the repository has lost packs: the snapshot
// exists all the same.
func (a *attempt) archive(ctx context.Context) (partial, err error) {
	a.job.Stage(backup.StageCapture)
	excludes, err := a.leaveOut(ctx)
	if err != nil {
		return nil, err
	}
	options := archive.Options{
		Host: a.Host, Tags: []string{a.plan.Tag()}, Time: a.Now(), Program: a.program(),
		Scratch: a.Layout.Scratch(), Excludes: excludes, Progress: a.job,
	}
	capture := func(ctx context.Context, sink source.Sink) (err error) {
		a.capture, err = a.source.Capture(ctx, sink)
		return err
	}
	err = Patient(ctx, a.job, func() (err error) {
		a.result, err = archive.Run(ctx, a.repo, options, capture)
		return err
	})
	if a.result != nil {
		return err, nil
	}
	return nil, a.because(err)
}

// because puts what the source said before in front of why the capture failed.
func (a *attempt) because(err error) error {
	finding, bad := worst(a.checked)
	if !bad || errors.Is(err, context.Canceled) || errors.Is(err, backup.ErrStorageFull) {
		return err
	}
	return fmt.Errorf("%s: %w", findingNote(finding).In(locale.English), err)
}

// programName begins what snapshots say of the program that made them.
const programName = "emrvault"

func (a *attempt) program() string { return programName + " " + a.Version }

// record writes the recovery point down. The archive has read the snapshot
// back by then.
func (a *attempt) record(ctx context.Context) error {
	p := a.pointOf(a.result.Snapshot, a.result.Summary, a.capture)
	p.Job, p.Problems = a.job.Job().ID, len(a.result.Problems)
	// The snapshot is there: a wish to stop that comes now comes too late.
	err := a.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) (err error) {
		a.point, err = plan.InsertPoint(tx, p)
		return err
	})
	if err != nil {
		return err
	}
	if policy := readBack(a.place); policy == readback.All || policy == readback.Sampled {
		a.job.Log("run.log.readback." + string(policy))
	}
	a.job.Log("run.log.point", "point", p.Short(), "added", locale.English.Bytes(p.Added), "files", p.Files)
	return a.job.SetResult(BackupResult{
		Point: a.point, Snapshot: p.Snapshot, Files: p.Files, Bytes: p.Bytes, Added: p.Added,
		Problems: p.Problems, Damaged: p.Damaged,
	})
}

// pointOf is the row of a snapshot; facts may be nil.
func (a *attempt) pointOf(sn *snapshot.Snapshot, sum snapshot.Summary, facts *source.Capture) plan.Point {
	p := plan.Point{
		Snapshot: sn.ID, Plan: a.plan.ID, Repository: a.place.ID, Kind: a.plan.Source.Kind,
		AsOf: sn.Time, Began: sum.BackupStart, Ended: sum.BackupEnd,
		Files: int64(sum.TotalFilesProcessed), Bytes: int64(sum.TotalBytesProcessed), Added: int64(sum.DataAddedPacked),
	}
	if facts != nil {
		p.Kind, p.Version, p.Damaged, p.Findings = facts.Kind, facts.Version, facts.Damaged, facts.Findings
		if !facts.AsOf.IsZero() {
			p.AsOf = facts.AsOf
		}
	}
	return p
}

// afterwards expires and prunes, hands in drill and copy, and says how the run
// went.
func (a *attempt) afterwards(ctx context.Context, partial error) error {
	housekeeping := a.expire(ctx)
	if err := a.repositories.noteSpace(ctx, a.place, a.repo.Storage()); err != nil {
		housekeeping = errors.Join(housekeeping, err)
	}
	if a.plan.Drill.AfterBackup {
		_, err := a.drill(ctx, a.plan, a.point, a.job.Job().Trigger, a.job.Job().By)
		if busy(err) {
			a.job.Log("run.log.drillbusy")
			err = nil
		}
		housekeeping = errors.Join(housekeeping, err)
	}
	housekeeping = errors.Join(housekeeping, a.handCopy(ctx))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case a.capture != nil && a.capture.Damaged:
		return incomplete(backup.ErrDamaged, "run.partial.damaged", "plan", a.plan.Label())
	case len(a.result.Lost) > 0:
		return incomplete(partial, "run.partial.lost", "n", len(a.result.Lost), "repository", a.place.Name)
	case a.result.Summary.TotalFilesProcessed == 0:
		return incomplete(backup.ErrNotFound, "run.partial.empty", "plan", a.plan.Label())
	case partial != nil:
		problems := a.result.Problems
		return incomplete(partial, "run.partial.unreadable", "n", len(problems), "first", problems[0].Path)
	case housekeeping != nil:
		return incomplete(housekeeping, "run.partial.housekeeping", "detail", housekeeping.Error())
	}
	return nil
}

// handCopy hands in the copy to the second repository. When points are being
// copied already, the new one goes with them or the next night.
func (a *attempt) handCopy(ctx context.Context) error {
	if a.plan.SecondID == 0 {
		return nil
	}
	_, err := a.submitCopy(ctx, a.plan, a.job.Job().Trigger, a.job.Job().By)
	if busy(err) {
		a.job.Log("run.log.copybusy")
		return nil
	}
	return err
}

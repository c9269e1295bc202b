package drill

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/run"
	"emrvault/backup/snapshot"
)

// attempt is one drill under way.
type attempt struct {
	*Drills
	job     *jobs.Run
	plan    plan.Plan
	point   *plan.Point
	verdict Verdict
	last    *Verdict // the last one that passed, nil: none

	repo *repository.Repository
	lock *repository.Lock // until all of the point has been compared: no prune takes its packs away
	sn   *snapshot.Snapshot
	twin *plan.Copy // the copy that is drilled instead of the point itself; nil: none
	dir  string     // restored data, "" until there is some

	began     time.Time // of the restore
	databases []database
}

// step is one thing a drill does.
type step struct {
	key   string // texts: what is done
	stage string // word of the job's stage
	do    func(context.Context) (plan.Note, error)
}

func (a *attempt) steps() []step {
	list := []step{
		{"drill.step.prepare", backup.StageCheck, a.prepare},
		{"drill.step.restore", backup.StageRestore, a.restore},
		{"drill.step.compare", backup.StageVerify, a.compare},
		{"drill.step.databases", backup.StageVerify, a.openDatabases},
	}
	if len(a.plan.Drill.Assertions) > 0 {
		list = append(list, step{"drill.step.assert", backup.StageAssert, a.assert})
	}
	return list
}

// drill is the job kind.
func (d *Drills) drill(ctx context.Context, job *jobs.Run) error {
	var req run.DrillRequest
	if err := job.Params(&req); err != nil {
		return err
	}
	a := &attempt{Drills: d, job: job}
	if err := a.begin(ctx, req); err != nil {
		return err
	}
	err := a.carry(ctx)
	return a.finish(ctx, err)
}

// begin writes the record down before anything is done.
func (a *attempt) begin(ctx context.Context, req run.DrillRequest) error {
	return a.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if a.plan, err = plan.ByID(tx, req.Plan); err != nil {
			return err
		}
		if a.point, err = chosenPoint(tx, a.plan.ID, req.Point); err != nil {
			return err
		}
		if a.last, err = lastPassed(tx, a.plan.ID); err != nil {
			return err
		}
		rests := a.plan.RepositoryID
		if a.point != nil {
			rests = a.point.Repository
		}
		if req.Second {
			if a.twin, err = second(tx, a.point); err != nil {
				return err
			}
			rests = a.twin.Repository
		}
		place, err := plan.RepositoryByID(tx, rests)
		if err != nil {
			return err
		}
		newest, err := plan.Newest(tx, a.plan.ID)
		if err != nil {
			return err
		}
		a.open(tx.Now, place)
		if newest != nil {
			a.verdict.Figures.RPO = Seconds(tx.Now.Sub(newest.AsOf))
		}
		return insertVerdict(tx, &a.verdict, a.plan.ID, siteYear(tx.Now, a.Book.Site()))
	})
}

// second finds the newest copy of a point.
func second(tx *store.Tx, p *plan.Point) (*plan.Copy, error) {
	if p == nil {
		return nil, errs.New(errs.NotFound, "run.copy.none", "point", "—")
	}
	list, err := plan.Copies(tx, p.ID)
	if err == nil && len(list) == 0 {
		err = errs.New(errs.NotFound, "run.copy.none", "point", p.Short())
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

// rests is where the drill reads the point, and what it is called there.
func (a *attempt) rests() (repository int64, snapshot string) {
	if a.twin != nil {
		return a.twin.Repository, a.twin.Snapshot
	}
	return a.point.Repository, a.point.Snapshot
}

// open fills the head of the record.
func (a *attempt) open(now time.Time, place plan.Repository) {
	job := a.job.Job()
	a.verdict = Verdict{
		State: Running, Level: LevelFiles, Plan: a.plan.Name, Title: a.plan.Title, Job: job.ID,
		Trigger: string(job.Trigger), By: job.By, Began: now, Proof: backup.Unproven,
		Checks: []Check{}, NotProven: []plan.Note{},
		Machine: Machine{Host: a.Host, OS: runtime.GOOS + "/" + runtime.GOARCH, Version: a.Version},
		Figures: Figures{RTOTarget: Seconds(a.plan.RTO), RPOTarget: Seconds(a.plan.RPO)},
	}
	v := &a.verdict
	if p := a.point; p != nil {
		v.Point = Point{
			ID: p.ID, Snapshot: p.Snapshot, Repository: place.Repository, Place: place.Name, AsOf: p.AsOf,
			Files: p.Files, Bytes: p.Bytes, Problems: p.Problems, Damaged: p.Damaged,
		}
		if a.twin != nil {
			v.Point.Snapshot = a.twin.Snapshot
		}
		v.Proof, v.Percent = p.Proof, p.Percent
	}
	v.Figures.Predicted = a.predict()
	for _, s := range append(a.steps(), step{key: keyClean}) {
		v.Steps = append(v.Steps, Step{Note: plan.Say(s.key), State: StepWaiting, Planned: a.planned(s.key)})
	}
}

const keyClean = "drill.step.clean"

// predict scales the last passed drill by the size of the point.
func (a *attempt) predict() Seconds {
	if a.last == nil || a.point == nil || a.last.Point.Bytes == 0 {
		return 0
	}
	return Seconds(float64(a.last.Figures.RTO) * float64(a.point.Bytes) / float64(a.last.Point.Bytes))
}

// planned is how long the same step took last time.
func (a *attempt) planned(key string) Seconds {
	if a.last == nil {
		return 0
	}
	for _, s := range a.last.Steps {
		if s.Note.Key == key {
			return s.Took
		}
	}
	return 0
}

// carry does the steps in order and stops at the first that fails.
func (a *attempt) carry(ctx context.Context) error {
	if a.point == nil {
		return errs.New(errs.NotFound, "drill.fail.nopoint", "plan", a.plan.Label())
	}
	for i, s := range a.steps() {
		a.job.Stage(s.stage)
		if err := a.step(ctx, i, s.do); err != nil {
			return err
		}
	}
	a.verdict.Figures.RTO = Seconds(a.Now().Sub(a.began))
	return nil
}

// step does one step and writes down how it went.
func (a *attempt) step(ctx context.Context, i int, do func(context.Context) (plan.Note, error)) error {
	s := &a.verdict.Steps[i]
	s.State, s.Began = StepRunning, a.Now().UTC()
	if err := a.keep(ctx); err != nil {
		return err
	}
	detail, err := do(ctx)
	s.Took, s.Detail, s.State = Seconds(a.Now().Sub(s.Began)), detail, StepPassed
	if err != nil {
		s.State = StepFailed
		if detail.IsZero() {
			s.Detail = run.NoteOf(err)
		}
	}
	if !s.Detail.IsZero() {
		a.job.Log(s.Detail.Key, s.Detail.Plain()...)
	}
	return errors.Join(err, a.keep(ctx))
}

func (a *attempt) keep(ctx context.Context) error {
	return a.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return saveVerdict(tx, a.verdict) })
}

// prepare looks for room and opens repository and snapshot.
func (a *attempt) prepare(ctx context.Context) (plan.Note, error) {
	if err := a.reserve(); err != nil {
		return plan.Note{}, err
	}
	var err error
	place, id := a.rests()
	if a.repo, err = a.runner.Repositories().Fresh(ctx, place); err != nil {
		return plan.Note{}, err
	}
	if _, err := a.repo.RemoveOwnStaleLocks(ctx); err != nil {
		return plan.Note{}, fmt.Errorf("remove stale locks: %w", err)
	}
	err = run.Patient(ctx, a.job, func() (err error) {
		a.lock, err = a.repo.Lock(ctx, repository.Read)
		return err
	})
	if err != nil {
		return plan.Note{}, fmt.Errorf("lock repository for the drill: %w", err)
	}
	a.sn, err = snapshot.Load(ctx, a.repo, id)
	if errors.Is(err, backup.ErrNotFound) {
		return plan.Note{}, lost{fmt.Errorf("snapshot of point %s: %w", a.point.Short(), err)}
	}
	if err != nil {
		return plan.Note{}, fmt.Errorf("snapshot of point %s: %w", a.point.Short(), err)
	}
	return plan.Say("drill.detail.prepare", "needed", plan.Size(a.verdict.Scratch.Needed), "free", plan.Size(a.verdict.Scratch.Free)), nil
}

// lost is a failure that the point itself is to blame for.
type lost struct{ error }

// Unwrap gives the cause.
func (l lost) Unwrap() error { return l.error }

// restore brings everything back; from here the RTO counts.
func (a *attempt) restore(ctx context.Context) (plan.Note, error) {
	a.began = a.Now()
	result, err := restore.Run(ctx, a.repo, a.sn, restore.Options{Target: a.dir, Temporary: true, Progress: a.job})
	if result == nil {
		return plan.Note{}, err
	}
	took := a.Now().Sub(a.began)
	if s := took.Seconds(); s > 0 {
		a.verdict.Figures.Rate = int64(float64(result.Bytes) / s)
	}
	for _, p := range first(result.Problems) {
		a.verdict.Checks = append(a.verdict.Checks, Check{Note: plan.Say("drill.check.restore", "path", p.Path), Detail: plan.Say("drill.said", "text", p.Err.Error())})
	}
	if n := len(result.Skipped); n > 0 {
		a.verdict.NotProven = append(a.verdict.NotProven, plan.Say("drill.unproven.skipped", "n", n, "first", result.Skipped[0].Path))
	}
	if err != nil {
		return plan.Note{}, err
	}
	return plan.Say("drill.detail.restore", "files", result.Files, "bytes", plan.Size(result.Bytes), "rate", plan.Size(a.verdict.Figures.Rate)), nil
}

// shown bounds how many single faults a record names; it counts them all.
const shown = 20

func first[T any](list []T) []T { return list[:min(shown, len(list))] }

// compare reads every file back and compares it with what the snapshot says.
func (a *attempt) compare(ctx context.Context) (plan.Note, error) {
	//nolint:contextcheck // The lock's context is this one, and ends with the lock.
	result, err := restore.Verify(a.lock.Context(), a.repo, a.sn, a.dir, restore.VerifyOptions{Progress: a.job})
	if result == nil {
		return plan.Note{}, err
	}
	err = errors.Join(err, a.unlock())
	a.verdict.Figures.Files, a.verdict.Figures.Bytes = result.Files, result.Bytes
	for _, m := range first(result.Mismatches) {
		a.verdict.Checks = append(a.verdict.Checks, Check{
			Note:   plan.Say("drill.check.file", "path", m.Path),
			Detail: plan.Say("drill.check.differs", "what", m.What, "want", m.Want, "got", m.Got),
		})
	}
	if err != nil {
		return plan.Note{}, err
	}
	a.verdict.Checks = append(a.verdict.Checks, Check{
		Note: plan.Say("drill.check.files"), OK: true,
		Detail: plan.Say("drill.detail.compare", "files", result.Files, "bytes", plan.Size(result.Bytes)),
	})
	return plan.Say("drill.detail.compare", "files", result.Files, "bytes", plan.Size(result.Bytes)), nil
}

// unlock lets others change the repository again.
func (a *attempt) unlock() error {
	lock := a.lock
	if a.lock = nil; lock == nil {
		return nil
	}
	return lock.Unlock()
}

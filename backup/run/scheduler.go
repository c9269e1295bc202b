package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/schedule"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
)

// Scheduler hands in what is due. The next moment of each plan lies in the
// store, so nothing is lost while the box is off: what has become due by then
// is run once, and the moments that went by are counted and told.
//
// The clock may jump. Forwards, the moments passed over count as missed.
// Backwards, a stored moment lies further away than the timetable allows and
// is set anew.
type Scheduler struct {
	runner *Runner
	poll   time.Duration
}

// NewScheduler makes the scheduler of a runner.
func NewScheduler(r *Runner) *Scheduler { return &Scheduler{runner: r, poll: 10 * time.Second} }

// late is how long after its moment a run still counts as being in time.
const late = 5 * time.Minute

// Run hands in what is due until ctx ends. A pass that fails is logged and
// tried again: the scheduler must not die of a busy database.
func (s *Scheduler) Run(ctx context.Context) error {
	for {
		wait := s.poll
		next, err := s.pass(ctx)
		if err != nil && ctx.Err() == nil {
			s.runner.Log.ErrorContext(ctx, "what is due could not be handed in", "error", err)
		}
		if until := next.Sub(s.runner.Now()); !next.IsZero() && until < wait {
			wait = max(until, 0) + time.Millisecond
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// pass looks at every plan once and gives the next moment of any of them.
func (s *Scheduler) pass(ctx context.Context) (next time.Time, err error) {
	list, err := s.runner.Book.Plans(ctx)
	if err != nil {
		return next, err
	}
	var failed []error
	for _, p := range list {
		if !p.Enabled {
			continue
		}
		due, err := s.look(ctx, p)
		if err != nil {
			failed = append(failed, fmt.Errorf("plan %s: %w", p.Name, err))
		}
		for _, t := range due {
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	due, err := s.caring(ctx)
	if !due.IsZero() && (next.IsZero() || due.Before(next)) {
		next = due
	}
	return next, errors.Join(append(failed, err)...)
}

// caring hands in the care of repositories that is due and gives the next
// moment.
func (s *Scheduler) caring(ctx context.Context) (next time.Time, err error) {
	list, err := s.runner.Book.Repositories(ctx)
	if err != nil {
		return next, err
	}
	var failed []error
	for _, place := range list {
		due, err := s.lookAfter(ctx, place)
		if err != nil {
			failed = append(failed, fmt.Errorf("repository %s: %w", place.Name, err))
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next, errors.Join(failed...)
}

// lookAfter hands in the care of a repository when it is due. Nights that went
// by while the box was off are made up for once.
func (s *Scheduler) lookAfter(ctx context.Context, place plan.Repository) (time.Time, error) {
	nights, err := quietHour(place, s.runner.Book.Site())
	if err != nil {
		return time.Time{}, err
	}
	next, err := step(nights, place.NextCare, s.runner.Now(), func(l lapse) error {
		_, err := s.runner.submitCare(ctx, place.ID, l.trigger, "")
		if busy(err) {
			return nil
		}
		return err
	})
	if next.Equal(place.NextCare) {
		return next, err
	}
	write := s.runner.Store.Write(ctx, func(tx *store.Tx) error { return plan.SetNextCare(tx, place.ID, next) })
	return next, errors.Join(err, write)
}

// quietHour is when a repository is looked after: after midnight, when the
// backups of the evening are done. The minute follows from the repository's id,
// so that those of many boxes do not ask one server at the same moment.
func quietHour(place plan.Repository, site *time.Location) (schedule.Schedule, error) {
	var sum uint32
	for _, c := range place.Repository {
		sum = sum*31 + uint32(c)
	}
	minute := sum % 120
	return schedule.Parse(fmt.Sprintf("%d %d * * *", minute%60, 2+minute/60), site)
}

// look hands in what a plan has due and gives its next moments.
func (s *Scheduler) look(ctx context.Context, p plan.Plan) ([2]time.Time, error) {
	backups, err := p.Timetable(s.runner.Book.Site())
	if err != nil {
		return [2]time.Time{}, err
	}
	drills, err := p.DrillTimetable(s.runner.Book.Site())
	if err != nil {
		return [2]time.Time{}, err
	}
	now := s.runner.Now()
	backup, errBackup := step(backups, p.NextDue, now, func(l lapse) error { return s.backup(ctx, p, l) })
	drill, errDrill := step(drills, p.NextDrill, now, func(l lapse) error { return s.drill(ctx, p, l) })
	next := [2]time.Time{backup, drill}
	if backup.Equal(p.NextDue) && drill.Equal(p.NextDrill) {
		return next, errors.Join(errBackup, errDrill)
	}
	err = s.runner.Store.Write(ctx, func(tx *store.Tx) error { return plan.SetDue(tx, p, backup, drill) })
	return next, errors.Join(errBackup, errDrill, err)
}

// step hands in what is due and gives the moment after. What could not be
// handed in stays due. It is handed in before the moment moves on: a power cut
// in between may run a plan twice, but never loses a run.
func step(t schedule.Schedule, due, now time.Time, submit func(lapse) error) (time.Time, error) {
	if !due.IsZero() && !due.After(now) && !t.IsZero() {
		if err := submit(lapseOf(t, due, now)); err != nil {
			return due, err
		}
	}
	return t.Next(now), nil
}

// lapse tells which due moments a run stands for.
type lapse struct {
	missed  int // moments that went by
	trigger jobs.Trigger
}

// lapseOf counts the moments from due to now. A run that begins within a few
// minutes of a moment is that moment's own; a later one has missed them all.
func lapseOf(t schedule.Schedule, due, now time.Time) lapse {
	missed := max(1, t.Missed(due.Add(-time.Second), now))
	if now.Sub(due) <= late || t.Missed(now.Add(-late), now) > 0 {
		missed--
	}
	if missed == 0 {
		return lapse{0, jobs.Schedule}
	}
	return lapse{missed, jobs.CatchUp}
}

// backup hands in a backup. When the plan is still at work, the moment counts
// as missed: no two of one plan run at once.
func (s *Scheduler) backup(ctx context.Context, p plan.Plan, l lapse) error {
	_, err := s.runner.submitBackup(ctx, p, l.trigger, "", l.missed)
	missed := l.missed
	if busy(err) {
		s.runner.Log.WarnContext(ctx, "plan is still at work, its next run is passed over", "plan", p.Name)
		missed, err = missed+1, nil
		if l.trigger == jobs.CatchUp {
			missed = l.missed
		}
	}
	if err != nil || missed == 0 {
		return err
	}
	return s.runner.Store.Write(ctx, func(tx *store.Tx) error { return plan.AddMissed(tx, p.ID, missed) })
}

// drill hands in a drill. One that was missed is told at the desk: nobody
// sees a proof that is not made.
func (s *Scheduler) drill(ctx context.Context, p plan.Plan, l lapse) error {
	_, err := s.runner.drill(ctx, p, 0, l.trigger, "")
	if busy(err) {
		err = nil
	}
	if err != nil || l.missed == 0 {
		return err
	}
	return s.runner.Tell(ctx, fmt.Sprintf("run.ticket.drillmissed/%d", p.ID),
		plan.Say("run.ticket.drillmissed", "plan", p.Label()), plan.Say("run.ticket.drillmissed.text", "n", l.missed))
}

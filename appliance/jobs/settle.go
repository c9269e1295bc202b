package jobs

import (
	"context"
	"errors"
	"slices"

	"emrvault/appliance/store"
)

// settle brings the books in order after whatever ended the last process:
// running jobs of another process were interrupted by its death; interrupted
// jobs are submitted again where their kind says so; listeners hear of ends
// they have not heard of. All rows change in one transaction, so a crash in
// the middle of this leaves everything for the next start.
func (m *Manager) settle(ctx context.Context) error {
	var untold []Job
	var ends []Event
	err := m.store.Write(ctx, func(tx *store.Tx) (err error) {
		if ends, err = m.bury(tx); err != nil {
			return err
		}
		if err := m.repeat(tx, ends); err != nil {
			return err
		}
		untold, err = jobsWhere(tx, `ended IS NOT NULL AND told = 0`)
		return err
	})
	if err != nil {
		return err
	}
	for _, end := range ends {
		m.hub.publish(end, true)
	}
	for _, job := range untold {
		m.tell(ctx, job)
	}
	return nil
}

// bury marks the running jobs of dead processes as interrupted and gives the
// events of their ends.
func (m *Manager) bury(tx *store.Tx) (ends []Event, err error) {
	jobs, err := jobsWhere(tx, `state = 'running' AND owner <> ?`, m.owner)
	if err != nil {
		return nil, err
	}
	for _, job := range jobs {
		m.opts.Log.Warn("a job died with its process", "job", job.ID, "kind", job.Kind, "key", job.Key, "stage", job.Stage, "heartbeat", job.Heartbeat)
		job.State, job.Ended = Interrupted, tx.Now
		end, err := finish(tx, job, nil, "")
		if err != nil {
			return nil, err
		}
		ends = append(ends, end)
	}
	return ends, nil
}

// repeat submits interrupted jobs again. One cut short by an orderly stop is
// caught up as often as it takes; one that died with its process counts, since
// it may have been what killed it.
func (m *Manager) repeat(tx *store.Tx, dead []Event) error {
	open, err := jobsWhere(tx, `state = 'interrupted' AND settled = 0`)
	if err != nil {
		return err
	}
	for _, job := range open {
		kind, known := m.kind(job.Kind)
		if !known {
			continue // perhaps a later start knows it
		}
		if kind.Resubmit {
			crashed := slices.ContainsFunc(dead, func(e Event) bool { return e.Job == job.ID })
			if err := m.again(tx, job, crashed); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`UPDATE jobs SET settled = 1 WHERE id = ?`, job.ID); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) again(tx *store.Tx, old Job, crashed bool) error {
	if _, busy, err := unfinished(tx, old.Key); err != nil || busy {
		return err // the same work waits already
	}
	next := Job{
		Kind: old.Kind, Key: old.Key, Params: old.Params, By: old.By,
		Trigger: CatchUp, Attempt: old.Attempt, Follows: old.ID,
	}
	if crashed {
		next.Trigger, next.Attempt = AfterCrash, old.Attempt+1
	}
	if next.Attempt > m.opts.Attempts {
		m.opts.Log.Error("a job keeps dying and is not repeated", "job", old.ID, "kind", old.Kind, "attempts", old.Attempt)
		return lineAfter(tx, old.ID, "job.gave_up", "n", old.Attempt)
	}
	if _, err := insert(tx, &next); err != nil {
		return err
	}
	return lineAfter(tx, old.ID, "job.repeated", "id", next.ID)
}

// lineAfter adds a line to a job that is not running.
func lineAfter(tx *store.Tx, id int64, key string, args ...any) error {
	e := Event{Job: id, At: tx.Now, Type: Line, Key: key, Args: args}
	err := tx.QueryRow(`SELECT coalesce(max(seq), 0) + 1 FROM job_events WHERE job = ?`, id).Scan(&e.Seq)
	return errors.Join(err, keep(tx, []Event{e}))
}

func jobsWhere(tx *store.Tx, where string, args ...any) (list []Job, err error) {
	err = tx.Each(func(from func(...any) error) error {
		job, err := scan(from)
		list = append(list, job)
		return err
	}, `SELECT `+columns+` FROM jobs WHERE `+where+` ORDER BY id`, args...)
	return list, err
}

package plan

import (
	"encoding/json"
	"fmt"
	"time"

	"emrvault/appliance/store"
)

const runColumns = `u.id, u.job, u.plan, p.name, u.trigger, u.by, u.state, u.began, u.ended, u.missed, u.note,
	coalesce((SELECT t.id FROM point t WHERE t.job = u.job LIMIT 1), 0)`

func scanRun(scan func(...any) error, more ...any) (r Run, point int64, err error) {
	var began, ended store.Time
	var note string
	into := []any{&r.ID, &r.Job, &r.Plan, &r.PlanName, &r.Trigger, &r.By, &r.State, &began, &ended, &r.Missed, &note, &point}
	if err := scan(append(into, more...)...); err != nil {
		return r, 0, err
	}
	r.Began, r.Ended = began.Time, ended.Time
	if note != "" {
		err = json.Unmarshal([]byte(note), &r.Note)
	}
	return r, point, err
}

// runs lists what the filter meets, newest first, with the count of all.
func runs(tx *store.Tx, f RunFilter) (list []Run, total int, err error) {
	var c clauses
	if f.Plan != "" {
		c.add(`p.name = ?`, f.Plan)
	}
	if !f.From.IsZero() {
		c.add(`u.began >= ?`, store.Stamp(f.From))
	}
	if f.Trouble {
		c.add(`(u.state NOT IN ('running', 'queued', 'succeeded') OR EXISTS (
			SELECT 1 FROM point t WHERE t.job = u.job AND (t.damaged OR t.failed OR t.problems > 0)))`)
	}
	if f.Unproven {
		c.add(`EXISTS (SELECT 1 FROM point t WHERE t.job = u.job AND t.expired_at IS NULL AND t.proof <> 'proven')`)
	}
	return selectRuns(tx, c, window(f.Limit, f.Offset))
}

func selectRuns(tx *store.Tx, c clauses, tail string) (list []Run, total int, err error) {
	var made []int64
	query := `SELECT ` + runColumns + `, count(*) OVER () FROM run u JOIN plan p ON p.id = u.plan
		WHERE ` + c.String() + ` ORDER BY u.began DESC, u.id DESC` + tail
	err = tx.Each(func(scan func(...any) error) error {
		r, point, err := scanRun(scan, &total)
		list, made = append(list, r), append(made, point)
		return err
	}, query, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("read runs: %w", err)
	}
	for i, id := range made {
		if id == 0 {
			continue
		}
		p, err := PointByID(tx, id)
		if err != nil {
			return nil, 0, err
		}
		list[i].Point = &p
	}
	return list, total, nil
}

// firstRun is the newest run that meets the condition, nil when none does.
func firstRun(tx *store.Tx, where string, args ...any) (*Run, error) {
	list, _, err := selectRuns(tx, clauses{words: []string{where}, args: args}, window(1, 0))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// BeginRun writes down that a job carries a plan out. A job that runs again
// after a crash has its row already; it begins anew.
func BeginRun(tx *store.Tx, r Run) error {
	_, err := tx.Change(`
		INSERT INTO run (job, plan, trigger, by, state, began, missed) VALUES (?, ?, ?, ?, 'running', ?, ?)
		ON CONFLICT (job) DO UPDATE SET state = 'running', began = excluded.began, ended = NULL, note = ''`,
		r.Job, r.Plan, r.Trigger, r.By, store.Stamp(tx.Now), r.Missed)
	return wrap(err, "begin run of job %d", r.Job)
}

// NoteRun keeps what went wrong in a run.
func NoteRun(tx *store.Tx, job int64, note Note) error {
	text, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("write note of job %d: %w", job, err)
	}
	_, err = tx.Change(`UPDATE run SET note = ? WHERE job = ?`, string(text), job)
	return wrap(err, "write note of job %d", job)
}

// EndRun writes down how a run ended and gives its row; one that never began
// gives the zero Run. A run that left a point resets the plan's count of
// missed moments.
func EndRun(tx *store.Tx, job int64, state string, at time.Time) (Run, error) {
	_, err := tx.Change(`UPDATE run SET state = ?, ended = ? WHERE job = ?`, state, store.Stamp(at), job)
	if err != nil {
		return Run{}, fmt.Errorf("end run of job %d: %w", job, err)
	}
	record, err := firstRun(tx, `u.job = ?`, job)
	if err != nil || record == nil {
		return Run{}, err
	}
	if record.Point != nil {
		_, err = tx.Change(`UPDATE plan SET missed = 0 WHERE id = ?`, record.Plan)
	}
	return *record, wrap(err, "end run of job %d", job)
}

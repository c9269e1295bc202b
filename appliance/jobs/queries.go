package jobs

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

const columns = `id, kind, key, params, result, trigger, by, state, stage, progress, problems,
	error, attempt, coalesce(follows, 0), created, started, heartbeat, ended`

func scan(from func(...any) error, more ...any) (Job, error) {
	var j Job
	var params, result, progress, failure string
	var created, started, heartbeat, ended store.Time
	err := from(append([]any{
		&j.ID, &j.Kind, &j.Key, &params, &result, &j.Trigger, &j.By, &j.State, &j.Stage, &progress, &j.Problems,
		&failure, &j.Attempt, &j.Follows, &created, &started, &heartbeat, &ended,
	}, more...)...)
	if err != nil {
		return Job{}, err
	}
	j.Params, j.Result = json.RawMessage(params), json.RawMessage(result)
	j.Created, j.Started, j.Heartbeat, j.Ended = created.Time, started.Time, heartbeat.Time, ended.Time
	if err := errors.Join(json.Unmarshal([]byte(progress), &j.Progress), json.Unmarshal([]byte(failure), &j.Failure)); err != nil {
		return Job{}, fmt.Errorf("read job %d: %w", j.ID, err)
	}
	return j, nil
}

func get(tx *store.Tx, id int64) (Job, error) {
	job, err := scan(tx.QueryRow(`SELECT `+columns+` FROM jobs WHERE id = ?`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, errs.New(errs.NotFound, "job.not_found", "id", id)
	}
	return job, err
}

// unfinished finds the job of a key that waits or runs.
func unfinished(tx *store.Tx, key string) (Job, bool, error) {
	if key == "" {
		return Job{}, false, nil
	}
	job, err := scan(tx.QueryRow(`SELECT `+columns+` FROM jobs
		WHERE key = ? AND key <> '' AND state IN ('queued', 'running')`, key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, false, nil
	}
	return job, err == nil, err
}

// insert writes a new job down as queued and fills in what the row knows.
func insert(tx *store.Tx, job *Job) (Event, error) {
	var follows any
	if job.Follows != 0 {
		follows = job.Follows
	}
	id, err := tx.Insert(`INSERT INTO jobs (kind, key, params, trigger, by, state, attempt, follows, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		job.Kind, job.Key, string(job.Params), job.Trigger, job.By, Queued, job.Attempt, follows, store.Stamp(tx.Now))
	if err != nil {
		return Event{}, fmt.Errorf("write down a %s job: %w", job.Kind, err)
	}
	job.ID, job.State, job.Created = id, Queued, tx.Now
	return stateEvent(tx, *job, job.By)
}

// claim makes the oldest waiting job of a lane this process's own.
func claim(tx *store.Tx, owner string, l lane) (Job, Event, bool, error) {
	where, args := l.clause()
	job, err := scan(tx.QueryRow(`SELECT `+columns+` FROM jobs WHERE state = 'queued' AND `+where+` ORDER BY id LIMIT 1`, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, Event{}, false, nil
	}
	if err != nil {
		return Job{}, Event{}, false, err
	}
	job.State, job.Started, job.Heartbeat = Running, tx.Now, tx.Now
	if _, err := tx.Exec(`UPDATE jobs SET state = ?, owner = ?, started = ?, heartbeat = ? WHERE id = ?`,
		job.State, owner, store.Stamp(tx.Now), store.Stamp(tx.Now), job.ID); err != nil {
		return Job{}, Event{}, false, err
	}
	event, err := stateEvent(tx, job, "")
	return job, event, err == nil, err
}

// finish writes the end of a job down: its state, figures, lines not yet
// written, and what it leaves. A job that has ended already stays as it is.
func finish(tx *store.Tx, job Job, lines []Event, by string) (Event, error) {
	progress, err := json.Marshal(job.Progress)
	if err != nil {
		return Event{}, err
	}
	failure, err := json.Marshal(job.Failure)
	if err != nil {
		return Event{}, err
	}
	if err := keep(tx, lines); err != nil {
		return Event{}, err
	}
	result := job.Result
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	n, err := tx.Change(`UPDATE jobs SET state = ?, stage = ?, progress = ?, problems = ?, result = ?, error = ?, ended = ?
		WHERE id = ? AND state IN ('queued', 'running')`,
		job.State, job.Stage, string(progress), job.Problems, string(result), string(failure), store.Stamp(job.Ended), job.ID)
	if err != nil || n == 0 {
		return Event{}, err
	}
	return stateEvent(tx, job, by)
}

// beat writes down that a job is alive and how far it is.
func beat(tx *store.Tx, job Job, lines []Event) error {
	progress, err := json.Marshal(job.Progress)
	if err != nil {
		return err
	}
	if err := keep(tx, lines); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE jobs SET stage = ?, progress = ?, problems = ?, heartbeat = ? WHERE id = ? AND state = 'running'`,
		job.Stage, string(progress), job.Problems, store.Stamp(tx.Now), job.ID)
	return err
}

// stateEvent adds the line that a job has a new state.
func stateEvent(tx *store.Tx, job Job, by string) (Event, error) {
	e := Event{Job: job.ID, At: tx.Now, Type: StateChanged, Key: string(job.State)}
	if by != "" {
		e.Args = []any{"by", by}
	}
	if err := tx.QueryRow(`SELECT coalesce(max(seq), 0) + 1 FROM job_events WHERE job = ?`, job.ID).Scan(&e.Seq); err != nil {
		return Event{}, err
	}
	if err := keep(tx, []Event{e}); err != nil {
		return Event{}, err
	}
	return job.mark(e), nil
}

// mark puts onto an event what the job looked like.
func (j Job) mark(e Event) Event {
	e.State, e.Stage, e.Progress, e.Problems = j.State, j.Stage, j.Progress, j.Problems
	return e
}

// keep writes lines down; one that is there already stays, because a commit may
// have gone through although its answer was lost.
func keep(tx *store.Tx, lines []Event) error {
	for _, e := range lines {
		args, err := packArgs(e.Args)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO job_events (job, seq, at, type, key, args) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`,
			e.Job, e.Seq, store.Stamp(e.At), e.Type, e.Key, args); err != nil {
			return fmt.Errorf("keep a line of job %d: %w", e.Job, err)
		}
	}
	return nil
}

func events(tx *store.Tx, id, after int64) (list []Event, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		e := Event{Job: id}
		var at store.Time
		var args string
		if err := scan(&e.Seq, &at, &e.Type, &e.Key, &args); err != nil {
			return err
		}
		e.At = at.Time
		e.Args, err = unpackArgs(args)
		list = append(list, e)
		return err
	}, `SELECT seq, at, type, key, args FROM job_events WHERE job = ? AND seq > ? ORDER BY seq`, id, after)
	return list, err
}

// where turns set fields into clauses.
func (f Filter) where() (string, []any) {
	clauses, args := []string{"1 = 1"}, []any{}
	add := func(clause string, values ...any) {
		clauses, args = append(clauses, clause), append(args, values...)
	}
	if len(f.Kinds) > 0 {
		clause, list := store.OneOf("kind", f.Kinds)
		add(clause, list...)
	}
	if len(f.States) > 0 {
		clause, list := store.OneOf("state", f.States)
		add(clause, list...)
	}
	if f.Key != "" {
		add(`key = ?`, f.Key)
	}
	if !f.Since.IsZero() {
		add(`created >= ?`, store.Stamp(f.Since))
	}
	if f.Before > 0 {
		add(`id < ?`, f.Before)
	}
	return strings.Join(clauses, " AND "), args
}

const pageLength = 50

func find(tx *store.Tx, f Filter) (list []Job, total int, err error) {
	where, args := f.where()
	if err := tx.QueryRow(`SELECT count(*) FROM jobs WHERE `+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 {
		f.Limit = pageLength
	}
	err = tx.Each(func(from func(...any) error) error {
		job, err := scan(from)
		list = append(list, job)
		return err
	}, `SELECT `+columns+` FROM jobs WHERE `+where+` ORDER BY id DESC LIMIT ? OFFSET ?`,
		append(slices.Clone(args), f.Limit, f.Offset)...)
	return list, total, err
}

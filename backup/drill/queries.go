package drill

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
)

// number gives the next drill number of a year. It is never given twice: the
// counter moves in the same transaction as the record.
func number(tx *store.Tx, year int) (string, error) {
	var last int
	err := tx.QueryRow(`
		INSERT INTO drill_number (year, last) VALUES (?, 1)
		ON CONFLICT (year) DO UPDATE SET last = last + 1
		RETURNING last`, year).Scan(&last)
	if err != nil {
		return "", fmt.Errorf("number a drill: %w", err)
	}
	return fmt.Sprintf("YL-%04d-%03d", year, last), nil
}

// insertVerdict begins a record and gives its number.
func insertVerdict(tx *store.Tx, v *Verdict, planID int64, year int) (err error) {
	if v.Number, err = number(tx, year); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write drill %s: %w", v.Number, err)
	}
	_, err = tx.Insert(`
		INSERT INTO drill (number, plan, point, job, state, began, verdict) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		v.Number, planID, sql.NullInt64{Int64: v.Point.ID, Valid: v.Point.ID != 0}, v.Job, v.State, store.Stamp(v.Began), string(text))
	if err != nil {
		return fmt.Errorf("write drill %s: %w", v.Number, err)
	}
	return nil
}

// saveVerdict writes a record as it stands now.
func saveVerdict(tx *store.Tx, v Verdict) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write drill %s: %w", v.Number, err)
	}
	_, err = tx.Exec(`
		UPDATE drill SET state = ?, ended = ?, rto_ms = ?, rpo_ms = ?, verdict = ? WHERE number = ?`,
		v.State, store.Time{Time: v.Ended}, millis(v.Figures.RTO), millis(v.Figures.RPO), string(text), v.Number)
	if err != nil {
		return fmt.Errorf("write drill %s: %w", v.Number, err)
	}
	return nil
}

// millis is a measure as a column; one that was not taken is NULL.
func millis(s Seconds) sql.NullInt64 {
	return sql.NullInt64{Int64: s.D().Milliseconds(), Valid: s > 0}
}

func verdicts(tx *store.Tx, f Filter) (list []Verdict, total int, err error) {
	where, args := []string{"1"}, []any{}
	if f.Plan != "" {
		where, args = append(where, `p.name = ?`), append(args, f.Plan)
	}
	if f.State != "" {
		where, args = append(where, `d.state = ?`), append(args, f.State)
	}
	if !f.From.IsZero() {
		where, args = append(where, `d.began >= ?`), append(args, store.Stamp(f.From))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = -1
	}
	return selectVerdicts(tx, strings.Join(where, " AND "), limit, max(0, f.Offset), args...)
}

func selectVerdicts(tx *store.Tx, where string, limit, offset int, args ...any) (list []Verdict, total int, err error) {
	query := `
		SELECT d.verdict, count(*) OVER () FROM drill d JOIN plan p ON p.id = d.plan
		WHERE ` + where + ` ORDER BY d.began DESC, d.id DESC LIMIT ? OFFSET ?`
	err = tx.Each(func(scan func(...any) error) error {
		var text string
		if err := scan(&text, &total); err != nil {
			return err
		}
		var v Verdict
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	}, query, append(args, limit, offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("read drills: %w", err)
	}
	return list, total, nil
}

func oneVerdict(tx *store.Tx, word any, where string, args ...any) (Verdict, error) {
	list, _, err := selectVerdicts(tx, where, 1, 0, args...)
	if err != nil {
		return Verdict{}, err
	}
	if len(list) == 0 {
		return Verdict{}, errs.New(errs.NotFound, "drill.unknown", "number", word)
	}
	return list[0], nil
}

// lastPassed is the newest drill of a plan that passed, nil when none has.
func lastPassed(tx *store.Tx, planID int64) (*Verdict, error) {
	list, _, err := selectVerdicts(tx, `d.plan = ? AND d.state IN ('passed', 'partial') AND d.rto_ms IS NOT NULL`, 1, 0, planID)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// interrupt closes the records that a dead process left running. removed tells
// whether nothing of a drill is left in scratch.
func interrupt(tx *store.Tx, removed func(number string) bool) error {
	list, _, err := selectVerdicts(tx, `d.state = 'running'`, -1, 0)
	if err != nil {
		return err
	}
	for _, v := range list {
		v.State, v.Ended = Interrupted, tx.Now
		if v.Scratch.Removed = removed(v.Number); v.Scratch.Removed {
			v.Scratch.At = tx.Now
		}
		for i := range v.Steps {
			if s := &v.Steps[i]; s.State == StepRunning || s.State == StepWaiting {
				s.State = StepSkipped
			}
		}
		if err := saveVerdict(tx, v); err != nil {
			return err
		}
	}
	return nil
}

// newest is the point a drill takes when it is told none.
func chosenPoint(tx *store.Tx, planID, point int64) (*plan.Point, error) {
	if point == 0 {
		return plan.Newest(tx, planID)
	}
	p, err := plan.PointByID(tx, point)
	return &p, err
}

func siteYear(at time.Time, zone *time.Location) int { return at.In(zone).Year() }

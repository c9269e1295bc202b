package plan

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

const repositoryColumns = `
	r.id, r.name, r.location, r.repository, r.box_key, r.sheet, r.sheet_at, r.sheet_key, r.sheet_new,
	r.checked_at, r.check_state, r.check_deep, r.findings, r.free, r.total, r.space_at, r.created,
	r.settings, r.secret_key, r.probe, r.probed_at, r.care, r.care_at, r.next_care,
	(SELECT count(*) FROM plan p WHERE r.id IN (p.repository, p.second) AND p.removed IS NULL),
	(SELECT count(*) FROM point t WHERE t.repository = r.id AND t.expired_at IS NULL)
		+ (SELECT count(*) FROM point_copy c WHERE c.repository = r.id AND NOT c.gone),
	(SELECT coalesce(sum(t.added), 0) FROM point t WHERE t.repository = r.id AND t.expired_at IS NULL)
		+ (SELECT coalesce(sum(c.added), 0) FROM point_copy c WHERE c.repository = r.id AND NOT c.gone)`

func scanRepository(scan func(...any) error) (r Repository, err error) {
	var sheetAt, checkedAt, spaceAt, created, probedAt, careAt, nextCare store.Time
	var settings, care string
	err = scan(&r.ID, &r.Name, &r.Location, &r.Repository, &r.BoxKey, &r.Sheet, &sheetAt, &r.SheetKey, &r.SheetNew,
		&checkedAt, &r.CheckState, &r.CheckDeep, &r.Findings, &r.Free, &r.Total, &spaceAt, &created,
		&settings, &r.SecretKey, &r.Probe, &probedAt, &care, &careAt, &nextCare,
		&r.Plans, &r.Points, &r.Stored)
	if err != nil {
		return r, err
	}
	r.SheetAt, r.CheckedAt, r.SpaceAt, r.Created = sheetAt.Time, checkedAt.Time, spaceAt.Time, created.Time
	r.ProbedAt, r.CareAt, r.NextCare = probedAt.Time, careAt.Time, nextCare.Time
	return r, errors.Join(json.Unmarshal([]byte(settings), &r.Settings), json.Unmarshal([]byte(care), &r.Care))
}

func repositories(tx *store.Tx, where string, args ...any) (list []Repository, err error) {
	query := `SELECT ` + repositoryColumns + ` FROM repository r WHERE r.removed IS NULL ` + where + ` ORDER BY r.name`
	err = tx.Each(func(scan func(...any) error) error {
		r, err := scanRepository(scan)
		list = append(list, r)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read repositories: %w", err)
	}
	return list, nil
}

// RepositoryNamed finds a repository by its name.
func RepositoryNamed(tx *store.Tx, name string) (Repository, error) {
	list, err := repositories(tx, `AND r.name = ?`, name)
	if err != nil {
		return Repository{}, err
	}
	if len(list) == 0 {
		return Repository{}, errs.New(errs.NotFound, "plan.repository.unknown", "name", name)
	}
	return list[0], nil
}

// RepositoryByID finds a repository by its row.
func RepositoryByID(tx *store.Tx, id int64) (Repository, error) {
	list, err := repositories(tx, `AND r.id = ?`, id)
	if err != nil {
		return Repository{}, err
	}
	if len(list) == 0 {
		return Repository{}, errs.New(errs.NotFound, "plan.repository.unknown", "name", id)
	}
	return list[0], nil
}

// InsertRepository writes a new repository down and gives its row.
func InsertRepository(tx *store.Tx, r Repository) (int64, error) {
	settings, err := json.Marshal(r.Settings) //nolint:gosec // the name of a key; its secret is sealed elsewhere
	if err != nil {
		return 0, fmt.Errorf("write settings of repository %s: %w", r.Name, err)
	}
	id, err := tx.Insert(`
		INSERT INTO repository (name, location, repository, box_key, settings, secret_key, probe, probed_at, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Name, r.Location, r.Repository, r.BoxKey, string(settings), r.SecretKey, r.Probe,
		store.Time{Time: r.ProbedAt}, store.Stamp(tx.Now))
	if err != nil {
		return 0, fmt.Errorf("write repository %s: %w", r.Name, err)
	}
	return id, nil
}

// ShowSheet notes the key of a recovery sheet that was shown. A sheet that was
// confirmed before stays so until the new one is.
func ShowSheet(tx *store.Tx, repository int64, key string) error {
	_, err := tx.Change(`
		UPDATE repository SET sheet = CASE sheet WHEN ? THEN sheet ELSE ? END, sheet_new = ? WHERE id = ?`,
		SheetConfirmed, SheetShown, key, repository)
	return wrap(err, "write sheet of repository %d", repository)
}

// ConfirmSheet notes that the sheet of this key is on paper.
func ConfirmSheet(tx *store.Tx, repository int64, key string) error {
	_, err := tx.Change(`UPDATE repository SET sheet = ?, sheet_key = ?, sheet_new = '', sheet_at = ? WHERE id = ?`,
		SheetConfirmed, key, store.Stamp(tx.Now), repository)
	return wrap(err, "write sheet of repository %d", repository)
}

// SetCheck notes the outcome of a repository check.
func SetCheck(tx *store.Tx, repository int64, state string, deep bool, findings int) error {
	_, err := tx.Change(`
		UPDATE repository SET checked_at = ?, check_state = ?, check_deep = ?, findings = ? WHERE id = ?`,
		store.Stamp(tx.Now), state, deep, findings, repository)
	return wrap(err, "write check of repository %d", repository)
}

// SetSettings notes how a place is to be reached and looked after, and under
// which name its secret is sealed.
func SetSettings(tx *store.Tx, repository int64, settings StorageSettings, secretKey string) error {
	text, err := json.Marshal(settings) //nolint:gosec // the name of a key; its secret is sealed elsewhere
	if err != nil {
		return fmt.Errorf("write settings of repository %d: %w", repository, err)
	}
	_, err = tx.Change(`UPDATE repository SET settings = ?, secret_key = ? WHERE id = ?`, string(text), secretKey, repository)
	return wrap(err, "write settings of repository %d", repository)
}

// SetProbe notes what a place said it can do, as JSON.
func SetProbe(tx *store.Tx, repository int64, report string) error {
	_, err := tx.Change(`UPDATE repository SET probe = ?, probed_at = ? WHERE id = ?`, report, store.Stamp(tx.Now), repository)
	return wrap(err, "write probe of repository %d", repository)
}

// SetCare notes how a repository was found when it was looked after.
func SetCare(tx *store.Tx, repository int64, care Care) error {
	text, err := json.Marshal(care)
	if err != nil {
		return fmt.Errorf("write care of repository %d: %w", repository, err)
	}
	_, err = tx.Change(`UPDATE repository SET care = ?, care_at = ? WHERE id = ?`, string(text), store.Stamp(tx.Now), repository)
	return wrap(err, "write care of repository %d", repository)
}

// SetNextCare notes when a repository is to be looked after next.
func SetNextCare(tx *store.Tx, repository int64, at time.Time) error {
	_, err := tx.Change(`UPDATE repository SET next_care = ? WHERE id = ?`, store.Time{Time: at}, repository)
	return wrap(err, "write next care of repository %d", repository)
}

// SetSpace notes the room there is where a repository rests.
func SetSpace(tx *store.Tx, repository int64, free, total uint64) error {
	_, err := tx.Change(`UPDATE repository SET free = ?, total = ?, space_at = ? WHERE id = ?`,
		int64(free), int64(total), store.Stamp(tx.Now), repository)
	return wrap(err, "write space of repository %d", repository)
}

const planColumns = `
	p.id, p.name, p.title, p.source, p.repository, r.name, p.schedule, p.zone, p.keep, p.drill,
	p.rto, p.rpo, p.enabled, p.next_due, p.next_drill, p.missed, p.created, p.changed,
	coalesce(p.second, 0), coalesce(s.name, '')`

func scanPlan(scan func(...any) error) (p Plan, err error) {
	var spec, keep, drill, rto, rpo string
	var due, drillDue, created, changed store.Time
	err = scan(&p.ID, &p.Name, &p.Title, &spec, &p.RepositoryID, &p.Repository, &p.Schedule, &p.Zone,
		&keep, &drill, &rto, &rpo, &p.Enabled, &due, &drillDue, &p.Missed, &created, &changed,
		&p.SecondID, &p.Second)
	if err != nil {
		return p, err
	}
	p.NextDue, p.NextDrill, p.Created, p.Changed = due.Time, drillDue.Time, created.Time, changed.Time
	return p, errors.Join(
		json.Unmarshal([]byte(spec), &p.Source),
		json.Unmarshal([]byte(keep), &p.Keep),
		json.Unmarshal([]byte(drill), &p.Drill),
		p.RTO.UnmarshalText([]byte(rto)),
		p.RPO.UnmarshalText([]byte(rpo)),
	)
}

func plans(tx *store.Tx, where string, args ...any) (list []Plan, err error) {
	if where == "" {
		where = `p.removed IS NULL`
	}
	query := `SELECT ` + planColumns + ` FROM plan p
		JOIN repository r ON r.id = p.repository LEFT JOIN repository s ON s.id = p.second WHERE ` + where + ` ORDER BY p.name`
	err = tx.Each(func(scan func(...any) error) error {
		p, err := scanPlan(scan)
		list = append(list, p)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	return list, nil
}

// Named finds a plan by its name.
func Named(tx *store.Tx, name string) (Plan, error) {
	return onePlan(tx, name, `p.removed IS NULL AND p.name = ?`, name)
}

// ByID finds a plan by its row, removed ones too.
func ByID(tx *store.Tx, id int64) (Plan, error) {
	return onePlan(tx, id, `p.id = ?`, id)
}

func onePlan(tx *store.Tx, word any, where string, args ...any) (Plan, error) {
	list, err := plans(tx, where, args...)
	if err != nil {
		return Plan{}, err
	}
	if len(list) == 0 {
		return Plan{}, errs.New(errs.NotFound, "plan.unknown", "name", word)
	}
	return list[0], nil
}

// SetDue writes when a plan is next due; the zero time means never. A plan
// whose timetable a person has changed meanwhile keeps what the change set.
func SetDue(tx *store.Tx, p Plan, backup, drill time.Time) error {
	_, err := tx.Change(`UPDATE plan SET next_due = ?, next_drill = ? WHERE id = ? AND changed = ?`,
		store.Time{Time: backup}, store.Time{Time: drill}, p.ID, store.Stamp(p.Changed))
	return wrap(err, "write due of plan %s", p.Name)
}

// AddMissed counts due moments of a plan that went by without a run.
func AddMissed(tx *store.Tx, id int64, n int) error {
	_, err := tx.Change(`UPDATE plan SET missed = missed + ? WHERE id = ?`, n, id)
	return wrap(err, "count missed runs of plan %d", id)
}

// planRow is a plan as its row keeps it.
func planRow(p Plan) ([]any, error) {
	spec, err := json.Marshal(p.Source)
	if err != nil {
		return nil, fmt.Errorf("write source of plan %s: %w", p.Name, err)
	}
	keep, err := json.Marshal(p.Keep)
	if err != nil {
		return nil, fmt.Errorf("write keep policy of plan %s: %w", p.Name, err)
	}
	drill, err := json.Marshal(p.Drill)
	if err != nil {
		return nil, fmt.Errorf("write drill rule of plan %s: %w", p.Name, err)
	}
	return []any{p.Name, p.Title, string(spec), p.RepositoryID, p.Schedule, p.Zone, string(keep), string(drill),
		words(p.RTO), words(p.RPO), p.Enabled, store.Time{Time: p.NextDue}, store.Time{Time: p.NextDrill}, second(p)}, nil
}

// second is the place of the second copy, NULL without one.
func second(p Plan) any {
	if p.SecondID == 0 {
		return nil
	}
	return p.SecondID
}

func words(d Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func insertPlan(tx *store.Tx, p Plan) (int64, error) {
	row, err := planRow(p)
	if err != nil {
		return 0, err
	}
	now := store.Stamp(tx.Now)
	id, err := tx.Insert(`
		INSERT INTO plan (name, title, source, repository, schedule, zone, keep, drill,
			rto, rpo, enabled, next_due, next_drill, second, created, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(row, now, now)...)
	return id, wrap(err, "write plan %s", p.Name)
}

func updatePlan(tx *store.Tx, p Plan) error {
	row, err := planRow(p)
	if err != nil {
		return err
	}
	_, err = tx.Change(`
		UPDATE plan SET name = ?, title = ?, source = ?, repository = ?, schedule = ?, zone = ?, keep = ?,
			drill = ?, rto = ?, rpo = ?, enabled = ?, next_due = ?, next_drill = ?, second = ?, changed = ?
		WHERE id = ?`, append(row, store.Stamp(tx.Now), p.ID)...)
	return wrap(err, "write plan %s", p.Name)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// clauses gathers the conditions of a filter.
type clauses struct {
	words []string
	args  []any
}

func (c *clauses) add(word string, args ...any) {
	c.words = append(c.words, word)
	c.args = append(c.args, args...)
}

func (c *clauses) String() string {
	if len(c.words) == 0 {
		return "1"
	}
	return strings.Join(c.words, " AND ")
}

// window ends a query with its page; limit 0 means all.
func window(limit, offset int) string {
	if limit <= 0 {
		limit = -1
	}
	return fmt.Sprintf(" LIMIT %d OFFSET %d", limit, max(0, offset))
}

func noRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }

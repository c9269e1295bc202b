package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
	"emrvault/backup"
)

const pointColumns = `
	t.id, t.snapshot, t.plan, p.name, p.title, t.repository, t.job, t.as_of, t.began, t.ended,
	t.files, t.bytes, t.added, t.kind, t.version, t.problems, t.damaged, t.findings,
	t.proof, t.percent, t.proven_at, t.drill, t.failed, t.expired_at, t.expired,
	(SELECT coalesce(group_concat(r.name, ', '), '') FROM point_copy c JOIN repository r ON r.id = c.repository
		WHERE c.point = t.id AND NOT c.gone)`

func scanPoint(scan func(...any) error, more ...any) (p Point, err error) {
	var asOf, began, ended, provenAt, expiredAt store.Time
	var findings, expired string
	into := []any{&p.ID, &p.Snapshot, &p.Plan, &p.PlanName, &p.PlanTitle, &p.Repository, &p.Job, &asOf, &began, &ended,
		&p.Files, &p.Bytes, &p.Added, &p.Kind, &p.Version, &p.Problems, &p.Damaged, &findings,
		&p.Proof, &p.Percent, &provenAt, &p.Drill, &p.Failed, &expiredAt, &expired, &p.Copies}
	if err := scan(append(into, more...)...); err != nil {
		return p, err
	}
	p.AsOf, p.Began, p.Ended, p.ProvenAt, p.ExpiredAt = asOf.Time, began.Time, ended.Time, provenAt.Time, expiredAt.Time
	return p, errors.Join(json.Unmarshal([]byte(findings), &p.Findings), json.Unmarshal([]byte(expired), &p.Expired))
}

// points lists what the filter meets, newest first, with the count of all.
func points(tx *store.Tx, f PointFilter) (list []Point, total int, err error) {
	var c clauses
	if f.Plan != "" {
		c.add(`p.name = ?`, f.Plan)
	}
	if f.Proof != "" {
		c.add(`t.proof = ?`, string(f.Proof))
	}
	if !f.From.IsZero() {
		c.add(`t.as_of >= ?`, store.Stamp(f.From))
	}
	if !f.To.IsZero() {
		c.add(`t.as_of < ?`, store.Stamp(f.To))
	}
	if !f.Expired {
		c.add(`t.expired_at IS NULL`)
	}
	if f.Trouble {
		c.add(`(t.damaged OR t.failed OR t.problems > 0)`)
	}
	return selectPoints(tx, c, window(f.Limit, f.Offset))
}

func selectPoints(tx *store.Tx, c clauses, tail string) (list []Point, total int, err error) {
	query := `SELECT ` + pointColumns + `, count(*) OVER ()
		FROM point t JOIN plan p ON p.id = t.plan WHERE ` + c.String() + `
		ORDER BY t.as_of DESC, t.id DESC` + tail
	err = tx.Each(func(scan func(...any) error) error {
		p, err := scanPoint(scan, &total)
		list = append(list, p)
		return err
	}, query, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("read points: %w", err)
	}
	return list, total, nil
}

// firstPoint is the newest point that meets the condition, nil when none does.
func firstPoint(tx *store.Tx, where string, args ...any) (*Point, error) {
	list, _, err := selectPoints(tx, clauses{words: []string{where}, args: args}, window(1, 0))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// PointByID finds a point by its row.
func PointByID(tx *store.Tx, id int64) (Point, error) {
	p, err := firstPoint(tx, `t.id = ?`, id)
	if err == nil && p == nil {
		return Point{}, errs.New(errs.NotFound, "plan.point.unknown", "point", id)
	}
	if err != nil {
		return Point{}, err
	}
	return *p, nil
}

// Newest is the newest live point of a plan, nil when there is none.
func Newest(tx *store.Tx, plan int64) (*Point, error) {
	return firstPoint(tx, `t.plan = ? AND t.expired_at IS NULL`, plan)
}

// Live lists the points of a plan that have not expired, newest first. Points
// in a repository that the plan wrote to before are left out: they stay, and
// no policy speaks of them.
func Live(tx *store.Tx, p Plan) ([]Point, error) {
	where := clauses{[]string{`t.plan = ? AND t.repository = ? AND t.expired_at IS NULL`}, []any{p.ID, p.RepositoryID}}
	list, _, err := selectPoints(tx, where, "")
	return list, err
}

// findPoint understands how people name a point.
func findPoint(tx *store.Tx, word string) (Point, error) {
	word = strings.TrimSpace(word)
	name := strings.TrimPrefix(word, "latest:")
	if p, err := Named(tx, name); err == nil {
		return newestOf(tx, p)
	} else if errs.KindOf(err) != errs.NotFound {
		return Point{}, err
	}
	if id, ok := strings.CutPrefix(word, "#"); ok {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return Point{}, errs.New(errs.NotFound, "plan.point.unknown", "point", word)
		}
		return PointByID(tx, n)
	}
	return pointPrefixed(tx, word)
}

func newestOf(tx *store.Tx, p Plan) (Point, error) {
	newest, err := Newest(tx, p.ID)
	if err != nil {
		return Point{}, err
	}
	if newest == nil {
		return Point{}, errs.New(errs.NotFound, "plan.point.none", "plan", p.Label())
	}
	return *newest, nil
}

// pointPrefixed finds the one point whose snapshot begins with word. Fewer
// than four digits would meet strangers sooner or later.
func pointPrefixed(tx *store.Tx, word string) (Point, error) {
	hex := strings.ToLower(word)
	if len(hex) < 4 || strings.Trim(hex, "0123456789abcdef") != "" {
		return Point{}, errs.New(errs.NotFound, "plan.point.unknown", "point", word)
	}
	list, total, err := selectPoints(tx, clauses{[]string{`t.snapshot LIKE ? || '%'`}, []any{hex}}, window(2, 0))
	switch {
	case err != nil:
		return Point{}, err
	case total == 0:
		return Point{}, errs.New(errs.NotFound, "plan.point.unknown", "point", word)
	case total > 1:
		return Point{}, errs.New(errs.Invalid, "plan.point.many", "point", word, "n", total)
	}
	return list[0], nil
}

// InsertPoint writes a recovery point down and gives its row.
func InsertPoint(tx *store.Tx, p Point) (int64, error) {
	findings, err := json.Marshal(p.Findings)
	if err != nil {
		return 0, fmt.Errorf("write findings of point %s: %w", p.Short(), err)
	}
	if p.Findings == nil {
		findings = []byte("[]")
	}
	id, err := tx.Insert(`
		INSERT INTO point (snapshot, plan, repository, job, as_of, began, ended, files, bytes, added,
			kind, version, problems, damaged, findings)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.Snapshot, p.Plan, p.Repository, p.Job, store.Stamp(p.AsOf), store.Stamp(p.Began), store.Stamp(p.Ended),
		p.Files, p.Bytes, p.Added, p.Kind, p.Version, p.Problems, p.Damaged, string(findings))
	return id, wrap(err, "write point %s", p.Short())
}

// Proof is what a drill has to say of a point.
type Proof struct {
	Drill   string // its number
	Failed  bool
	Proof   backup.Proof
	Percent int
}

// SetProof writes what a drill found. A point once wholly proven stays so
// when a later, lighter drill proves less; a failed drill takes proof away.
func SetProof(tx *store.Tx, point int64, v Proof) error {
	proven := store.Time{Time: tx.Now}
	if v.Failed {
		v.Proof, v.Percent, proven.Time = backup.Unproven, 0, time.Time{}
	}
	_, err := tx.Change(`
		UPDATE point SET drill = ?, failed = ?,
			percent = CASE WHEN ?3 < percent AND NOT ?2 THEN percent ELSE ?3 END,
			proof = CASE WHEN ?3 < percent AND NOT ?2 THEN proof ELSE ?4 END,
			proven_at = CASE WHEN ?3 < percent AND NOT ?2 THEN proven_at ELSE ?5 END
		WHERE id = ?6`, v.Drill, v.Failed, v.Percent, string(v.Proof), proven, point)
	return wrap(err, "write proof of point %d", point)
}

// Expire takes a point out of the living, with the reasons. One that has
// expired before keeps its own.
func Expire(tx *store.Tx, point int64, why []Note) error {
	text, err := json.Marshal(why)
	if err != nil {
		return fmt.Errorf("write reasons of point %d: %w", point, err)
	}
	_, err = tx.Change(`UPDATE point SET expired_at = ?, expired = ? WHERE id = ? AND expired_at IS NULL`, store.Stamp(tx.Now), string(text), point)
	return wrap(err, "expire point %d", point)
}

// Lingering lists snapshots of expired points that have not been removed from
// the repository yet.
func Lingering(tx *store.Tx, p Plan) (list []string, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		list = append(list, id)
		return err
	}, `SELECT snapshot FROM point WHERE plan = ? AND repository = ? AND expired_at IS NOT NULL AND NOT gone`, p.ID, p.RepositoryID)
	return list, wrap(err, "read expired points of plan %s", p.Name)
}

// Removed notes that the snapshot of an expired point is gone.
func Removed(tx *store.Tx, repository int64, snapshot string) error {
	_, err := tx.Change(`UPDATE point SET gone = 1 WHERE repository = ? AND snapshot = ?`, repository, snapshot)
	return wrap(err, "note removal of snapshot %s", short(snapshot))
}

// Vanish takes a live point out whose snapshot somebody else has removed.
func Vanish(tx *store.Tx, point int64) error {
	if err := Expire(tx, point, []Note{Say("plan.expired.vanished")}); err != nil {
		return err
	}
	_, err := tx.Change(`UPDATE point SET gone = 1 WHERE id = ?`, point)
	return wrap(err, "note that point %d vanished", point)
}

// Known tells which snapshots of a repository the book has rows for, expired
// ones and copies of points of other repositories too.
func Known(tx *store.Tx, repository int64) (known map[string]bool, err error) {
	known = map[string]bool{}
	err = tx.Each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		known[id] = true
		return err
	}, `SELECT snapshot FROM point WHERE repository = ?1 UNION SELECT snapshot FROM point_copy WHERE repository = ?1`, repository)
	return known, wrap(err, "read snapshots of repository %d", repository)
}

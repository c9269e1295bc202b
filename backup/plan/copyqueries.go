package plan

import (
	"slices"

	"emrvault/appliance/store"
)

// Copy 副本 is a point's twin in another repository.
type Copy struct {
	Point      int64
	Repository int64
	Snapshot   string
	Added      int64 // bytes it has added there; 0 when an earlier run made it
}

// InsertCopy notes that a point rests in another repository too.
func InsertCopy(tx *store.Tx, c Copy) error {
	_, err := tx.Change(`
		INSERT INTO point_copy (point, repository, snapshot, at, added) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET snapshot = excluded.snapshot, at = excluded.at, gone = 0,
			added = max(excluded.added, CASE WHEN gone THEN 0 ELSE added END)`,
		c.Point, c.Repository, c.Snapshot, store.Stamp(tx.Now), c.Added)
	return wrap(err, "write copy of point %d", c.Point)
}

// Uncopied lists the live points of a plan that its second repository lacks,
// oldest first.
func Uncopied(tx *store.Tx, p Plan) ([]Point, error) {
	list, _, err := selectPoints(tx, clauses{[]string{`t.plan = ? AND t.repository = ? AND t.expired_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM point_copy c WHERE c.point = t.id AND c.repository = ? AND NOT c.gone)`},
		[]any{p.ID, p.RepositoryID, p.SecondID}}, "")
	slices.Reverse(list)
	return list, err
}

// Outlived lists copies in a repository whose points have expired.
func Outlived(tx *store.Tx, repository int64) (list []Copy, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		c := Copy{Repository: repository}
		err := scan(&c.Point, &c.Snapshot)
		list = append(list, c)
		return err
	}, `SELECT c.point, c.snapshot FROM point_copy c JOIN point t ON t.id = c.point
		WHERE c.repository = ? AND NOT c.gone AND t.expired_at IS NOT NULL`, repository)
	return list, wrap(err, "read copies in repository %d", repository)
}

// Copies lists where else a point rests.
func Copies(tx *store.Tx, point int64) (list []Copy, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		c := Copy{Point: point}
		err := scan(&c.Repository, &c.Snapshot)
		list = append(list, c)
		return err
	}, `SELECT c.repository, c.snapshot FROM point_copy c JOIN repository r ON r.id = c.repository
		WHERE c.point = ? AND NOT c.gone AND r.removed IS NULL ORDER BY c.at DESC`, point)
	return list, wrap(err, "read copies of point %d", point)
}

// Counterparts lists the repositories that hold copies of what rests in this
// one, or whose copies it holds: the one with most of them first.
func Counterparts(tx *store.Tx, repository int64) (list []int64, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		var id, n int64
		err := scan(&id, &n)
		list = append(list, id)
		return err
	}, `SELECT other, count(*) AS n FROM (
			SELECT c.repository AS other FROM point_copy c JOIN point t ON t.id = c.point
				WHERE t.repository = ?1 AND NOT c.gone
			UNION ALL
			SELECT t.repository FROM point_copy c JOIN point t ON t.id = c.point
				WHERE c.repository = ?1 AND NOT c.gone
		) JOIN repository r ON r.id = other
		WHERE other <> ?1 AND r.removed IS NULL GROUP BY other ORDER BY n DESC, other`, repository)
	return list, wrap(err, "read what repository %d is copied to", repository)
}

// PointOf finds the live point of a snapshot, nil when there is none.
func PointOf(tx *store.Tx, repository int64, snapshot string) (*Point, error) {
	return firstPoint(tx, `t.repository = ? AND t.snapshot = ? AND t.expired_at IS NULL`, repository, snapshot)
}

// CopiedPoint finds the live point of which a snapshot in a repository is the
// copy, nil when there is none.
func CopiedPoint(tx *store.Tx, repository int64, snapshot string) (*Point, error) {
	return firstPoint(tx, `t.expired_at IS NULL AND t.id IN (
		SELECT c.point FROM point_copy c WHERE c.repository = ? AND c.snapshot = ? AND NOT c.gone)`, repository, snapshot)
}

// Renew gives a point another snapshot: its own was lost and was written anew
// from a copy.
func Renew(tx *store.Tx, point int64, snapshot string) error {
	_, err := tx.Change(`UPDATE point SET snapshot = ? WHERE id = ?`, snapshot, point)
	return wrap(err, "write snapshot of point %d", point)
}

// CopyGone notes that a copy has been removed.
func CopyGone(tx *store.Tx, c Copy) error {
	_, err := tx.Change(`UPDATE point_copy SET gone = 1 WHERE point = ? AND repository = ?`, c.Point, c.Repository)
	return wrap(err, "note removal of the copy of point %d", c.Point)
}

// Promised lists the snapshots of a repository that the book says are there:
// those of live points, and copies of live points.
func Promised(tx *store.Tx, repository int64) (list []string, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		list = append(list, id)
		return err
	}, `SELECT snapshot FROM point WHERE repository = ?1 AND expired_at IS NULL
		UNION SELECT c.snapshot FROM point_copy c JOIN point t ON t.id = c.point
		WHERE c.repository = ?1 AND NOT c.gone AND t.expired_at IS NULL`, repository)
	return list, wrap(err, "read what is promised of repository %d", repository)
}

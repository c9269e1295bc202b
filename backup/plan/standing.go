package plan

import (
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
)

// standing gathers what is known of one plan and judges it.
func (b *Book) standing(tx *store.Tx, p Plan) (s Standing, err error) {
	s.Plan = p
	if err := s.points(tx); err != nil {
		return s, err
	}
	if err := s.runs(tx); err != nil {
		return s, err
	}
	if err := s.loss(tx); err != nil {
		return s, err
	}
	if s.Waiting, err = waiting(tx, p); err != nil {
		return s, err
	}
	if s.Drill, err = lastDrill(tx, p.ID, false); err != nil {
		return s, err
	}
	passed, err := lastDrill(tx, p.ID, true)
	if err != nil {
		return s, err
	}
	if passed != nil {
		s.RTO = passed.RTO
	}
	if s.Last != nil {
		s.RPO = tx.Now.Sub(s.Last.AsOf)
	}
	s.State, s.Reason = s.judge(tx.Now, b.site)
	return s, nil
}

// lockTime is how long after its moment a backup may have begun: it waits for
// others who hold a lock.
const lockTime = 45 * time.Minute

// loss says whether what the care found lost concerns the newest good point. A
// newer one has stored it again.
func (s *Standing) loss(tx *store.Tx) error {
	if s.Last == nil {
		return nil
	}
	place, err := RepositoryByID(tx, s.Last.Repository)
	if errs.KindOf(err) == errs.NotFound {
		return nil
	}
	s.Lost = !place.Care.LostTo.IsZero() && s.Last.Began.Sub(place.Care.LostTo) < lockTime
	return err
}

// copyTime is how long the copying of a point may take before it is told.
const copyTime = 12 * time.Hour

// waiting counts the points that have waited for their second copy for too
// long. A plan that was changed just now may have got its second place by that.
func waiting(tx *store.Tx, p Plan) (n int, err error) {
	if p.SecondID == 0 || tx.Now.Sub(p.Changed) <= copyTime {
		return 0, nil
	}
	list, err := Uncopied(tx, p)
	for _, point := range list {
		if tx.Now.Sub(point.Ended) > copyTime {
			n++
		}
	}
	return n, err
}

func (s *Standing) points(tx *store.Tx) error {
	const live = `t.plan = ? AND t.expired_at IS NULL`
	list, total, err := selectPoints(tx, clauses{[]string{live}, []any{s.Plan.ID}}, window(1, 0))
	if err != nil || total == 0 {
		return err
	}
	s.Points, s.Newest = total, &list[0]
	const good = ` AND NOT t.damaged AND NOT t.failed AND (t.files > 0 OR NOT EXISTS (
		SELECT 1 FROM point o WHERE o.plan = t.plan AND o.expired_at IS NULL AND o.files > 0))`
	if s.Last, err = firstPoint(tx, live+good, s.Plan.ID); err != nil {
		return err
	}
	s.Proven, err = firstPoint(tx, live+` AND t.proof = 'proven'`, s.Plan.ID)
	return err
}

func (s *Standing) runs(tx *store.Tx) (err error) {
	if s.Run, err = firstRun(tx, `u.plan = ? AND u.state <> 'running'`, s.Plan.ID); err != nil {
		return err
	}
	if s.Running, err = firstRun(tx, `u.plan = ? AND u.state = 'running'`, s.Plan.ID); err != nil {
		return err
	}
	s.Spark, err = spark(tx, s.Plan.ID, 14)
	return err
}

// judge finds the first thing that is wrong, the worst first. A cancelled or
// interrupted run alone says nothing about the plan: what counts is the age of
// the last good point.
func (s *Standing) judge(now time.Time, site *time.Location) (string, Note) {
	switch {
	case s.Last == nil && s.Newest != nil && s.Newest.Damaged:
		return StandDamaged, Say("plan.stand.damaged", "at", s.Newest.AsOf.In(site))
	case s.Last == nil && s.Run != nil && s.Run.State == "failed":
		return StandFailing, Say("plan.stand.failing", "at", s.Run.Began.In(site))
	case s.Last == nil && !s.Plan.Enabled:
		return StandOff, Say("plan.stand.off")
	case s.Last == nil:
		return StandNever, Say("plan.stand.never")
	case s.Newest.Damaged:
		return StandDamaged, Say("plan.stand.damaged", "at", s.Newest.AsOf.In(site))
	case s.Newest.Files == 0 && s.Last.Files > 0:
		return StandDamaged, Say("plan.stand.empty", "at", s.Newest.AsOf.In(site))
	case s.Lost:
		return StandUnsound, Say("plan.stand.lost", "at", s.Last.AsOf.In(site), "repository", s.Plan.Repository)
	case s.Newest.Failed:
		return StandUnsound, Say("plan.stand.unsound", "drill", s.Newest.Drill)
	case !s.Plan.Enabled:
		return StandOff, Say("plan.stand.off")
	case s.Run != nil && s.Run.State == "failed" && s.Run.Began.After(s.Last.Began):
		return StandFailing, Say("plan.stand.failing", "at", s.Run.Began.In(site))
	case s.late(now, site):
		return StandLate, Say("plan.stand.late", "at", s.Last.AsOf.In(site))
	}
	return StandGood, Say("plan.stand.good", "at", s.Last.AsOf.In(site))
}

// grace is how long after its due moment a point may appear before the plan
// counts as late.
const grace = 2 * time.Hour

// late says whether a due moment went by without a good point coming of it.
func (s *Standing) late(now time.Time, site *time.Location) bool {
	if s.Plan.Schedule == "" {
		return false
	}
	due, err := parseSchedule(s.Plan.Schedule, s.Plan.Location(site))
	if err != nil {
		return true
	}
	next := due.Next(s.Last.Began)
	return !next.IsZero() && now.After(next.Add(grace))
}

// OverRPO says that the newest good point is older than the plan's target.
func (s Standing) OverRPO() bool { return s.Plan.RPO > 0 && s.RPO > s.Plan.RPO.D() }

// OverRTO says that the last drill took longer than the plan's target.
func (s Standing) OverRTO() bool { return s.Plan.RTO > 0 && s.RTO > s.Plan.RTO.D() }

// Safe says that the plan's source could be brought back tonight to a moment
// that its schedule promises.
func (s Standing) Safe() bool { return s.State == StandGood }

// lastDrill is the newest drill of a plan that ended, or the newest one that
// passed with a measured RTO.
func lastDrill(tx *store.Tx, plan int64, passed bool) (*DrillRow, error) {
	where := `d.plan = ? AND d.state <> 'running'`
	if passed {
		where = `d.plan = ? AND d.state IN ('passed', 'partial') AND d.rto_ms IS NOT NULL`
	}
	var row DrillRow
	var began, ended store.Time
	var rto, rpo int64
	err := tx.QueryRow(`
		SELECT d.number, d.state, d.began, d.ended, coalesce(d.rto_ms, 0), coalesce(d.rpo_ms, 0), p.name
		FROM drill d JOIN plan p ON p.id = d.plan WHERE `+where+` ORDER BY d.began DESC, d.id DESC LIMIT 1`, plan).
		Scan(&row.Number, &row.State, &began, &ended, &rto, &rpo, &row.PlanName)
	if noRow(err) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "read last drill of plan %d", plan)
	}
	row.Began, row.Ended = began.Time, ended.Time
	row.RTO, row.RPO = time.Duration(rto)*time.Millisecond, time.Duration(rpo)*time.Millisecond
	return &row, nil
}

// spark lists the new bytes the last n points of a plan stored, oldest first.
func spark(tx *store.Tx, plan int64, n int) (list []int64, err error) {
	err = tx.Each(func(scan func(...any) error) error {
		var added int64
		err := scan(&added)
		list = append(list, added)
		return err
	}, `SELECT added FROM (SELECT added, as_of FROM point WHERE plan = ? ORDER BY as_of DESC LIMIT ?) ORDER BY as_of`, plan, n)
	return list, wrap(err, "read growth of plan %d", plan)
}

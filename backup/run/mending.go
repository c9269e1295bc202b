package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// damage gathers what verification found.
type damage struct {
	packs map[blob.ID]bool
	index bool // index files are damaged: the packs know what they should say
	rest  bool // trees, snapshots or pieces are missing
	alone bool // packs lie there that no index names: what is missing may be in them
	seen  map[string]bool
	n     int // findings that mean loss
}

func newDamage() *damage { return &damage{packs: map[blob.ID]bool{}, seen: map[string]bool{}} }

// note takes a finding in and says whether it is a new one that means loss.
func (d *damage) note(f repository.Finding) bool {
	d.alone = d.alone || f.Kind == repository.PackOrphan
	word := f.Kind + " " + f.Name
	if f.Level != repository.Error || d.seen[word] {
		return false
	}
	d.seen[word] = true
	d.n++
	id, isPack := f.SickPack()
	switch {
	case isPack:
		d.packs[id] = true
	case f.Kind == repository.IndexDamaged, f.Kind == repository.IndexConflict:
		d.index = true
	default:
		d.rest = true
	}
	return true
}

func (d *damage) sick() []blob.ID { return slices.SortedFunc(maps.Keys(d.packs), blob.ID.Compare) }

// mending puts a damaged repository right, as far as what is whole elsewhere
// reaches.
//
// A damaged pack is written anew from what is good in it and from the second
// copy, once nothing is lost by that. Until then it stays as it is: somebody may
// still get more out of the disk than we do, and a copy that does not answer
// tonight may tomorrow. Backups pass such packs over and store again what their
// sources still have, which may be all that was missing.
type mending struct {
	*Runner
	job   *jobs.Run
	place plan.Repository
	repo  *repository.Repository
	found *damage

	others []*repository.Repository // second copies, opened and their index loaded
	from   *sources                 // these, and the repository itself
	healed int
	left   []blob.ID // packs that stay damaged
	lost   []plan.Note
	lostTo time.Time // the newest point of which something is lost
}

// healBatch is how many packs are healed under one exclusive lock: backups
// wait for it.
const healBatch = 8

// run heals and says what stays lost. Nobody holds a lock.
func (m *mending) run(ctx context.Context) (err error) {
	if err := m.repo.RememberSick(m.found.sick(), false); err != nil {
		m.job.Problem("cache", err)
	}
	defer m.close(&err)
	if err := m.openOthers(ctx); err != nil {
		return err
	}
	m.from = &sources{own: m.repo, silent: map[int]bool{}, tell: m.job.Problem}
	for _, other := range m.others {
		m.from.others = append(m.from.others, other)
	}
	if err := m.locked(ctx, m.index); err != nil {
		return err
	}
	if err := m.packs(ctx); err != nil {
		return err
	}
	if err := m.locked(ctx, m.fill); err != nil {
		return err
	}
	return m.losses(ctx)
}

// locked holds the exclusive lock around a step, the index loaded.
func (m *mending) locked(ctx context.Context, step func(context.Context) error) error {
	var lock *repository.Lock
	err := Patient(ctx, m.job, func() (err error) {
		lock, err = m.repo.Lock(ctx, repository.Exclusive)
		return err
	})
	if err != nil {
		return fmt.Errorf("lock repository %s to heal it: %w", m.place.Name, err)
	}
	return errors.Join(step(lock.Context()), lock.Unlock())
}

// index makes the index say what the packs say.
func (m *mending) index(ctx context.Context) error {
	if !m.found.index && !(m.found.rest && m.found.alone) {
		return nil
	}
	_, err := m.repo.RepairIndex(ctx, repository.IndexOptions{}, m.job)
	if err == nil {
		m.job.Log("run.log.indexmended")
	}
	return err
}

func (m *mending) packs(ctx context.Context) error {
	for some := range slices.Chunk(m.found.sick(), healBatch) {
		if err := m.locked(ctx, func(ctx context.Context) error { return m.heal(ctx, some) }); err != nil {
			return err
		}
	}
	if m.healed > 0 {
		m.job.Log("run.log.healed", "n", m.healed, "repository", m.place.Name)
	}
	return nil
}

// heal writes a few damaged packs anew: those of which nothing is lost by that.
// Of the others, what can be had is stored beside them.
func (m *mending) heal(ctx context.Context, packs []blob.ID) error {
	if err := m.repo.LoadIndex(ctx); err != nil {
		return err
	}
	list, pieces, err := m.sort(ctx, packs)
	if err != nil {
		return err
	}
	report, err := m.repo.Heal(ctx, list, m.from, m.job)
	m.healed += len(report.Replaced)
	m.left = append(m.left, report.Kept...)
	if err != nil || len(pieces) == 0 {
		return err
	}
	if _, err := m.repo.PassOverLost(ctx); err != nil {
		return err
	}
	_, err = m.repo.Fill(ctx, pieces, m.from, m.job)
	return errors.Join(err, m.repo.LoadIndex(ctx))
}

// sort tells packs that can be had whole from those that cannot, and names the
// pieces of these that can be had.
func (m *mending) sort(ctx context.Context, packs []blob.ID) (whole []blob.ID, pieces []blob.Handle, err error) {
	for _, id := range packs {
		bad, err := m.repo.Unreadable(ctx, []blob.ID{id})
		if err != nil {
			return nil, nil, err
		}
		had := m.obtainable(ctx, bad)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if len(had) == bad.Len() {
			whole = append(whole, id)
			continue
		}
		m.left = append(m.left, id)
		pieces = append(pieces, had...)
	}
	return whole, pieces, nil
}

// obtainable chooses the blobs that a second copy gives now. One that does not
// answer has nothing: the pack waits for another night.
func (m *mending) obtainable(ctx context.Context, bad *blob.Set) (list []blob.Handle) {
	var buf []byte
	for h := range bad.All() {
		plain, err := m.from.LoadBlob(ctx, h, buf)
		if err == nil && blob.Hash(plain) == h.ID {
			list = append(list, h)
			buf = plain
		}
	}
	return list
}

// fill brings back what no index names any more: snapshots, then folders and
// pieces of files.
func (m *mending) fill(ctx context.Context) error {
	if len(m.others) == 0 || !m.found.rest && len(m.found.packs) == 0 {
		return nil
	}
	if err := m.repo.LoadIndex(ctx); err != nil {
		return err
	}
	if err := m.snapshots(ctx); err != nil {
		return err
	}
	report, err := snapshot.Fill(ctx, m.repo, m.from, m.job)
	if report.Fetched > 0 {
		m.job.Log("run.log.filled", "n", report.Fetched)
	}
	return err
}

// snapshots writes points anew whose own document is damaged and which have a
// copy. The new document is there before the book names it, and the damaged
// one goes last.
func (m *mending) snapshots(ctx context.Context) error {
	ids, err := snapshot.LostPoints(ctx, m.repo)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := m.snapshot(ctx, id); err != nil {
			return fmt.Errorf("bring back point %.8s: %w", id, err)
		}
	}
	return nil
}

func (m *mending) snapshot(ctx context.Context, id string) error {
	var point, copied *plan.Point
	err := m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		if point, err = plan.PointOf(tx, m.place.ID, id); err != nil || point != nil {
			return err
		}
		copied, err = plan.CopiedPoint(tx, m.place.ID, id)
		return err
	})
	switch {
	case err != nil:
		return err
	case copied != nil:
		return m.copied(ctx, id, *copied)
	case point == nil:
		return nil
	}
	for _, other := range m.others {
		twin := m.twinOf(ctx, other, id)
		if twin == nil {
			continue
		}
		if err := snapshot.Save(ctx, m.repo, twin); err != nil {
			return err
		}
		if err := m.Store.Write(ctx, func(tx *store.Tx) error { return plan.Renew(tx, point.ID, twin.ID) }); err != nil {
			return err
		}
		m.job.Log("run.log.pointhealed", "point", point.Short())
		return snapshot.Remove(ctx, m.repo, id)
	}
	return nil
}

// copied writes the document of a copy anew from the point itself.
func (m *mending) copied(ctx context.Context, id string, point plan.Point) error {
	for _, other := range m.others {
		sn, err := snapshot.Load(ctx, other, point.Snapshot)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue // of several places, one is the point's own
		}
		twin := *sn
		if twin.Original.IsZero() {
			if twin.Original, err = blob.ParseID(sn.ID); err != nil {
				return fmt.Errorf("copy point %s: %w", point.Short(), err)
			}
		}
		if err := snapshot.Save(ctx, m.repo, &twin); err != nil {
			return err
		}
		made := plan.Copy{Point: point.ID, Repository: m.place.ID, Snapshot: twin.ID}
		if err := m.Store.Write(ctx, func(tx *store.Tx) error { return plan.InsertCopy(tx, made) }); err != nil {
			return err
		}
		m.job.Log("run.log.pointhealed", "point", point.Short())
		return snapshot.Remove(ctx, m.repo, id)
	}
	return nil
}

// twinOf finds the copy of a snapshot, ready to be written here.
func (m *mending) twinOf(ctx context.Context, other *repository.Repository, id string) *snapshot.Snapshot {
	list, err := snapshot.List(ctx, other, snapshot.Filter{})
	if err != nil {
		m.job.Problem("second copy", err)
	}
	for _, sn := range list {
		if sn.Original.String() == id {
			twin := *sn
			return &twin
		}
	}
	return nil
}

// losses names what cannot be had any more.
func (m *mending) losses(ctx context.Context) error {
	if len(m.left) == 0 && !m.found.rest {
		return nil
	}
	lock, err := m.repo.Lock(ctx, repository.Read)
	if err != nil {
		return fmt.Errorf("lock repository %s: %w", m.place.Name, err)
	}
	m.lost, err = m.name(lock.Context())
	return errors.Join(err, lock.Unlock())
}

func (m *mending) name(ctx context.Context) ([]plan.Note, error) {
	if _, err := m.repo.SalvageIndex(ctx); err != nil {
		return nil, err
	}
	bad, err := m.repo.Unreadable(ctx, m.left)
	if err != nil {
		return nil, err
	}
	var told tale
	told.zone = m.Book.Site()
	report, err := snapshot.Losses(ctx, m.repo, bad, told.add)
	if err != nil {
		return nil, err
	}
	ids, err := snapshot.LostPoints(ctx, m.repo)
	for _, id := range ids {
		told.notes = append(told.notes, plan.Say("run.loss.snapshot", "point", fmt.Sprintf("%.8s", id)))
		if made := m.madeAt(ctx, id); made.After(told.to) {
			told.to = made
		}
	}
	m.lostTo = told.to
	return told.end(report), err
}

// madeAt is when a point was made whose document cannot be read; the zero time
// when the book does not know it.
func (m *mending) madeAt(ctx context.Context, id string) (at time.Time) {
	err := m.Store.Read(ctx, func(tx *store.Tx) error {
		point, err := plan.PointOf(tx, m.place.ID, id)
		if point != nil {
			at = point.Began
		}
		return err
	})
	if err != nil {
		m.job.Problem(id, err)
	}
	return at
}

// openOthers opens the second copies that can be reached. One that cannot is
// told and passed over.
func (m *mending) openOthers(ctx context.Context) error {
	var ids []int64
	err := m.Store.Read(ctx, func(tx *store.Tx) (err error) {
		ids, err = plan.Counterparts(tx, m.place.ID)
		return err
	})
	for _, id := range ids {
		repo, err := m.repositories.Fresh(ctx, id)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			m.job.Problem("second copy", err)
			continue
		}
		m.others = append(m.others, repo)
		if _, err := repo.SalvageIndex(ctx); err != nil {
			m.job.Problem("second copy", err)
		}
	}
	return err
}

func (m *mending) close(err *error) {
	for _, repo := range m.others {
		*err = closing(*err, repo)
	}
}

// whole says that nothing stays lost.
func (m *mending) whole() bool { return len(m.left) == 0 && len(m.lost) == 0 }

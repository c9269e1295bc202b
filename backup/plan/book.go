package plan

import (
	"context"
	"time"

	"emrvault/appliance/store"
	"emrvault/backup/source"
)

// Book 计划簿 reads and writes what this package names. All methods may be
// called from many goroutines.
type Book struct {
	store  *store.Store
	site   *time.Location
	source func(source.Spec) error
}

// NewBook opens the book on a store; site is the zone of plans that name none
// and of the calendar.
func NewBook(st *store.Store, site *time.Location) *Book {
	return &Book{store: st, site: site}
}

// KnowSources lets the book refuse settings that a kind of source does not
// know. Package run, which opens sources, says how; it is called once, before
// the book is used.
func (b *Book) KnowSources(verify func(source.Spec) error) { b.source = verify }

// Store is where the book is kept.
func (b *Book) Store() *store.Store { return b.store }

// Site is the zone of the site.
func (b *Book) Site() *time.Location { return b.site }

// Repositories lists all repositories with their figures, by name.
func (b *Book) Repositories(ctx context.Context) (list []Repository, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		list, err = repositories(tx, "")
		return err
	})
	return list, err
}

// Repository finds one by name.
func (b *Book) Repository(ctx context.Context, name string) (r Repository, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		r, err = RepositoryNamed(tx, name)
		return err
	})
	return r, err
}

// RepositoryByID finds one by its row.
func (b *Book) RepositoryByID(ctx context.Context, id int64) (r Repository, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		r, err = RepositoryByID(tx, id)
		return err
	})
	return r, err
}

// Plans lists the plans by name.
func (b *Book) Plans(ctx context.Context) (list []Plan, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		list, err = plans(tx, "")
		return err
	})
	return list, err
}

// Plan finds one by name.
func (b *Book) Plan(ctx context.Context, name string) (p Plan, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		p, err = Named(tx, name)
		return err
	})
	return p, err
}

// PlanByID finds one by its row, removed ones too.
func (b *Book) PlanByID(ctx context.Context, id int64) (p Plan, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		p, err = ByID(tx, id)
		return err
	})
	return p, err
}

// Add writes a new plan down after checking it, and sets when it is due.
func (b *Book) Add(ctx context.Context, p Plan) (Plan, error) {
	err := b.store.Write(ctx, func(tx *store.Tx) (err error) {
		p, err = b.add(tx, p)
		return err
	})
	return p, err
}

// Edit replaces what the plan of that name says; points, runs and drills stay
// with it. The name may change, the source's tag should not: the points before
// would no longer be found by it in the repository.
func (b *Book) Edit(ctx context.Context, name string, p Plan) (Plan, error) {
	err := b.store.Write(ctx, func(tx *store.Tx) (err error) {
		p, err = b.edit(tx, name, p)
		return err
	})
	return p, err
}

// SetKeep changes the keep policy alone.
func (b *Book) SetKeep(ctx context.Context, name string, keep Keep) error {
	return b.store.Write(ctx, func(tx *store.Tx) error {
		p, err := Named(tx, name)
		if err != nil {
			return err
		}
		p.Keep = keep
		_, err = b.edit(tx, name, p)
		return err
	})
}

// SetEnabled switches a plan on or off. Switched on, it is due at its next
// moment from now; nothing is caught up.
func (b *Book) SetEnabled(ctx context.Context, name string, on bool) error {
	return b.store.Write(ctx, func(tx *store.Tx) error {
		p, err := Named(tx, name)
		if err != nil {
			return err
		}
		p.Enabled = on
		_, err = b.edit(tx, name, p)
		return err
	})
}

// Remove takes a plan out of the book. Its points stay in the repository and
// in the list, and can be restored; nothing expires them any more.
func (b *Book) Remove(ctx context.Context, name string) error {
	return b.store.Write(ctx, func(tx *store.Tx) error {
		p, err := Named(tx, name)
		if err != nil {
			return err
		}
		_, err = tx.Change(`UPDATE plan SET removed = ?, enabled = 0 WHERE id = ?`, store.Stamp(tx.Now), p.ID)
		return err
	})
}

// Points lists points, newest first, and tells how many the filter meets in
// all. For one plan each live point says why it is kept.
func (b *Book) Points(ctx context.Context, f PointFilter) (list []Point, total int, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		list, total, err = b.points(tx, f)
		return err
	})
	return list, total, err
}

// Point finds one by its row, by the beginning of its snapshot id, or, as
// "latest:NAME" or the plain name of a plan, the newest of that plan.
func (b *Book) Point(ctx context.Context, word string) (p Point, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		p, err = findPoint(tx, word)
		return err
	})
	return p, err
}

// PointByID finds one by its row.
func (b *Book) PointByID(ctx context.Context, id int64) (p Point, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		p, err = PointByID(tx, id)
		return err
	})
	return p, err
}

// Runs lists what was done, newest first, each with the point it made, and
// tells how many the filter meets in all.
func (b *Book) Runs(ctx context.Context, f RunFilter) (list []Run, total int, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		list, total, err = runs(tx, f)
		return err
	})
	return list, total, err
}

// RunOfJob finds what a backup job has done; a job that never began gives the
// zero Run.
func (b *Book) RunOfJob(ctx context.Context, job int64) (r Run, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		found, err := firstRun(tx, `u.job = ?`, job)
		if found != nil {
			r = *found
		}
		return err
	})
	return r, err
}

// Overview judges the whole box.
func (b *Book) Overview(ctx context.Context) (o Overview, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		o, err = b.overview(tx)
		return err
	})
	return o, err
}

// Standing judges one plan.
func (b *Book) Standing(ctx context.Context, name string) (s Standing, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		p, err := Named(tx, name)
		if err != nil {
			return err
		}
		s, err = b.standing(tx, p)
		return err
	})
	return s, err
}

// Preview shows what keep would do to the points of a plan.
func (b *Book) Preview(ctx context.Context, name string, keep Keep) (v Preview, err error) {
	err = b.store.Read(ctx, func(tx *store.Tx) error {
		v, err = b.preview(tx, name, keep)
		return err
	})
	return v, err
}

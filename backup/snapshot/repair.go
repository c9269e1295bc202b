package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// RepairedTag marks a snapshot that was written anew without what is lost.
const RepairedTag = "repaired"

// RepairedPoint is a snapshot that has lost something, and what took its place.
type RepairedPoint struct {
	From string `json:"from"`
	To   string `json:"to,omitempty"`   // empty in a dry run, and when nothing is left of it
	Lost int    `json:"lost"`           // files and folders
	Gone bool   `json:"gone,omitempty"` // nothing is left
}

// RepairReport tells what Repair did or, in a dry run, would do.
type RepairReport struct {
	Points     []RepairedPoint `json:"points,omitempty"`
	Unreadable []string        `json:"unreadable,omitempty"` // snapshots whose own document is damaged
	Unfinished []string        `json:"unfinished,omitempty"` // what interrupted backups have left, and has lost something: removed
}

// Repair writes snapshots that have lost data anew, so that whatever remains
// restores without an error and nothing wrong restores under its old name.
//
// A file of which a part is lost becomes NAME.damaged, as long as it was, with
// zeros in the holes: database tools can often use that. A file of which
// nothing is left, and a folder whose list is lost, are left out. All of it is
// written down in a text file at the root of the snapshot. The new snapshot
// carries RepairedTag and the old one's id as its original; once it has been
// read back the old one is removed. A checkpoint that has lost something is worth
// nothing and is removed. Without confirm nothing is changed. The caller holds
// the exclusive lock and has loaded the index; bad are the blobs that are in the
// index and cannot be read. Each of them is tried once more, and one that the
// storage does not give for now ends the repair: it may be whole.
func Repair(ctx context.Context, repo *repository.Repository, bad *blob.Set, confirm bool, progress backup.Progress) (RepairReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	r := &repairing{repo: repo, progress: progress, confirm: confirm}
	if err := r.run(ctx, bad); err != nil {
		return r.report, fmt.Errorf("repair snapshots of %s: %w", repo.Storage().Location(), err)
	}
	return r.report, nil
}

// repairing is one Repair at work.
type repairing struct {
	repo     *repository.Repository
	progress backup.Progress
	confirm  bool
	report   RepairReport
	all      []*Snapshot
	made     []rewritten
}

// rewritten is a snapshot and its new tree.
type rewritten struct {
	old  *Snapshot
	tree blob.ID // zero: nothing is left
	lost int
}

func (r *repairing) run(ctx context.Context, bad *blob.Set) (err error) {
	if r.report.Unreadable, err = LostPoints(ctx, r.repo); err != nil {
		return err
	}
	list, unfinished, broken := ListAll(ctx, r.repo)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if broken != nil && len(r.report.Unreadable) == 0 {
		return broken
	}
	r.all = list
	if bad, err = r.sure(ctx, bad); err != nil {
		return err
	}
	d, err := surveyDamage(ctx, r.repo, bad, false, slices.Concat(list, unfinished))
	if err != nil {
		return err
	}
	whole := func(s *Snapshot) bool { return !d.hits(s.Tree) }
	hit := slices.DeleteFunc(slices.Clone(list), whole)
	for _, s := range slices.DeleteFunc(unfinished, whole) {
		r.report.Unfinished = append(r.report.Unfinished, s.ID)
	}
	r.progress.Total(int64(len(hit)), 0)
	if err := r.rewrite(ctx, d, hit); err != nil {
		return err
	}
	if err := r.ruin(); err != nil {
		return err
	}
	for _, m := range r.made {
		if err := r.swap(ctx, m); err != nil {
			return err
		}
	}
	return r.removeLost(ctx)
}

// ruin refuses to remove every point there is: then nothing would be repaired,
// and most likely the packs lie on a disk that is not there just now.
func (r *repairing) ruin() error {
	left := slices.ContainsFunc(r.made, func(m rewritten) bool { return !m.tree.IsZero() })
	if !r.confirm || left || len(r.made) == 0 || len(r.made) < len(r.all) {
		return nil
	}
	return fmt.Errorf("nothing is left of any of the %d points, so none is removed; is the disk with the packs there? If it is lost, begin a new repository: %w", len(r.all), backup.ErrDamaged)
}

// sure tries what counts as unreadable once more.
func (r *repairing) sure(ctx context.Context, bad *blob.Set) (*blob.Set, error) {
	lost := blob.NewSet()
	if bad == nil {
		return lost, nil
	}
	for h := range bad.All() {
		if !r.repo.Has(h) {
			continue // that is reason enough
		}
		_, err := r.repo.LoadStored(ctx, h, nil)
		if err != nil && !certain(err) {
			return nil, fmt.Errorf("what the storage does not give for now may be whole, so nothing is given up: %w", err)
		}
		if err != nil {
			lost.Add(h)
		}
	}
	return lost, nil
}

// rewrite makes the new trees, all of them durable before any snapshot.
func (r *repairing) rewrite(ctx context.Context, d *damage, hit []*Snapshot) error {
	if !r.confirm {
		return r.trees(ctx, newRewriter(d, nil), hit)
	}
	return r.repo.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		return r.trees(ctx, newRewriter(d, w), hit)
	})
}

func (r *repairing) trees(ctx context.Context, w *rewriter, hit []*Snapshot) error {
	for _, s := range hit {
		tree, lost, err := w.root(ctx, s)
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", s.Short(), err)
		}
		r.made = append(r.made, rewritten{old: s, tree: tree, lost: lost})
		r.progress.Add(1, 0)
	}
	return nil
}

// swap writes the new snapshot, reads it back, and removes the old one.
func (r *repairing) swap(ctx context.Context, m rewritten) error {
	p := RepairedPoint{From: m.old.ID, Lost: m.lost, Gone: m.tree.IsZero()}
	defer func() { r.report.Points = append(r.report.Points, p) }()
	if !r.confirm {
		return nil
	}
	if !p.Gone {
		var err error
		if p.To, err = r.save(ctx, m); err != nil {
			return err
		}
	}
	return Remove(ctx, r.repo, m.old.ID)
}

func (r *repairing) save(ctx context.Context, m rewritten) (string, error) {
	original, err := blob.ParseID(m.old.ID)
	if err != nil {
		return "", err
	}
	for _, s := range r.all { // a repair that was interrupted had come this far
		if s.Original == original && s.Tree == m.tree {
			return s.ID, nil
		}
	}
	s := *m.old
	s.Tree, s.Original = m.tree, original
	if !slices.Contains(s.Tags, RepairedTag) {
		s.Tags = append(slices.Clone(s.Tags), RepairedTag)
	}
	if err := Save(ctx, r.repo, &s); err != nil {
		return "", err
	}
	if _, err := Load(ctx, r.repo, s.ID); err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	return s.ID, nil
}

// removeLost removes documents that nobody can use.
func (r *repairing) removeLost(ctx context.Context) error {
	if !r.confirm {
		return nil
	}
	var failures []error
	for _, id := range slices.Concat(r.report.Unreadable, r.report.Unfinished) {
		failures = append(failures, Remove(ctx, r.repo, id))
	}
	return errors.Join(failures...)
}

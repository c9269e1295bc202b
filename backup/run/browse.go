package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
)

// pageSize is the number of entries of a folder shown at once.
const pageSize = 200

// browser reads inside points for pages and verbs.
type browser struct {
	repositories *Repositories
	book         *plan.Book
}

// view is an opened point.
type view struct {
	point   plan.Point
	from    string // name of the repository whose copy this is; empty: the point's own
	repo    *repository.Repository
	sn      *snapshot.Snapshot
	release func()
}

func (b *browser) open(ctx context.Context, id int64) (*view, error) {
	p, err := b.book.PointByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if !p.ExpiredAt.IsZero() {
		return nil, errs.New(errs.NotFound, "run.restore.expired", "point", p.Short())
	}
	return b.anywhere(ctx, p)
}

// anywhere opens a point in its own repository, else where a copy of it rests.
func (b *browser) anywhere(ctx context.Context, p plan.Point) (*view, error) {
	v, failed := b.openAt(ctx, p, home(p))
	if failed == nil || ctx.Err() != nil {
		return v, failed
	}
	copies, err := b.repositories.copies(ctx, p)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	for _, at := range copies {
		if v, err := b.openAt(ctx, p, at); err == nil {
			v.from = at.name
			return v, nil
		}
	}
	return nil, failed
}

func (b *browser) openAt(ctx context.Context, p plan.Point, at rest) (*view, error) {
	repo, release, err := b.repositories.Open(ctx, at.repository)
	if err != nil {
		return nil, err
	}
	sn, err := snapshot.Load(ctx, repo, at.snapshot)
	if err != nil {
		release()
		return nil, told(fmt.Errorf("load point %s: %w", p.Short(), err))
	}
	return &view{point: p, repo: repo, sn: sn, release: release}, nil
}

// node finds what lies at a path; people paste paths without the first slash.
func (v *view) node(ctx context.Context, name string) (*snapshot.Node, string, error) {
	clean := path.Clean("/" + name)
	n, err := snapshot.Lookup(ctx, v.repo, v.sn, clean)
	if errors.Is(err, backup.ErrNotFound) {
		return nil, clean, errs.Wrap(errs.NotFound, err, "run.browse.nothing", "path", clean, "point", v.point.Short())
	}
	return n, clean, told(err)
}

// Folder lists one folder of a point, compared with the point before it.
func (r *Runner) Folder(ctx context.Context, point int64, name string, page Page) (Folder, error) {
	v, err := r.browser.open(ctx, point)
	if err != nil {
		return Folder{}, err
	}
	defer v.release()
	n, clean, err := v.node(ctx, name)
	if err != nil {
		return Folder{}, err
	}
	if !n.IsDir() {
		return Folder{}, errs.New(errs.Invalid, "run.browse.file", "path", clean)
	}
	tree, err := snapshot.LoadTree(ctx, v.repo, n.Subtree)
	if err != nil {
		return Folder{}, told(err)
	}
	f := Folder{Point: v.point, Path: clean, Crumbs: crumbs(clean)}
	nodes := chosen(tree.Nodes, page.Search)
	f.Total = len(nodes)
	nodes = cut(nodes, page)
	old, err := r.before(ctx, v, clean, &f)
	if err != nil {
		return Folder{}, err
	}
	for _, n := range nodes {
		e := entryOf(clean, n)
		e.Items = v.items(ctx, n)
		if f.Before != nil {
			e.Change = change(n, old)
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

func crumbs(clean string) []Crumb {
	list := []Crumb{{"/", "/"}}
	at := ""
	for part := range strings.SplitSeq(strings.Trim(clean, "/"), "/") {
		if part != "" {
			at += "/" + part
			list = append(list, Crumb{part, at})
		}
	}
	return list
}

// chosen filters by part of the name and puts folders first.
func chosen(nodes []*snapshot.Node, search string) []*snapshot.Node {
	search = strings.ToLower(strings.TrimSpace(search))
	list := slices.Clone(nodes)
	if search != "" {
		list = slices.DeleteFunc(list, func(n *snapshot.Node) bool {
			return !strings.Contains(strings.ToLower(n.Name), search)
		})
	}
	slices.SortStableFunc(list, func(a, b *snapshot.Node) int {
		if a.IsDir() != b.IsDir() {
			if a.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

func cut(nodes []*snapshot.Node, page Page) []*snapshot.Node {
	limit := page.Limit
	if limit <= 0 {
		limit = pageSize
	}
	from := min(max(0, page.Offset), len(nodes))
	return nodes[from:min(from+limit, len(nodes))]
}

func entryOf(dir string, n *snapshot.Node) Entry {
	return Entry{
		Name: n.Name, Path: path.Join(dir, n.Name), Kind: string(n.Type), Size: int64(n.Size),
		ModTime: n.ModTime, Target: n.LinkTarget,
	}
}

// items counts what is in a folder; -1 when its tree cannot be read, which
// a page shows as unknown and a check names.
func (v *view) items(ctx context.Context, n *snapshot.Node) int {
	if !n.IsDir() {
		return 0
	}
	d, err := snapshot.OpenTree(ctx, v.repo, n.Subtree)
	if err != nil {
		return -1
	}
	var each snapshot.Node
	for count := 0; ; count++ {
		switch err := d.Next(&each); {
		case errors.Is(err, io.EOF):
			return count
		case err != nil:
			return -1
		}
	}
}

// before lists the same folder in the point before; the folder itself may not
// have been there.
func (r *Runner) before(ctx context.Context, v *view, clean string, f *Folder) (map[string]*snapshot.Node, error) {
	older, _, err := r.Book.Points(ctx, plan.PointFilter{Plan: v.point.PlanName, To: v.point.AsOf, Limit: 1})
	if err != nil || len(older) == 0 || older[0].Repository != v.point.Repository || v.from != "" {
		return nil, err
	}
	sn, err := snapshot.Load(ctx, v.repo, older[0].Snapshot)
	if errors.Is(err, backup.ErrNotFound) {
		return nil, nil // another program has removed it; the next backup strikes it off
	}
	if err != nil {
		return nil, told(err)
	}
	f.Before = &older[0]
	n, err := snapshot.Lookup(ctx, v.repo, sn, clean)
	if errors.Is(err, backup.ErrNotFound) || (err == nil && !n.IsDir()) {
		return nil, nil
	}
	if err != nil {
		return nil, told(err)
	}
	tree, err := snapshot.LoadTree(ctx, v.repo, n.Subtree)
	if err != nil {
		return nil, told(err)
	}
	names := make(map[string]*snapshot.Node, len(tree.Nodes))
	for _, n := range tree.Nodes {
		names[n.Name] = n
	}
	return names, nil
}

func change(n *snapshot.Node, before map[string]*snapshot.Node) string {
	old := before[n.Name]
	switch {
	case old == nil:
		return ChangeNew
	case n.Type != old.Type, n.Size != old.Size, n.Subtree != old.Subtree,
		n.LinkTarget != old.LinkTarget, !slices.Equal(n.Content, old.Content):
		return ChangeMod
	}
	return ChangeNone
}

// file is an opened file that keeps its repository open and its packs safe.
type file struct {
	io.ReadSeekCloser
	lock    *repository.Lock
	release func()
}

// Close closes the file and lets the repository go.
func (f file) Close() error {
	err := errors.Join(f.ReadSeekCloser.Close(), f.lock.Unlock())
	f.release()
	return err
}

// OpenFile opens one file of a point; the caller closes it. Its content is
// proven while it is read, and no prune removes it meanwhile.
func (r *Runner) OpenFile(ctx context.Context, point int64, name string) (*File, error) {
	v, lock, err := r.browser.openLocked(ctx, point)
	if err != nil {
		return nil, err
	}
	f, err := v.file(ctx, name, lock)
	if err != nil {
		err = errors.Join(err, lock.Unlock())
		v.release()
		return nil, err
	}
	return f, nil
}

func (v *view) file(ctx context.Context, name string, lock *repository.Lock) (*File, error) {
	n, clean, err := v.node(ctx, name)
	if err != nil {
		return nil, err
	}
	if n.Type != snapshot.File {
		return nil, errs.New(errs.Invalid, "run.browse.notfile", "path", clean)
	}
	content, err := restore.Open(lock.Context(), v.repo, n)
	if err != nil {
		return nil, told(err)
	}
	return &File{Entry: entryOf(path.Dir(clean), n), ReadSeekCloser: file{content, lock, v.release}}, nil
}

// openLocked opens a point and keeps packs in their place while somebody
// downloads. It is opened once more under the lock: a prune of another process
// may have ended just before, and then that opening is a fresh one.
func (b *browser) openLocked(ctx context.Context, id int64) (*view, *repository.Lock, error) {
	before, err := b.open(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	// The lock is refreshed through the repository it was taken in, so that
	// one stays in use as long as the view.
	lock, err := before.repo.Lock(ctx, repository.Read)
	if err != nil {
		before.release()
		return nil, nil, told(fmt.Errorf("lock repository for the download: %w", err))
	}
	v, err := b.open(ctx, id)
	if err != nil {
		err = errors.Join(err, lock.Unlock())
		before.release()
		return nil, nil, err
	}
	now := v.release
	v.release = func() { now(); before.release() }
	return v, lock, nil
}

// Zip writes a folder of a point as one zip file.
func (r *Runner) Zip(ctx context.Context, point int64, name string, w io.Writer) error {
	return r.pack(ctx, point, name, func(v *view, clean string) error {
		return restore.Zip(ctx, v.repo, v.sn, clean, w)
	})
}

// Tar writes a folder of a point as one tar file.
func (r *Runner) Tar(ctx context.Context, point int64, name string, w io.Writer) error {
	return r.pack(ctx, point, name, func(v *view, clean string) error {
		return restore.Tar(ctx, v.repo, v.sn, clean, w)
	})
}

// pack writes a folder out under a lock.
func (r *Runner) pack(ctx context.Context, point int64, name string, write func(*view, string) error) error {
	v, lock, err := r.browser.openLocked(ctx, point)
	if err != nil {
		return err
	}
	defer v.release()
	_, clean, err := v.node(ctx, name)
	if err != nil {
		return errors.Join(err, lock.Unlock())
	}
	return told(errors.Join(write(v, clean), lock.Unlock()))
}

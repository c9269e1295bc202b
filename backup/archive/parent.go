package archive

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// chooseParent gives the newest snapshot of the host with the same paths, not
// newer than the new one, or else one that holds all of them and more. Nil
// means that everything is read. Of list only points are asked for; it ascends
// by time.
func chooseParent(list []*snapshot.Snapshot, o Options, paths []string) *snapshot.Snapshot {
	filter := snapshot.Filter{Host: o.Host, Paths: paths}
	var larger *snapshot.Snapshot
	for _, s := range slices.Backward(list) {
		if s.Time.After(o.Time) || s.Tree.IsZero() || !filter.Match(s) {
			continue
		}
		if len(s.Paths) == len(paths) {
			return s
		}
		if larger == nil {
			larger = s
		}
	}
	return larger
}

// listSnapshots gives all points and checkpoints. One that cannot be read is
// no parent; check is the place to complain about it.
func listSnapshots(ctx context.Context, repo *repository.Repository) (points, checkpoints []*snapshot.Snapshot, err error) {
	points, checkpoints, err = snapshot.ListAll(ctx, repo)
	if ctx.Err() == nil && (points != nil || checkpoints != nil || errors.Is(err, backup.ErrDamaged)) {
		err = nil
	}
	return points, checkpoints, err
}

// past is an older snapshot that files may be taken over from.
type past struct {
	snapshot  *snapshot.Snapshot // nil: none
	unsettled unsettled
}

func pastOf(s *snapshot.Snapshot) past { return past{s, unsettledBy(s)} }

func (p past) root() blob.ID {
	if p.snapshot == nil {
		return blob.ID{}
	}
	return p.snapshot.Tree
}

// proves says whether a file that looks as it did then has the same content,
// and the repository has all of it.
func (p past) proves(repo *repository.Repository, n, old *snapshot.Node) bool {
	return !p.unsettled.has(n.ChangeTime) && durable(repo, old)
}

// known is what older snapshots have of one entry; nil where they have none.
// The nodes are good until the next one is looked for.
type known struct {
	parent, broken *snapshot.Node
}

func (k known) tree() blob.ID       { return subtree(k.parent) }
func (k known) brokenTree() blob.ID { return subtree(k.broken) }

func subtree(n *snapshot.Node) blob.ID {
	if n == nil || !n.IsDir() {
		return blob.ID{}
	}
	return n.Subtree
}

// cursors go through a folder of the parent, and of what an interrupted backup
// has left, in step.
type cursors struct{ parent, broken *cursor }

func openCursors(ctx context.Context, repo *repository.Repository, parent, broken blob.ID) *cursors {
	return &cursors{openCursor(ctx, repo, parent), openCursor(ctx, repo, broken)}
}

func (c *cursors) find(name string) known {
	return known{c.parent.find(name), c.broken.find(name)}
}

// folder tells how many folders come before the one found last in the parent.
func (c *cursors) folder() int { return c.parent.folders }

// cursor finds the nodes of an old folder by ascending names, reading each
// once. In a foreign tree that is not sorted it misses some, and those files
// are read again.
type cursor struct {
	decoder *snapshot.Decoder // nil when there is no old folder
	node    snapshot.Node
	valid   bool
	folders int // before node
}

// openCursor opens the old folder. One that cannot be read counts as none:
// its files are read and stored anew, which heals it.
func openCursor(ctx context.Context, repo *repository.Repository, id blob.ID) *cursor {
	if id.IsZero() {
		return &cursor{}
	}
	d, err := snapshot.OpenTree(ctx, repo, id)
	if err != nil {
		return &cursor{}
	}
	c := &cursor{decoder: d}
	c.advance()
	return c
}

func (c *cursor) advance() {
	if c.valid && c.node.IsDir() {
		c.folders++
	}
	err := c.decoder.Next(&c.node)
	c.valid = err == nil
	if err != nil && !errors.Is(err, io.EOF) {
		c.node = snapshot.Node{}
	}
}

// find gives the old node of that name, good until the next call, or nil.
func (c *cursor) find(name string) *snapshot.Node {
	for c.valid && c.node.Name < name {
		c.advance()
	}
	if c.valid && c.node.Name == name {
		return &c.node
	}
	return nil
}

// unsettled is the time in which a parent was made, with a margin for clocks
// that tick slowly: two seconds on FAT. A file that was changed in it may have
// been changed once more within the same tick after it was read; then nothing
// but its content tells.
type unsettled struct{ from, to time.Time }

const tick = 2 * time.Second

func unsettledBy(parent *snapshot.Snapshot) unsettled {
	switch {
	case parent == nil:
		return unsettled{}
	case parent.Summary == nil:
		return unsettled{from: parent.Time.Add(-tick)}
	}
	return unsettled{parent.Summary.BackupStart.Add(-tick), parent.Summary.BackupEnd.Add(tick)}
}

func (u unsettled) has(t time.Time) bool {
	return !t.Before(u.from) && (u.to.IsZero() || !t.After(u.to))
}

// durable says whether the repository has all of a file's old content.
func durable(repo *repository.Repository, old *snapshot.Node) bool {
	if old.Content == nil {
		return false
	}
	for _, id := range old.Content {
		if !repo.Has(blob.DataHandle(id)) {
			return false
		}
	}
	return true
}

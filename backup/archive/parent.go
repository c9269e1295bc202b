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
// means that everything is read. A snapshot that cannot be read is no parent;
// check is the place to complain about it.
func chooseParent(ctx context.Context, repo *repository.Repository, o Options, paths []string) (*snapshot.Snapshot, error) {
	list, err := snapshot.List(ctx, repo, snapshot.Filter{Host: o.Host, Paths: paths})
	if err != nil && list == nil && !errors.Is(err, backup.ErrDamaged) {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(s *snapshot.Snapshot) bool { return s.Time.After(o.Time) || s.Tree.IsZero() })
	slices.Reverse(list)
	for _, s := range list {
		if len(s.Paths) == len(paths) {
			return s, nil
		}
	}
	if len(list) > 0 {
		return list[0], nil
	}
	return nil, nil
}

// cursor finds the nodes of an old folder by ascending names, reading each
// once. In a foreign tree that is not sorted it misses some, and those files
// are read again.
type cursor struct {
	decoder *snapshot.Decoder // nil when there is no old folder
	node    snapshot.Node
	valid   bool
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

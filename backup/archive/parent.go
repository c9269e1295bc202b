package archive

import (
	"context"
	"errors"
	"io"
	"slices"

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
	if err != nil && list == nil {
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

// unchanged says whether a file's old content stands for its new one.
func unchanged(repo *repository.Repository, now, old *snapshot.Node) bool {
	if old == nil || !now.SameFile(old) || old.Content == nil {
		return false
	}
	for _, id := range old.Content {
		if !repo.Has(blob.DataHandle(id)) {
			return false
		}
	}
	return true
}

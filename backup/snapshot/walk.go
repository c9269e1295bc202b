package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Walker goes through the trees below a root, folders before what is in them,
// in the order of the names.
type Walker struct {
	// Visit hears of every node. The node is the walker's again afterwards.
	// For a folder, fs.SkipDir leaves out what is in it.
	Visit func(path string, n *Node) error
	// Leave hears when all of a folder has been visited. It may be nil.
	Leave func(path string, n *Node) error
	// Problem hears of folders that cannot be read and of names that must not
	// be used; both are passed over when it returns nil. Without it they end
	// the walk.
	Problem func(path string, err error) error
}

// Walk visits every node below root, with paths that begin with a slash.
func Walk(ctx context.Context, repo *repository.Repository, root blob.ID, fn func(path string, n *Node) error) error {
	return Walker{Visit: fn}.Walk(ctx, repo, "/", root)
}

// Walk goes through the tree root, whose own path is dir.
func (w Walker) Walk(ctx context.Context, repo *repository.Repository, dir string, root blob.ID) error {
	d, err := OpenTree(ctx, repo, root)
	if err != nil {
		return w.problem(dir, err)
	}
	for {
		n := &Node{}
		err := d.Next(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && len(dir)+1+len(n.Name) > MaxPath {
			err = fmt.Errorf("path longer than %d bytes: %w", MaxPath, backup.ErrUnsafe)
			n = nil
		}
		if err != nil {
			return w.problem(dir, err)
		}
		if err := w.node(ctx, repo, dir, n); err != nil {
			return err
		}
	}
}

func (w Walker) node(ctx context.Context, repo *repository.Repository, dir string, n *Node) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	name := dir + "/" + n.Name
	if dir == "/" {
		name = dir + n.Name
	}
	if err := n.CheckName(); err != nil {
		return w.problem(name, err)
	}
	err := w.Visit(name, n)
	if n.IsDir() && errors.Is(err, fs.SkipDir) {
		return nil
	}
	if err != nil || !n.IsDir() {
		return err
	}
	if err := w.Walk(ctx, repo, name, n.Subtree); err != nil {
		return err
	}
	if w.Leave != nil {
		return w.Leave(name, n)
	}
	return nil
}

func (w Walker) problem(path string, err error) error {
	if w.Problem == nil || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return w.Problem(path, err)
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Kinds of findings, keys of the texts after "check.".
const (
	snapshotDamaged = "snapshot-damaged"
	treeDamaged     = "tree-damaged"
	blobMissing     = "blob-missing"
	nodeDamaged     = "node-damaged"
	nodeName        = "node-name"
	nodeOrder       = "node-order"
	nodeSize        = "node-size"
)

// Check proves that every snapshot reads, that every tree below them reads,
// and that every piece of every file is in the index. CheckStore of package
// repository proves the pieces themselves. Findings come one at a time.
func Check(ctx context.Context, repo *repository.Repository, report func(repository.Finding)) error {
	c := &checker{repo: repo, report: report}
	list, err := c.snapshots(ctx)
	if err != nil {
		return err
	}
	s := &sweep{repo: repo, stored: true, node: c.node, broken: func(at *place, err error) error {
		c.found(repository.Error, treeDamaged, at.id.String(), at, err.Error())
		return nil
	}}
	if err := s.run(ctx, list); err != nil {
		return fmt.Errorf("check trees: %w", err)
	}
	return nil
}

type checker struct {
	repo   *repository.Repository
	mu     sync.Mutex
	report func(repository.Finding)
}

func (c *checker) snapshots(ctx context.Context) ([]*place, error) {
	ids, err := names(ctx, c.repo)
	if err != nil {
		return nil, err
	}
	var roots []*place
	for _, id := range ids {
		s, err := Load(ctx, c.repo, id)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, backup.ErrNotFound):
			continue
		case err != nil:
			c.found(repository.Error, snapshotDamaged, id, &place{name: short(id)}, err.Error())
		case s.Tree.IsZero():
			c.found(repository.Error, snapshotDamaged, id, &place{name: short(id)}, "it names no tree")
		default:
			roots = append(roots, &place{id: s.Tree, name: s.Short()})
		}
	}
	return roots, nil
}

func (c *checker) found(level repository.Level, kind, name string, at *place, what string) {
	f := repository.Finding{
		Level: level, Kind: kind, Name: name, Key: "check." + kind,
		Args: map[string]any{"name": name, "snapshot": at.snapshot(), "path": at.path(), "error": what},
		Text: fmt.Sprintf("snapshot %s: %s: %s", at.snapshot(), at.path(), what),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report(f)
}

func (c *checker) node(at *place, before string, n *Node) {
	if err := n.CheckName(); err != nil {
		c.found(repository.Error, nodeName, n.Name, at, err.Error())
	}
	c.order(at, before, n)
	switch n.Type {
	case File:
		c.file(at, n)
	case Dir:
		if n.Subtree.IsZero() {
			c.found(repository.Error, nodeDamaged, n.Name, at, fmt.Sprintf("folder %q has no tree", n.Name))
		}
	default:
		if !n.Type.Known() {
			c.found(repository.Error, nodeDamaged, n.Name, at, fmt.Sprintf("%q has the unknown type %q", n.Name, n.Type))
		}
	}
}

// order notices names that do not ascend: readers that compare two trees go
// astray, though nothing is lost.
func (c *checker) order(at *place, before string, n *Node) {
	if n.Name <= before && n.Name != "" {
		c.found(repository.Error, nodeOrder, n.Name, at, fmt.Sprintf("%q stands behind %q", n.Name, before))
	}
}

func (c *checker) file(at *place, n *Node) {
	if n.Content == nil {
		c.found(repository.Error, nodeDamaged, n.Name, at, fmt.Sprintf("file %q has no list of pieces", n.Name))
		return
	}
	var size uint64
	for _, id := range n.Content {
		plain, ok := c.repo.BlobSize(blob.DataHandle(id))
		if !ok {
			c.found(repository.Error, blobMissing, id.String(), at, fmt.Sprintf("file %q needs the missing piece %s", n.Name, id.Short()))
			return
		}
		size += uint64(plain)
	}
	if size != n.Size {
		c.found(repository.Hint, nodeSize, n.Name, at,
			fmt.Sprintf("file %q says %d bytes, its pieces hold %d", n.Name, n.Size, size))
	}
}

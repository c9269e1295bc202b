package archive

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// branch is a folder of the snapshot that is known by name before anything is
// read: those above the targets, and those of virtual files.
type branch struct {
	node     *snapshot.Node // nil: a folder of no machine
	children map[string]*branch
	leaf     bool // node is finished, there is nothing below to store
}

// crown is the upper part of the snapshot's tree, filled from many goroutines.
type crown struct {
	mu     sync.Mutex
	root   *branch
	leaves int
}

func newCrown() *crown { return &crown{root: &branch{}} }

// folder gives the metadata of a folder above a target its place.
func (c *crown) folder(parts []string, n *snapshot.Node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.grow(parts)
	if err != nil {
		return err
	}
	if b.node == nil {
		b.node = n
	}
	return nil
}

// leaf puts a finished node at its place.
func (c *crown) leaf(parts []string, n *snapshot.Node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.grow(parts)
	if err != nil {
		return err
	}
	if b.leaf || b.children != nil {
		return fmt.Errorf("/%s was handed over twice: %w", strings.Join(parts, "/"), backup.ErrInvalid)
	}
	n.Name = parts[len(parts)-1]
	b.node, b.leaf = n, true
	c.leaves++
	return nil
}

func (c *crown) grow(parts []string) (*branch, error) {
	b := c.root
	for i, part := range parts {
		if b.leaf {
			return nil, fmt.Errorf("/%s is no folder: %w", strings.Join(parts[:i], "/"), backup.ErrInvalid)
		}
		if b.children == nil {
			b.children = map[string]*branch{}
		}
		next := b.children[part]
		if next == nil {
			next = &branch{}
			b.children[part] = next
		}
		b = next
	}
	return b, nil
}

// bare says that nothing was handed over but the folders above.
func (c *crown) bare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaves == 0
}

// top lists the names at the root.
func (c *crown) top() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.root.children))
}

// save stores the trees from the leaves down to the root.
func (c *crown) save(ctx context.Context, w *repository.Writer, now time.Time) (blob.ID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.root.save(ctx, w, now)
}

func (b *branch) save(ctx context.Context, w *repository.Writer, now time.Time) (blob.ID, error) {
	var tree snapshot.Builder
	for _, name := range slices.Sorted(maps.Keys(b.children)) {
		child := b.children[name]
		if child.node == nil {
			child.node = virtualFolder(now)
		}
		child.node.Name = name
		if !child.leaf {
			id, err := child.save(ctx, w, now)
			if err != nil {
				return blob.ID{}, err
			}
			child.node.Subtree = id
		}
		if err := tree.Add(child.node); err != nil {
			return blob.ID{}, err
		}
	}
	saved, err := w.SaveNow(ctx, blob.Tree, tree.Bytes())
	return saved.ID, err
}

func virtualFolder(now time.Time) *snapshot.Node {
	n := &snapshot.Node{Type: snapshot.Dir, Mode: fs.ModeDir | 0o755, ModTime: now, AccessTime: now, ChangeTime: now}
	n.UID, n.GID = ids()
	return n
}

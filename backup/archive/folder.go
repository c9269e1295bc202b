package archive

import (
	"context"
	"sync/atomic"

	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// folder gathers the nodes of one folder until the last of them is known.
// Whoever brings the last one stores the tree and goes on with the folder
// above, so that no worker ever waits for another.
type folder struct {
	walk  *walk
	path  string // on this machine
	node  *snapshot.Node
	old   oldFolder
	nodes []*snapshot.Node // by slot, names ascending; nil was left out
	open  atomic.Int64     // nodes not known yet, and one for the reader of the folder

	up   *folder // nil for a target
	slot int
	done func(*snapshot.Node) error // for a target: where its node goes

	device uint64 // of the target, for one-file-system
}

// oldFolder is what the parent snapshot knows of a folder.
type oldFolder struct {
	known bool
	node  snapshot.Node
}

// put gives the node of a slot, or nil to leave it out.
func (f *folder) put(ctx context.Context, slot int, n *snapshot.Node) error {
	f.nodes[slot] = n
	return f.release(ctx)
}

// release takes back one hold; the last one stores the tree.
func (f *folder) release(ctx context.Context) error {
	for f.open.Add(-1) == 0 {
		if err := f.store(ctx); err != nil {
			return err
		}
		if f.up == nil {
			return f.done(f.node)
		}
		f.up.nodes[f.slot] = f.node
		f = f.up
	}
	return nil
}

func (f *folder) store(ctx context.Context) error {
	var tree snapshot.Builder
	for _, n := range f.nodes {
		if n == nil {
			continue
		}
		if err := tree.Add(n); err != nil {
			return err
		}
	}
	saved, err := f.walk.sink.writer.Save(ctx, blob.Tree, tree.Bytes())
	if err != nil {
		return err
	}
	f.node.Subtree = saved.ID
	f.nodes = nil
	f.walk.sink.counts.dirs[f.fate()].Add(1)
	return nil
}

func (f *folder) fate() fate {
	switch old := &f.old.node; {
	case !f.old.known:
		return fresh
	case old.Subtree == f.node.Subtree && old.Mode == f.node.Mode && old.ModTime.Equal(f.node.ModTime) &&
		old.UID == f.node.UID && old.GID == f.node.GID:
		return same
	}
	return changed
}

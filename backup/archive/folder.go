package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"emrvault/backup/archive/recall"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// folder gathers one folder until the last entry of it is known. Whoever
// brings the last one stores the tree and goes on with the folder above, so
// that no worker ever waits for another. Entries become text as soon as they
// are known: what a folder holds in memory is the text of its tree.
type folder struct {
	walk   *walk
	path   string         // on this machine
	node   *snapshot.Node // its own entry
	device uint64         // of the target, for one-file-system
	up     *folder        // nil for a target
	slot   int            // in up
	parts  []string       // for a target: where it goes
	done   func() error   // for a target: puts it there

	old             oldFolder
	broken          blob.ID    // its tree in what an interrupted backup has left
	page            recall.Ref // in the last book
	attributesKnown bool       // its entry is as it was, extended attributes too

	open atomic.Int64 // entries not known yet, and one for who lists the folder

	mu       sync.Mutex
	kept     *keptFolder // the last tree stays, as far as is known
	tree     snapshot.Builder
	next     int              // the slot that comes next in tree
	waiting  map[int]nodeText // those of later slots
	active   map[int]*folder  // folders in it that are being worked on
	children []childPage
	digest   recall.Digest
	spoiled  bool // something is missing or doubtful: to be looked at again
	finished bool
	ref      recall.Ref // its page in the new book
}

// oldFolder is what the parent snapshot knows of a folder.
type oldFolder struct {
	known bool
	tree  blob.ID
	node  *snapshot.Node // nil: its own entry is as it was
}

// keptFolder is a folder whose entries are all as they were.
type keptFolder struct {
	tree         blob.ID
	files, bytes int64
	changed      map[string]*snapshot.Node // folders in it; nil is gone
}

type nodeText struct {
	name string
	text []byte // nil was left out
}

type childPage struct {
	slot int
	ref  recall.Ref
}

// remember notes what older snapshots know of the folder.
func (f *folder) remember(k known) {
	if k.parent != nil && k.parent.IsDir() {
		entry := *k.parent
		f.old = oldFolder{known: true, tree: entry.Subtree, node: &entry}
	}
	f.broken = k.brokenTree()
}

// begin tells the folder above that this one is being worked on.
func (f *folder) begin() {
	if f.up == nil {
		return
	}
	f.up.mu.Lock()
	defer f.up.mu.Unlock()
	if f.up.active == nil {
		f.up.active = map[int]*folder{}
	}
	f.up.active[f.slot] = f
}

// doubtful has the folder's own entry looked at again next time.
func (f *folder) doubtful() {
	if f.up == nil {
		return
	}
	f.up.mu.Lock()
	f.up.spoiled = true
	f.up.mu.Unlock()
}

// put gives the node of a slot, or nil to leave it out.
func (f *folder) put(ctx context.Context, slot int, n *snapshot.Node) error {
	f.mu.Lock()
	err := f.place(slot, n)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.release(ctx)
}

// place writes a node into the tree, or keeps its text until its turn.
func (f *folder) place(slot int, n *snapshot.Node) error {
	f.spoiled = f.spoiled || n == nil || n.Error != ""
	if slot != f.next {
		return f.wait(slot, n)
	}
	if n != nil {
		if err := f.tree.Add(n); err != nil {
			return err
		}
	}
	for f.next++; ; f.next++ {
		t, ok := f.waiting[f.next]
		if !ok {
			return nil
		}
		delete(f.waiting, f.next)
		if t.text == nil {
			continue
		}
		if err := f.tree.AddText(t.name, t.text); err != nil {
			return err
		}
	}
}

func (f *folder) wait(slot int, n *snapshot.Node) error {
	if f.waiting == nil {
		f.waiting = map[int]nodeText{}
	}
	if n == nil {
		f.waiting[slot] = nodeText{}
		return nil
	}
	text, err := snapshot.NodeText(n)
	f.waiting[slot] = nodeText{n.Name, text}
	return err
}

// take gives a folder in this one its place, when it is finished.
func (f *folder) take(in *folder) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.active, in.slot)
	f.children = append(f.children, childPage{in.slot, in.ref})
	if f.kept == nil {
		return f.place(in.slot, in.node)
	}
	if in.node.Subtree != in.old.tree {
		f.change(in.node.Name, in.node)
	}
	return nil
}

// lose leaves out a folder in this one.
func (f *folder) lose(ctx context.Context, in *folder) error {
	f.mu.Lock()
	delete(f.active, in.slot)
	f.spoiled = true
	var err error
	if f.kept == nil {
		err = f.place(in.slot, nil)
	} else {
		f.change(in.node.Name, nil)
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.release(ctx)
}

func (f *folder) change(name string, n *snapshot.Node) {
	if f.kept.changed == nil {
		f.kept.changed = map[string]*snapshot.Node{}
	}
	f.kept.changed[name] = n
}

// release takes back one hold; the last one stores the tree.
func (f *folder) release(ctx context.Context) error {
	for f.open.Add(-1) == 0 {
		err := f.store(ctx)
		if errors.Is(err, errTorn) {
			f.again()
			return nil
		}
		if err != nil {
			return err
		}
		if f.up == nil {
			err := f.done()
			f.walk.finished()
			return err
		}
		if err := f.up.take(f); err != nil {
			return err
		}
		f = f.up
	}
	return nil
}

// store makes the tree. It holds the folder meanwhile: who collects what is
// finished waits, and then finds it finished.
func (f *folder) store(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept != nil && len(f.kept.changed) == 0 {
		f.node.Subtree = f.kept.tree
	} else {
		if f.kept != nil {
			if err := f.rebuild(ctx); err != nil {
				return err
			}
		}
		saved, err := f.walk.sink.writer.SaveNow(ctx, blob.Tree, f.tree.Bytes())
		if err != nil {
			return err
		}
		f.node.Subtree = saved.ID
		f.tree = snapshot.Builder{}
	}
	f.finished = true
	f.write()
	f.walk.sink.counts.dirs[f.fate()].Add(1)
	return nil
}

// write adds the folder's page to the new book.
func (f *folder) write() {
	next := f.walk.book.next
	if next == nil {
		return
	}
	if f.spoiled {
		f.digest = recall.Digest{}
	}
	slices.SortFunc(f.children, func(a, b childPage) int { return cmp.Compare(a.slot, b.slot) })
	refs := make([]recall.Ref, len(f.children))
	for i, c := range f.children {
		refs[i] = c.ref
	}
	f.ref, f.children = next.Add(f.digest, f.node.Subtree, refs), nil
}

// errTorn says that the old tree of a folder that was to be kept cannot be
// read any more.
var errTorn = errors.New("old tree cannot be read")

// rebuild makes the tree of a folder in which nothing has changed but folders:
// the old one, with the new trees of those.
func (f *folder) rebuild(ctx context.Context) error {
	left := len(f.kept.changed)
	d, err := snapshot.OpenTree(ctx, f.walk.repo, f.kept.tree)
	for err == nil {
		var n snapshot.Node
		if err = d.Next(&n); err != nil {
			break
		}
		if in, changed := f.kept.changed[n.Name]; changed {
			if left--; in == nil {
				continue
			}
			n.Subtree = in.Subtree
		}
		err = f.tree.Add(&n)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF) && left == 0:
		return nil
	}
	return fmt.Errorf("%s: %w: %w", f.path, errTorn, err)
}

// again lists a folder anew and takes nothing over. What was stored of it
// meanwhile is found again.
func (f *folder) again() {
	f.mu.Lock()
	f.walk.sink.counts.same(-f.kept.files, -f.kept.bytes)
	f.kept, f.page, f.old, f.broken = nil, 0, oldFolder{}, blob.ID{}
	f.tree, f.next, f.waiting, f.children = snapshot.Builder{}, 0, nil, nil
	f.attributesKnown, f.spoiled = false, false
	f.mu.Unlock()
	f.open.Store(1)
	f.walk.push(f)
}

func (f *folder) fate() fate {
	if !f.old.known {
		return fresh
	}
	if f.old.tree != f.node.Subtree {
		return changed
	}
	old, now := f.old.node, f.node
	if old == nil || old.Mode == now.Mode && old.ModTime.Equal(now.ModTime) && old.UID == now.UID && old.GID == now.GID {
		return same
	}
	return changed
}

package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// damage knows which trees have lost something at or below them. It keeps a
// number for each tree and eight bytes for each folder in it.
type damage struct {
	repo *repository.Repository
	bad  *blob.Set
	only bool // what no index names does not count, bad alone does

	mu      sync.Mutex
	numbers map[blob.ID]uint32
	edges   []edge
	hit     []bool // by number
	broken  map[blob.ID]struct{}
}

// edge says that one tree stands in another.
type edge struct{ child, parent uint32 }

// surveyDamage reads every tree below the snapshots once. Lost are the blobs of
// bad and, unless these are the only ones that count, those no index names. A
// tree that the storage does not give for now ends it: nobody knows what is in it.
func surveyDamage(ctx context.Context, repo *repository.Repository, bad *blob.Set, only bool, list []*Snapshot) (*damage, error) {
	if bad == nil {
		bad = blob.NewSet()
	}
	d := &damage{repo: repo, bad: bad, only: only, numbers: map[blob.ID]uint32{}, broken: map[blob.ID]struct{}{}}
	var roots []*place
	for _, s := range list {
		if s.Tree.IsZero() {
			d.mark(s.Tree)
			continue
		}
		roots = append(roots, &place{id: s.Tree, name: s.Short()})
	}
	s := &sweep{repo: repo, node: d.node, tree: d.tree, broken: func(at *place, err error) error {
		if !certain(err) {
			return fmt.Errorf("point %s: folder %s: %w", at.snapshot(), at.path(), err)
		}
		d.mark(at.id)
		return nil
	}}
	if err := s.run(ctx, roots); err != nil {
		return nil, err
	}
	d.spread()
	return d, nil
}

// certain tells whether an error says that something is lost, and not only that
// the storage does not give it for now.
func certain(err error) bool {
	return errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrNotFound)
}

// tree notes a tree that counts as lost, even if it can be read this time: what
// stands in it was not looked at then.
func (d *damage) tree(id blob.ID) {
	if d.bad.Has(blob.TreeHandle(id)) {
		d.mark(id)
	}
}

// mark notes a tree that cannot be read.
func (d *damage) mark(tree blob.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken[tree] = struct{}{}
	d.hit[d.number(tree)] = true
}

// number gives each tree one; the caller holds mu.
func (d *damage) number(tree blob.ID) uint32 {
	n, known := d.numbers[tree]
	if !known {
		n = uint32(len(d.hit))
		d.numbers[tree] = n
		d.hit = append(d.hit, false)
	}
	return n
}

func (d *damage) node(at *place, _ string, n *Node) {
	switch {
	case n.IsDir():
		d.mu.Lock()
		defer d.mu.Unlock()
		parent, child := d.number(at.id), d.number(n.Subtree)
		if n.Subtree.IsZero() {
			d.broken[n.Subtree] = struct{}{}
			d.hit[child] = true
		}
		d.edges = append(d.edges, edge{child: child, parent: parent})
	case n.Type == File:
		if slices.ContainsFunc(n.Content, d.lost) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.hit[d.number(at.id)] = true
		}
	}
}

// lost tells whether a piece of a file is gone.
func (d *damage) lost(id blob.ID) bool {
	h := blob.DataHandle(id)
	return d.bad.Has(h) || !d.only && !d.repo.Has(h)
}

// spread carries every hit up to the trees it stands in.
func (d *damage) spread() {
	slices.SortFunc(d.edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.child, b.child), cmp.Compare(a.parent, b.parent)) })
	d.edges = slices.Compact(d.edges)
	var next []uint32
	for n, hit := range d.hit {
		if hit {
			next = append(next, uint32(n))
		}
	}
	for len(next) > 0 {
		child := next[len(next)-1]
		next = next[:len(next)-1]
		at, _ := slices.BinarySearchFunc(d.edges, child, func(e edge, child uint32) int { return cmp.Compare(e.child, child) })
		for ; at < len(d.edges) && d.edges[at].child == child; at++ {
			if parent := d.edges[at].parent; !d.hit[parent] {
				d.hit[parent] = true
				next = append(next, parent)
			}
		}
	}
	d.edges = nil
}

// hits tells whether something is lost at or below a tree.
func (d *damage) hits(tree blob.ID) bool {
	n, known := d.numbers[tree]
	return known && d.hit[n]
}

// gone tells whether the tree itself is lost.
func (d *damage) gone(tree blob.ID) bool {
	_, gone := d.broken[tree]
	return gone
}

// missing counts the bytes a file has lost.
func (d *damage) missing(n *Node) (bytes uint64, hit bool) {
	left := uint64(0)
	for _, id := range n.Content {
		if d.lost(id) {
			hit = true
		} else if plain, ok := d.repo.BlobSize(blob.DataHandle(id)); ok {
			left += uint64(plain)
		}
	}
	if !hit || left > n.Size {
		return 0, hit
	}
	return n.Size - left, true
}

// eachNode goes through one tree.
func eachNode(ctx context.Context, repo *repository.Repository, tree blob.ID, fn func(*Node) error) error {
	dec, err := OpenTree(ctx, repo, tree)
	if err != nil {
		return err
	}
	for {
		n := &Node{}
		err := dec.Next(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(n)
		}
		if err != nil {
			return err
		}
	}
}

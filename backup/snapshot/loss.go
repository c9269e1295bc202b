package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Loss is one file, or one folder whose list is gone, that some recovery points
// can no longer give back whole. Points that share a path share a Loss, however
// many versions of the file they hold.
type Loss struct {
	Path    string    `json:"path"`
	Type    NodeType  `json:"type"`    // Dir: nothing below it can be listed
	Size    uint64    `json:"size"`    // of the largest version concerned
	Missing uint64    `json:"missing"` // bytes of it that are lost; Size when nothing is left
	Points  int       `json:"points"`
	First   time.Time `json:"first"` // of the points concerned
	Last    time.Time `json:"last"`
	Newest  string    `json:"newest"` // id of the point of Last
}

// LossReport sums up what Losses told.
type LossReport struct {
	Points int  `json:"points"` // points that have lost something
	Paths  int  `json:"paths"`  // files and folders concerned
	More   bool `json:"more,omitempty"`
}

const (
	// maxLosses bounds the paths that are kept; a repository without its data
	// has as many losses as files, and nobody reads further than this.
	maxLosses = 10_000
	// maxSteps bounds the walk through a tree that names itself over and over.
	maxSteps = 1_000_000
)

// Losses tells which files of which points are hit when the blobs of bad, and
// those that no index names, are lost. Every tree is read once, and after that
// only the way to the damage, so ten thousand points over one damaged file cost
// little more than one. The index is read anew, for backups may go on meanwhile.
// report hears the losses in the order of their paths;
// More says that there are others, too many to tell.
func Losses(ctx context.Context, repo *repository.Repository, bad *blob.Set, report func(Loss)) (LossReport, error) {
	list, unreadable := List(ctx, repo, Filter{})
	if list == nil && unreadable != nil {
		return LossReport{}, unreadable
	}
	// After the list: a backup that has just ended has points that no index
	// read before knows.
	if _, err := repo.SalvageIndex(ctx); err != nil {
		return LossReport{}, fmt.Errorf("find what is lost: %w", err)
	}
	d, err := surveyDamage(ctx, repo, bad, false, list)
	if err != nil {
		return LossReport{}, fmt.Errorf("find what is lost: %w", err)
	}
	g := &gathering{damage: d, losses: map[string]*Loss{}, ways: map[blob.ID][]hitNode{}}
	for _, s := range list {
		if err := g.point(ctx, s); err != nil {
			return LossReport{}, fmt.Errorf("find what is lost: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.losses)) {
		report(*g.losses[name])
	}
	return LossReport{Points: g.points, Paths: len(g.losses), More: g.more}, nil
}

// gathering is one Losses at work.
type gathering struct {
	*damage
	losses map[string]*Loss
	ways   map[blob.ID][]hitNode // what of a tree is hit, as far as there is room
	kept   int                   // nodes in ways
	points int
	steps  int
	more   bool
}

// hitNode is a node that has lost something, or a folder on the way to one.
type hitNode struct {
	name    string
	subtree blob.ID // zero: a file
	size    uint64
	missing uint64
}

func (g *gathering) point(ctx context.Context, s *Snapshot) error {
	if !g.hits(s.Tree) {
		return nil
	}
	g.points++
	g.steps = 0
	return g.folder(ctx, s, "", s.Tree)
}

func (g *gathering) folder(ctx context.Context, s *Snapshot, dir string, tree blob.ID) error {
	if g.steps++; g.steps > maxSteps || len(dir) > MaxPath {
		g.more = true
		return nil
	}
	if g.gone(tree) {
		g.note(s, cmp.Or(dir, "/"), Loss{Type: Dir})
		return nil
	}
	nodes, err := g.way(ctx, tree)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		name := dir + "/" + n.name
		if n.subtree.IsZero() {
			g.note(s, name, Loss{Type: File, Size: n.size, Missing: n.missing})
		} else if err := g.folder(ctx, s, name, n.subtree); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) note(s *Snapshot, name string, seen Loss) {
	l := g.losses[name]
	if l == nil {
		if len(g.losses) >= maxLosses {
			g.more = true
			return
		}
		l = &Loss{Path: name, Type: seen.Type, First: s.Time}
		g.losses[name] = l
	}
	// Points come oldest first.
	l.Points, l.Last, l.Newest = l.Points+1, s.Time, s.ID
	l.Size, l.Missing = max(l.Size, seen.Size), max(l.Missing, seen.Missing)
}

// way gives what of a tree is hit.
func (g *gathering) way(ctx context.Context, tree blob.ID) ([]hitNode, error) {
	if nodes, ok := g.ways[tree]; ok {
		return nodes, nil
	}
	var nodes []hitNode
	err := eachNode(ctx, g.repo, tree, func(n *Node) error {
		switch {
		case n.IsDir() && g.hits(n.Subtree):
			nodes = append(nodes, hitNode{name: n.Name, subtree: n.Subtree})
		case n.Type == File:
			if missing, hit := g.missing(n); hit {
				nodes = append(nodes, hitNode{name: n.Name, size: n.Size, missing: missing})
			}
		}
		return nil
	})
	if err == nil && g.kept < maxSteps {
		g.ways[tree], g.kept = nodes, g.kept+len(nodes)
	}
	return nodes, err
}

// LostPoints names the points whose own document cannot be read.
func LostPoints(ctx context.Context, repo *repository.Repository) (ids []string, err error) {
	all, err := names(ctx, repo)
	if err != nil {
		return nil, err
	}
	for _, id := range all {
		lost, err := lostPoint(ctx, repo, id)
		if err != nil {
			return nil, err
		}
		if lost {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// lostPoint tells whether a point's own document is damaged. A faulty cable
// damages what is whole, so it is read twice.
func lostPoint(ctx context.Context, repo *repository.Repository, id string) (bool, error) {
	_, err := Load(ctx, repo, id)
	if errors.Is(err, backup.ErrDamaged) {
		_, err = Load(ctx, repo, id)
	}
	switch {
	case err == nil || errors.Is(err, backup.ErrNotFound):
		return false, nil
	case errors.Is(err, backup.ErrDamaged):
		return true, nil
	}
	return false, err
}

package snapshot

import (
	"context"
	"fmt"
	"sync"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// Share is what one snapshot holds.
type Share struct {
	ID          string
	Logical     int64 // bytes that restoring it would write
	Files       int64
	UniqueBlobs int64 // that no other snapshot needs
	UniqueBytes int64 // as stored: what forgetting it and a prune would free
}

// Volume counts blobs of one kind.
type Volume struct {
	Blobs int64 `json:"blobs"`
	Plain int64 `json:"plain_bytes"`
	Bytes int64 `json:"stored_bytes"` // each blob once, as stored
}

// Usage tells where the bytes of a repository are.
type Usage struct {
	Data, Tree  Volume // what snapshots need
	SharedBytes int64  // of it, what two snapshots or more need, as stored
	Unused      Volume // blobs that no snapshot needs
	Duplicates  Volume // second and further copies of a blob
	Missing     int64  // blobs that snapshots need and no pack has
	Shares      []Share
}

// Measure tells where the bytes are. list is in the order of the shares. Every
// tree is read at most twice, however many snapshots share it: once for the
// first snapshot it is met in, and once more, to tell its content, when it
// turns out that another one has it too.
func Measure(ctx context.Context, repo *repository.Repository, list []*Snapshot) (*Usage, error) {
	l := &ledger{owner: [blob.Types]map[key]int32{{}, {}}, folders: map[key]*folder{}}
	for _, s := range list {
		l.weigh = l.weigh || s.Summary == nil
	}
	roots, err := rootsOf(list)
	if err != nil {
		return nil, err
	}
	for i, root := range roots {
		root.owner = int32(i)
	}
	s := &sweep{repo: repo, enter: l.enter, node: l.node, broken: func(at *place, err error) error {
		return fmt.Errorf("measure snapshot %s: %s: %w", at.snapshot(), at.path(), err)
	}}
	if err := s.run(ctx, roots); err != nil {
		return nil, err
	}
	u := &Usage{Shares: make([]Share, len(list))}
	for i, sn := range list {
		u.Shares[i].ID = sn.ID
		u.Shares[i].Logical, u.Shares[i].Files = l.logical(sn)
	}
	l.settle(repo, u)
	return u, nil
}

// shared owns what more than one snapshot needs.
const shared = -1

// key is enough of an id to tell blobs apart, in half the room.
type key [16]byte

func keyOf(id blob.ID) (k key) { copy(k[:], id[:]); return k }

// ledger notes for every blob whose it is: one snapshot's, or shared.
//
// A tree that a second snapshot meets becomes shared, and is gone through once
// more so that all below becomes shared too. In which order goroutines meet
// trees does not matter: what was shared stays so.
type ledger struct {
	mu      sync.Mutex
	owner   [blob.Types]map[key]int32
	weigh   bool // some snapshot does not say how large it is
	folders map[key]*folder
}

// folder is what a tree weighs.
type folder struct {
	bytes, files int64
	below        []key // folders in it whose weight is not in yet
}

func (l *ledger) enter(at *place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, changed := l.own(blob.TreeHandle(at.id), at.owner)
	if changed && !first {
		at.owner = shared
	}
	at.first = first
	return changed
}

// own notes that a snapshot needs a blob; changed tells whether that says
// anything new.
func (l *ledger) own(h blob.Handle, who int32) (first, changed bool) {
	m, k := l.owner[h.Type], keyOf(h.ID)
	now, known := m[k]
	switch {
	case !known:
		m[k] = who
		return true, true
	case now == who || now == shared:
		return false, false
	}
	m[k] = shared
	return false, true
}

func (l *ledger) node(at *place, _ string, n *Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range n.Content {
		l.own(blob.DataHandle(id), at.owner)
	}
	if l.weigh && at.first {
		l.put(keyOf(at.id), n)
	}
}

func (l *ledger) put(k key, n *Node) {
	f := l.folders[k]
	if f == nil {
		f = &folder{}
		l.folders[k] = f
	}
	switch {
	case n.Type == File:
		f.bytes += int64(n.Size)
		f.files++
	case n.IsDir() && !n.Subtree.IsZero():
		f.below = append(f.below, keyOf(n.Subtree))
	}
}

// logical is what a snapshot says of its size; older programs said nothing,
// and the folders are added up.
func (l *ledger) logical(sn *Snapshot) (bytes, files int64) {
	if sn.Summary != nil {
		return int64(sn.Summary.TotalBytesProcessed), int64(sn.Summary.TotalFilesProcessed)
	}
	top := keyOf(sn.Tree)
	l.total(top)
	if f := l.folders[top]; f != nil {
		return f.bytes, f.files
	}
	return 0, 0
}

// total adds what is below a folder to it, each folder once; it keeps its own
// stack, for a tree may be as deep as somebody wants.
func (l *ledger) total(top key) {
	for stack := []key{top}; len(stack) > 0; {
		f := l.folders[stack[len(stack)-1]]
		if f == nil || len(f.below) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		next := f.below[len(f.below)-1]
		sub := l.folders[next]
		if sub != nil && len(sub.below) > 0 {
			stack = append(stack, next)
			continue
		}
		if sub != nil {
			f.bytes, f.files = f.bytes+sub.bytes, f.files+sub.files
		}
		f.below = f.below[:len(f.below)-1]
	}
}

// settle goes through every copy of every blob.
func (l *ledger) settle(repo *repository.Repository, u *Usage) {
	repo.EachCopy(func(c repository.BlobCopy) {
		who, used := l.owner[c.Handle.Type][keyOf(c.Handle.ID)]
		switch {
		case !c.First:
			u.Duplicates.add(c)
			return
		case !used:
			u.Unused.add(c)
			return
		case c.Handle.Type == blob.Tree:
			u.Tree.add(c)
		default:
			u.Data.add(c)
		}
		if who == shared {
			u.SharedBytes += c.Stored
		} else {
			u.Shares[who].UniqueBlobs++
			u.Shares[who].UniqueBytes += c.Stored
		}
	})
	u.Missing = int64(len(l.owner[blob.Data])+len(l.owner[blob.Tree])) - u.Data.Blobs - u.Tree.Blobs
}

func (v *Volume) add(c repository.BlobCopy) {
	v.Blobs++
	v.Plain += c.Plain
	v.Bytes += c.Stored
}

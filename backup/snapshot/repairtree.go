package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

const (
	// RepairedRecord is the file at the root of a repaired snapshot that says
	// what it has lost.
	RepairedRecord = "LOST-FILES.txt"

	damagedEnding = ".damaged"
	maxName       = 255     // bytes, on every file system
	zeroPiece     = 1 << 20 // length of the pieces that fill holes
	maxZeroPieces = 1 << 17 // in one file: 128 GiB
	maxLostLines  = 10_000  // in one record
)

// rewriter makes trees anew without what they have lost.
type rewriter struct {
	*damage
	writer *repository.Writer // nil: only tell
	done   map[blob.ID]newTree
	zeros  []byte
}

// newTree is what a tree became, and what is missing in it.
type newTree struct {
	id    blob.ID
	lines []lostLine
	lost  int
}

// lostLine is one line of the record; its path starts below the tree.
type lostLine struct{ path, what string }

func newRewriter(d *damage, w *repository.Writer) *rewriter {
	return &rewriter{damage: d, writer: w, done: map[blob.ID]newTree{}, zeros: make([]byte, zeroPiece)}
}

// root rewrites the tree of a snapshot; a zero tree says that nothing is left.
func (w *rewriter) root(ctx context.Context, s *Snapshot) (tree blob.ID, lost int, err error) {
	if w.gone(s.Tree) {
		return blob.ID{}, 1, nil
	}
	nodes, t, err := w.nodes(ctx, s.Tree)
	if err != nil {
		return blob.ID{}, 0, err
	}
	if w.writer == nil {
		return s.Tree, t.lost, nil
	}
	record, err := w.record(ctx, s, t, nodes)
	if err != nil {
		return blob.ID{}, 0, err
	}
	id, err := w.save(ctx, append(nodes, record))
	return id, t.lost, err
}

// record makes the file that says what is lost.
func (w *rewriter) record(ctx context.Context, s *Snapshot, t newTree, nodes []*Node) (*Node, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "本恢复点有数据丢失，以下文件不完整或不存在；其余文件完好。\n"+
		"Data of this recovery point was lost. These files are damaged or missing; all others are whole.\n\n%s\n\n", s.ID)
	for _, l := range t.lines {
		fmt.Fprintf(&b, "%s\t%s\n", l.path, l.what)
	}
	if t.lost > len(t.lines) {
		fmt.Fprintf(&b, "… + %d\n", t.lost-len(t.lines))
	}
	saved, err := w.writer.Save(ctx, blob.Data, []byte(b.String()))
	if err != nil {
		return nil, err
	}
	return &Node{
		Name: free(nodes, RepairedRecord), Type: File, Mode: 0o644, ModTime: s.Time, AccessTime: s.Time, ChangeTime: s.Time,
		Size: uint64(b.Len()), Links: 1, Content: []blob.ID{saved.ID},
	}, nil
}

// tree rewrites a tree once, however many snapshots share it.
func (w *rewriter) tree(ctx context.Context, id blob.ID) (newTree, error) {
	if t, known := w.done[id]; known {
		return t, nil
	}
	nodes, t, err := w.nodes(ctx, id)
	if err == nil && w.writer != nil {
		t.id, err = w.save(ctx, nodes)
	}
	if err == nil {
		w.done[id] = t
	}
	return t, err
}

func (w *rewriter) save(ctx context.Context, nodes []*Node) (blob.ID, error) {
	slices.SortFunc(nodes, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
	nodes = slices.CompactFunc(nodes, func(a, b *Node) bool { return a.Name == b.Name })
	saved, err := SaveTree(ctx, w.writer, &Tree{Nodes: nodes})
	return saved.ID, err
}

// nodes gives what remains in a tree.
func (w *rewriter) nodes(ctx context.Context, id blob.ID) (nodes []*Node, t newTree, err error) {
	var partial []*Node
	err = eachNode(ctx, w.repo, id, func(n *Node) error {
		kept, err := w.node(ctx, n, &t)
		if err != nil || kept == nil {
			return err
		}
		if kept.Name != n.Name {
			partial = append(partial, kept)
		} else {
			nodes = append(nodes, kept)
		}
		return nil
	})
	for _, n := range partial {
		n.Name = free(nodes, n.Name)
		nodes = append(nodes, n)
	}
	return nodes, t, err
}

// node gives what remains of a node; nil is nothing.
func (w *rewriter) node(ctx context.Context, n *Node, t *newTree) (*Node, error) {
	switch {
	case n.CheckName() != nil:
		t.note(fmt.Sprintf("%q", n.Name), "名称非法 unsafe name")
		return nil, nil
	case n.IsDir() && w.gone(n.Subtree):
		t.note(n.Name+"/", "文件夹清单丢失 the folder's list is lost, with all that was in it")
		return nil, nil
	case n.IsDir() && w.hits(n.Subtree):
		below, err := w.tree(ctx, n.Subtree)
		if err != nil {
			return nil, err
		}
		t.below(n.Name, below)
		twin := *n
		twin.Subtree = below.id
		return &twin, nil
	case n.Type == File && slices.ContainsFunc(n.Content, w.lost):
		return w.file(ctx, n, t)
	}
	return n, nil
}

func (t *newTree) note(path, what string) {
	t.lost++
	if len(t.lines) < maxLostLines {
		t.lines = append(t.lines, lostLine{path, what})
	}
}

func (t *newTree) below(name string, other newTree) {
	for _, l := range other.lines {
		t.note(name+"/"+l.path, l.what)
	}
	t.lost += other.lost - len(other.lines)
}

// file gives a file with holes under another name, if anything is left of it.
func (w *rewriter) file(ctx context.Context, n *Node, t *newTree) (*Node, error) {
	missing, _ := w.missing(n)
	spans, ok := w.spans(n)
	if !ok {
		t.note(n.Name, fmt.Sprintf("%d / %d bytes 全部丢失 all of it is lost", n.Size, n.Size))
		return nil, nil
	}
	twin := *n
	twin.Name = n.Name[:cut(n.Name, maxName-len(damagedEnding))] + damagedEnding
	t.note(n.Name, fmt.Sprintf("%d / %d bytes 丢失，以零填充 lost and filled with zeros: %s", missing, n.Size, twin.Name))
	if w.writer == nil {
		return &twin, nil
	}
	twin.Content = nil
	for _, s := range spans {
		if s.hole == 0 {
			twin.Content = append(twin.Content, s.piece)
			continue
		}
		for left := s.hole; left > 0; left -= min(left, zeroPiece) {
			saved, err := w.writer.Save(ctx, blob.Data, w.zeros[:min(left, zeroPiece)])
			if err != nil {
				return nil, err
			}
			twin.Content = append(twin.Content, saved.ID)
		}
	}
	return &twin, nil
}

// span is a piece of a file or a hole in it.
type span struct {
	piece blob.ID
	hole  uint64 // bytes; 0 is a piece
}

// spans says what lies where in a file that has lost pieces. The index often
// still knows how long a lost piece was. Where it does not, all from the first
// to the last such piece is one hole, whose length follows from the file's.
func (w *rewriter) spans(n *Node) (list []span, ok bool) {
	first, last := -1, -1
	known := uint64(0)
	sizes := make([]uint64, len(n.Content))
	for i, id := range n.Content {
		size, there := w.repo.BlobSize(blob.DataHandle(id))
		if sizes[i] = uint64(size); !there {
			last = i
			if first < 0 {
				first = i
			}
		}
	}
	for i, size := range sizes {
		if first < 0 || i < first || i > last {
			known += size
		}
	}
	if known > n.Size {
		return nil, false // its length was never what its pieces say
	}
	some, holes := false, uint64(0)
	for i, id := range n.Content {
		switch {
		case i == first && n.Size > known:
			list, holes = append(list, span{hole: n.Size - known}), holes+n.Size-known
		case first >= 0 && i >= first && i <= last:
		case w.lost(id) && sizes[i] > 0:
			list, holes = append(list, span{hole: sizes[i]}), holes+sizes[i]
		default:
			list, some = append(list, span{piece: id}), true
		}
	}
	return list, some && holes/zeroPiece < maxZeroPieces
}

// cut is where a name of at most so many bytes ends, between two characters.
func cut(name string, limit int) int {
	if len(name) <= limit {
		return len(name)
	}
	for limit > 0 && !utf8.RuneStart(name[limit]) {
		limit--
	}
	return limit
}

// free gives a name that no node has.
func free(nodes []*Node, name string) string {
	for n, want := 2, name; ; n++ {
		if !slices.ContainsFunc(nodes, func(o *Node) bool { return o.Name == want }) {
			return want
		}
		ending := fmt.Sprintf("-%d", n)
		want = name[:cut(name, maxName-len(ending))] + ending
	}
}

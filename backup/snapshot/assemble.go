package snapshot

import (
	"fmt"
	"slices"
)

// NodeText gives the text of one node, as it stands in a tree.
func NodeText(n *Node) ([]byte, error) {
	if err := n.CheckName(); err != nil {
		return nil, err
	}
	text, err := appendNode(nil, n)
	if err != nil {
		return nil, fmt.Errorf("tree: node %q: %w", n.Name, err)
	}
	return text, nil
}

// AddText appends a node whose text was made before, by NodeText.
func (b *Builder) AddText(name string, text []byte) error {
	if b.n > 0 && name <= b.last {
		return fmt.Errorf("tree: %q does not come after %q", name, b.last)
	}
	if b.n == 0 {
		b.buf = append(b.buf[:0], treeHead...)
	} else {
		b.buf = append(b.buf, ',')
	}
	b.reserve(len(text) + len("]}\n"))
	b.buf = append(b.buf, text...)
	b.last, b.n = name, b.n+1
	return nil
}

// Len is how many nodes there are so far.
func (b *Builder) Len() int { return b.n }

// Clone gives a builder that can be ended without ending this one.
func (b *Builder) Clone() *Builder {
	return &Builder{buf: slices.Clone(b.buf), last: b.last, n: b.n}
}

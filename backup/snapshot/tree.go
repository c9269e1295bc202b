package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

const dirMode = fs.ModeDir | 0o755

// MaxPath bounds the length of a path inside a snapshot. No file system comes
// near it; a tree that does was made to exhaust whoever walks it.
const MaxPath = 32 << 10

// Tree is the list of one folder, for callers to whom memory does not matter.
type Tree struct {
	Nodes []*Node
}

// Find gives the node with that name, or nil.
func (t *Tree) Find(name string) *Node {
	for _, n := range t.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// DecodeTree reads a whole tree.
func DecodeTree(data []byte) (*Tree, error) {
	t, d := &Tree{}, NewDecoder(data)
	for {
		n := &Node{}
		err := d.Next(n)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		t.Nodes = append(t.Nodes, n)
	}
}

// Encode gives the blob of the tree; its nodes must ascend by name.
func (t *Tree) Encode() ([]byte, error) {
	var b Builder
	for _, n := range t.Nodes {
		if err := b.Add(n); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// LoadTree reads the tree with that id.
func LoadTree(ctx context.Context, repo *repository.Repository, id blob.ID) (*Tree, error) {
	data, err := loadTreeBlob(ctx, repo, id)
	if err != nil {
		return nil, err
	}
	t, err := DecodeTree(data)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id.Short(), err)
	}
	return t, nil
}

func loadTreeBlob(ctx context.Context, repo *repository.Repository, id blob.ID) ([]byte, error) {
	if id.IsZero() {
		return nil, fmt.Errorf("folder without a tree: %w", backup.ErrDamaged)
	}
	data, err := repo.LoadBlob(ctx, blob.TreeHandle(id), nil)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id.Short(), err)
	}
	return data, nil
}

// OpenTree reads a tree node by node.
func OpenTree(ctx context.Context, repo *repository.Repository, id blob.ID) (*Decoder, error) {
	data, err := loadTreeBlob(ctx, repo, id)
	if err != nil {
		return nil, err
	}
	return NewDecoder(data), nil
}

// SaveTree stores a tree.
func SaveTree(ctx context.Context, w *repository.Writer, t *Tree) (repository.Saved, error) {
	data, err := t.Encode()
	if err != nil {
		return repository.Saved{}, err
	}
	return w.Save(ctx, blob.Tree, data)
}

// Lookup gives the node at a path of the snapshot; "/" is its root.
func Lookup(ctx context.Context, repo *repository.Repository, s *Snapshot, name string) (*Node, error) {
	n := s.Root()
	clean := path.Clean("/" + name)
	for part := range strings.SplitSeq(strings.Trim(clean, "/"), "/") {
		if part == "" {
			return n, nil
		}
		next, err := child(ctx, repo, n, part)
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %s: %w", s.Short(), clean, err)
		}
		n = next
	}
	return n, nil
}

func child(ctx context.Context, repo *repository.Repository, dir *Node, name string) (*Node, error) {
	if !dir.IsDir() {
		return nil, backup.ErrNotFound
	}
	d, err := OpenTree(ctx, repo, dir.Subtree)
	if err != nil {
		return nil, err
	}
	n := &Node{}
	found, err := d.Find(name, n)
	if err == nil && !found {
		err = backup.ErrNotFound
	}
	return n, err
}

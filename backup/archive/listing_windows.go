package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"emrvault/backup/archive/recall"
	"emrvault/backup/snapshot"
)

// listing is what a look at one folder shows, in the order of the names. This
// system tells neither inodes nor change times by a look, so a digest is made
// of what it does tell; a folder with links is looked at closely, for a link
// may come to lead elsewhere.
type listing struct {
	nodes []*snapshot.Node
	last  *snapshot.Node

	files, bytes int64
	unclear      bool // there are links
	unsettled    bool // something changed while the parent was made
	sockets      int
}

func (l *listing) reset() { *l = listing{nodes: l.nodes[:0]} }

// look asks for one entry of the folder.
func (l *listing) look(d *directory, name string) (err error) {
	l.last, err = d.stat(name)
	return err
}

// size tells the length of the file that was looked at last.
func (l *listing) size() (bytes int64, isFile bool) {
	return int64(l.last.Size), l.last.Type == snapshot.File
}

// keep takes what was looked at last into the listing.
func (l *listing) keep(name string, u unsettled) {
	n := l.last
	n.Name = name
	switch n.Type {
	case snapshot.File:
		l.files, l.bytes = l.files+1, l.bytes+int64(n.Size)
	case snapshot.Symlink:
		l.unclear = true
	}
	l.unsettled = l.unsettled || u.has(n.ChangeTime)
	l.nodes = append(l.nodes, n)
}

// count is how many entries there are.
func (l *listing) count() int { return len(l.nodes) }

// digest stands for all of it; zero when a look is not enough here.
func (l *listing) digest(uint64) recall.Digest {
	if l.unclear {
		return recall.Digest{}
	}
	var text bytes.Buffer
	number := func(v uint64) { text.Write(binary.LittleEndian.AppendUint64(nil, v)) }
	for _, n := range l.nodes {
		number(uint64(len(n.Name)))
		text.WriteString(n.Name)
		number(uint64(n.Mode))
		number(n.Size)
		number(uint64(n.ModTime.Unix()))
		number(uint64(n.ModTime.Nanosecond()))
		for _, key := range slices.Sorted(maps.Keys(n.Generic)) {
			text.WriteString(key)
			text.Write(n.Generic[key])
		}
	}
	return sha256.Sum256(text.Bytes())
}

// note has nothing to ask here.
func (l *listing) note(*directory, uint64) {}

// each hands over the entries as nodes, in the order of their names.
func (l *listing) each(fn func(n *snapshot.Node) error) error {
	for i, n := range l.nodes {
		l.nodes[i] = nil
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

// folders hands over only the folders.
func (l *listing) folders(fn func(n *snapshot.Node) error) error {
	for _, n := range l.nodes {
		if n.IsDir() {
			if err := fn(n); err != nil {
				return err
			}
		}
	}
	return nil
}

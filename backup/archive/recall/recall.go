// Package recall remembers, on this machine, what a snapshot was made of, so
// that the next one need not ask the repository about folders that are as they
// were.
//
// A Book has one page for each folder: a digest of all that a look at the
// folder shows (names, kinds, sizes, times, owners, inodes), the id of the tree
// that was stored for it, and the pages of the folders in it. When the digest
// is the same again, the tree is too: nothing is decoded, encoded or hashed,
// and no blob is asked for. When it is not, the old tree says which entry
// differs.
//
// A page takes 70 bytes however many files the folder holds. The book is read
// where it lies; no page becomes an object before somebody turns to it. The
// pages come first, children before their parents, then the head, then its
// length and the mark of the format. Who keeps a book seals it, for it tells
// when something changed. A book that is damaged is no book.
package recall

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// Digest stands for what a look at a folder shows. The zero Digest is that of
// a folder which must be looked at closely whatever it shows.
type Digest [sha256.Size]byte

// Ref names a page; zero names none.
type Ref uint64

// Head says what a book is about, and when it may be believed.
type Head struct {
	Snapshot string            `json:"snapshot"` // the book describes it
	Program  string            `json:"program"`  // another one may write trees differently
	Targets  map[string]Ref    `json:"targets"`  // folders that were given, by their path in the snapshot
	Users    map[uint32]string `json:"users"`    // names that stand in the trees
	Groups   map[uint32]string `json:"groups"`
	Index    []string          `json:"index"` // index files that together list all blobs of the snapshot
}

// Page is what is known of one folder.
type Page struct {
	Digest   Digest
	Tree     blob.ID
	children []byte
	count    int
}

const (
	mark    = "recall01"
	pageLen = len(Digest{}) + len(blob.ID{})
	tailLen = 4 + len(mark)
)

// Book is a book that was written before. Nil is an empty one.
type Book struct {
	Head  Head
	pages []byte
}

// Open reads a book; data stays in use.
func Open(data []byte) (*Book, error) {
	if len(data) < tailLen || string(data[len(data)-len(mark):]) != mark {
		return nil, fmt.Errorf("no book of folders: %w", backup.ErrDamaged)
	}
	rest := data[:len(data)-tailLen]
	length := binary.LittleEndian.Uint32(data[len(rest):])
	if uint64(length) > uint64(len(rest)) {
		return nil, fmt.Errorf("book of folders is cut short: %w", backup.ErrDamaged)
	}
	b := &Book{pages: rest[:len(rest)-int(length)]}
	if err := json.Unmarshal(rest[len(b.pages):], &b.Head); err != nil {
		return nil, fmt.Errorf("head of a book of folders: %w: %w", backup.ErrDamaged, err)
	}
	return b, nil
}

// Page turns to a page.
func (b *Book) Page(ref Ref) (p Page, ok bool) {
	if b == nil || ref == 0 || ref > Ref(len(b.pages)) {
		return p, false
	}
	rest := b.pages[ref-1:]
	if len(rest) < pageLen {
		return p, false
	}
	copy(p.Digest[:], rest)
	copy(p.Tree[:], rest[len(p.Digest):])
	count, n := binary.Uvarint(rest[pageLen:])
	if n <= 0 || count > uint64(len(rest)) {
		return p, false
	}
	p.children, p.count = rest[pageLen+n:], int(count)
	return p, true
}

// Children gives the pages of the folders in this one, in the order of their
// names; nil when the page is damaged.
func (p Page) Children() []Ref {
	list, rest := make([]Ref, 0, p.count), p.children
	for range p.count {
		ref, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil
		}
		list, rest = append(list, Ref(ref)), rest[n:]
	}
	return list
}

// Writer writes a new book. It is safe for many goroutines.
type Writer struct {
	mu    sync.Mutex
	pages []byte
}

// Add writes a page; those of the folders in it were written before.
func (w *Writer) Add(d Digest, tree blob.ID, children []Ref) Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	ref := Ref(len(w.pages)) + 1
	w.pages = append(w.pages, d[:]...)
	w.pages = append(w.pages, tree[:]...)
	w.pages = binary.AppendUvarint(w.pages, uint64(len(children)))
	for _, c := range children {
		w.pages = binary.AppendUvarint(w.pages, uint64(c))
	}
	return ref
}

// Bytes ends the book.
func (w *Writer) Bytes(h Head) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("head of a book of folders: %w", err)
	}
	out := append(w.pages, text...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	w.pages = nil
	return append(out, mark...), nil
}

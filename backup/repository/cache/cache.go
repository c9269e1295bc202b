// Package cache keeps, in a folder of this machine, what a repository would
// otherwise be asked for again: index files in their compact form, trees, what
// the last snapshot knew of each file. Losing it costs time and nothing else.
//
// Below the folder of all caches each repository has one of its own:
//
//	CACHEDIR.TAG                     tells backup programs to pass it over
//	<repository id>/<kind>/<32 hex>  one entry
//
// An entry is sealed with the repository's key, for it holds names. Its own
// name is hidden behind a keyed hash, and the same hash is sealed in front of
// the data, so that entries cannot be swapped. It is written beside its place
// and renamed; what a crash leaves beside is swept away after an hour.
//
// The limit is for all repositories together. No process knows what the others
// write, so each looks at the folder anew after a small share of the limit and
// makes room long before it is reached.
package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/crypto"
)

// Kind is the sort of an entry; it is also the name of its folder.
type Kind string

// The kinds.
const (
	Index Kind = "index" // an index file in its compact form, by the file's id
	Tree  Kind = "tree"  // a part of a pack of trees, as it lies there
	Stat  Kind = "stat"  // what the last snapshot of a source knew of each file
	State Kind = "state" // what is remembered rather than recomputed; never evicted
)

// Cache is safe for many goroutines and several processes. A nil Cache is one
// that is always empty.
type Cache struct {
	root  string // of all repositories
	home  string // of this one
	key   *crypto.Key
	names [32]byte    // hides the names of entries
	spare chan []byte // what entries are sealed in
	room  room
}

const (
	purpose  = "emrvault cache, version 1"
	dirMode  = 0o700
	tempMark = "tmp-"
	tagName  = "CACHEDIR.TAG"
	tagText  = "Signature: 8a477f597d28d172789f06886806bc55\n# What emrvault can fetch again. It may be deleted.\n"
	// markSize is the length of the name that is sealed before the data.
	markSize = sha256.Size
	// keepBuffer is the longest buffer that is kept for the next entry.
	keepBuffer = 4 << 20
	// touchAge spares a write for every reading of an entry.
	touchAge = time.Minute
)

// Open opens, and makes, the cache of one repository below dir. limit is the
// most bytes that all of dir may take; what was not used for longest goes
// first.
func Open(dir, repository string, key *crypto.Key, limit int64) (*Cache, error) {
	if dir == "" || limit <= 0 || !harmless(repository) {
		return nil, fmt.Errorf("cache of repository %q below %q in %d bytes: %w", repository, dir, limit, backup.ErrInvalid)
	}
	c := &Cache{
		root: dir, home: filepath.Join(dir, repository), key: key,
		names: key.Secret(purpose), spare: make(chan []byte, 2), room: room{root: dir, limit: limit},
	}
	for _, kind := range []Kind{Index, Tree, Stat, State} {
		if err := os.MkdirAll(filepath.Join(c.home, string(kind)), dirMode); err != nil {
			return nil, fmt.Errorf("make the cache: %w", err)
		}
	}
	c.tag()
	c.room.sweep(time.Now())
	return c, nil
}

// tag marks the folder for other programs. It is a courtesy: if it fails,
// nothing is lost.
func (c *Cache) tag() {
	path := filepath.Join(c.root, tagName)
	if _, err := os.Lstat(path); err == nil {
		return
	}
	_ = os.WriteFile(path, []byte(tagText), 0o600)
}

// harmless tells whether a repository's id can name a folder.
func harmless(id string) bool {
	return id != "" && strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// mark is the keyed hash of an entry's name.
func (c *Cache) mark(kind Kind, name string) []byte {
	h := hmac.New(sha256.New, c.names[:])
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return h.Sum(nil)
}

func (c *Cache) path(kind Kind, mark []byte) string {
	return filepath.Join(c.home, string(kind), hex.EncodeToString(mark[:16]))
}

// Get gives an entry. Whatever goes wrong is a miss; a damaged entry is removed.
func (c *Cache) Get(kind Kind, name string) (data []byte, ok bool) {
	data, _, ok = c.Read(kind, name, nil)
	return data, ok
}

// Read is Get for those who read many entries: it uses buf, and gives back
// what that has grown to. data lies within it.
func (c *Cache) Read(kind Kind, name string, buf []byte) (data, grown []byte, ok bool) {
	if c == nil {
		return nil, buf, false
	}
	mark := c.mark(kind, name)
	path := c.path(kind, mark)
	sealed, used, ok := readFile(path, buf)
	if !ok {
		return nil, buf, false
	}
	plain, err := c.key.OpenInPlace(sealed)
	if err != nil || len(plain) < markSize || subtle.ConstantTimeCompare(plain[:markSize], mark) != 1 {
		_ = os.Remove(path) // if it stays, it is a miss again
		return nil, sealed, false
	}
	touch(path, used)
	return plain[markSize:], sealed, true
}

// Size tells how many bytes an entry holds, without reading it.
func (c *Cache) Size(kind Kind, name string) (size int64, ok bool) {
	if c == nil {
		return 0, false
	}
	info, err := os.Stat(c.path(kind, c.mark(kind, name)))
	if err != nil || info.Size() < markSize+crypto.Overhead {
		return 0, false
	}
	return info.Size() - markSize - crypto.Overhead, true
}

// Put keeps an entry, replacing the one of that name. That there is no room,
// or no right to write, is an error for State only: all else can be had again.
func (c *Cache) Put(kind Kind, name string, data []byte) error {
	if c == nil {
		return nil
	}
	mark := c.mark(kind, name)
	length := int64(len(data) + markSize + crypto.Overhead)
	err := c.room.make(length, time.Now())
	if err == nil {
		err = c.write(kind, mark, data)
	}
	if err != nil {
		c.room.refused(err)
		if kind == State {
			return fmt.Errorf("keep %s in the cache: %w", kind, err)
		}
	}
	return nil
}

func (c *Cache) write(kind Kind, mark, data []byte) error {
	buf := c.buffer()
	defer c.keep(&buf)
	// Mark and data must lie together to be sealed, and not overlap the seal.
	plain := append(append(buf[:0], mark...), data...)
	start := len(plain)
	both, err := c.key.Seal(plain, plain)
	if err != nil {
		return err
	}
	buf = both
	return writeFile(c.path(kind, mark), both[start:], kind == State)
}

func (c *Cache) buffer() []byte {
	select {
	case buf := <-c.spare:
		return buf
	default:
		return nil
	}
}

func (c *Cache) keep(buf *[]byte) {
	if cap(*buf) > keepBuffer {
		return
	}
	select {
	case c.spare <- *buf:
	default:
	}
}

// Remove forgets an entry. That there is none is no error.
func (c *Cache) Remove(kind Kind, name string) error {
	if c == nil {
		return nil
	}
	if err := os.Remove(c.path(kind, c.mark(kind, name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s from the cache: %w", kind, err)
	}
	return nil
}

// Retain forgets the entries of a kind but those named.
func (c *Cache) Retain(kind Kind, names []string) {
	if c == nil {
		return
	}
	stay := make(map[string]bool, len(names))
	for _, name := range names {
		stay[c.path(kind, c.mark(kind, name))] = true
	}
	dir := filepath.Join(c.home, string(kind))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // then the limit sees to it
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !stay[path] && !strings.HasPrefix(e.Name(), tempMark) {
			_ = os.Remove(path)
		}
	}
}

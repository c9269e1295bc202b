// Package cache keeps, in a folder of this machine, what a repository would
// otherwise be asked for again: index files in their compact form, trees, what
// the last snapshot knew of each file. All of it is sealed with the
// repository's key, for it holds names. Losing it costs time and nothing else.
package cache

import "emrvault/backup/repository/crypto"

// Kind is the sort of an entry; it is also the name of its folder.
type Kind string

// The kinds.
const (
	Index Kind = "index" // an index file in its compact form, by the file's id
	Tree  Kind = "tree"  // a pack of trees, or a part of it
	Stat  Kind = "stat"  // what the last snapshot of a source knew of each file
	State Kind = "state" // what is remembered rather than recomputed; never evicted
)

// Cache is safe for many goroutines and several processes. A nil Cache is one
// that is always empty.
type Cache struct{}

// Open opens, and makes, the cache of one repository below dir. limit is the
// most bytes that all of dir may take; what was not used for longest goes
// first.
func Open(dir, repository string, key *crypto.Key, limit int64) (*Cache, error) {
	return &Cache{}, nil
}

// Get gives an entry. Whatever goes wrong is a miss; a damaged entry is removed.
func (c *Cache) Get(kind Kind, name string) (data []byte, ok bool) { return nil, false }

// Put keeps an entry, replacing the one of that name.
func (c *Cache) Put(kind Kind, name string, data []byte) error { return nil }

// Remove forgets an entry.
func (c *Cache) Remove(kind Kind, name string) error { return nil }

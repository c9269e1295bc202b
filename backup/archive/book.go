package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"emrvault/backup/archive/recall"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
)

// book is what this machine remembers of the last snapshot of a file set, and
// what it will remember of the new one.
type book struct {
	name string // of the entry in the cache
	last *recall.Book
	next *recall.Writer // nil: nothing is remembered

	mu      sync.Mutex
	targets map[string]recall.Ref
}

func placeOf(parts []string) string { return "/" + strings.Join(parts, "/") }

// of gives the page of a folder that was given, if it tells of that tree.
func (b *book) of(t target, tree blob.ID) recall.Ref {
	if b.last == nil {
		return 0
	}
	return b.matching(b.last.Head.Targets[placeOf(t.parts)], tree)
}

// matching gives the page if it tells of that tree.
func (b *book) matching(ref recall.Ref, tree blob.ID) recall.Ref {
	if page, ok := b.last.Page(ref); ok && page.Tree == tree {
		return ref
	}
	return 0
}

// target notes the new page of a folder that was given.
func (b *book) target(t target, ref recall.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.targets == nil {
		b.targets = map[string]recall.Ref{}
	}
	b.targets[placeOf(t.parts)] = ref
}

// bookName tells books apart: whatever decides which entries a snapshot has
// gives another one.
func bookName(o Options, set source.FileSet, paths []string) (string, error) {
	text, err := json.Marshal(struct {
		Host     string
		Paths    []string
		Given    []string
		Exclude  []string
		Fold     []string
		Marks    []string
		Larger   int64
		OneFS    bool
		Pieces   source.Pieces
		Revision int
	}{o.Host, paths, set.Paths, append(slices.Clone(o.Excludes), set.Exclude...), o.ExcludesFold, o.ExcludeMarked, o.ExcludeLarger, set.OneFileSystem, set.Pieces, 1})
	if err != nil {
		return "", fmt.Errorf("name of what is remembered: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// openBook opens the book of the parent. It is believed when nothing can have
// taken away what it relies on: the parent is there, so that nobody has pruned
// its blobs; no pack is lost or known to be damaged; and the index files that
// listed its blobs are those that were loaded, all of them whole.
func (s *sink) openBook(w *walk, name string) {
	c := s.run.repo.Cache()
	if c == nil {
		return
	}
	w.book.name, w.book.next = name, &recall.Writer{}
	s.mu.Lock()
	s.books = append(s.books, &w.book)
	s.mu.Unlock()
	if w.parent.snapshot == nil || s.run.doubt {
		return
	}
	data, ok := c.Get(cache.Stat, name)
	if !ok {
		return
	}
	last, err := recall.Open(data)
	if err == nil && s.believes(last.Head, w.parent.snapshot) {
		w.book.last = last
	}
}

func (s *sink) believes(h recall.Head, parent *snapshot.Snapshot) bool {
	if h.Snapshot != parent.ID || h.Program != s.run.opts.Program {
		return false
	}
	for _, id := range h.Index {
		if !s.run.index[id] {
			return false
		}
	}
	for id, name := range h.Users {
		if s.owners.user(id) != name {
			return false
		}
	}
	for id, name := range h.Groups {
		if s.owners.group(id) != name {
			return false
		}
	}
	return true
}

// keepBooks remembers what the new snapshot was made of. That it cannot be
// remembered costs time next night, and nothing else.
func (s *sink) keepBooks(ctx context.Context, sn *snapshot.Snapshot) {
	if len(s.books) == 0 {
		return
	}
	index, err := indexFiles(ctx, s.run.repo)
	for _, b := range s.books {
		if err == nil {
			err = s.keepBook(b, sn, index)
		}
	}
	if err != nil {
		s.run.opts.Progress.Problem("cache", err)
	}
}

func (s *sink) keepBook(b *book, sn *snapshot.Snapshot, index map[string]bool) error {
	data, err := b.next.Bytes(recall.Head{
		Snapshot: sn.ID, Program: s.run.opts.Program, Targets: b.targets,
		Users: namesOf(&s.owners.users), Groups: namesOf(&s.owners.groups),
		Index: slices.Sorted(maps.Keys(index)),
	})
	if err != nil {
		return err
	}
	return s.run.repo.Cache().Put(cache.Stat, b.name, data)
}

func indexFiles(ctx context.Context, repo *repository.Repository) (map[string]bool, error) {
	ids := map[string]bool{}
	err := repo.Storage().List(ctx, storage.Index, func(i storage.Info) error {
		ids[i.Name.ID] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list index files: %w", err)
	}
	return ids, nil
}

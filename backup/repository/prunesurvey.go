package repository

import (
	"context"
	"fmt"
	"slices"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// survey is what lies on the storage when prune looks.
type survey struct {
	known   *index.Index      // every pack that some index file named when it was read
	files   []indexFile       // the index files there are
	sizes   map[blob.ID]int64 // the packs there are
	missing map[blob.ID]bool  // packs that were named, but not there
}

// indexFile is an index file and the packs it lists.
type indexFile struct {
	id    string
	packs []blob.ID
	blobs int
}

// survey reads everything anew; what an index loaded long ago says does not
// count here. Damage of the index ends it, for then nobody knows what is used.
// Packs are listed after the index was read, so that none of its packs is
// missed.
func (r *Repository) survey(ctx context.Context) (survey, error) {
	s := survey{known: index.New()}
	r.landing.Lock()
	defer r.landing.Unlock()
	err := r.eachIndexFile(ctx, func(id string, packs []index.Pack, err error) error {
		if err != nil {
			return err
		}
		return s.file(id, packs)
	})
	if err != nil {
		return s, fmt.Errorf("the index must be whole: %w", err)
	}
	if s.sizes, err = r.packSizes(ctx); err != nil {
		return s, err
	}
	s.missing = make(map[blob.ID]bool)
	for _, id := range s.known.PackIDs() {
		if _, there := s.sizes[id]; !there {
			s.missing[id] = true
		}
	}
	r.setIndex(s.known)
	return s, nil
}

func (s *survey) file(id string, packs []index.Pack) error {
	f := indexFile{id: id}
	for _, p := range packs {
		if err := s.known.Add(p); err != nil {
			return err
		}
		f.packs = append(f.packs, p.ID)
		f.blobs += len(p.Entries)
	}
	s.files = append(s.files, f)
	return nil
}

// refresh brings the list of index files up to date. They never change, so
// only new ones are read.
func (s *survey) refresh(ctx context.Context, r *Repository) error {
	ids, err := r.listIDs(ctx, storage.Index)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	s.files = slices.DeleteFunc(s.files, func(f indexFile) bool { return !there[f.id] })
	for _, f := range s.files {
		delete(there, f.id)
	}
	for id := range there {
		packs, err := r.readIndexFile(ctx, id)
		if err != nil {
			return fmt.Errorf("the index must be whole: %w", err)
		}
		s.arrived(packs)
		if err := s.file(id, packs); err != nil {
			return err
		}
	}
	return nil
}

// arrived notes packs that came after the survey: whoever wrote the index file
// has stored them before.
func (s *survey) arrived(packs []index.Pack) {
	for _, p := range packs {
		if _, there := s.sizes[p.ID]; !there && !s.missing[p.ID] {
			s.sizes[p.ID] = pack.Size(p.Entries)
		}
	}
}

// named gathers the packs that some index file names.
func (s *survey) named() map[blob.ID]bool {
	named := make(map[blob.ID]bool, len(s.sizes))
	for _, f := range s.files {
		for _, id := range f.packs {
			named[id] = true
		}
	}
	return named
}

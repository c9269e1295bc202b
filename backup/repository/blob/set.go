package blob

import (
	"iter"
	"maps"
)

// Set is a set of handles. It may be read by many goroutines, but not while
// one of them adds to it. The zero value is not usable; call NewSet.
type Set struct {
	members [Types]map[ID]struct{}
}

// NewSet makes a set of the given handles.
func NewSet(handles ...Handle) *Set {
	s := &Set{}
	for t := range s.members {
		s.members[t] = make(map[ID]struct{})
	}
	for _, h := range handles {
		s.Add(h)
	}
	return s
}

// Add puts a handle in and tells whether it is new.
func (s *Set) Add(h Handle) bool {
	before := len(s.members[h.Type])
	s.members[h.Type][h.ID] = struct{}{}
	return len(s.members[h.Type]) > before
}

// Has tells whether the handle is in the set.
func (s *Set) Has(h Handle) bool {
	_, ok := s.members[h.Type][h.ID]
	return ok
}

// Len counts the handles.
func (s *Set) Len() int { return len(s.members[Data]) + len(s.members[Tree]) }

// All visits every handle, in no order.
func (s *Set) All() iter.Seq[Handle] {
	return func(yield func(Handle) bool) {
		for t := range s.members {
			for id := range maps.Keys(s.members[t]) {
				if !yield(Handle{Type: Type(t), ID: id}) {
					return
				}
			}
		}
	}
}

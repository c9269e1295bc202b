package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"emrvault/backup"
	"emrvault/backup/snapshot"
	"emrvault/backup/snapshot/pattern"
)

// CacheMark is the mark that programs put into folders whose content can be
// made anew, with the words it must begin with.
const CacheMark = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55"

// skips are what is left out.
type skips struct {
	patterns pattern.List
	folded   pattern.List // patterns that take capital and small letters for the same
	larger   int64        // files longer than this; 0: none
	marks    []mark
}

// mark is a file whose presence leaves out all else in its folder.
type mark struct {
	name, head string
}

func newSkips(o Options, excludes []string) (s skips, err error) {
	if s.patterns, err = pattern.Parse(excludes); err != nil {
		return s, err
	}
	if s.folded, err = pattern.ParseFold(o.ExcludesFold); err != nil {
		return s, err
	}
	s.larger = o.ExcludeLarger
	for _, text := range o.ExcludeMarked {
		name, head, _ := strings.Cut(text, ":")
		if name == "" || strings.ContainsAny(name, `/\`) {
			return s, fmt.Errorf("mark %q is no name of a file: %w", text, backup.ErrInvalid)
		}
		s.marks = append(s.marks, mark{name, head})
	}
	return s, nil
}

// target says whether a path that was given is left out all the same.
func (s *skips) target(path string, n *snapshot.Node) bool {
	path = absolute(path)
	matched, _ := s.patterns.Match(path)
	folded, _ := s.folded.Match(path)
	return matched || folded || n.Type == snapshot.File && s.long(int64(n.Size))
}

func (s *skips) long(bytes int64) bool { return s.larger > 0 && bytes > s.larger }

// folderSkips are skips within one folder.
type folderSkips struct {
	patterns, folded pattern.Folder
	marked           []string // only these files are kept
}

// in prepares for the names of one folder, which ascend.
func (s *skips) in(path string, names []string) folderSkips {
	var f folderSkips
	if !s.patterns.Empty() || !s.folded.Empty() {
		path := absolute(path)
		f.patterns, f.folded = s.patterns.In(path), s.folded.In(path)
	}
	for _, m := range s.marks {
		if _, there := slices.BinarySearch(names, m.name); there && m.holds(filepath.Join(path, m.name)) {
			f.marked = append(f.marked, m.name)
		}
	}
	return f
}

// name says whether an entry is left out. Of several marks each leaves out
// the others too, as all else.
func (f *folderSkips) name(name string) bool {
	for _, m := range f.marked {
		if name != m {
			return true
		}
	}
	return f.patterns.Match(name) || f.folded.Match(name)
}

// holds says whether a mark begins as it must. One that cannot be read counts
// as none: rather too much is kept than too little.
func (m mark) holds(path string) bool {
	if m.head == "" {
		return true
	}
	f, err := openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if f.regular() != nil {
		return false
	}
	return begins(f, m.head)
}

func begins(f io.Reader, head string) bool {
	got := make([]byte, len(head))
	n, err := io.ReadFull(f, got)
	return bytes.Equal(got[:n], []byte(head)) && !errors.Is(err, io.EOF)
}

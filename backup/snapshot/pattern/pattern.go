// Package pattern chooses paths the way restic's users write it down.
//
// A pattern is matched against the components of a path, each with the rules
// of filepath.Match. It may match anywhere in the path and covers what lies
// below the match; a leading slash ties it to the root; ** stands for any
// number of components; a leading ! takes back what an earlier pattern chose.
//
//	*.tmp            every name that ends so, in any folder
//	/srv/emr/cache   this folder and all in it
//	/srv/**/log      every "log" at any depth below /srv
//	!keep.tmp        but not this one
package pattern

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"emrvault/backup"
)

// List is some patterns, matched together. The zero List matches nothing.
type List struct {
	patterns []pattern
	negated  bool // at least one pattern takes back
	fold     bool // capital and small letters are the same
}

type pattern struct {
	parts  []string
	rooted bool
	negate bool
}

const anyDepth = "**"

// Parse reads patterns; one that filepath.Match would not take is an error.
func Parse(texts []string) (List, error) {
	var l List
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		p, err := parse(text)
		if err != nil {
			return List{}, err
		}
		l.patterns = append(l.patterns, p)
		l.negated = l.negated || p.negate
	}
	return l, nil
}

// ParseFold reads patterns to which capital and small letters are the same.
func ParseFold(texts []string) (List, error) {
	small := make([]string, len(texts))
	for i, text := range texts {
		small[i] = strings.ToLower(text)
	}
	l, err := Parse(small)
	l.fold = true
	return l, err
}

func parse(text string) (pattern, error) {
	p := pattern{negate: strings.HasPrefix(text, "!")}
	body := slashed(strings.TrimPrefix(text, "!"))
	p.rooted = strings.HasPrefix(body, "/")
	for part := range strings.SplitSeq(body, "/") {
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			return p, fmt.Errorf("pattern %q must not contain %q: %w", text, part, backup.ErrInvalid)
		}
		if part == anyDepth && len(p.parts) > 0 && p.parts[len(p.parts)-1] == anyDepth {
			continue
		}
		if _, err := path.Match(part, ""); err != nil {
			return p, fmt.Errorf("pattern %q: %q: %w: %w", text, part, backup.ErrInvalid, err)
		}
		p.parts = append(p.parts, part)
	}
	if len(p.parts) == 0 && !p.rooted {
		return p, fmt.Errorf("pattern %q names nothing: %w", text, backup.ErrInvalid)
	}
	return p, nil
}

// Empty says whether there is no pattern.
func (l List) Empty() bool { return len(l.patterns) == 0 }

// Match says whether the patterns choose the path (with slashes, from the
// root). below says whether something in the folder of that name may be
// chosen; it is only a reason to look.
func (l List) Match(name string) (matched, below bool) {
	if l.Empty() {
		return false, false
	}
	return l.match(l.split(name))
}

// Folder is a list that looks at the entries of one folder. It belongs to one
// goroutine.
type Folder struct {
	list  List
	parts []string // of the folder, and room for a name
}

// In prepares for the entries of a folder, which saves taking its path apart
// for each.
func (l List) In(folder string) Folder {
	if l.Empty() {
		return Folder{}
	}
	return Folder{l, append(l.split(folder), "")}
}

// Match says whether the patterns choose the entry of that name.
func (f *Folder) Match(name string) bool {
	if f.list.Empty() {
		return false
	}
	if f.list.fold {
		name = strings.ToLower(name)
	}
	f.parts[len(f.parts)-1] = name
	matched, _ := f.list.match(f.parts)
	return matched
}

func (l List) split(name string) []string {
	if l.fold {
		name = strings.ToLower(name)
	}
	return split(name)
}

func (l List) match(parts []string) (matched, below bool) {
	for _, p := range l.patterns {
		m := p.match(parts)
		switch {
		case p.negate && m:
			matched, below = false, false
		case !p.negate:
			matched = matched || m
			below = below || m || p.mayMatchBelow(parts)
		}
	}
	return matched, below || matched && l.negated
}

func split(name string) []string {
	var parts []string
	for part := range strings.SplitSeq(slashed(name), "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// match says whether the pattern covers the path or a folder above it.
func (p pattern) match(parts []string) bool {
	if p.rooted {
		return covers(p.parts, parts)
	}
	for i := range parts {
		if covers(p.parts, parts[i:]) {
			return true
		}
	}
	return false
}

// covers says whether want matches the first components of parts.
func covers(want, parts []string) bool {
	for i, w := range want {
		if w == anyDepth {
			return coversAfter(want[i+1:], parts[i:])
		}
		if i >= len(parts) || !matchPart(w, parts[i]) {
			return false
		}
	}
	return true
}

// coversAfter is covers behind a **, which also stands for no component at all.
// Trying every place is enough, because patterns have few of them and paths few
// components.
func coversAfter(want, parts []string) bool {
	if len(want) == 0 {
		return true
	}
	for i := range parts {
		if covers(want, parts[i:]) {
			return true
		}
	}
	return false
}

// mayMatchBelow says whether something below the path could match.
func (p pattern) mayMatchBelow(parts []string) bool {
	if !p.rooted {
		return true
	}
	for i, part := range parts {
		if i >= len(p.parts) || p.parts[i] == anyDepth {
			return true // covered, or any depth
		}
		if !matchPart(p.parts[i], part) {
			return false
		}
	}
	return true
}

func matchPart(pat, name string) bool {
	if !strings.ContainsAny(pat, `*?[\`) {
		return pat == name
	}
	ok, err := path.Match(pat, name)
	return err == nil && ok
}

// slashed turns the separators of the running system into slashes.
func slashed(name string) string { return filepath.ToSlash(name) }

// Package all is the one list of sources: to know what can be protected, read
// this file.
package all

import (
	"fmt"
	"slices"
	"strings"

	"emrvault/backup"
	"emrvault/backup/source"
	"emrvault/backup/source/files"
	"emrvault/backup/source/sqlite"
)

// opener makes a source out of a spec that Verify has passed.
type opener func(source.Spec) (source.Source, error)

type line struct {
	kind source.Kind
	open opener // nil: comes with a later version
}

// list is what exists, and honestly what does not exist yet.
func list() []line {
	return []line{
		{files.Kind(), func(s source.Spec) (source.Source, error) { return files.Open(s) }},
		{sqlite.Kind(), func(s source.Spec) (source.Source, error) { return sqlite.Open(s) }},
		later("postgres"),
		later("mysql"),
		later("sqlserver"),
		later("oracle"),
		later("command"),
		later("pickup"),
		later("sftp"),
		later("smb"),
	}
}

// Kinds describes every kind, so that a page can draw its form.
func Kinds() []source.Kind {
	lines := list()
	kinds := make([]source.Kind, 0, len(lines))
	for _, l := range lines {
		kinds = append(kinds, l.kind)
	}
	return kinds
}

// Open makes the source that spec describes. It touches nothing: whether the
// place is there and readable is for Check and Capture to say. Errors wrap
// backup.ErrInvalid, or backup.ErrUnsupported for a kind of a later version.
func Open(spec source.Spec) (source.Source, error) {
	lines := list()
	i := slices.IndexFunc(lines, func(l line) bool { return l.kind.Name == spec.Kind })
	if i < 0 {
		return nil, fmt.Errorf("source kind %q is not known (known: %s): %w",
			spec.Kind, strings.Join(names(lines), ", "), backup.ErrInvalid)
	}
	l := lines[i]
	if l.open == nil {
		return nil, fmt.Errorf("sources of kind %s come with a later version: %w", spec.Kind, backup.ErrUnsupported)
	}
	if err := spec.Verify(l.kind); err != nil {
		return nil, err
	}
	return l.open(spec)
}

func later(name string) line {
	return line{kind: source.Kind{Name: name, Key: "source.kind." + name}}
}

func names(lines []line) []string {
	words := make([]string, 0, len(lines))
	for _, l := range lines {
		words = append(words, l.kind.Name)
	}
	return words
}

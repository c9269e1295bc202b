// Package localetest finds where the source of the module asks for texts, so
// that a test can say which of them no language knows.
//
// In Go it looks at calls of functions that take a text's key and its values,
// that is at every function of the module with parameters
// (…, key string, …, args ...any): Lang.T, errs.New, jobs' Log and whatever
// helper a room makes for itself. A key must be written out; a key that is put
// together from a prefix, as in T("role." + word), is checked by its prefix.
// Constants whose name ends in "Key" count too. In page templates it looks for
// the functions T and plural.
package localetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Use is one place that asks for a text.
type Use struct {
	Place  string   // file:line
	Key    string   // the key, or its beginning when Prefix is set
	Prefix bool     // the rest of the key is known only when the program runs
	Plural bool     // asked for by Plural: key.other must exist
	Names  []string // names of the values given; nil when they cannot be read
}

// keyForm is what a key looks like: words with dots between.
var keyForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$`)

// Find looks through the Go files and page templates below root.
func Find(root string) ([]Use, error) {
	var goFiles, pages []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".") || name == "dist"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			goFiles = append(goFiles, path)
		case strings.HasSuffix(name, ".html"):
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	uses, err := inGo(goFiles)
	if err != nil {
		return nil, err
	}
	for _, path := range pages {
		found, err := inPage(path)
		if err != nil {
			return nil, err
		}
		uses = append(uses, found...)
	}
	return uses, nil
}

// Root finds the folder of the module from the folder a test runs in.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fs.ErrNotExist
		}
		dir = parent
	}
	return "", err
}

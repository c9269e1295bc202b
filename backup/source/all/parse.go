package all

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Bounds of a source file. A real one has a dozen lines and no nested lists;
// reading time grows with the square of the depth.
const (
	maxText   = 32 << 10
	maxOpened = 256 // brackets and braces
)

// Parse reads a source file strictly: one document, no key twice, no unknown
// key, and settings as Open wants them. The error names line and word, never
// the text around it, for it may stand beside something secret.
func Parse(text []byte) (source.Spec, error) {
	if len(text) > maxText {
		return source.Spec{}, fmt.Errorf("source file is larger than %d bytes: %w", maxText, backup.ErrInvalid)
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxOpened {
		return source.Spec{}, fmt.Errorf("source file holds more than %d brackets: %w", maxOpened, backup.ErrInvalid)
	}
	if err := plain(text); err != nil {
		return source.Spec{}, err
	}
	var spec source.Spec
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := decoder.Decode(&spec); err != nil {
		if errors.Is(err, io.EOF) {
			return source.Spec{}, fmt.Errorf("source file is empty: %w", backup.ErrInvalid)
		}
		return source.Spec{}, unreadable(err)
	}
	if _, err := Open(spec); err != nil {
		return source.Spec{}, err
	}
	return spec, nil
}

// plain refuses what a source file never needs: several documents, of which
// only the first would count, and anchors, by which a small text can grow
// without bound.
func plain(text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return unreadable(err)
	}
	if len(file.Docs) > 1 {
		return fmt.Errorf("source file holds %d documents, one is wanted: %w", len(file.Docs), backup.ErrInvalid)
	}
	var found finder
	for _, doc := range file.Docs {
		if doc.Body != nil {
			ast.Walk(&found, doc.Body)
		}
	}
	if found.anchor {
		return fmt.Errorf("source file uses anchors or aliases, write the value out: %w", backup.ErrInvalid)
	}
	return nil
}

// finder looks for anchors and aliases.
type finder struct{ anchor bool }

// Visit is called for every node.
func (f *finder) Visit(node ast.Node) ast.Visitor {
	switch node.Type() {
	case ast.AnchorType, ast.AliasType:
		f.anchor = true
	}
	return f
}

func unreadable(err error) error {
	return fmt.Errorf("read source file: %s: %w", yaml.FormatError(err, false, false), backup.ErrInvalid)
}

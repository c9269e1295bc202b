package localetest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// bottom are the functions of appliance/locale and appliance/errs.
var bottom = map[string]bool{"T": true, "Plural": true, "New": true, "Wrap": true}

// asker is a function that takes the key of a text.
type asker struct{ key, args int } // positions of its parameters

// inGo reads all files first, because the functions that take keys are found
// in them as well.
func inGo(paths []string) ([]Use, error) {
	files := token.NewFileSet()
	var parsed []*ast.File
	askers := map[string]asker{}
	for _, path := range paths {
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("look for texts: %w", err)
		}
		parsed = append(parsed, file)
		ast.Inspect(file, func(n ast.Node) bool { return learn(askers, n) })
	}
	var uses []Use
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			if use, ok := seen(askers, n); ok {
				use.Place = files.Position(n.Pos()).String()
				uses = append(uses, use)
			}
			return true
		})
	}
	return uses, nil
}

// learn remembers functions with parameters (…, key string, …, args ...any).
func learn(askers map[string]asker, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		note(askers, n.Name.Name, n.Type)
	case *ast.Field: // methods of interfaces
		if f, ok := n.Type.(*ast.FuncType); ok && len(n.Names) == 1 {
			note(askers, n.Names[0].Name, f)
		}
	}
	return true
}

func note(askers map[string]asker, name string, f *ast.FuncType) {
	found, at := asker{key: -1, args: -1}, 0
	for _, field := range f.Params.List {
		for _, param := range field.Names {
			if typ, ok := field.Type.(*ast.Ident); ok && typ.Name == "string" && param.Name == "key" {
				found.key = at
			}
			if _, ok := field.Type.(*ast.Ellipsis); ok && param.Name == "args" {
				found.args = at
			}
			at++
		}
	}
	if found.key >= 0 && found.args > found.key {
		askers[name] = found
	}
}

// seen says whether a node asks for a text.
func seen(askers map[string]asker, n ast.Node) (Use, bool) {
	switch n := n.(type) {
	case *ast.CallExpr:
		return called(askers, n)
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasSuffix(name.Name, "Key") && i < len(n.Values) {
				return keyOf(n.Values[i])
			}
		}
	}
	return Use{}, false
}

func called(askers map[string]asker, call *ast.CallExpr) (Use, bool) {
	name := ""
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
	}
	asks, ok := askers[name]
	if !ok || asks.key >= len(call.Args) {
		return Use{}, false
	}
	use, ok := keyOf(call.Args[asks.key])
	use.Plural = name == "Plural"
	// A room's own helper may add values of its own, so only for the functions
	// at the bottom do the names at the call tell everything.
	if bottom[name] && call.Ellipsis == token.NoPos && asks.args <= len(call.Args) {
		use.Names = namesOf(call.Args[asks.args:])
	}
	return use, ok
}

// keyOf reads a key that is written out, or the prefix of one put together.
func keyOf(e ast.Expr) (Use, bool) {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		text, ok := literal(sum.X)
		return Use{Key: text, Prefix: true}, ok && keyForm.MatchString(text+"x")
	}
	text, ok := literal(e)
	return Use{Key: text}, ok && keyForm.MatchString(text)
}

// namesOf reads the names of name, value pairs; a name that is not written out
// makes the list unknown.
func namesOf(args []ast.Expr) []string {
	names := []string{}
	for i := 0; i < len(args); i += 2 {
		name, ok := literal(args[i])
		if !ok {
			return nil
		}
		names = append(names, name)
	}
	return names
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

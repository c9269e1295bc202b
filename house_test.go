package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The house has floors, and arrows run downward. This file holds them: every
// rule is a line of one table, checked against what `go list` says the code
// imports, tests included.

// pkg is what go list tells of one package.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// room is the place of a package below the module: "" for the front door.
func room(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "emrvault"), "/")
}

// within says whether a room is the named one or lies inside it.
func within(room, of string) bool {
	return room == of || strings.HasPrefix(room, of+"/")
}

// floors numbers the storeys of the backup wing: an arrow must go down.
var floors = []string{
	"backup/storage", "backup/repository", "backup/snapshot",
	"backup/archive", "backup/restore", "backup/rows",
	"backup/run", "backup/drill", "backup/backupcmd",
}

// beside are the rooms that share a storey and stay strangers.
var beside = map[string]string{"backup/archive": "backup/restore", "backup/restore": "backup/archive"}

// engine is what could be lifted out whole: it knows nothing of the box.
var engine = []string{
	"backup/archive", "backup/restore", "backup/rows", "backup/snapshot", "backup/repository",
	"backup/retention", "backup/storage", "backup/source", "backup/logstream",
}

func floor(room string) int {
	return slices.IndexFunc(floors, func(f string) bool { return within(room, f) })
}

// rules say why an arrow is wrong, or "" when it is fine. test is true for
// arrows that only tests draw.
var rules = []func(from, to string, test bool) string{
	func(from, to string, _ bool) string {
		if within(from, "appliance") && !within(to, "appliance") {
			return "the ground knows nothing of what stands on it"
		}
		return ""
	},
	func(from, to string, _ bool) string {
		if within(from, "backup") && (within(to, "service") || within(to, "webui")) ||
			within(from, "service") && (within(to, "backup") || within(to, "webui")) {
			return "the wings are strangers, and neither knows the face"
		}
		return ""
	},
	func(from, to string, _ bool) string {
		if from == "backup" {
			return "the words of the wing import nothing of the house"
		}
		return ""
	},
	func(from, to string, test bool) string {
		if within(to, "appliance") && slices.ContainsFunc(engine, func(e string) bool { return within(from, e) }) {
			return "the engine could be lifted out whole"
		}
		return ""
	},
	func(from, to string, test bool) string {
		a, b := floor(from), floor(to)
		if a >= 0 && b >= 0 && floors[a] != floors[b] && (a < b || beside[floors[a]] == floors[b]) && !test {
			return "an arrow inside the backup wing goes up"
		}
		return ""
	},
	func(from, to string, test bool) string {
		onPaper := within(from, "backup/plan") || within(from, "backup/retention")
		if onPaper && !test && (floor(to) >= 0 || within(to, "backup/source/all")) {
			return "plan and retention name things and open nothing"
		}
		return ""
	},
	func(from, to string, test bool) string {
		// Only a probe's words may be used by the places that answer it.
		for _, list := range []string{"backup/source", "backup/storage"} {
			a, b := strings.TrimPrefix(from, list+"/"), strings.TrimPrefix(to, list+"/")
			siblings := within(from, list) && within(to, list) && a != from && b != to
			if siblings && a != "all" && !test && !strings.HasPrefix(b, a+"/") && !strings.HasPrefix(a, b+"/") && !wrapper(a) && !suite(a) && b != "probe" {
				return "siblings of one list do not know each other"
			}
		}
		return ""
	},
	func(from, to string, test bool) string {
		if strings.HasSuffix(to, "cmd") && from != "" && !within(from, to) {
			return "commands are gathered by main.go alone"
		}
		return ""
	},
	func(from, to string, test bool) string {
		if suite(to) && !test && !suite(from) {
			return "a suite is for tests"
		}
		return ""
	},
}

// wrapper names storages that stand around another one.
func wrapper(name string) bool { return name == "retry" || name == "limit" }

func suite(room string) bool {
	return strings.HasSuffix(room, "storagetest") || strings.HasSuffix(room, "sourcetest") || strings.HasSuffix(room, "s3test")
}

// broken lists the arrows that break a rule, in words.
func broken(packages []pkg) []string {
	var out []string
	for _, p := range packages {
		for _, group := range []struct {
			imports []string
			test    bool
		}{{p.Imports, false}, {p.TestImports, true}, {p.XTestImports, true}} {
			for _, to := range group.imports {
				if !within(to, "emrvault") || to == p.ImportPath {
					continue
				}
				for _, rule := range rules {
					if why := rule(room(p.ImportPath), room(to), group.test); why != "" {
						out = append(out, room(p.ImportPath)+" -> "+room(to)+": "+why)
					}
				}
			}
		}
	}
	return out
}

func TestHouse(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list told of %d packages, the house has more", len(packages))
	}
	for _, line := range broken(packages) {
		t.Error(line)
	}
}

// TestHouseRules plants one wrong arrow a rule and sees that it is found, and
// some right ones that must pass.
func TestHouseRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool
		wrong    bool
	}{
		{from: "appliance/jobs", to: "backup/run", wrong: true},
		{from: "appliance/jobs", to: "appliance/store"},
		{from: "service/ticket", to: "backup/plan", wrong: true},
		{from: "service/ticket", to: "backup/plan", test: true, wrong: true},
		{from: "backup/run", to: "webui/render", wrong: true},
		{from: "backup", to: "appliance/errs", wrong: true},
		{from: "backup/repository/pack", to: "appliance/store", wrong: true},
		{from: "backup/snapshot", to: "backup/archive", wrong: true},
		{from: "backup/archive", to: "backup/restore", wrong: true},
		{from: "backup/archive", to: "backup/restore", test: true},
		{from: "backup/archive", to: "backup/snapshot"},
		{from: "backup/repository", to: "backup/repository/pack"},
		{from: "backup/plan", to: "backup/repository", wrong: true},
		{from: "backup/plan", to: "backup/source"},
		{from: "backup/source/sqlite", to: "backup/source/files", wrong: true},
		{from: "backup/source/all", to: "backup/source/files"},
		{from: "backup/storage/retry", to: "backup/storage/local"},
		{from: "webui/desk", to: "service/servicecmd", wrong: true},
		{from: "", to: "service/servicecmd"},
		{from: "backup/source/all", to: "backup/source/sourcetest", wrong: true},
		{from: "backup/source/all", to: "backup/source/sourcetest", test: true},
		{from: "webui/protection", to: "backup/plan"},
	} {
		p := pkg{ImportPath: strings.TrimSuffix("emrvault/"+c.from, "/")}
		if c.test {
			p.XTestImports = []string{"emrvault/" + c.to}
		} else {
			p.Imports = []string{"emrvault/" + c.to}
		}
		if got := broken([]pkg{p}); len(got) > 0 != c.wrong {
			t.Errorf("%s -> %s (test %v): got %q, want wrong = %v", c.from, c.to, c.test, got, c.wrong)
		}
	}
}

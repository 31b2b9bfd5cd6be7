package tests

import (
	"go/ast"
	"path"
	"strconv"
	"strings"
	"testing"
)

// module is this module's path.
const module = "github.com/tidemark-db/tidemark"

// layers orders the folders: one imports only folders of a smaller number, and
// those of its own folder. The root package is "".
var layers = map[string]int{
	"log": 0, "snapshots": 1, "compaction": 2, "sm": 3, "query": 4, "pgwire": 5, "": 6, "cmd": 7, "tests": 8,
}

// leaves of sm are vocabulary: they import each other and log, and nothing else
// of sm.
var leaves = map[string]bool{"sm/types": true, "sm/catalog": true, "sm/keys": true, "sm/sqlstate": true}

// onlyIn says which packages may import a dependency, by path prefix. Test files
// are free, except of what is reserved for all.
var onlyIn = []struct {
	dependency string
	packages   []string
	testsToo   bool // the rule holds for test files as well
}{
	{"github.com/lni/", []string{"log/raftlog"}, true},
	{"github.com/multigres/", []string{"query/parser", "query/plan"}, true},
	{"github.com/vmihailenco/msgpack/", []string{"log", "snapshots", "sm"}, false},
	{"github.com/jackc/pgproto3/", []string{"pgwire"}, false},
	{"github.com/jackc/pgx/", []string{"", "cmd/tidemark"}, false},
	{"github.com/stretchr/testify", nil, false},
	{module + "/log/raftlog", []string{""}, false},
	{module + "/log/memlog", nil, false},
}

func TestLayers(t *testing.T) {
	for _, f := range sources(t) {
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			where := f.fset.Position(spec.Pos())
			if imported == "log" {
				t.Errorf("%s: package log of the standard library: use log/slog", where)
			}
			for _, rule := range onlyIn {
				if f.test && !rule.testsToo || f.top() == "tests" {
					continue
				}
				if (strings.HasPrefix(imported, rule.dependency)) && !contains(rule.packages, f.pkg) {
					t.Errorf("%s: %s may be imported by %q only", where, imported, rule.packages)
				}
			}
			if !f.test {
				checkOrder(t, f, imported, where.String())
			}
		}
	}
}

// checkOrder checks one import within the module.
func checkOrder(t *testing.T, f *source, imported, where string) {
	rest, ok := strings.CutPrefix(imported, module)
	if !ok {
		return
	}
	rest = strings.TrimPrefix(rest, "/")
	from, to := f.top(), top(rest)
	rank, known := layers[to]
	if !known {
		t.Errorf("%s: folder %q has no place in the order of layers", where, to)
	}
	if from != to && rank >= layers[from] {
		t.Errorf("%s: %q must not import %q: it is not to the left of it", where, f.pkg, rest)
	}
	if leaves[f.pkg] && !leaves[rest] && to != "log" {
		t.Errorf("%s: leaf %q must not import %q", where, f.pkg, rest)
	}
	if from == "log" && rest != "log" && rest != "log/diskspace" {
		t.Errorf("%s: packages of log import log and log/diskspace only, not %q", where, rest)
	}
	if from == "cmd" && rest != "" {
		t.Errorf("%s: commands use the root package only, not %q", where, rest)
	}
}

// Limits on size. The house rules ask for less; these are where it ends.
const (
	maxFileLines     = 600
	maxFunctionLines = 120
)

// TestTidy checks sizes and leftovers.
func TestTidy(t *testing.T) {
	for _, f := range sources(t) {
		if _, known := layers[f.top()]; !known {
			t.Errorf("%s: folder %q has no place in the layout", f.path, f.top())
		}
		lines := f.fset.File(f.ast.Pos()).LineCount()
		if !f.test && lines >= maxFileLines {
			t.Errorf("%s: %d lines, %d are too many", f.path, lines, maxFileLines)
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok || fn.Body == nil || f.test {
				return true
			}
			first, last := f.fset.Position(fn.Pos()).Line, f.fset.Position(fn.End()).Line
			if n := last - first + 1; n >= maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, %d are too many", f.path, first, fn.Name.Name, n, maxFunctionLines)
			}
			return true
		})
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				for _, mark := range []string{"TO" + "DO", "FIX" + "ME"} {
					if strings.Contains(c.Text, mark) {
						t.Errorf("%s: leftover %s", f.fset.Position(c.Pos()), mark)
					}
				}
			}
		}
	}
}

// TestPackageComments wants to know of every package what it is for.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		documented[f.pkg] = documented[f.pkg] || f.ast.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %q has no package comment", path.Join(module, pkg))
		}
	}
}

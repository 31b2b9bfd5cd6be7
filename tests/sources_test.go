package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// source is one parsed Go file of the module.
type source struct {
	path string // relative to the module
	pkg  string // folder relative to the module; "" for the root
	test bool
	ast  *ast.File
	fset *token.FileSet
}

func (s *source) top() string { return top(s.pkg) }

// top returns the first folder of a path.
func top(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// root is the module's folder.
const root = ".."

var parseOnce = sync.OnceValues(parseSources)

// sources returns all Go files of the module.
func sources(t *testing.T) []*source {
	t.Helper()
	all, err := parseOnce()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files found", len(all))
	}
	return all
}

func parseSources() ([]*source, error) {
	var all []*source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != root && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(p, root+string(filepath.Separator)))
		f, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		if pkg == "." {
			pkg = ""
		}
		all = append(all, &source{path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), ast: f, fset: fset})
		return nil
	})
	return all, err
}

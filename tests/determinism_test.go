package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Code that applies the log must give the same result on every replica, so it may
// not look at a clock, at randomness, at the environment, start goroutines or
// depend on the order of a map. applyPackages are such code as a whole.
var applyPackages = []string{
	"sm/types", "sm/catalog", "sm/keys", "sm/sqlstate",
	"query/parser", "query/plan", "query/expr", "query/exec",
}

// applyFiles are the files of package sm that run inside apply. The rest of it
// serves readers and keeps the store.
var applyFiles = map[string]bool{
	"sm/apply.go": true, "sm/commit.go": true, "sm/write.go": true, "sm/txn.go": true, "sm/change.go": true,
	"sm/checksum.go": true, "sm/ddl.go": true, "sm/overlay.go": true, "sm/row.go": true, "sm/sequence.go": true,
	"sm/staged.go": true, "sm/vote.go": true, "sm/state.go": true, "sm/value.go": true, "sm/decode.go": true, "sm/indexkey.go": true,
	"sm/repeat.go": true, "sm/floor.go": true,
}

// bannedFuncs are functions of the standard library by package; "*" is all.
var bannedFuncs = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local"},
	"os":           {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Hostname", "Getpid"},
	"runtime":      {"NumCPU", "GOMAXPROCS", "NumGoroutine"},
	"math/rand":    {"*"},
	"math/rand/v2": {"*"},
	"crypto/rand":  {"*"},
	"hash/maphash": {"*"},
}

// seeded are the parts of banned packages that give the same for the same seed,
// which the entry carries.
var seeded = map[string][]string{
	"math/rand/v2": {"New", "NewPCG", "NewChaCha8", "Rand", "PCG", "ChaCha8", "Source"},
}

// mapIterators give a map's elements in no order; only sorting makes them fit.
var mapIterators = []string{"Keys", "Values", "All"}

// excuse is what a line says when its order over a map has no effect.
const excuse = "// order does not matter: "

// allowed are exceptions by file and what is used there. Each says why the result
// does not depend on it.
var allowed = map[string]string{}

func TestApplyIsDeterministic(t *testing.T) {
	exports := exportData(t)
	bySource := map[string][]*source{}
	for _, f := range sources(t) {
		if !f.test {
			bySource[f.pkg] = append(bySource[f.pkg], f)
		}
	}
	for name := range applyFiles {
		if !slices.ContainsFunc(bySource["sm"], func(f *source) bool { return f.path == name }) {
			t.Errorf("%s is listed here, but there is no such file", name)
		}
	}
	used := map[string]bool{}
	for _, pkg := range append([]string{"sm"}, applyPackages...) {
		files := bySource[pkg]
		if len(files) == 0 {
			t.Errorf("package %s is listed here, but there is no such package", pkg)
			continue
		}
		info := check(t, exports, pkg, files)
		for _, f := range files {
			if pkg == "sm" && !applyFiles[f.path] {
				continue
			}
			(&purity{t: t, file: f, info: info, used: used}).check()
		}
	}
	for key := range allowed {
		if !used[key] {
			t.Errorf("the exception for %q is not needed any more", key)
		}
	}
}

// exportData returns a reader of compiled packages, for the type checker.
func exportData(t *testing.T) func(string) (io.ReadCloser, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./sm/...", "./query/...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, file, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			files[name] = file
		}
	}
	return func(name string) (io.ReadCloser, error) {
		if files[name] == "" {
			return nil, fmt.Errorf("no export data for %s", name)
		}
		return os.Open(files[name])
	}
}

// check type-checks one package.
func check(t *testing.T, exports func(string) (io.ReadCloser, error), pkg string, files []*source) *types.Info {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	fset := files[0].fset
	cfg := types.Config{Importer: importer.ForCompiler(fset, "gc", exports)}
	var asts []*ast.File
	for _, f := range files {
		if buildable(f) {
			asts = append(asts, f.ast)
		}
	}
	if _, err := cfg.Check(module+"/"+pkg, fset, asts, info); err != nil {
		t.Errorf("type-check %s: %v", pkg, err)
	}
	return info
}

// buildable leaves out files for other systems.
func buildable(f *source) bool {
	name := strings.TrimSuffix(f.path, ".go")
	return !strings.HasSuffix(name, "_other") && !strings.HasSuffix(name, "_windows") && !strings.HasSuffix(name, "_arm64")
}

// purity looks for what code that applies the log may not use.
type purity struct {
	t      *testing.T
	file   *source
	info   *types.Info
	used   map[string]bool
	sorted map[ast.Node]bool // calls whose result is sorted at once
	benign map[ast.Node]bool // loops over maps whose order plainly has no effect
}

func (p *purity) check() {
	p.sorted, p.benign = map[ast.Node]bool{}, map[ast.Node]bool{}
	ast.Inspect(p.file.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt:
			p.findBenign(n.List)
		case *ast.CaseClause:
			p.findBenign(n.Body)
		case *ast.GoStmt:
			p.report(n, "go", "starts a goroutine")
		case *ast.RangeStmt:
			if tv, ok := p.info.Types[n.X]; ok && isMap(tv.Type) && !p.benign[n] && !p.excused(n) {
				p.report(n, "range", "depends on the order of a map; sort, or end the line with "+excuse+"…")
			}
		case *ast.CallExpr:
			if f := p.function(n.Fun); f != nil && f.Pkg() != nil && f.Pkg().Path() == "slices" && strings.HasPrefix(f.Name(), "Sorted") {
				for _, arg := range n.Args {
					p.sorted[arg] = true
				}
			}
			p.call(n)
		case *ast.Ident:
			p.ident(n)
		}
		return true
	})
}

// findBenign notes two kinds of loop over a map: one that copies it to another
// map under the same keys, and one that collects it in a slice that the next
// statement sorts.
func (p *purity) findBenign(list []ast.Stmt) {
	for i, stmt := range list {
		loop, ok := stmt.(*ast.RangeStmt)
		if !ok || len(loop.Body.List) != 1 {
			continue
		}
		assign, ok := loop.Body.List[0].(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
			continue
		}
		if target, ok := assign.Lhs[0].(*ast.IndexExpr); ok {
			_, plain := assign.Rhs[0].(*ast.Ident)
			p.benign[loop] = plain && same(target.Index, loop.Key)
			continue
		}
		call, ok := assign.Rhs[0].(*ast.CallExpr)
		if ok && same(call.Fun, ast.NewIdent("append")) && i+1 < len(list) {
			p.benign[loop] = p.sorts(list[i+1], assign.Lhs[0])
		}
	}
}

// sorts says whether a statement is a call that sorts the slice.
func (p *purity) sorts(stmt ast.Stmt, slice ast.Expr) bool {
	expr, ok := stmt.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := expr.X.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 || !same(call.Args[0], slice) {
		return false
	}
	f := p.function(call.Fun)
	return f != nil && f.Pkg() != nil && (f.Pkg().Path() == "slices" || f.Pkg().Path() == "sort") && strings.HasPrefix(f.Name(), "Sort")
}

// same says whether two expressions are the same name.
func same(a, b ast.Expr) bool {
	x, ok := a.(*ast.Ident)
	y, ok2 := b.(*ast.Ident)
	return ok && ok2 && x.Name == y.Name
}

// call reports iterators over maps whose order is used.
func (p *purity) call(n *ast.CallExpr) {
	f := p.function(n.Fun)
	if f == nil || f.Pkg() == nil || f.Pkg().Path() != "maps" || !slices.Contains(mapIterators, f.Name()) {
		return
	}
	if !p.sorted[n] && !p.excused(n) {
		p.report(n, "maps."+f.Name(), "depends on the order of a map; sort, or end the line with "+excuse+"…")
	}
}

// function returns the package-level function that an expression names.
func (p *purity) function(e ast.Expr) *types.Func {
	switch e := e.(type) {
	case *ast.IndexExpr:
		return p.function(e.X)
	case *ast.SelectorExpr:
		f, _ := p.info.Uses[e.Sel].(*types.Func)
		return f
	case *ast.Ident:
		f, _ := p.info.Uses[e].(*types.Func)
		return f
	}
	return nil
}

// ident reports uses of banned names, called or not.
func (p *purity) ident(n *ast.Ident) {
	obj := p.info.Uses[n]
	if obj == nil || obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		return
	}
	names := bannedFuncs[obj.Pkg().Path()]
	if slices.Contains(seeded[obj.Pkg().Path()], obj.Name()) {
		return
	}
	if slices.Contains(names, "*") || slices.Contains(names, obj.Name()) {
		p.report(n, obj.Pkg().Path()+"."+obj.Name(), "is not the same on every replica")
	}
}

func (p *purity) report(n ast.Node, what, why string) {
	key := p.file.path + " " + what
	if _, ok := allowed[key]; ok {
		p.used[key] = true
		return
	}
	p.t.Errorf("%s: %s %s", p.file.fset.Position(n.Pos()), what, why)
}

// excused says whether the node's first line ends with an excuse.
func (p *purity) excused(n ast.Node) bool {
	line := p.file.fset.Position(n.Pos()).Line
	for _, group := range p.file.ast.Comments {
		for _, c := range group.List {
			if p.file.fset.Position(c.Pos()).Line == line && strings.HasPrefix(c.Text, excuse) && len(c.Text) > len(excuse) {
				return true
			}
		}
	}
	return false
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

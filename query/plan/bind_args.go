package plan

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// arguments binds the arguments of a call. Those given by name are put where they
// belong, and those left out get their defaults, for the functions whose parameters
// have names here.
func (b *binder) arguments(name string, nodes []ast.Node, s *scope) ([]Expr, error) {
	args := make([]Expr, 0, len(nodes))
	var named []string
	for _, a := range nodes {
		switch arg, ok := a.(*ast.NamedArgExpr); {
		case ok && slices.Contains(named, arg.Name):
			return nil, sqlstate.New(sqlstate.SyntaxError, "argument name \"%s\" used more than once", arg.Name)
		case ok:
			named, a = append(named, arg.Name), arg.Arg
		case len(named) > 0:
			return nil, sqlstate.New(sqlstate.SyntaxError, "positional argument cannot follow named argument")
		}
		e, err := b.expr(a, s)
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	for _, f := range expr.FuncsByName(name) {
		if f.ArgNames != nil {
			return placeArguments(f, name, args, named)
		}
	}
	if len(named) > 0 {
		return nil, unsupported("a named argument")
	}
	return args, nil
}

// placeArguments brings the arguments of a call into the order of the function's
// parameters.
func placeArguments(f *expr.Func, name string, args []Expr, named []string) ([]Expr, error) {
	if len(args) > len(f.Args) {
		return args, nil // it will not be found
	}
	positional := len(args) - len(named)
	out := make([]Expr, len(f.Args))
	copy(out, args[:positional])
	missing := func() error {
		return sqlstate.New(sqlstate.UndefinedFunction, "function %s(%s) does not exist", name, namedTypes(args, named)).
			WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
	}
	for i, n := range named {
		at := slices.Index(f.ArgNames, n)
		if at < 0 || out[at] != nil {
			return nil, missing()
		}
		out[at] = args[positional+i]
	}
	first := len(f.Args) - len(f.Defaults)
	for i, e := range out {
		switch {
		case e != nil:
		case i < first:
			return nil, missing()
		default:
			out[i] = &Const{ofType(f.Args[i]), f.Defaults[i-first]}
		}
	}
	return out, nil
}

// namedTypes lists the types of arguments as messages about them do.
func namedTypes(args []Expr, named []string) string {
	var out []string
	for i, a := range args {
		t := a.Type().SQLName
		if a.Type() == types.UnknownType {
			t = "unknown"
		}
		if at := i - (len(args) - len(named)); at >= 0 {
			t = named[at] + " => " + t
		}
		out = append(out, t)
	}
	return strings.Join(out, ", ")
}

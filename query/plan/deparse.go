package plan

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/types"
)

// deparse prints an expression as SQL, in PostgreSQL's own style where that is
// simple to do; the grammar's printer, which writes function names in capitals,
// does the rest.
func deparse(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return deparse(n.Expr)
	case *ast.FuncCall:
		if s, ok := deparseCall(n); ok {
			return s
		}
	case *ast.TypeCast:
		t, mod, err := typeName(n.TypeName)
		if err != nil {
			break
		}
		arg := deparse(n.Arg)
		switch n.Arg.(type) {
		case *ast.A_Const, *ast.FuncCall, *ast.ColumnRef, *ast.TypeCast:
		default:
			arg = "(" + arg + ")"
		}
		return arg + "::" + types.FormatType(t, mod)
	case *ast.A_Expr:
		op := names(n.Name)
		if n.Kind != ast.AEXPR_OP || len(op) != 1 {
			break
		}
		if n.Lexpr == nil {
			if _, ok := n.Rexpr.(*ast.A_Const); ok && op[0] == "-" {
				return "-" + deparse(n.Rexpr)
			}
			return "(" + op[0] + " " + deparse(n.Rexpr) + ")"
		}
		return "(" + deparse(n.Lexpr) + " " + op[0] + " " + deparse(n.Rexpr) + ")"
	}
	return n.SqlString()
}

// deparseCall prints a plain call; one with anything special is left to the
// grammar's printer.
func deparseCall(n *ast.FuncCall) (string, bool) {
	if n.AggStar || n.AggDistinct || n.AggFilter != nil || n.Over != nil || n.FuncVariadic || n.AggOrder != nil && len(n.AggOrder.Items) > 0 {
		return "", false
	}
	parts := names(n.Funcname)
	if len(parts) != 1 {
		return "", false
	}
	var args []string
	for _, a := range items(n.Args) {
		args = append(args, deparse(a))
	}
	return quoteName(parts[0]) + "(" + strings.Join(args, ", ") + ")", true
}

// quoteName quotes a name where it would not be read as itself.
func quoteName(s string) string {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return quoteIdent(s)
		}
	}
	return s
}

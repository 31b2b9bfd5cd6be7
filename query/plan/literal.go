package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// nodeString is the text of a literal node as it stands for a setting's value.
func nodeString(n ast.Node) string {
	switch n := n.(type) {
	case *ast.String:
		return n.SVal
	case *ast.Integer:
		return strconv.Itoa(n.IVal)
	case *ast.Float:
		return n.FVal
	case *ast.Boolean:
		return strconv.FormatBool(n.BoolVal)
	case *ast.A_Const:
		if v, ok := n.Val.(ast.Node); ok && !n.Isnull {
			return nodeString(v)
		}
	case *ast.TypeCast:
		return nodeString(n.Arg)
	case *ast.TypeName:
		return strings.Join(names(n.Names), ".")
	case *ast.NodeList:
		return strings.Join(names(n), ".")
	case *ast.A_Expr:
		if n.Lexpr == nil && len(names(n.Name)) == 1 {
			return names(n.Name)[0] + nodeString(n.Rexpr)
		}
	}
	return ""
}

func typeString(n any) string { return fmt.Sprintf("%T", n) }

// storedExpr binds an expression that a descriptor keeps as text.
func (b *binder) storedExpr(text string, s *scope) (Expr, error) {
	sts, err := parser.Parse("SELECT " + text)
	if err != nil {
		return nil, fmt.Errorf("stored expression %q: %w", text, err)
	}
	sel, ok := sts[0].AST.(*ast.SelectStmt)
	if !ok || len(sts) != 1 || len(items(sel.TargetList)) != 1 {
		return nil, sqlstate.New(sqlstate.DataCorrupted, "stored expression %q is not one expression", text)
	}
	return b.expr(sel.TargetList.Items[0].(*ast.ResTarget).Val, s)
}

// DefaultOf binds the default of a column for use outside INSERT (ADD COLUMN);
// the plan yields one row with its value.
func DefaultOf(env Env, text, column string, rc ResultColumn) (*Statement, error) {
	b := &binder{env: env, columns: make([]Column, 1)}
	e, err := b.storedExpr(text, &scope{clause: "DEFAULT expressions"})
	if err != nil {
		return nil, err
	}
	if e, err = b.assign(e, column, rc.Type, rc.Typmod); err != nil {
		return nil, err
	}
	p := &Project{In: &Values{Rows: [][]Expr{{}}}}
	b.project(p, e, column)
	st := &Statement{Root: p, Out: p.Out, Cols: []ResultColumn{rc}, Tag: "SELECT", Columns: b.columns, Volatile: b.volatile, Writer: b.writer}
	return st, nil
}

package plan

import (
	"strconv"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// isStar reports whether a column reference is * or t.*.
func isStar(ref *ast.ColumnRef) bool {
	fs := items(ref.Fields)
	if len(fs) == 0 {
		return false
	}
	_, ok := fs[len(fs)-1].(*ast.A_Star)
	return ok
}

// starColumns are the columns that * or t.* stands for.
func (b *binder) starColumns(ref *ast.ColumnRef, s *scope) ([]relCol, error) {
	parts := names(ref.Fields)
	if len(parts) == 0 {
		if len(s.items) == 0 {
			return nil, sqlstate.New(sqlstate.SyntaxError, "SELECT * with no tables specified is not valid")
		}
		var out []relCol
		for _, it := range s.items {
			out = append(out, it.star...)
		}
		return out, nil
	}
	schema := ""
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	for sc := s; sc != nil; sc = sc.parent {
		if r := sc.relation(schema, parts[len(parts)-1]); r != nil {
			return r.cols, nil
		}
	}
	return nil, sqlstate.New(sqlstate.UndefinedTable, "missing FROM-clause entry for table \"%s\"", parts[len(parts)-1])
}

// outputName is the name PostgreSQL gives to a select-list item without AS.
func outputName(n ast.Node) string {
	if name := derivedName(n); name != "" {
		return name
	}
	return "?column?"
}

func derivedName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ColumnRef:
		for i := len(items(n.Fields)) - 1; i >= 0; i-- {
			if s, ok := n.Fields.Items[i].(*ast.String); ok {
				return s.SVal
			}
		}
	case *ast.A_Indirection:
		for i := len(items(n.Indirection)) - 1; i >= 0; i-- {
			if s, ok := n.Indirection.Items[i].(*ast.String); ok {
				return s.SVal
			}
		}
		return derivedName(n.Arg)
	case *ast.FuncCall:
		if parts := names(n.Funcname); len(parts) > 0 {
			return parts[len(parts)-1]
		}
	case *ast.ParenExpr:
		return derivedName(n.Expr)
	case *ast.TypeCast:
		if name := derivedName(n.Arg); name != "" {
			return name
		}
		if parts := names(n.TypeName.Names); len(parts) > 0 {
			return parts[len(parts)-1]
		}
	case *ast.CollateClause:
		return derivedName(n.Arg)
	case *ast.A_Expr:
		if n.Kind == ast.AEXPR_NULLIF {
			return "nullif"
		}
	case *ast.CaseExpr:
		if name := derivedName(n.Defresult); n.Defresult != nil && name != "" {
			return name
		}
		return "case"
	case *ast.SubLink:
		return subLinkName(n)
	}
	return fixedName(n)
}

func fixedName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CoalesceExpr:
		return "coalesce"
	case *ast.MinMaxExpr:
		if n.Op == ast.IS_GREATEST {
			return "greatest"
		}
		return "least"
	case *ast.A_ArrayExpr:
		return "array"
	case *ast.RowExpr:
		return "row"
	case *ast.GroupingFunc:
		return "grouping"
	case *ast.SQLValueFunction:
		switch n.Op {
		case ast.SVFOP_CURRENT_DATE:
			return "current_date"
		case ast.SVFOP_CURRENT_TIME, ast.SVFOP_CURRENT_TIME_N:
			return "current_time"
		case ast.SVFOP_CURRENT_TIMESTAMP, ast.SVFOP_CURRENT_TIMESTAMP_N:
			return "current_timestamp"
		case ast.SVFOP_LOCALTIME, ast.SVFOP_LOCALTIME_N:
			return "localtime"
		case ast.SVFOP_LOCALTIMESTAMP, ast.SVFOP_LOCALTIMESTAMP_N:
			return "localtimestamp"
		case ast.SVFOP_CURRENT_ROLE:
			return "current_role"
		case ast.SVFOP_CURRENT_USER:
			return "current_user"
		case ast.SVFOP_USER:
			return "user"
		case ast.SVFOP_SESSION_USER:
			return "session_user"
		case ast.SVFOP_CURRENT_CATALOG:
			return "current_catalog"
		case ast.SVFOP_CURRENT_SCHEMA:
			return "current_schema"
		}
	}
	return ""
}

func subLinkName(n *ast.SubLink) string {
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		return "exists"
	case ast.ARRAY_SUBLINK:
		return "array"
	case ast.EXPR_SUBLINK:
		if sel, ok := n.Subselect.(*ast.SelectStmt); ok && sel.Op == ast.SETOP_NONE && len(items(sel.TargetList)) == 1 {
			if rt, ok := sel.TargetList.Items[0].(*ast.ResTarget); ok {
				if rt.Name != "" {
					return rt.Name
				}
				return derivedName(rt.Val)
			}
		}
	}
	return ""
}

func columnName(i int) string { return "column" + strconv.Itoa(i+1) }

// bareName returns the name of a reference that is a single identifier.
func bareName(n ast.Node) (string, bool) {
	ref, ok := n.(*ast.ColumnRef)
	if !ok || len(items(ref.Fields)) != 1 {
		return "", false
	}
	s, ok := ref.Fields.Items[0].(*ast.String)
	if !ok {
		return "", false
	}
	return s.SVal, true
}

// ordinal recognises a select-list position, as in ORDER BY 2.
func ordinal(n ast.Node, count int, clause string) (int, bool, error) {
	k, ok := n.(*ast.A_Const)
	if !ok {
		return 0, false, nil
	}
	i, ok := constInt(k)
	if !ok || k.Isnull {
		return 0, false, sqlstate.New(sqlstate.SyntaxError, "non-integer constant in %s", clause)
	}
	if i < 1 || i > count {
		return 0, false, sqlstate.New(sqlstate.InvalidColumnReference, "%s position %d is not in select list", clause, i)
	}
	return i - 1, true, nil
}

func sortKey(e Expr, sb *ast.SortBy) SortKey {
	k := SortKey{Expr: e, Desc: sb.SortbyDir == ast.SORTBY_DESC}
	k.NullsFirst = k.Desc
	switch sb.SortbyNulls {
	case ast.SORTBY_NULLS_FIRST:
		k.NullsFirst = true
	case ast.SORTBY_NULLS_LAST:
		k.NullsFirst = false
	}
	return k
}

func keysOf(es []Expr) []SortKey {
	out := make([]SortKey, len(es))
	for i, e := range es {
		out[i] = SortKey{Expr: e}
	}
	return out
}

func containsExpr(es []Expr, e Expr) bool {
	for _, x := range es {
		if sameExpr(x, e) {
			return true
		}
	}
	return false
}

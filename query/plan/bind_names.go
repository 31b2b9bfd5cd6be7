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
	if name, strength := derivedName(n); strength > nameless {
		return name
	}
	return "?column?"
}

// nameStrength says how good a derived name is: a cast and a CASE prefer the
// name of what is in them to their own, if that is a proper one.
type nameStrength int

const (
	nameless nameStrength = iota
	nameWeak
	nameProper
)

func derivedName(n ast.Node) (string, nameStrength) {
	switch n := n.(type) {
	case *ast.ColumnRef:
		return lastName(n.Fields)
	case *ast.A_Indirection:
		if name, strength := lastName(n.Indirection); strength > nameless {
			return name, strength
		}
		return derivedName(n.Arg)
	case *ast.FuncCall:
		return lastName(n.Funcname)
	case *ast.ParenExpr:
		return derivedName(n.Expr)
	case *ast.TypeCast:
		if name, strength := derivedName(n.Arg); strength == nameProper {
			return name, strength
		}
		name, _ := lastName(n.TypeName.Names)
		return name, nameWeak
	case *ast.CollateClause:
		return derivedName(n.Arg)
	case *ast.A_Expr:
		if n.Kind == ast.AEXPR_NULLIF {
			return "nullif", nameProper
		}
	case *ast.CaseExpr:
		if n.Defresult != nil {
			if name, strength := derivedName(n.Defresult); strength == nameProper {
				return name, strength
			}
		}
		return "case", nameWeak
	case *ast.SubLink:
		return subLinkName(n)
	}
	if name := fixedName(n); name != "" {
		return name, nameProper
	}
	return "", nameless
}

func lastName(l *ast.NodeList) (string, nameStrength) {
	for i := len(items(l)) - 1; i >= 0; i-- {
		if s, ok := l.Items[i].(*ast.String); ok {
			return s.SVal, nameProper
		}
	}
	return "", nameless
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
	case *ast.ArrayExpr:
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

func subLinkName(n *ast.SubLink) (string, nameStrength) {
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		return "exists", nameProper
	case ast.ARRAY_SUBLINK:
		return "array", nameProper
	case ast.EXPR_SUBLINK:
		sel, ok := n.Subselect.(*ast.SelectStmt)
		for ok && sel.Op != ast.SETOP_NONE {
			sel = sel.Larg // the leftmost query gives the names
		}
		if ok && len(items(sel.TargetList)) > 0 {
			if rt, ok := sel.TargetList.Items[0].(*ast.ResTarget); ok {
				if rt.Name != "" {
					return rt.Name, nameProper
				}
				return derivedName(rt.Val)
			}
		}
	}
	return "", nameless
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
	if op, _ := lastName(sb.UseOp); op == ">" {
		k.Desc = true
	}
	k.NullsFirst = k.Desc
	switch sb.SortbyNulls {
	case ast.SORTBY_NULLS_FIRST:
		k.NullsFirst = true
	case ast.SORTBY_NULLS_LAST:
		k.NullsFirst = false
	}
	return k
}

// checkUsing refuses ORDER BY USING an operator that is no < or >.
func checkUsing(sb *ast.SortBy) error {
	op, strength := lastName(sb.UseOp)
	if strength == nameless || op == "<" || op == ">" {
		return nil
	}
	return sqlstate.New(sqlstate.WrongObjectType, "operator %s is not a valid ordering operator", op).
		WithHint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
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

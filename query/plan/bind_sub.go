package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// subLink binds a subquery used as an expression.
func (b *binder) subLink(n *ast.SubLink, s *scope) (Expr, error) {
	sel, ok := n.Subselect.(*ast.SelectStmt)
	if !ok {
		return nil, unsupported("this subquery")
	}
	if s != nil && (s.clause == checkClause || s.clause == callClause) {
		place := strings.TrimSuffix(s.clause, "s")
		return nil, b.at(sqlstate.New(sqlstate.FeatureNotSupported, "cannot use subquery in %s", place), findSubquery)
	}
	b.subLinks++
	q, err := b.selectStmt(sel, s)
	b.subLinks--
	if err != nil {
		return nil, err
	}
	if n.SubLinkType != ast.EXISTS_SUBLINK {
		b.settle(&q)
	}
	sub := &Subquery{Plan: q.node, Out: q.ids(), Correlated: b.correlated(q.node)}
	if n.SubLinkType != ast.EXISTS_SUBLINK && n.SubLinkType != ast.ANY_SUBLINK && n.SubLinkType != ast.ALL_SUBLINK && len(q.cols) != 1 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "subquery must return only one column")
	}
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		sub.Kind, sub.typed = SubExists, ofType(types.BoolType)
		return sub, nil
	case ast.EXPR_SUBLINK:
		c := b.columns[q.cols[0].id]
		sub.Kind, sub.typed = SubScalar, typed{c.Type, c.Typmod}
		return sub, nil
	case ast.ARRAY_SUBLINK:
		t := b.columns[q.cols[0].id].Type
		if t.Elem != nil && !t.IsVector() {
			sub.Kind, sub.typed = SubArray, ofType(t)
			return sub, nil
		}
		if t.Array == nil {
			return nil, sqlstate.New(sqlstate.UndefinedObject, "could not find array type for data type %s", t)
		}
		sub.Kind, sub.typed = SubArray, ofType(t.Array)
		return sub, nil
	case ast.ANY_SUBLINK, ast.ALL_SUBLINK:
		return b.quantified(n, sub, q, s)
	}
	return nil, unsupported("this subquery expression")
}

// findSubquery finds where a subquery in a definition begins.
func findSubquery(sql string) int {
	at := strings.Index(strings.ToLower(sql), "(select")
	if at < 0 {
		return 0
	}
	return utf8.RuneCountInString(sql[:at]) + 1
}

// quantified binds left op ANY|ALL (subquery); IN is = ANY.
func (b *binder) quantified(n *ast.SubLink, sub *Subquery, q rel, s *scope) (Expr, error) {
	sub.typed = ofType(types.BoolType)
	sub.Kind = SubAny
	if n.SubLinkType == ast.ALL_SUBLINK {
		sub.Kind = SubAll
	}
	op := "="
	if parts := names(n.OperName); len(parts) > 0 {
		op = parts[len(parts)-1]
	}
	left, err := b.expr(n.Testexpr, s)
	if err != nil {
		return nil, err
	}
	row, isRow := left.(*RowExpr)
	if !isRow {
		row = &RowExpr{Fields: []Expr{left}}
	}
	if len(row.Fields) != len(q.cols) {
		few := "few"
		if len(q.cols) > len(row.Fields) {
			few = "many"
		}
		return nil, sqlstate.New(sqlstate.SyntaxError, "subquery has too %s columns", few)
	}
	right := &RowExpr{}
	for i, c := range q.cols {
		right.Fields = append(right.Fields, b.ref(c.id))
		// A literal takes the type of the subquery's column.
		if row.Fields[i].Type() == types.UnknownType {
			if row.Fields[i], err = b.coerce(row.Fields[i], b.columns[c.id].Type, types.NoTypmod, 0); err != nil {
				return nil, err
			}
		}
	}
	if len(row.Fields) == 1 {
		if sub.Test, err = b.opCall(op, &CaseArg{ofType(row.Fields[0].Type())}, right.Fields[0]); err != nil {
			return nil, err
		}
		sub.Left = row.Fields[0]
		sub.Hashable = op == "=" && !sub.Correlated && plainEquality(sub.Test)
		return sub, nil
	}
	sub.Test, err = b.rowCompare(op, row, right)
	return sub, err
}

// plainEquality reports whether a test is CaseArg = column with no conversion,
// so that equal values hash equally.
func plainEquality(e Expr) bool {
	c, ok := e.(*Call)
	if !ok || c.Op != "=" || len(c.Args) != 2 {
		return false
	}
	_, l := c.Args[0].(*CaseArg)
	_, r := c.Args[1].(*ColRef)
	lt, rt := c.Args[0].Type(), c.Args[1].Type()
	return l && r && lt.Kind == rt.Kind && lt != types.BPCharType && rt != types.BPCharType
}

// correlated reports whether a plan refers to columns that it does not make.
func (b *binder) correlated(n Node) bool {
	made := map[ColID]bool{}
	collectMade(n, made)
	found := false
	eachRef(n, func(id ColID) {
		if !made[id] {
			found = true
		}
	})
	return found
}

// collectMade gathers every column that n or anything below it makes.
func collectMade(n Node, made map[ColID]bool) {
	for _, id := range n.Cols() {
		made[id] = true
	}
	if c, ok := n.(*CTEScan); ok {
		for cte := c.CTE; cte != nil && cte.Plan != nil; cte = nil {
			collectMade(cte.Plan, made)
			if cte.Step != nil {
				collectMade(cte.Step, made)
			}
		}
	}
	for _, in := range n.Inputs() {
		collectMade(in, made)
	}
	eachExpr(n, func(e Expr) {
		Walk(e, func(x Expr) bool {
			if s, ok := x.(*Subquery); ok {
				collectMade(s.Plan, made)
			}
			return true
		})
	})
}

// eachRef calls f for every column referred to in n and below, in subqueries
// and WITH queries too.
func eachRef(n Node, f func(ColID)) {
	eachExpr(n, func(e Expr) { exprRefs(e, f) })
	if c, ok := n.(*CTEScan); ok && c.CTE.Plan != nil {
		eachRef(c.CTE.Plan, f)
		if c.CTE.Step != nil {
			eachRef(c.CTE.Step, f)
		}
	}
	for _, in := range n.Inputs() {
		eachRef(in, f)
	}
}

// exprRefs calls f for every column that e refers to.
func exprRefs(e Expr, f func(ColID)) {
	Walk(e, func(x Expr) bool {
		switch x := x.(type) {
		case *ColRef:
			f(x.ID)
		case *Subquery:
			eachRef(x.Plan, f)
		}
		return true
	})
}

// refersTo reports whether n refers to any of cols.
func refersTo(n Node, cols []ColID) bool {
	set := map[ColID]bool{}
	for _, c := range cols {
		set[c] = true
	}
	found := false
	eachRef(n, func(id ColID) { found = found || set[id] })
	return found
}

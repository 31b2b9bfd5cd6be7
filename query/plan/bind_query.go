package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// setOperation binds UNION, INTERSECT and EXCEPT.
func (b *binder) setOperation(n *ast.SelectStmt, s *scope) (rel, error) {
	left, err := b.selectStmt(n.Larg, s)
	if err != nil {
		return rel{}, err
	}
	right, err := b.selectStmt(n.Rarg, s)
	if err != nil {
		return rel{}, err
	}
	name := map[ast.SetOperation]string{ast.SETOP_UNION: "UNION", ast.SETOP_INTERSECT: "INTERSECT", ast.SETOP_EXCEPT: "EXCEPT"}[n.Op]
	if len(left.cols) != len(right.cols) {
		return rel{}, sqlstate.New(sqlstate.SyntaxError, "each %s query must have the same number of columns", name)
	}
	op := &SetOp{All: n.All}
	switch n.Op {
	case ast.SETOP_INTERSECT:
		op.Kind = Intersect
	case ast.SETOP_EXCEPT:
		op.Kind = Except
	}
	if err := b.unifyRels(&left, &right, name); err != nil {
		return rel{}, err
	}
	op.Left, op.Right, op.LeftCols, op.RightCols = left.node, right.node, left.ids(), right.ids()
	out := rel{node: op}
	for i, c := range left.cols {
		l, r := b.columns[c.id], b.columns[right.cols[i].id]
		mod := l.Typmod
		if r.Typmod != mod {
			mod = types.NoTypmod
		}
		id := b.newColumn(Column{Name: c.name, Type: l.Type, Typmod: mod})
		op.Out = append(op.Out, id)
		out.cols = append(out.cols, relCol{c.name, id})
	}
	return out, nil
}

// unifyRels makes the columns of two queries have the same types.
func (b *binder) unifyRels(left, right *rel, name string) error {
	for i := range left.cols {
		l, r := b.outputExpr(left, i), b.outputExpr(right, i)
		t, err := expr.SelectCommonType([]*types.Type{l.Type(), r.Type()}, name)
		if err != nil {
			return err
		}
		for _, side := range []*rel{left, right} {
			if err := b.retype(side, i, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputExpr is what output column i is: the expression itself where the query
// is a plain projection, because its literals may still change their type.
func (b *binder) outputExpr(r *rel, i int) Expr {
	if p, ok := projection(r.node); ok {
		for j, id := range p.Out {
			if id == r.cols[i].id {
				return p.Exprs[j]
			}
		}
	}
	return b.ref(r.cols[i].id)
}

// projection is the projection whose columns are n's.
func projection(n Node) (*Project, bool) {
	if w, ok := n.(*With); ok {
		n = w.In
	}
	p, ok := n.(*Project)
	return p, ok
}

// retype converts output column i to type t.
func (b *binder) retype(r *rel, i int, t *types.Type) error {
	id := r.cols[i].id
	if b.columns[id].Type == t {
		return nil
	}
	if p, ok := projection(r.node); ok {
		for j, out := range p.Out {
			if out != id {
				continue
			}
			e, err := b.coerce(p.Exprs[j], t, types.NoTypmod, expr.Implicit)
			if err != nil {
				return err
			}
			p.Exprs[j] = e
			b.columns[id].Type, b.columns[id].Typmod = t, e.Typmod()
			return nil
		}
	}
	if v, ok := r.node.(*Values); ok {
		for j, out := range v.Out {
			if out != id {
				continue
			}
			for k := range v.Rows {
				e, err := b.coerce(v.Rows[k][j], t, types.NoTypmod, expr.Implicit)
				if err != nil {
					return err
				}
				v.Rows[k][j] = e
			}
			b.columns[id].Type, b.columns[id].Typmod = t, types.NoTypmod
			return nil
		}
	}
	e, err := b.coerce(b.ref(id), t, types.NoTypmod, expr.Implicit)
	if err != nil {
		return err
	}
	p := &Project{In: r.node}
	for j := range r.cols {
		if j == i {
			r.cols[j].id = b.project(p, e, r.cols[j].name)
			continue
		}
		p.Exprs, p.Out = append(p.Exprs, b.ref(r.cols[j].id)), append(p.Out, r.cols[j].id)
	}
	r.node = p
	return nil
}

// orderOutput applies ORDER BY and LIMIT to a set operation or VALUES, where
// only output columns can be named.
func (b *binder) orderOutput(r rel, n *ast.SelectStmt, s *scope) (rel, error) {
	var keys []SortKey
	inner := &scope{parent: s, clause: "ORDER BY", items: []*fromItem{{star: r.cols, rels: []*relation{{cols: r.cols}}}}}
	for _, it := range items(n.SortClause) {
		sb := it.(*ast.SortBy)
		if err := checkUsing(sb); err != nil {
			return rel{}, err
		}
		i, ok, err := ordinal(sb.Node, len(r.cols), "ORDER BY")
		if err != nil {
			return rel{}, err
		}
		if ok {
			keys = append(keys, sortKey(b.ref(r.cols[i].id), sb))
			continue
		}
		e, err := b.expr(sb.Node, inner)
		if err != nil {
			return rel{}, err
		}
		if _, ok := e.(*ColRef); !ok && n.Op != ast.SETOP_NONE {
			return rel{}, sqlstate.New(sqlstate.FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause").
				WithDetail("Only result column names can be used, not expressions or functions.").
				WithHint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
		}
		keys = append(keys, sortKey(b.resolveUnknown(e), sb))
	}
	if len(keys) > 0 {
		r.node, r.ordered = &Sort{In: r.node, Keys: keys}, true
	}
	return b.limit(r, n, keys, s)
}

// with binds WITH queries into the scope.
func (b *binder) with(w *ast.WithClause, s *scope) error {
	s.ctes = map[string]*CTE{}
	for _, it := range items(w.Ctes) {
		c := it.(*ast.CommonTableExpr)
		if _, dup := s.ctes[c.Ctename]; dup {
			return sqlstate.New(sqlstate.DuplicateAlias, "WITH query name \"%s\" specified more than once", c.Ctename)
		}
		sel, ok := c.Ctequery.(*ast.SelectStmt)
		if !ok {
			return unsupported("a data-modifying statement in WITH")
		}
		if c.SearchClause != nil || c.CycleClause != nil {
			return unsupported("SEARCH or CYCLE in WITH")
		}
		if w.Recursive && mentions(sel, c.Ctename) {
			if err := recursiveForm(c.Ctename, sel); err != nil {
				return err
			}
			if err := b.recursive(c, sel, s); err != nil {
				return err
			}
			continue
		}
		q, err := b.selectStmt(sel, s)
		if err != nil {
			return err
		}
		b.settle(&q)
		cte := &CTE{Name: c.Ctename, Plan: q.node, Out: q.ids()}
		if err := b.nameCTE(cte, c, q.cols); err != nil {
			return err
		}
		s.ctes[c.Ctename] = cte
	}
	return nil
}

// nameCTE gives the columns of a WITH query their names.
func (b *binder) nameCTE(cte *CTE, c *ast.CommonTableExpr, cols []relCol) error {
	r := &relation{cols: cols}
	if err := rename(r, &ast.Alias{AliasName: c.Ctename, ColNames: c.Aliascolnames}); err != nil {
		return err
	}
	for _, col := range r.cols {
		b.columns[col.id].Name = col.name
	}
	return nil
}

// recursiveForm checks that a query that refers to itself is
// start UNION [ALL] step, where only step does so.
func recursiveForm(name string, sel *ast.SelectStmt) error {
	if sel.Op != ast.SETOP_UNION {
		return sqlstate.New(sqlstate.InvalidRecursion,
			"recursive query \"%s\" does not have the form non-recursive-term UNION [ALL] recursive-term", name)
	}
	if mentions(sel.Larg, name) {
		return sqlstate.New(sqlstate.InvalidRecursion, "recursive reference to query \"%s\" must not appear within its non-recursive term", name)
	}
	what := ""
	switch {
	case len(items(sel.SortClause)) > 0:
		what = "ORDER BY"
	case sel.LimitOffset != nil:
		what = "OFFSET"
	case sel.LimitCount != nil:
		what = "LIMIT"
	case len(items(sel.LockingClause)) > 0:
		what = "FOR UPDATE/SHARE"
	default:
		return nil
	}
	return sqlstate.New(sqlstate.FeatureNotSupported, "%s in a recursive query is not implemented", what)
}

// selfReference counts a reference to the working table of a recursive query:
// it must be the only one, and not in a subquery.
func (b *binder) selfReference(c *CTE) error {
	w, ok := b.working[c]
	switch {
	case !ok:
		return nil
	case b.subLinks > w.subLinks:
		return sqlstate.New(sqlstate.InvalidRecursion, "recursive reference to query \"%s\" must not appear within a subquery", c.Name)
	case w.used:
		return sqlstate.New(sqlstate.InvalidRecursion, "recursive reference to query \"%s\" must not appear more than once", c.Name)
	}
	w.used = true
	return nil
}

// selfReferences is what is known about the references to a recursive query
// while its recursive part is bound.
type selfReferences struct {
	used     bool
	subLinks int // how many subqueries are around the recursive part
}

// recursive binds WITH RECURSIVE name AS (start UNION [ALL] step).
func (b *binder) recursive(c *ast.CommonTableExpr, sel *ast.SelectStmt, s *scope) error {
	start, err := b.selectStmt(sel.Larg, s)
	if err != nil {
		return err
	}
	b.settle(&start)
	cte := &CTE{Name: c.Ctename, Plan: start.node, Out: start.ids(), UnionAll: sel.All}
	if err := b.nameCTE(cte, c, start.cols); err != nil {
		return err
	}
	cte.Working = &CTE{Name: c.Ctename, Out: cte.Out}
	if b.working == nil {
		b.working = map[*CTE]*selfReferences{}
	}
	b.working[cte.Working] = &selfReferences{subLinks: b.subLinks}
	inner := &scope{parent: s, ctes: map[string]*CTE{c.Ctename: cte.Working}}
	step, err := b.selectStmt(sel.Rarg, inner)
	if err != nil {
		return err
	}
	b.settle(&step)
	if len(step.cols) != len(start.cols) {
		return sqlstate.New(sqlstate.SyntaxError, "each UNION query must have the same number of columns")
	}
	for i := range step.cols {
		want, have := b.columns[start.cols[i].id].Type, b.columns[step.cols[i].id].Type
		if want == have {
			continue
		}
		if t, err := expr.SelectCommonType([]*types.Type{want, have}, "UNION"); err != nil || t != want {
			return sqlstate.New(sqlstate.DatatypeMismatch,
				"recursive query \"%s\" column %d has type %s in non-recursive term but type %s overall", c.Ctename, i+1, want, have).
				WithHint("Cast the output of the non-recursive term to the correct type.")
		}
		if err := b.retype(&step, i, want); err != nil {
			return err
		}
	}
	cte.Step, cte.StepOut = step.node, step.ids()
	s.ctes[c.Ctename] = cte
	return nil
}

// mentions reports whether a query refers to a relation of that name. It may
// say yes for one that is shadowed; then the query is merely not recursive.
func mentions(sel *ast.SelectStmt, name string) bool {
	found := false
	ast.Rewrite(sel, func(c *ast.Cursor) bool {
		if rv, ok := c.Node().(*ast.RangeVar); ok && rv.SchemaName == "" && rv.RelName == name {
			found = true
		}
		return !found
	}, nil)
	return found
}

func (b *binder) cteItem(c *CTE, n *ast.RangeVar) (*fromItem, error) {
	if err := b.selfReference(c); err != nil {
		return nil, err
	}
	scan := &CTEScan{CTE: c}
	r := &relation{name: n.RelName}
	for _, id := range c.Out {
		col := b.columns[id]
		col.Table, col.Num = 0, 0
		out := b.newColumn(col)
		scan.Out = append(scan.Out, out)
		r.cols = append(r.cols, relCol{col.Name, out})
	}
	if n.Alias != nil {
		r.name = n.Alias.AliasName
		if err := rename(r, n.Alias); err != nil {
			return nil, err
		}
	}
	return &fromItem{node: scan, rels: []*relation{r}, star: r.cols}, nil
}

package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// selectStmt binds a SELECT, VALUES or set operation. outer is the scope of the
// query around it, or nil.
func (b *binder) selectStmt(n *ast.SelectStmt, outer *scope) (rel, error) {
	if err := b.enter(); err != nil {
		return rel{}, err
	}
	defer b.leave()
	if n.IntoClause != nil && outer != nil {
		return rel{}, sqlstate.New(sqlstate.SyntaxError, "SELECT ... INTO is not allowed here")
	}
	s := &scope{parent: outer}
	if n.WithClause == nil {
		return b.selectBody(n, s)
	}
	if err := b.with(n.WithClause, s); err != nil {
		return rel{}, err
	}
	r, err := b.selectBody(n, s)
	if err != nil {
		return rel{}, err
	}
	w := &With{In: r.node}
	for _, it := range items(n.WithClause.Ctes) {
		w.CTEs = append(w.CTEs, s.ctes[it.(*ast.CommonTableExpr).Ctename])
	}
	r.node = w
	return r, nil
}

// selectBody binds what follows WITH.
func (b *binder) selectBody(n *ast.SelectStmt, s *scope) (rel, error) {
	for _, l := range items(n.LockingClause) {
		if err := b.lock(l.(*ast.LockingClause), n); err != nil {
			return rel{}, err
		}
	}
	var r rel
	var err error
	switch {
	case n.Op != ast.SETOP_NONE:
		r, err = b.setOperation(n, s)
	case len(items(n.ValuesLists)) > 0:
		r, err = b.values(n, s)
	default:
		return b.plainSelect(n, s)
	}
	if err != nil {
		return rel{}, err
	}
	return b.orderOutput(r, n, s)
}

// plainSelect binds SELECT … FROM … .
func (b *binder) plainSelect(n *ast.SelectStmt, s *scope) (rel, error) {
	node, err := b.from(items(n.FromClause), s)
	if err == nil {
		err = lockedRelations(n, s)
	}
	if err != nil {
		return rel{}, err
	}
	if n.WhereClause != nil {
		s.clause = "WHERE"
		cond, err := b.boolean(n.WhereClause, s, "argument of WHERE")
		if err != nil {
			return rel{}, err
		}
		node = &Filter{In: node, Cond: cond}
	}
	sel := &selection{b: b, s: s, n: n, in: node, grouped: len(items(n.GroupClause)) > 0 || n.HavingClause != nil}
	return sel.bind()
}

// selection is the state of binding one SELECT above its FROM and WHERE.
type selection struct {
	b       *binder
	s       *scope
	n       *ast.SelectStmt
	in      Node
	grouped bool

	targets []target
	having  Expr
	sort    []SortKey
	on      []Expr // DISTINCT ON
	groups  []Expr
	sets    [][]int
	coll    *aggCollector
}

// target is one item of the select list.
type target struct {
	name string
	expr Expr
	node ast.Node
}

func (q *selection) bind() (rel, error) {
	b, s := q.b, q.s
	q.coll = &aggCollector{}
	s.aggs, s.srf, s.clause = q.coll, true, "SELECT"
	if err := q.selectList(); err != nil {
		return rel{}, err
	}
	s.srf = false
	if q.n.HavingClause != nil {
		s.clause = "HAVING"
		var err error
		if q.having, err = b.boolean(q.n.HavingClause, s, "argument of HAVING"); err != nil {
			return rel{}, err
		}
	}
	s.clause, s.srf = "ORDER BY", true
	if err := q.orderBy(); err != nil {
		return rel{}, err
	}
	if err := q.distinctOn(); err != nil {
		return rel{}, err
	}
	if err := q.lockable(); err != nil {
		return rel{}, err
	}
	s.aggs, s.srf, s.clause = nil, false, "GROUP BY"
	if err := q.groupBy(); err != nil {
		return rel{}, err
	}
	if q.grouped || len(q.coll.aggs) > 0 {
		if err := q.aggregate(q.coll); err != nil {
			return rel{}, err
		}
	}
	return q.assemble()
}

// selectList expands * and binds the targets.
func (q *selection) selectList() error {
	for _, it := range items(q.n.TargetList) {
		rt := it.(*ast.ResTarget)
		if ref, ok := rt.Val.(*ast.ColumnRef); ok && isStar(ref) {
			cols, err := q.b.starColumns(ref, q.s)
			if err != nil {
				return err
			}
			for _, c := range cols {
				q.targets = append(q.targets, target{name: c.name, expr: q.b.ref(c.id)})
			}
			continue
		}
		e, err := q.b.expr(rt.Val, q.s)
		if err != nil {
			return err
		}
		name := rt.Name
		if name == "" {
			name = outputName(rt.Val)
		}
		q.targets = append(q.targets, target{name, e, rt.Val})
	}
	if len(q.targets) > maxResultColumn {
		return sqlstate.New(sqlstate.TooManyColumns, "target lists can have at most %d entries", maxResultColumn)
	}
	return nil
}

// orderBy binds ORDER BY: an output name or number first, then an expression.
func (q *selection) orderBy() error {
	for _, it := range items(q.n.SortClause) {
		sb := it.(*ast.SortBy)
		e, err := q.outputOr(sb.Node, "ORDER BY")
		if err != nil {
			return err
		}
		if err := checkUsing(sb); err != nil {
			return err
		}
		q.sort = append(q.sort, sortKey(e, sb))
	}
	return nil
}

func (q *selection) outputOr(n ast.Node, clause string) (Expr, error) {
	if i, ok, err := ordinal(n, len(q.targets), clause); err != nil {
		return nil, err
	} else if ok {
		q.targets[i].expr = q.b.resolveUnknown(q.targets[i].expr)
		return q.targets[i].expr, nil
	}
	if name, ok := bareName(n); ok {
		var found Expr
		for i, t := range q.targets {
			if t.name != name {
				continue
			}
			if found != nil && !sameExpr(found, t.expr) {
				return nil, sqlstate.New(sqlstate.AmbiguousColumn, "%s \"%s\" is ambiguous", clause, name)
			}
			q.targets[i].expr = q.b.resolveUnknown(t.expr)
			found = q.targets[i].expr
		}
		if found != nil {
			return found, nil
		}
	}
	e, err := q.b.expr(n, q.s)
	if err != nil {
		return nil, err
	}
	return q.b.resolveUnknown(e), nil
}

func (q *selection) distinctOn() error {
	for _, it := range items(q.n.DistinctClause) {
		if it == nil {
			continue
		}
		e, err := q.outputOr(it, "SELECT DISTINCT ON")
		if err != nil {
			return err
		}
		q.on = append(q.on, e)
	}
	for i := range q.on {
		if i < len(q.sort) && !containsExpr(q.on, q.sort[i].Expr) {
			return sqlstate.New(sqlstate.InvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
		}
	}
	return nil
}

// limit binds LIMIT and OFFSET, which see no columns.
func (b *binder) limit(r rel, n *ast.SelectStmt, sort []SortKey, s *scope) (rel, error) {
	if n.LimitCount == nil && n.LimitOffset == nil {
		return r, nil
	}
	l := &Limit{In: r.node}
	inner := &scope{parent: s.parent, clause: "LIMIT"}
	var err error
	if n.LimitCount != nil {
		if l.Count, err = b.limitExpr(n.LimitCount, inner, "LIMIT"); err != nil {
			return rel{}, err
		}
	}
	if n.LimitOffset != nil {
		if l.Offset, err = b.limitExpr(n.LimitOffset, inner, "OFFSET"); err != nil {
			return rel{}, err
		}
	}
	if n.LimitOption == ast.LIMIT_OPTION_WITH_TIES {
		if len(sort) == 0 {
			return rel{}, sqlstate.New(sqlstate.SyntaxError, "WITH TIES cannot be specified without ORDER BY clause")
		}
		l.WithTies = sort
	}
	r.node = l
	return r, nil
}

func (b *binder) limitExpr(n ast.Node, s *scope, what string) (Expr, error) {
	e, err := b.expr(n, s)
	if err != nil {
		if sqlstate.CodeOf(err) == sqlstate.UndefinedColumn {
			return nil, sqlstate.New(sqlstate.InvalidColumnReference, "argument of %s must not contain variables", what)
		}
		return nil, err
	}
	if e.Type() == types.UnknownType {
		return b.coerce(e, types.Int8Type, types.NoTypmod, expr.Implicit)
	}
	c, err := b.coerce(e, types.Int8Type, types.NoTypmod, expr.Assignment)
	if err != nil {
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "argument of %s must be type bigint, not type %s", what, e.Type())
	}
	return c, nil
}

// values binds VALUES (…), (…).
func (b *binder) values(n *ast.SelectStmt, s *scope) (rel, error) {
	s.clause = "VALUES"
	var rows [][]Expr
	for _, l := range items(n.ValuesLists) {
		row, err := b.exprs(items(l.(*ast.NodeList)), s)
		if err != nil {
			return rel{}, err
		}
		if len(rows) > 0 && len(row) != len(rows[0]) {
			return rel{}, sqlstate.New(sqlstate.SyntaxError, "VALUES lists must all be the same length")
		}
		rows = append(rows, row)
	}
	return b.valuesRel(rows)
}

func (b *binder) valuesRel(rows [][]Expr) (rel, error) {
	v := &Values{Rows: rows}
	out := rel{node: v}
	for c := range rows[0] {
		col := make([]Expr, len(rows))
		for r := range rows {
			col[r] = rows[r][c]
		}
		unified, err := b.unify(col, "VALUES")
		if err != nil {
			return rel{}, err
		}
		for r := range rows {
			rows[r][c] = unified[r]
		}
		name := columnName(c)
		id := b.newColumn(Column{Name: name, Type: unified[0].Type(), Typmod: commonTypmod(unified)})
		v.Out = append(v.Out, id)
		out.cols = append(out.cols, relCol{name, id})
	}
	return out, nil
}

// settle gives the type text to output columns that are still unknown.
func (b *binder) settle(r *rel) {
	var p *Project
	for i, c := range r.cols {
		if b.columns[c.id].Type != types.UnknownType {
			continue
		}
		if p == nil {
			p = &Project{In: r.node}
			for _, k := range r.cols {
				p.Exprs = append(p.Exprs, b.ref(k.id))
				p.Out = append(p.Out, k.id)
			}
		}
		if inner, ok := projection(r.node); ok {
			// The usual case: retype the literal where it is.
			for j, id := range inner.Out {
				if id == c.id {
					inner.Exprs[j] = b.resolveUnknown(inner.Exprs[j])
					b.columns[id].Type = inner.Exprs[j].Type()
				}
			}
			continue
		}
		e := b.resolveUnknown(b.ref(c.id))
		id := b.newColumn(Column{Name: c.name, Type: types.TextType, Typmod: types.NoTypmod})
		p.Exprs[i], p.Out[i] = e, id
		r.cols[i].id = id
	}
	if p == nil {
		return
	}
	if _, ok := projection(r.node); !ok {
		r.node = p
	}
}

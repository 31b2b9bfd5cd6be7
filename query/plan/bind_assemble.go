package plan

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// assemble builds the nodes above grouping.
func (q *selection) assemble() (rel, error) {
	b := q.b
	if q.having != nil {
		q.in = &Filter{In: q.in, Cond: q.having}
	}
	q.expandSets()
	if late := q.afterSort(); late != nil {
		return q.assembleLate(late)
	}
	proj := &Project{In: q.in}
	out := rel{ordered: len(q.sort) > 0}
	for _, t := range q.targets {
		id := b.project(proj, t.expr, t.name)
		out.cols = append(out.cols, relCol{t.name, id})
	}
	visible := len(proj.Out)
	// ORDER BY and DISTINCT ON refer to the projection, by a column of their
	// own where the select list does not have it.
	sort := q.onProjection(proj, q.sort)
	var on []Expr
	for _, e := range q.on {
		on = append(on, b.ref(b.projected(proj, e)))
	}
	distinct := q.n.DistinctClause != nil
	if distinct && len(q.on) == 0 && len(proj.Out) > visible {
		return rel{}, sqlstate.New(sqlstate.InvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
	}
	out.node = proj
	switch {
	case len(on) > 0:
		if len(sort) == 0 {
			sort = keysOf(on)
		}
		out.node = &Dedup{In: &Sort{In: out.node, Keys: sort}, On: on}
	case distinct:
		out.node = &Dedup{In: out.node}
		fallthrough
	default:
		if len(sort) > 0 {
			out.node = &Sort{In: out.node, Keys: sort}
		}
	}
	return b.limit(out, q.n, sort, q.s)
}

// afterSort finds the targets that are computed after ORDER BY and LIMIT: those
// whose functions do something each time they are called, such as nextval. They
// are called in the order of the result, for its rows only.
func (q *selection) afterSort() []bool {
	if len(q.sort) == 0 || q.n.DistinctClause != nil {
		return nil
	}
	var late []bool
	for i, t := range q.targets {
		if !isVolatile(t.expr) {
			continue
		}
		key := false
		for _, k := range q.sort {
			key = key || k.Expr == t.expr || sameExpr(k.Expr, t.expr)
		}
		if !key {
			if late == nil {
				late = make([]bool, len(q.targets))
			}
			late[i] = true
		}
	}
	return late
}

func isVolatile(e Expr) bool {
	found := false
	Walk(e, func(x Expr) bool {
		if c, ok := x.(*Call); ok && c.Func.Volatility == expr.Volatile {
			found = true
		}
		return !found
	})
	return found
}

// assembleLate builds the nodes above grouping with a projection above the
// sort for the late targets.
func (q *selection) assembleLate(late []bool) (rel, error) {
	b := q.b
	below, above := &Project{In: q.in}, &Project{}
	input := setOf(q.in.Cols())
	pass := func(e Expr) Expr {
		if r, ok := e.(*ColRef); ok && input[r.ID] {
			return b.ref(b.projected(below, r))
		}
		return e
	}
	exprs := make([]Expr, len(q.targets))
	for i, t := range q.targets {
		if late[i] {
			exprs[i] = mapExpr(t.expr, pass)
		} else {
			exprs[i] = b.ref(b.project(below, t.expr, t.name))
		}
	}
	sort := q.onProjection(below, q.sort)
	out, err := b.limit(rel{node: &Sort{In: below, Keys: sort}}, q.n, sort, q.s)
	if err != nil {
		return rel{}, err
	}
	above.In = out.node
	res := rel{node: above, ordered: true}
	for i, t := range q.targets {
		res.cols = append(res.cols, relCol{t.name, b.project(above, exprs[i], t.name)})
	}
	return res, nil
}

func (q *selection) onProjection(proj *Project, keys []SortKey) []SortKey {
	var out []SortKey
	for _, k := range keys {
		k.Expr = q.b.ref(q.b.projected(proj, k.Expr))
		out = append(out, k)
	}
	return out
}

// project adds an expression to a projection under a new column.
func (b *binder) project(p *Project, e Expr, name string) ColID {
	c := Column{Name: name, Type: e.Type(), Typmod: e.Typmod()}
	if ref, ok := e.(*ColRef); ok {
		c.Table, c.Num = b.columns[ref.ID].Table, b.columns[ref.ID].Num
	}
	id := b.newColumn(c)
	p.Exprs = append(p.Exprs, e)
	p.Out = append(p.Out, id)
	return id
}

// projected finds the column a projection has for e, or adds one.
func (b *binder) projected(p *Project, e Expr) ColID {
	for i, x := range p.Exprs {
		if sameExpr(x, e) {
			return p.Out[i]
		}
	}
	name := "?column?"
	if r, ok := e.(*ColRef); ok {
		name = r.Name
	}
	return b.project(p, e, name)
}

// expandSets moves set-returning calls of the select list below the projection.
func (q *selection) expandSets() {
	ps := &ProjectSet{In: q.in}
	lift := func(e Expr) Expr {
		if sub, ok := e.(*Subquery); ok {
			own := *sub // the sets within it are its own
			return &own
		}
		c, ok := e.(*Call)
		if !ok || c.Func.Set == nil {
			return e
		}
		for i, x := range ps.Exprs {
			if sameExpr(x, e) {
				return q.b.ref(ps.Out[i])
			}
		}
		id := q.b.newColumn(Column{Name: c.Func.Name, Type: c.Type(), Typmod: c.Typmod()})
		ps.Exprs, ps.Out = append(ps.Exprs, e), append(ps.Out, id)
		return q.b.ref(id)
	}
	for i := range q.targets {
		q.targets[i].expr = mapExpr(q.targets[i].expr, lift)
	}
	for i := range q.sort {
		q.sort[i].Expr = mapExpr(q.sort[i].Expr, lift)
	}
	if len(ps.Exprs) > 0 {
		q.in = ps
	}
}

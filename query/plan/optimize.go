package plan

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/types"
)

// optimize improves a bound statement. What it does depends only on the
// statement and the catalog.
func (b *binder) optimize(st *Statement) {
	o := &optimizer{b: b, ctes: map[*CTE]bool{}}
	switch {
	case st.Root != nil:
		st.Root = o.node(st.Root, nil)
		st.Root = o.dropSort(st.Root)
	case st.Insert != nil:
		st.Insert.Source = o.node(st.Insert.Source, nil)
	case st.Update != nil:
		st.Update.Source = o.node(st.Update.Source, nil)
	case st.Delete != nil:
		st.Delete.Source = o.node(st.Delete.Source, nil)
	}
	o.elsewhere(st)
	prune(st)
}

// optimizer carries the state of optimizing one statement.
type optimizer struct {
	b    *binder
	ctes map[*CTE]bool
}

// elsewhere optimizes the subqueries in expressions that belong to no node.
func (o *optimizer) elsewhere(st *Statement) {
	eachStatementExpr(st, func(e Expr) { o.subqueries(e) })
}

// subqueries optimizes the plans of the subqueries in e.
func (o *optimizer) subqueries(e Expr) {
	Walk(e, func(x Expr) bool {
		if s, ok := x.(*Subquery); ok {
			o.hashExists(s)
			s.Plan = o.dropSort(o.node(s.Plan, nil))
		}
		return true
	})
}

// node rewrites n so that its rows satisfy conds as well.
func (o *optimizer) node(n Node, conds []Expr) Node {
	switch n := n.(type) {
	case *Filter:
		return o.node(n.In, append(conds, o.whereConds(n.Cond)...))
	case *Join:
		return o.join(n, conds)
	case *Project:
		return o.project(n, conds)
	case *Aggregate:
		return o.aggregate(n, conds)
	case *Sort:
		eachKey(n.Keys, o.subqueries)
		n.In = o.node(n.In, conds)
		return n
	case *Dedup:
		if n.On == nil && allCheap(conds) {
			n.In = o.node(n.In, conds)
			return n
		}
		n.In = o.node(n.In, nil)
	case *SetOp:
		return o.setOp(n, conds)
	case *Limit:
		n.In = o.dropSort(o.node(n.In, nil))
	case *ProjectSet:
		n.In = o.node(n.In, nil)
	case *Scan:
		return o.scan(n, conds)
	case *VirtualScan:
		return o.virtual(n, conds)
	case *With:
		n.In = o.node(n.In, conds)
		return n
	case *CTEScan:
		o.cte(n.CTE)
	}
	eachExpr(n, o.subqueries)
	return o.filter(n, conds)
}

// filter puts conditions that could not go any further above n.
func (o *optimizer) filter(n Node, conds []Expr) Node {
	if len(conds) == 0 {
		return n
	}
	for _, c := range conds {
		o.subqueries(c)
	}
	return &Filter{In: n, Cond: conjunction(conds)}
}

func (o *optimizer) cte(c *CTE) {
	if c == nil || c.Plan == nil || o.ctes[c] {
		return
	}
	o.ctes[c] = true
	c.Plan = o.node(c.Plan, nil)
	if c.Step != nil {
		c.Step = o.node(c.Step, nil)
	}
}

// whereConds takes a condition apart, leaving out what is always true.
func (o *optimizer) whereConds(e Expr) []Expr {
	var out []Expr
	for _, c := range conjuncts(e) {
		if k, ok := c.(*Const); ok && !k.Value.IsNull() && k.Value.Kind() == types.KindBool && k.Value.Bool() {
			continue
		}
		out = append(out, factor(c)...)
	}
	return out
}

// factor takes the conditions that all branches of an OR share out of it:
// (a AND b) OR (a AND c) is a AND (b OR c). They may be what an index needs.
func factor(e Expr) []Expr {
	or, ok := e.(*Logic)
	if !ok || or.Op != Or {
		return []Expr{e}
	}
	branches := make([][]Expr, len(or.Args))
	for i, a := range or.Args {
		branches[i] = conjuncts(a)
	}
	var common []Expr
	for _, c := range branches[0] {
		shared := true
		for _, br := range branches[1:] {
			shared = shared && containsExpr(br, c)
		}
		if shared {
			common = append(common, c)
		}
	}
	if len(common) == 0 {
		return []Expr{e}
	}
	rest := &Logic{Op: Or}
	for _, br := range branches {
		var keep []Expr
		for _, c := range br {
			if !containsExpr(common, c) {
				keep = append(keep, c)
			}
		}
		if len(keep) == 0 {
			return common
		}
		rest.Args = append(rest.Args, conjunction(keep))
	}
	return append(common, rest)
}

// project pushes conditions through a projection, where they become conditions
// on the projected expressions.
func (o *optimizer) project(n *Project, conds []Expr) Node {
	var below, above []Expr
	exprs := map[ColID]Expr{}
	for i, id := range n.Out {
		exprs[id] = n.Exprs[i]
	}
	for _, c := range conds {
		ok := true
		exprRefs(c, func(id ColID) {
			if e, projected := exprs[id]; projected && !cheap(e) {
				ok = false
			}
		})
		if !ok {
			above = append(above, c)
			continue
		}
		below = append(below, mapExpr(c, func(e Expr) Expr {
			if r, isRef := e.(*ColRef); isRef {
				if x, projected := exprs[r.ID]; projected {
					return x
				}
			}
			return e
		}))
	}
	n.In = o.node(n.In, below)
	for _, e := range n.Exprs {
		o.subqueries(e)
	}
	return o.filter(n, above)
}

// cheap reports whether computing e twice, or for more rows, does no harm.
func cheap(e Expr) bool {
	ok := true
	Walk(e, func(x Expr) bool {
		switch x := x.(type) {
		case *Subquery:
			ok = false
		case *Call:
			if x.Func.Volatility == expr.Volatile || x.Func.Set != nil {
				ok = false
			}
		}
		return ok
	})
	return ok
}

func allCheap(es []Expr) bool {
	for _, e := range es {
		if !cheap(e) {
			return false
		}
	}
	return true
}

// aggregate pushes conditions on grouping columns below the grouping.
func (o *optimizer) aggregate(n *Aggregate, conds []Expr) Node {
	groups := map[ColID]Expr{}
	for i, id := range n.GroupOut {
		groups[id] = n.Groups[i]
	}
	made := map[ColID]bool{}
	for _, id := range n.Cols() {
		made[id] = true
	}
	var below, above []Expr
	for _, c := range conds {
		ok := n.Sets == nil && len(n.Groups) > 0 && cheap(c)
		exprRefs(c, func(id ColID) {
			if made[id] && (groups[id] == nil || !cheap(groups[id])) {
				ok = false
			}
		})
		if !ok {
			above = append(above, c)
			continue
		}
		below = append(below, mapExpr(c, func(e Expr) Expr {
			if r, isRef := e.(*ColRef); isRef && groups[r.ID] != nil {
				return groups[r.ID]
			}
			return e
		}))
	}
	n.In = o.node(n.In, below)
	eachExpr(n, o.subqueries)
	return o.filter(n, above)
}

// setOp pushes conditions into both inputs.
func (o *optimizer) setOp(n *SetOp, conds []Expr) Node {
	into := func(cols []ColID) []Expr {
		var out []Expr
		for _, c := range conds {
			out = append(out, mapExpr(c, func(e Expr) Expr {
				if r, ok := e.(*ColRef); ok {
					for i, id := range n.Out {
						if id == r.ID {
							return o.b.ref(cols[i])
						}
					}
				}
				return e
			}))
		}
		return out
	}
	if !allCheap(conds) {
		n.Left, n.Right = o.node(n.Left, nil), o.node(n.Right, nil)
		return o.filter(n, conds)
	}
	n.Left, n.Right = o.node(n.Left, into(n.LeftCols)), o.node(n.Right, into(n.RightCols))
	return n
}

// colSet is a set of columns.
type colSet map[ColID]bool

func setOf(cols []ColID) colSet {
	s := colSet{}
	for _, c := range cols {
		s[c] = true
	}
	return s
}

// uses reports whether e refers to any column of the set; within, whether
// every column of the all set that it refers to is in s.
func uses(e Expr, s colSet) bool {
	found := false
	exprRefs(e, func(id ColID) { found = found || s[id] })
	return found
}

func within(e Expr, s, all colSet) bool {
	ok := true
	exprRefs(e, func(id ColID) { ok = ok && (s[id] || !all[id]) })
	return ok
}

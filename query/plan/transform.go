package plan

// mapExpr returns e with f applied to it and, where f leaves it alone, to
// everything below it. Nodes that do not change are shared, not copied. f also
// sees the expressions inside subqueries' plans, which are changed in place:
// a plan belongs to one statement until it is finished.
func mapExpr(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	if r := f(e); r != e {
		return r
	}
	m := func(x Expr) Expr { return mapExpr(x, f) }
	switch e := e.(type) {
	case *Call:
		return &Call{e.typed, e.Func, mapAll(e.Args, m), e.Op}
	case *Cast:
		return &Cast{e.typed, m(e.Arg), e.Cast, e.Explicit}
	case *Fit:
		return &Fit{e.typed, m(e.Arg), e.Explicit}
	case *Logic:
		return &Logic{Op: e.Op, Args: mapAll(e.Args, m)}
	case *IsNull:
		return &IsNull{Arg: m(e.Arg), Not: e.Not}
	case *BoolTest:
		return &BoolTest{Arg: m(e.Arg), Want: e.Want, Not: e.Not}
	case *Distinct:
		return &Distinct{Left: m(e.Left), Right: m(e.Right), Equal: e.Equal, Not: e.Not}
	case *Case:
		c := &Case{typed: e.typed, Arg: m(e.Arg), Else: m(e.Else)}
		for _, w := range e.Whens {
			c.Whens = append(c.Whens, When{m(w.Cond), m(w.Result)})
		}
		return c
	case *Coalesce:
		return &Coalesce{e.typed, mapAll(e.Args, m)}
	case *NullIf:
		return &NullIf{e.typed, m(e.Left), m(e.Equal)}
	case *MinMax:
		return &MinMax{e.typed, e.Greatest, mapAll(e.Args, m)}
	}
	return mapRest(e, f, m)
}

func mapRest(e Expr, f, m func(Expr) Expr) Expr {
	switch e := e.(type) {
	case *ArrayExpr:
		return &ArrayExpr{e.typed, mapAll(e.Elems, m), e.Nested}
	case *RowExpr:
		return &RowExpr{e.typed, mapAll(e.Fields, m), e.Names}
	case *Field:
		return &Field{e.typed, m(e.Arg), e.Index}
	case *Subscript:
		return &Subscript{e.typed, m(e.Arg), mapAll(e.Lower, m), mapAll(e.Upper, m), e.Slice, e.OfJSON}
	case *Assign:
		return &Assign{e.typed, m(e.Arg), mapAll(e.Lower, m), mapAll(e.Upper, m), e.Slice, m(e.Value)}
	case *InList:
		c := *e
		c.Arg = m(e.Arg)
		return &c
	case *AnyAll:
		return &AnyAll{All: e.All, Left: m(e.Left), Array: m(e.Array), Test: m(e.Test)}
	case *Subquery:
		c := *e
		c.Left, c.Test = m(e.Left), m(e.Test)
		mapNode(c.Plan, f)
		return &c
	}
	return e
}

func mapAll(es []Expr, m func(Expr) Expr) []Expr {
	out := make([]Expr, len(es))
	for i, e := range es {
		out[i] = m(e)
	}
	return out
}

// mapNode applies f to every expression of a plan, in place.
func mapNode(n Node, f func(Expr) Expr) {
	for _, in := range n.Inputs() {
		mapNode(in, f)
	}
	m := func(e Expr) Expr { return mapExpr(e, f) }
	switch n := n.(type) {
	case *Scan:
		n.Filter = m(n.Filter)
	case *VirtualScan:
		n.Filter = m(n.Filter)
	case *Values:
		for i := range n.Rows {
			n.Rows[i] = mapAll(n.Rows[i], m)
		}
	case *FuncScan:
		for i, c := range n.Calls {
			if k, ok := m(c).(*Call); ok {
				n.Calls[i] = k
			}
		}
	case *Filter:
		n.Cond = m(n.Cond)
	case *Project:
		n.Exprs = mapAll(n.Exprs, m)
	case *ProjectSet:
		n.Exprs = mapAll(n.Exprs, m)
	case *Join:
		n.On = m(n.On)
		n.HashLeft, n.HashRight = mapAll(n.HashLeft, m), mapAll(n.HashRight, m)
	case *Aggregate:
		n.Groups = mapAll(n.Groups, m)
		for i := range n.Aggs {
			mapAgg(&n.Aggs[i], m)
		}
	case *Sort:
		mapKeys(n.Keys, m)
	case *Limit:
		n.Count, n.Offset = m(n.Count), m(n.Offset)
	case *Dedup:
		n.On = mapAll(n.On, m)
	}
}

func mapAgg(a *Agg, m func(Expr) Expr) {
	a.Args, a.Filter = mapAll(a.Args, m), m(a.Filter)
	mapKeys(a.Order, m)
}

func mapKeys(keys []SortKey, m func(Expr) Expr) {
	for i := range keys {
		keys[i].Expr = m(keys[i].Expr)
	}
}

// eachExpr calls f for every expression directly in n (not in its inputs).
func eachExpr(n Node, f func(Expr)) {
	all := func(es []Expr) {
		for _, e := range es {
			f(e)
		}
	}
	switch n := n.(type) {
	case *Scan:
		f(n.Filter)
		if n.Access != nil {
			n.Access.each(f)
		}
	case *VirtualScan:
		f(n.Filter)
		for _, bd := range []*Bound{n.Lo, n.Hi} {
			if bd != nil {
				f(bd.Expr)
			}
		}
	case *Values:
		for _, r := range n.Rows {
			all(r)
		}
	case *FuncScan:
		for _, c := range n.Calls {
			f(c)
		}
	case *Filter:
		f(n.Cond)
	case *Project:
		all(n.Exprs)
	case *ProjectSet:
		all(n.Exprs)
	case *Join:
		f(n.On)
		all(n.HashLeft)
		all(n.HashRight)
	case *Aggregate:
		all(n.Groups)
		for _, a := range n.Aggs {
			all(a.Args)
			f(a.Filter)
			eachKey(a.Order, f)
		}
	case *Sort:
		eachKey(n.Keys, f)
	case *Limit:
		f(n.Count)
		f(n.Offset)
		eachKey(n.WithTies, f)
	case *Dedup:
		all(n.On)
	}
}

func eachKey(keys []SortKey, f func(Expr)) {
	for _, k := range keys {
		f(k.Expr)
	}
}

// Fixed reports whether the bounds refer to no row around the scan.
func (a *Access) Fixed() bool {
	fixed := true
	a.each(func(e Expr) {
		Walk(e, func(x Expr) bool {
			if _, ok := x.(*ColRef); ok {
				fixed = false
			}
			return fixed
		})
	})
	return fixed
}

func (a *Access) each(f func(Expr)) {
	for _, e := range a.Eq {
		f(e)
	}
	for _, e := range a.InList {
		f(e)
	}
	f(a.InArray)
	for _, bd := range []*Bound{a.Lo, a.Hi} {
		if bd != nil {
			f(bd.Expr)
		}
	}
}

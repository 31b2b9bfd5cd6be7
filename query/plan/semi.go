package plan

// semi is an EXISTS or IN condition that can be run as a join.
type semi struct {
	sub *Subquery
	not bool
	in  Node   // the subquery's input
	on  []Expr // what connects it
}

// semiConds takes out of conds the subqueries that can become joins.
func (o *optimizer) semiConds(conds []Expr) ([]Expr, []semi) {
	var out []Expr
	var semis []semi
	for _, c := range conds {
		if s, ok := o.semi(c); ok {
			semis = append(semis, s)
			continue
		}
		out = append(out, c)
	}
	return out, semis
}

// semi recognises [NOT] EXISTS (…) and x IN (…) whose subquery refers to the
// outer row only in its WHERE.
func (o *optimizer) semi(c Expr) (semi, bool) {
	not := false
	if l, ok := c.(*Logic); ok && l.Op == Not {
		c, not = l.Args[0], true
	}
	sub, ok := c.(*Subquery)
	if !ok || !sub.Correlated {
		return semi{}, false
	}
	s := semi{sub: sub, not: not}
	switch {
	case sub.Kind == SubExists:
	case sub.Kind == SubAny && !not && sub.Left != nil && plainEquality(sub.Test):
	default:
		return semi{}, false
	}
	n := sub.Plan
	if p, ok := n.(*Project); ok {
		if sub.Kind == SubAny {
			test, ok := o.throughProject(sub, p)
			if !ok {
				return semi{}, false
			}
			s.on = append(s.on, test)
		}
		n = p.In
	} else if sub.Kind == SubAny {
		return semi{}, false
	}
	if f, ok := n.(*Filter); ok {
		s.on = append(s.on, conjuncts(f.Cond)...)
		n = f.In
	}
	switch n.(type) {
	case *Scan, *Join, *VirtualScan, *CTEScan:
	default:
		return semi{}, false
	}
	if o.b.correlated(n) {
		return semi{}, false
	}
	for _, e := range s.on {
		if !cheap(e) {
			return semi{}, false
		}
	}
	s.in = n
	return s, true
}

// throughProject is IN's test with the subquery's column replaced by what it
// is computed from and CaseArg by the left side.
func (o *optimizer) throughProject(sub *Subquery, p *Project) (Expr, bool) {
	for i, id := range p.Out {
		if id != sub.Out[0] {
			continue
		}
		return mapExpr(sub.Test, func(e Expr) Expr {
			switch e := e.(type) {
			case *CaseArg:
				return sub.Left
			case *ColRef:
				if e.ID == id {
					return p.Exprs[i]
				}
			}
			return e
		}), true
	}
	return nil, false
}

// semiJoin joins n with a subquery's input.
func (o *optimizer) semiJoin(n Node, s semi) Node {
	j := &Join{Kind: SemiJoin, Left: n}
	if s.not {
		j.Kind = AntiJoin
	}
	right := setOf(s.in.Cols())
	left := setOf(n.Cols())
	var own, on []Expr
	for _, c := range s.on {
		if !uses(c, left) && uses(c, right) {
			own = append(own, c)
		} else {
			on = append(on, c)
		}
	}
	if sc, ok := s.in.(*Scan); ok && o.estimate(n, nil) <= maxLookupOuter {
		if a, _ := chooseAccess(sc, append(append([]Expr{}, own...), on...)); a != nil && len(a.Eq) > 0 {
			j.Method = LookupJoin
			j.Right = o.node(s.in, append(own, on...))
			return j
		}
	}
	j.Right = o.node(s.in, own)
	o.method(j, on)
	return j
}

// hashExists makes EXISTS (… WHERE a = outer.b) the question whether outer.b is
// in the set of all a, which is computed once. Where an index finds a, one
// lookup for each outer row is as good.
func (o *optimizer) hashExists(sub *Subquery) {
	if sub.Kind != SubExists || !sub.Correlated {
		return
	}
	n := sub.Plan
	if p, ok := n.(*Project); ok {
		n = p.In
	}
	f, ok := n.(*Filter)
	if !ok || o.b.correlated(f.In) {
		return
	}
	conds := conjuncts(f.Cond)
	if sc, ok := f.In.(*Scan); ok {
		if a, _ := chooseAccess(sc, conds); a != nil && len(a.Eq) > 0 {
			return
		}
	}
	made := colSet{}
	collectMade(f.In, made)
	var inner, outer, test Expr
	var rest []Expr
	for _, c := range conds {
		l, r, isEq := hashKeySides(c)
		switch {
		case isEq && test == nil && only(l, made) && !uses(r, made):
			inner, outer, test = l, r, c
		case isEq && test == nil && only(r, made) && !uses(l, made):
			inner, outer, test = r, l, c
		case !inside(c, made):
			return // another condition on the outer row
		default:
			rest = append(rest, c)
		}
	}
	if test == nil || !cheap(inner) || !cheap(outer) || !allCheap(rest) {
		return
	}
	p := &Project{In: o.filterOnly(f.In, rest)}
	id := o.b.project(p, inner, "?column?")
	eq, err := o.b.opCall("=", &CaseArg{ofType(outer.Type())}, o.b.ref(id))
	if err != nil || !plainEquality(eq) {
		return
	}
	sub.Kind, sub.Plan, sub.Out = SubAny, p, []ColID{id}
	sub.Left, sub.Test, sub.Hashable, sub.Correlated, sub.Exists = outer, eq, true, false, true
}

func (o *optimizer) filterOnly(n Node, conds []Expr) Node {
	if len(conds) == 0 {
		return n
	}
	return &Filter{In: n, Cond: conjunction(conds)}
}

// hashKeySides takes left = right apart where equal values hash equally.
func hashKeySides(c Expr) (l, r Expr, ok bool) {
	e, isCall := c.(*Call)
	if !isCall || e.Op != "=" || len(e.Args) != 2 || !plainTypes(e.Args[0].Type(), e.Args[1].Type()) {
		return nil, nil, false
	}
	return e.Args[0], e.Args[1], true
}

// only reports whether e refers to columns of the set, and to no others.
func only(e Expr, s colSet) bool { return uses(e, s) && inside(e, s) }

// inside reports whether e refers to no columns but those of the set.
func inside(e Expr, s colSet) bool {
	ok := true
	exprRefs(e, func(id ColID) { ok = ok && s[id] })
	return ok
}

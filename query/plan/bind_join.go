package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// joinExpr binds a JOIN. RIGHT JOIN becomes a LEFT JOIN with its sides
// exchanged: columns are found by ColID, so their order does not matter.
func (b *binder) joinExpr(n *ast.JoinExpr, s *scope) (*fromItem, error) {
	left, err := b.fromItem(n.Larg, s)
	if err != nil {
		return nil, err
	}
	// The right side sees the left one when it is LATERAL.
	rs := &scope{parent: s.parent, ctes: s.ctes, items: append([]*fromItem{left}, s.items...), clause: s.clause}
	right, err := b.fromItem(n.Rarg, rs)
	if err != nil {
		return nil, err
	}
	j := &Join{Left: left.node, Right: right.node, Method: b.lateralMethod(right.node, left.node)}
	if err := joinKind(j, n); err != nil {
		return nil, err
	}
	it := &fromItem{rels: append(append([]*relation{}, left.rels...), right.rels...)}
	if err := distinctNames(left, right); err != nil {
		return nil, err
	}
	using, err := usingColumns(n, left, right)
	if err != nil {
		return nil, err
	}
	switch {
	case len(using) > 0:
		err = b.joinUsing(j, it, using, left, right, n)
	default:
		it.star = append(append([]relCol{}, left.star...), right.star...)
		if n.Quals != nil {
			on := &scope{parent: s.parent, ctes: s.ctes, items: []*fromItem{left, right}, clause: "JOIN/ON"}
			j.On, err = b.boolean(n.Quals, on, "argument of JOIN/ON")
		}
	}
	if err != nil {
		return nil, err
	}
	if it.node == nil {
		it.node = j
	}
	if n.JoinUsingAlias != nil {
		r := &relation{name: n.JoinUsingAlias.AliasName, cols: it.star[:len(using)]}
		if err := (&scope{items: []*fromItem{{rels: it.rels}}}).addItem(&fromItem{rels: []*relation{r}}); err != nil {
			return nil, err
		}
		it.rels = append(it.rels, r)
	}
	if n.Alias != nil {
		r := &relation{name: n.Alias.AliasName, cols: it.star}
		if err := rename(r, n.Alias); err != nil {
			return nil, err
		}
		it.rels, it.star = []*relation{r}, r.cols
	}
	return it, nil
}

func joinKind(j *Join, n *ast.JoinExpr) error {
	switch n.Jointype {
	case ast.JOIN_INNER:
		j.Kind = InnerJoin
	case ast.JOIN_LEFT:
		j.Kind = LeftJoin
	case ast.JOIN_RIGHT:
		if j.Method == LookupJoin {
			return sqlstate.New(sqlstate.InvalidColumnReference, "invalid reference to FROM-clause entry in a RIGHT JOIN").
				WithDetail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
		}
		j.Kind = LeftJoin
		j.Left, j.Right = j.Right, j.Left
	case ast.JOIN_FULL:
		if j.Method == LookupJoin {
			return sqlstate.New(sqlstate.InvalidColumnReference, "invalid reference to FROM-clause entry in a FULL JOIN").
				WithDetail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
		}
		j.Kind = FullJoin
	default:
		return unsupported("this kind of JOIN")
	}
	return nil
}

func distinctNames(left, right *fromItem) error {
	probe := &scope{items: []*fromItem{left}}
	return probe.addItem(right)
}

// usingColumns are the names that USING or NATURAL joins by.
func usingColumns(n *ast.JoinExpr, left, right *fromItem) ([]string, error) {
	if !n.IsNatural {
		return names(n.UsingClause), nil
	}
	var out []string
	for _, l := range left.star {
		for _, r := range right.star {
			if l.name == r.name {
				out = append(out, l.name)
				break
			}
		}
	}
	return out, nil
}

// joinUsing joins by equally named columns, which appear once in *.
func (b *binder) joinUsing(j *Join, it *fromItem, using []string, left, right *fromItem, n *ast.JoinExpr) error {
	merged := map[string]bool{}
	var conds []Expr
	var proj *Project
	for _, name := range using {
		l, err := pick(left.star, name)
		if err != nil {
			return err
		}
		r, err := pick(right.star, name)
		if err != nil {
			return err
		}
		if l == 0 || r == 0 {
			side := "left"
			if l != 0 {
				side = "right"
			}
			return sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" specified in USING clause does not exist in %s table", name, side)
		}
		if merged[name] {
			return sqlstate.New(sqlstate.DuplicateColumn, "column name \"%s\" appears more than once in USING clause", name)
		}
		merged[name] = true
		eq, err := b.opCall("=", b.ref(l), b.ref(r))
		if err != nil {
			return err
		}
		conds = append(conds, eq)
		id := l
		switch n.Jointype {
		case ast.JOIN_RIGHT:
			id = r
		case ast.JOIN_FULL:
			if proj == nil {
				proj = &Project{}
			}
			both, err := b.unify([]Expr{b.ref(l), b.ref(r)}, "JOIN/USING")
			if err != nil {
				return err
			}
			id = b.project(proj, &Coalesce{ofType(both[0].Type()), both}, name)
		}
		it.star = append(it.star, relCol{name, id})
	}
	j.On = conjunction(conds)
	for _, side := range []*fromItem{left, right} {
		for _, c := range side.star {
			if !merged[c.name] {
				it.star = append(it.star, c)
			}
		}
	}
	if proj != nil {
		proj.In = j
		for _, id := range j.Cols() {
			proj.Exprs, proj.Out = append(proj.Exprs, b.ref(id)), append(proj.Out, id)
		}
		it.node = proj
	}
	return nil
}

// conjunction joins conditions with AND; nil for none.
func conjunction(es []Expr) Expr {
	var flat []Expr
	for _, e := range es {
		if e == nil {
			continue
		}
		if l, ok := e.(*Logic); ok && l.Op == And {
			flat = append(flat, l.Args...)
			continue
		}
		flat = append(flat, e)
	}
	switch len(flat) {
	case 0:
		return nil
	case 1:
		return flat[0]
	}
	return &Logic{Op: And, Args: flat}
}

// conjuncts takes a condition apart at its ANDs.
func conjuncts(e Expr) []Expr {
	if e == nil {
		return nil
	}
	if l, ok := e.(*Logic); ok && l.Op == And {
		var out []Expr
		for _, a := range l.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []Expr{e}
}

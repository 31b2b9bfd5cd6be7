package plan

import (
	"github.com/tidemark-db/tidemark/sm/types"
)

// Estimates of how many rows things yield, for want of statistics that are the
// same on every replica. Only their order of magnitude matters.
const (
	rowsTable      = 1000.0
	rowsVirtual    = 300.0
	rowsEqIndex    = 10.0
	rowsEqOther    = 50.0
	rowsRange      = 300.0
	maxLookupOuter = 60.0 // up to how many left rows an index lookup each beats a hash table
)

// join rewrites a join. Inner joins are taken apart and put together again in
// an order that starts with what yields least.
func (o *optimizer) join(n *Join, conds []Expr) Node {
	switch n.Kind {
	case InnerJoin:
		leaves, all := o.flatten(n)
		return o.order(leaves, append(all, conds...))
	case LeftJoin:
		return o.leftJoin(n, conds)
	}
	n.Left, n.Right = o.node(n.Left, nil), o.node(n.Right, nil)
	o.method(n, conjuncts(n.On))
	return o.filter(n, conds)
}

// flatten lists what a tree of inner joins and filters joins, and all its
// conditions.
func (o *optimizer) flatten(n Node) ([]Node, []Expr) {
	switch n := n.(type) {
	case *Join:
		if n.Kind != InnerJoin {
			break
		}
		l, lc := o.flatten(n.Left)
		r, rc := o.flatten(n.Right)
		conds := append(lc, rc...)
		return append(l, r...), append(conds, o.whereConds(n.On)...)
	case *Filter:
		leaves, conds := o.flatten(n.In)
		return leaves, append(conds, o.whereConds(n.Cond)...)
	}
	return []Node{n}, nil
}

// leaf is one input of a join being ordered.
type leaf struct {
	node  Node
	cols  colSet
	conds []Expr // conditions on this input alone
	needs colSet // columns of other inputs that a lateral input refers to
	rows  float64
	used  bool
}

// order joins the leaves greedily: next comes the input that is connected to
// what is there and yields least.
func (o *optimizer) order(nodes []Node, conds []Expr) Node {
	all := colSet{}
	leaves := make([]*leaf, len(nodes))
	for i, n := range nodes {
		leaves[i] = &leaf{node: n, cols: setOf(n.Cols()), needs: colSet{}}
		for c := range leaves[i].cols {
			all[c] = true
		}
	}
	for _, l := range leaves {
		eachRef(l.node, func(id ColID) {
			if all[id] && !l.cols[id] {
				l.needs[id] = true
			}
		})
	}
	conds, semis := o.semiConds(conds)
	var rest []Expr
	for _, c := range conds {
		if l := ownLeaf(c, leaves, all); l != nil {
			l.conds = append(l.conds, c)
			continue
		}
		rest = append(rest, c)
	}
	for _, l := range leaves {
		l.rows = o.estimate(l.node, l.conds)
	}
	out := o.combine(leaves, rest, all)
	for _, s := range semis {
		out = o.semiJoin(out, s)
	}
	return out
}

// ownLeaf returns the input that alone a condition is about, or nil.
func ownLeaf(c Expr, leaves []*leaf, all colSet) *leaf {
	for _, l := range leaves {
		if len(l.needs) == 0 && within(c, l.cols, all) && (uses(c, l.cols) || len(leaves) == 1) {
			return l
		}
	}
	return nil
}

func (o *optimizer) combine(leaves []*leaf, rest []Expr, all colSet) Node {
	have := colSet{}
	var out Node
	rows := 1.0
	for range leaves {
		l, looked := o.next(leaves, rest, have, all, out == nil, rows)
		l.used = true
		var conds, later []Expr
		for _, c := range rest {
			if within(c, union(have, l.cols), all) {
				conds = append(conds, c)
			} else {
				later = append(later, c)
			}
		}
		rest = later
		if out == nil {
			out = o.filter(o.node(l.node, l.conds), conds)
			rows = l.rows
		} else {
			j := &Join{Kind: InnerJoin, Left: out, Right: l.node}
			if looked || len(l.needs) > 0 {
				j.Method = LookupJoin
				j.Right = o.node(l.node, append(l.conds, conds...))
			} else {
				j.Right = o.node(l.node, l.conds)
				o.method(j, conds)
				if j.Method == HashJoin && rows < l.rows {
					// The right side is the one that is kept in memory.
					j.Left, j.Right = j.Right, j.Left
					j.HashLeft, j.HashRight = j.HashRight, j.HashLeft
				}
			}
			out = j
			rows = max(1, rows*max(1, min(l.rows, rowsEqIndex)))
		}
		for c := range l.cols {
			have[c] = true
		}
	}
	return o.filter(out, rest)
}

// next picks the input to join next, and says whether to look its rows up by
// an index for each row so far.
func (o *optimizer) next(leaves []*leaf, rest []Expr, have, all colSet, first bool, rows float64) (*leaf, bool) {
	var best *leaf
	bestScore, bestLookup := 0.0, false
	for _, l := range leaves {
		if l.used || !subset(l.needs, have) {
			continue
		}
		score, lookup := l.rows, false
		if !first {
			joining := joinConds(rest, l, have, all)
			if sc, ok := l.node.(*Scan); ok && len(joining) > 0 && rows <= maxLookupOuter {
				if a, _ := chooseAccess(sc, append(append([]Expr{}, l.conds...), joining...)); a != nil && len(a.Eq) > 0 {
					lookup = true
					score = rowsEqIndex
					if a.Unique {
						score = 1
					}
				}
			}
			if len(joining) == 0 {
				score *= rowsTable * rowsTable // a product comes last
			}
		}
		if best == nil || score < bestScore {
			best, bestScore, bestLookup = l, score, lookup
		}
	}
	if best == nil { // a cycle of LATERAL references cannot be: each sees only its left
		for _, l := range leaves {
			if !l.used {
				return l, true
			}
		}
	}
	return best, bestLookup
}

// joinConds are the conditions that connect l with what is there.
func joinConds(rest []Expr, l *leaf, have, all colSet) []Expr {
	var out []Expr
	for _, c := range rest {
		if uses(c, l.cols) && uses(c, have) && within(c, union(have, l.cols), all) {
			out = append(out, c)
		}
	}
	return out
}

func union(a, c colSet) colSet {
	out := colSet{}
	for k := range a {
		out[k] = true
	}
	for k := range c {
		out[k] = true
	}
	return out
}

func subset(a, of colSet) bool {
	for k := range a { // order does not matter: all are looked at
		if !of[k] {
			return false
		}
	}
	return true
}

// leftJoin pushes what it may: conditions on the left side go left, those of ON
// that are about the right side alone go right. A condition above that is not
// true for NULLs of the right side makes the join an inner one.
func (o *optimizer) leftJoin(n *Join, conds []Expr) Node {
	left, right := setOf(n.Left.Cols()), setOf(n.Right.Cols())
	for _, c := range conds {
		if rejectsNull(c, right) {
			n.Kind = InnerJoin
			return o.join(n, conds)
		}
	}
	var toLeft, above, toRight, on []Expr
	for _, c := range conds {
		if !uses(c, right) && cheap(c) {
			toLeft = append(toLeft, c)
		} else {
			above = append(above, c)
		}
	}
	for _, c := range o.whereConds(n.On) {
		if !uses(c, left) && cheap(c) {
			toRight = append(toRight, c)
		} else {
			on = append(on, c)
		}
	}
	rows := o.estimate(n.Left, toLeft)
	n.Left = o.node(n.Left, toLeft)
	if n.Method != LookupJoin && rows <= maxLookupOuter {
		if sc, ok := n.Right.(*Scan); ok {
			if a, _ := chooseAccess(sc, append(append([]Expr{}, toRight...), on...)); a != nil && len(a.Eq) > 0 {
				n.Method = LookupJoin
			}
		}
	}
	if n.Method == LookupJoin {
		n.On = nil
		n.Right = o.node(n.Right, append(toRight, on...))
		return o.filter(n, above)
	}
	n.Right = o.node(n.Right, toRight)
	o.method(n, on)
	return o.filter(n, above)
}

// rejectsNull reports whether a condition cannot be true when the columns of s
// that it refers to are NULL: comparisons by strict operators.
func rejectsNull(c Expr, s colSet) bool {
	switch c := c.(type) {
	case *Call:
		if c.Op == "" || !c.Func.Strict {
			return false
		}
		for _, a := range c.Args {
			for {
				k, ok := a.(*Cast)
				if !ok {
					break
				}
				a = k.Arg
			}
			if r, ok := a.(*ColRef); ok && s[r.ID] {
				return true
			}
		}
	case *IsNull:
		r, ok := c.Arg.(*ColRef)
		return c.Not && ok && s[r.ID]
	case *InList:
		r, ok := c.Arg.(*ColRef)
		return ok && s[r.ID]
	}
	return false
}

// method chooses how to run a join whose inputs stand: by hash on the
// equalities among conds, or by nested loop.
func (o *optimizer) method(j *Join, conds []Expr) {
	left, right := setOf(j.Left.Cols()), setOf(j.Right.Cols())
	var on []Expr
	j.HashLeft, j.HashRight = nil, nil
	for _, c := range conds {
		if l, r, ok := hashKey(c, left, right); ok {
			j.HashLeft, j.HashRight = append(j.HashLeft, l), append(j.HashRight, r)
			continue
		}
		o.subqueries(c)
		on = append(on, c)
	}
	j.On = conjunction(on)
	j.Method = NestedLoop
	if len(j.HashLeft) > 0 {
		j.Method = HashJoin
	}
}

// hashKey recognises left = right where equal values hash equally.
func hashKey(c Expr, left, right colSet) (l, r Expr, ok bool) {
	e, isCall := c.(*Call)
	if !isCall || e.Op != "=" || len(e.Args) != 2 {
		return nil, nil, false
	}
	l, r = e.Args[0], e.Args[1]
	if !plainTypes(l.Type(), r.Type()) {
		return nil, nil, false
	}
	if uses(l, right) || uses(r, left) {
		l, r = r, l
	}
	return l, r, uses(l, left) && !uses(l, right) && uses(r, right) && !uses(r, left)
}

// plainTypes reports whether values of two types are equal exactly when they
// hash equally.
func plainTypes(l, r *types.Type) bool {
	return l.Kind == r.Kind && l != types.BPCharType && r != types.BPCharType && l != types.RecordType
}

// bounded reports whether an access path leaves out any rows.
func (a *Access) bounded() bool { return len(a.Eq) > 0 || a.Lo != nil || a.Hi != nil }

// estimate guesses how many rows n yields under conds.
func (o *optimizer) estimate(n Node, conds []Expr) float64 {
	switch n := n.(type) {
	case *Scan:
		rows := rowsTable
		a, rest := chooseAccess(n, conds)
		if n.Access != nil && n.Access.bounded() { // its conditions are in it already
			a = n.Access
			rest = append(rest, conjuncts(n.Filter)...)
		}
		if a != nil && a.bounded() {
			switch {
			case a.Unique:
				rows = 1
			case len(a.Eq) > 0:
				rows = rowsEqIndex
			default:
				rows = rowsRange
			}
			if len(rest) > 0 {
				rows = max(1, rows/2)
			}
		} else if len(conds) > 0 {
			rows = rowsEqOther * 2
		}
		return rows
	case *VirtualScan:
		if len(conds) > 0 {
			return rowsEqOther
		}
		return rowsVirtual
	case *Values:
		return float64(len(n.Rows))
	case *FuncScan:
		return rowsEqIndex
	case *Filter:
		return o.estimate(n.In, append(conjuncts(n.Cond), conds...))
	case *Limit:
		if k, ok := n.Count.(*Const); ok && !k.Value.IsNull() {
			return min(float64(k.Value.Int()), o.estimate(n.In, nil))
		}
	case *Aggregate:
		if len(n.Groups) == 0 {
			return 1
		}
	case *Join:
		l := o.estimate(n.Left, nil)
		if n.Kind == SemiJoin || n.Kind == AntiJoin {
			return l
		}
		return max(l, min(l*o.estimate(n.Right, nil), rowsTable))
	}
	if in := n.Inputs(); len(in) == 1 {
		return o.estimate(in[0], nil)
	}
	return rowsTable
}

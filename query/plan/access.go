package plan

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// scan chooses how a table is read under conds.
func (o *optimizer) scan(n *Scan, conds []Expr) Node {
	conds, semis := o.semiConds(conds)
	a, rest := chooseAccess(n, conds)
	if a != nil {
		n.Access = a
	}
	n.Filter = conjunction(append(conjuncts(n.Filter), rest...))
	eachExpr(n, o.subqueries)
	var out Node = n
	for _, s := range semis {
		out = o.semiJoin(out, s)
	}
	return out
}

// virtual hands a virtual table the range on its pushed-down column.
func (o *optimizer) virtual(n *VirtualScan, conds []Expr) Node {
	conds, semis := o.semiConds(conds)
	if n.Table.Pushed >= 0 {
		own := setOf(n.Out)
		for _, c := range conds {
			n.push(c, own)
		}
	}
	n.Filter = conjunction(append(conjuncts(n.Filter), conds...))
	eachExpr(n, o.subqueries)
	var out Node = n
	for _, s := range semis {
		out = o.semiJoin(out, s)
	}
	return out
}

// push notes a bound on the pushed-down column. The condition stays in the
// filter: the bound only saves work.
func (n *VirtualScan) push(c Expr, own colSet) {
	col := n.Out[n.Table.Pushed]
	op, e := comparison(c, col, n.Table.Columns[n.Table.Pushed].Type, own)
	switch op {
	case "=":
		n.Lo, n.Hi = &Bound{e, true}, &Bound{e, true}
	case ">", ">=":
		if n.Lo == nil {
			n.Lo = &Bound{e, op == ">="}
		}
	case "<", "<=":
		if n.Hi == nil {
			n.Hi = &Bound{e, op == "<="}
		}
	}
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// comparison recognises col op e where e does not depend on the scanned row;
// op is "" for anything else.
func comparison(c Expr, col ColID, t *types.Type, own colSet) (op string, e Expr) {
	call, ok := c.(*Call)
	if !ok || len(call.Args) != 2 || mirrored[call.Op] == "" {
		return "", nil
	}
	l, r, op := call.Args[0], call.Args[1], call.Op
	if ref, ok := r.(*ColRef); ok && ref.ID == col {
		l, r, op = r, l, mirrored[op]
	}
	if ref, ok := l.(*ColRef); !ok || ref.ID != col {
		return "", nil
	}
	if uses(r, own) || !cheap(r) || !sameKey(t, r.Type()) {
		return "", nil
	}
	return op, r
}

// sameKey reports whether values of the two types have the same encoding as
// keys, so that a comparison across them is a comparison of keys.
func sameKey(a, c *types.Type) bool {
	if a == c {
		return true
	}
	if a.Kind != c.Kind || a == types.BPCharType || c == types.BPCharType {
		return false
	}
	return a.Kind == types.KindInt || a.Kind == types.KindFloat || a.Kind == types.KindString
}

// chooseAccess finds the index that conds narrow most; nil when none does. The
// conditions it does not take care of are returned.
func chooseAccess(n *Scan, conds []Expr) (*Access, []Expr) {
	own := setOf(n.Cols())
	var best *Access
	var bestUsed map[Expr]bool
	bestScore := 0
	for i := range n.Table.Indexes {
		ix := &n.Table.Indexes[i]
		if ix.Predicate != "" {
			continue
		}
		a, used, score := tryIndex(n, ix, conds, own)
		if a != nil && score > bestScore {
			best, bestUsed, bestScore = a, used, score
		}
	}
	var rest []Expr
	for _, c := range conds {
		if !bestUsed[c] {
			rest = append(rest, c)
		}
	}
	return best, rest
}

// Scores of an access path: one row beats everything, then the number of bound
// columns; the primary key saves a look-up and wins ties.
const (
	scoreUnique  = 1000
	scoreEq      = 10
	scoreIn      = 8
	scoreRange   = 4
	scorePrimary = 1
)

func tryIndex(n *Scan, ix *catalog.Index, conds []Expr, own colSet) (*Access, map[Expr]bool, int) {
	a := &Access{Index: ix}
	used := map[Expr]bool{}
	score := 0
	for _, kc := range ix.Columns {
		col, t := n.columnOf(kc.Column)
		if col == 0 {
			break
		}
		if c, e := findEq(conds, used, col, t, own); e != nil {
			a.Eq = append(a.Eq, e)
			used[c] = true
			score += scoreEq
			continue
		}
		if a.findIn(conds, used, col, t, own) {
			score += scoreIn
			break
		}
		if a.findRange(conds, used, col, t, own) {
			score += scoreRange
		}
		break
	}
	if score == 0 {
		return nil, nil, 0
	}
	if ix.Primary {
		score += scorePrimary
	}
	if ix.Unique && len(a.Eq) == len(ix.Columns) && a.InArray == nil && a.InList == nil {
		a.Unique = true
		score += scoreUnique
	}
	return a, used, score
}

func (n *Scan) columnOf(num catalog.ColumnNum) (ColID, *types.Type) {
	for i, k := range n.Nums {
		if k == num && num != 0 {
			t, _ := types.ByOID(n.Table.Columns[num-1].Type)
			return n.Out[i], t
		}
	}
	return 0, nil
}

func findEq(conds []Expr, used map[Expr]bool, col ColID, t *types.Type, own colSet) (Expr, Expr) {
	for _, c := range conds {
		if used[c] {
			continue
		}
		if op, e := comparison(c, col, t, own); op == "=" {
			return c, e
		}
		if r, ok := c.(*ColRef); ok && r.ID == col { // WHERE flag
			return c, &Const{ofType(types.BoolType), types.Bool(true)}
		}
	}
	return nil, nil
}

// findIn recognises col IN (…) and col = ANY (array).
func (a *Access) findIn(conds []Expr, used map[Expr]bool, col ColID, t *types.Type, own colSet) bool {
	for _, c := range conds {
		switch c := c.(type) {
		case *InList:
			r, ok := c.Arg.(*ColRef)
			if !ok || r.ID != col || c.Not {
				continue
			}
			a.InList = []Expr{}
			for _, v := range c.Values {
				a.InList = append(a.InList, &Const{ofType(t), v})
			}
		case *Logic: // col = a OR col = b
			list, ok := equalities(c, col, t, own)
			if !ok {
				continue
			}
			a.InList = list
		case *AnyAll:
			r, ok := c.Left.(*ColRef)
			if !ok || r.ID != col || c.All || uses(c.Array, own) || !cheap(c.Array) || !anyEquals(c, t) {
				continue
			}
			a.InArray = c.Array
		default:
			continue
		}
		a.Eq = append(a.Eq, nil)
		used[c] = true
		return true
	}
	return false
}

func equalities(l *Logic, col ColID, t *types.Type, own colSet) ([]Expr, bool) {
	if l.Op != Or {
		return nil, false
	}
	var out []Expr
	for _, c := range l.Args {
		op, e := comparison(c, col, t, own)
		if op != "=" {
			return nil, false
		}
		out = append(out, e)
	}
	return out, true
}

func anyEquals(c *AnyAll, t *types.Type) bool {
	test, ok := c.Test.(*Call)
	if !ok || test.Op != "=" || len(test.Args) != 2 {
		return false
	}
	_, l := test.Args[0].(*CaseArg)
	_, r := test.Args[1].(*ElemArg)
	return l && r && sameKey(t, test.Args[1].Type())
}

func (a *Access) findRange(conds []Expr, used map[Expr]bool, col ColID, t *types.Type, own colSet) bool {
	for _, c := range conds {
		op, e := comparison(c, col, t, own)
		switch {
		case (op == ">" || op == ">=") && a.Lo == nil:
			a.Lo = &Bound{e, op == ">="}
		case (op == "<" || op == "<=") && a.Hi == nil:
			a.Hi = &Bound{e, op == "<="}
		default:
			continue
		}
		used[c] = true
	}
	return a.Lo != nil || a.Hi != nil
}

// dropSort removes a Sort whose order an index gives.
func (o *optimizer) dropSort(n Node) Node { return dropSort(n, false) }

func dropSort(n Node, limited bool) Node {
	switch n := n.(type) {
	case *Limit:
		if n.WithTies == nil {
			n.In = dropSort(n.In, n.Count != nil)
		}
	case *Project:
		n.In = dropSort(n.In, limited)
	case *Sort:
		if sc, keys, ok := underSort(n.In, n.Keys); ok && sc.sortedBy(keys, limited) {
			return n.In
		}
	}
	return n
}

// underSort follows sort keys down to the scan they come from.
func underSort(n Node, keys []SortKey) (*Scan, []SortKey, bool) {
	switch n := n.(type) {
	case *Scan:
		return n, keys, true
	case *Filter:
		return underSort(n.In, keys)
	case *Project:
		var below []SortKey
		for _, k := range keys {
			r, ok := k.Expr.(*ColRef)
			if !ok {
				return nil, nil, false
			}
			for i, id := range n.Out {
				if id == r.ID {
					k.Expr = n.Exprs[i]
				}
			}
			below = append(below, k)
		}
		return underSort(n.In, below)
	}
	return nil, nil, false
}

// sortedBy makes the scan yield its rows in the order of keys, if an index can.
func (n *Scan) sortedBy(keys []SortKey, limited bool) bool {
	if n.Access != nil {
		a := n.Access
		if a.InArray != nil || a.InList != nil {
			return false
		}
		reverse, ok := n.matches(a.Index, len(a.Eq), keys)
		n.Reverse = n.Reverse || (ok && reverse)
		return ok
	}
	for i := range n.Table.Indexes {
		ix := &n.Table.Indexes[i]
		if ix.Predicate != "" || (!ix.Primary && !limited) {
			continue
		}
		if reverse, ok := n.matches(ix, 0, keys); ok {
			n.Access, n.Reverse = &Access{Index: ix}, reverse
			return true
		}
	}
	return false
}

// matches reports whether reading ix, whose first bound columns are constant,
// gives the order of keys, and in which direction.
func (n *Scan) matches(ix *catalog.Index, bound int, keys []SortKey) (reverse, ok bool) {
	pos, decided := bound, false
	for _, k := range keys {
		r, isRef := k.Expr.(*ColRef)
		if !isRef {
			return false, false
		}
		if n.isBound(ix, bound, r.ID) {
			continue
		}
		if pos >= len(ix.Columns) {
			return reverse, ix.Unique && ix.Primary
		}
		kc := ix.Columns[pos]
		id, t := n.columnOf(kc.Column)
		if id != r.ID || t == types.BPCharType {
			return false, false
		}
		rev := k.Desc != kc.Descending
		if (k.NullsFirst != kc.NullsFirst) != rev && !n.Table.Columns[kc.Column-1].NotNull {
			return false, false
		}
		if decided && rev != reverse {
			return false, false
		}
		reverse, decided = rev, true
		pos++
	}
	return reverse, true
}

func (n *Scan) isBound(ix *catalog.Index, bound int, id ColID) bool {
	for _, kc := range ix.Columns[:bound] {
		if c, _ := n.columnOf(kc.Column); c == id {
			return true
		}
	}
	return false
}

package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxGroupingSets bounds what CUBE can expand to.
const maxGroupingSets = 4096

// groupBy binds GROUP BY into q.groups and, when there is more than one
// grouping set, q.sets.
func (q *selection) groupBy() error {
	plain := true
	var sets [][]int
	for _, it := range items(q.n.GroupClause) {
		gs, ok := it.(*ast.GroupingSet)
		if !ok {
			i, err := q.groupExpr(it)
			if err != nil {
				return err
			}
			sets = crossSets(sets, [][]int{i})
			continue
		}
		plain = false
		expanded, err := q.groupingSet(gs)
		if err != nil {
			return err
		}
		if sets = crossSets(sets, expanded); len(sets) > maxGroupingSets {
			return sqlstate.New(sqlstate.StatementTooComplex, "too many grouping sets present (maximum %d)", maxGroupingSets)
		}
	}
	if !plain {
		q.sets = sets
	}
	return nil
}

// groupExpr binds one grouping expression: a number or name of the select
// list, or an expression over the input. A row stands for its fields.
func (q *selection) groupExpr(n ast.Node) ([]int, error) {
	var list []ast.Node
	switch n := n.(type) {
	case *ast.RowExpr:
		list = items(n.Args)
	case *ast.NodeList:
		list = n.Items
	default:
		list = []ast.Node{n}
	}
	var out []int
	for _, n := range list {
		e, err := q.groupItem(n)
		if err != nil {
			return nil, err
		}
		out = append(out, q.addGroup(e))
	}
	return out, nil
}

func (q *selection) groupItem(n ast.Node) (Expr, error) {
	// Unlike in ORDER BY, a column of the input wins over an output name.
	if name, ok := bareName(n); ok {
		if id, err := q.s.find("", "", name); err == nil && id != 0 {
			return q.b.ref(id), nil
		}
	}
	e, err := q.outputOr(n, "GROUP BY")
	if err != nil {
		return nil, err
	}
	bad := false
	Walk(e, func(x Expr) bool {
		if r, ok := x.(*ColRef); ok {
			for _, id := range q.coll.out {
				bad = bad || id == r.ID
			}
		}
		return !bad
	})
	if bad {
		return nil, sqlstate.New(sqlstate.GroupingError, "aggregate functions are not allowed in GROUP BY")
	}
	return e, nil
}

func (q *selection) addGroup(e Expr) int {
	for i, g := range q.groups {
		if sameExpr(g, e) {
			return i
		}
	}
	q.groups = append(q.groups, e)
	return len(q.groups) - 1
}

// groupingSet expands ROLLUP, CUBE and GROUPING SETS.
func (q *selection) groupingSet(gs *ast.GroupingSet) ([][]int, error) {
	var parts [][]int
	var nested [][]int
	for _, it := range items(gs.Content) {
		if inner, ok := it.(*ast.GroupingSet); ok {
			sets, err := q.groupingSet(inner)
			if err != nil {
				return nil, err
			}
			nested = append(nested, sets...)
			continue
		}
		p, err := q.groupExpr(it)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		nested = append(nested, p)
	}
	switch gs.Kind {
	case ast.GROUPING_SET_EMPTY:
		return [][]int{{}}, nil
	case ast.GROUPING_SET_ROLLUP:
		var out [][]int
		for k := len(parts); k >= 0; k-- {
			out = append(out, flatten(parts[:k]))
		}
		return out, nil
	case ast.GROUPING_SET_CUBE:
		if len(parts) > 12 {
			return nil, sqlstate.New(sqlstate.StatementTooComplex, "CUBE is limited to 12 elements")
		}
		var out [][]int
		for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
			var set [][]int
			for i, p := range parts {
				if mask&(1<<(len(parts)-1-i)) != 0 {
					set = append(set, p)
				}
			}
			out = append(out, flatten(set))
		}
		return out, nil
	}
	return nested, nil
}

func flatten(parts [][]int) []int {
	out := []int{}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func crossSets(a, c [][]int) [][]int {
	if a == nil {
		return c
	}
	var out [][]int
	for _, x := range a {
		for _, y := range c {
			out = append(out, append(append([]int{}, x...), y...))
		}
	}
	return out
}

// aggregate puts the Aggregate node in and makes everything above refer to it.
func (q *selection) aggregate(c *aggCollector) error {
	b := q.b
	if len(c.aggs) > 0 && b.readsWorking(q.s) {
		return sqlstate.New(sqlstate.InvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term")
	}
	q.addDependent()
	agg := &Aggregate{In: q.in, Groups: q.groups, Aggs: c.aggs, AggOut: c.out, Sets: q.sets}
	for _, g := range q.groups {
		col := Column{Name: "?column?", Type: g.Type(), Typmod: g.Typmod()}
		if r, ok := g.(*ColRef); ok {
			col = b.columns[r.ID]
		}
		agg.GroupOut = append(agg.GroupOut, b.newColumn(col))
	}
	if q.sets != nil || len(c.groupings) > 0 {
		agg.SetOut = b.newColumn(Column{Name: "grouping", Type: types.Int4Type, Typmod: types.NoTypmod})
	}
	for _, g := range c.groupings {
		if err := q.grouping(g, agg); err != nil {
			return err
		}
	}
	below := map[ColID]bool{}
	for _, id := range q.in.Cols() {
		below[id] = true
	}
	var bad *ColRef
	up := func(e Expr) Expr {
		if g, ok := e.(*groupingCall); ok {
			return g.done
		}
		for i, g := range q.groups {
			if sameExpr(g, e) {
				return b.ref(agg.GroupOut[i])
			}
		}
		if r, ok := e.(*ColRef); ok && below[r.ID] && bad == nil {
			bad = r
		}
		return e
	}
	for i := range q.targets {
		q.targets[i].expr = mapExpr(q.targets[i].expr, up)
	}
	q.having = mapExpr(q.having, up)
	for i := range q.sort {
		q.sort[i].Expr = mapExpr(q.sort[i].Expr, up)
	}
	for i := range q.on {
		q.on[i] = mapExpr(q.on[i], up)
	}
	if bad != nil {
		err := sqlstate.New(sqlstate.GroupingError,
			"column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function", q.qualified(bad))
		return b.at(err, func(sql string) int { return parser.FindField(sql, bad.Name) })
	}
	q.in = agg
	return nil
}

// readsWorking reports whether FROM has a recursive query's reference to itself.
func (b *binder) readsWorking(s *scope) bool {
	for _, it := range s.items {
		if sc, ok := it.node.(*CTEScan); ok && b.working[sc.CTE] != nil {
			return true
		}
	}
	return false
}

// qualified names a column as PostgreSQL does in messages: relation.column.
func (q *selection) qualified(r *ColRef) string {
	for _, it := range q.s.items {
		for _, rl := range it.rels {
			for _, c := range rl.cols {
				if c.id == r.ID && rl.name != "" {
					return rl.name + "." + c.name
				}
			}
		}
	}
	return r.Name
}

// addDependent groups by the other columns of a table whose primary key is
// grouped by: they depend on it.
func (q *selection) addDependent() {
	if q.sets != nil {
		return
	}
	grouped := map[ColID]bool{}
	for _, g := range q.groups {
		if r, ok := g.(*ColRef); ok {
			grouped[r.ID] = true
		}
	}
	for _, it := range q.s.items {
		for _, r := range it.rels {
			t := q.b.env.Catalog.Table(r.table)
			if t == nil || t.PrimaryKey() == nil {
				continue
			}
			if q.hasKey(r, t.PrimaryKey(), grouped) {
				for _, c := range r.cols {
					if !grouped[c.id] {
						q.groups = append(q.groups, q.b.ref(c.id))
					}
				}
			}
		}
	}
}

func (q *selection) hasKey(r *relation, pk *catalog.Index, grouped map[ColID]bool) bool {
	for _, kc := range pk.Columns {
		found := false
		for _, c := range r.cols {
			found = found || (q.b.columns[c.id].Num == kc.Column && grouped[c.id])
		}
		if !found {
			return false
		}
	}
	return true
}

// grouping computes GROUPING(a, b): bits of the mask in the arguments' order.
func (q *selection) grouping(g *groupingCall, agg *Aggregate) error {
	var out Expr = &Const{ofType(types.Int4Type), types.Int(0)}
	for _, a := range g.args {
		pos := -1
		for i, x := range q.groups {
			if sameExpr(x, a) {
				pos = i
			}
		}
		if pos < 0 {
			return sqlstate.New(sqlstate.GroupingError, "arguments to GROUPING must be grouping expressions of the associated query level")
		}
		two, one := &Const{ofType(types.Int4Type), types.Int(2)}, &Const{ofType(types.Int4Type), types.Int(1)}
		shift := &Const{ofType(types.Int4Type), types.Int(int64(pos))}
		bit, err := q.b.opCall(">>", q.b.ref(agg.SetOut), shift)
		if err != nil {
			return err
		}
		if bit, err = q.b.opCall("&", bit, one); err != nil {
			return err
		}
		if out, err = q.b.opCall("*", out, two); err != nil {
			return err
		}
		if out, err = q.b.opCall("+", out, bit); err != nil {
			return err
		}
	}
	g.done = out
	return nil
}

package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// compiledSub is a subquery in an expression.
type compiledSub struct {
	node  *plan.Subquery
	op    operator
	out   []int // where its visible columns are
	left  evalFunc
	test  evalFunc
	width int
}

// subResult is what a subquery that does not depend on the outer row gave.
type subResult struct {
	value types.Datum
	rows  [][]types.Datum
	set   *datumSet
	null  bool // the set has a NULL
}

func (c *compiler) subquery(e *plan.Subquery, l *layout) evalFunc {
	in := c.node(e.Plan, l)
	s := &compiledSub{node: e, op: in.op, width: in.lay.width}
	for _, id := range e.Out {
		s.out = append(s.out, in.lay.pos[id])
	}
	switch e.Kind {
	case plan.SubAny, plan.SubAll:
		s.left = c.expr(e.Left, l)
		s.test = c.expr(e.Test, &layout{pos: in.lay.pos, width: in.lay.width, outer: l})
		return s.quantified
	}
	return s.value
}

// value evaluates EXISTS, a scalar subquery or ARRAY(…).
func (s *compiledSub) value(f *frame) (types.Datum, error) {
	if s.node.Correlated {
		return s.run(f)
	}
	if r, ok := f.rt.subs[s.node]; ok {
		return r.value, nil
	}
	d, err := s.run(f)
	if err != nil {
		return types.NullDatum, err
	}
	f.rt.remember(s.node, &subResult{value: d})
	return d, nil
}

func (rt *Runtime) remember(n *plan.Subquery, r *subResult) {
	if rt.subs == nil {
		rt.subs = map[*plan.Subquery]*subResult{}
	}
	rt.subs[n] = r
}

func (s *compiledSub) run(f *frame) (types.Datum, error) {
	cur, err := s.op.open(f.rt, f)
	if err != nil {
		return types.NullDatum, err
	}
	defer cur.close()
	switch s.node.Kind {
	case plan.SubExists:
		row, err := cur.next()
		return types.Bool(row != nil), err
	case plan.SubArray:
		var elems []types.Datum
		for {
			row, err := cur.next()
			if err != nil {
				return types.NullDatum, err
			}
			if row == nil {
				return types.ArrayDatum(types.NewArray(s.node.Type().Elem, elems)), nil
			}
			elems = append(elems, row[s.out[0]])
			if err := f.rt.grow(sizeOf(row[s.out[0]])); err != nil {
				return types.NullDatum, err
			}
		}
	}
	row, err := cur.next()
	if row == nil || err != nil {
		return types.NullDatum, err
	}
	d := row[s.out[0]]
	if row, err = cur.next(); err != nil {
		return types.NullDatum, err
	}
	if row != nil {
		return types.NullDatum, sqlstate.New(sqlstate.CardinalityViolation, "more than one row returned by a subquery used as an expression")
	}
	return d, nil
}

// quantified evaluates left op ANY|ALL (subquery).
func (s *compiledSub) quantified(f *frame) (types.Datum, error) {
	var left types.Datum
	var err error
	if s.left != nil {
		if left, err = s.left(f); err != nil {
			return types.NullDatum, err
		}
	}
	if s.node.Correlated {
		cur, err := s.op.open(f.rt, f)
		if err != nil {
			return types.NullDatum, err
		}
		defer cur.close()
		return s.compare(f, left, cur)
	}
	r, ok := f.rt.subs[s.node]
	if !ok {
		if r, err = s.materialize(f); err != nil {
			return types.NullDatum, err
		}
		f.rt.remember(s.node, r)
	}
	if r.set == nil {
		return s.compare(f, left, &sliceCursor{rows: r.rows, rt: f.rt})
	}
	found := !left.IsNull() && r.set.has1(left)
	unknown := r.null || (left.IsNull() && (len(r.set.order) > 0 || r.null))
	switch {
	case found:
		return types.Bool(true), nil
	case unknown && !s.node.Exists:
		return types.NullDatum, nil
	}
	return types.Bool(false), nil
}

func (s *compiledSub) materialize(f *frame) (*subResult, error) {
	cur, err := s.op.open(f.rt, f)
	if err != nil {
		return nil, err
	}
	store, err := drain(f.rt, cur, s.width)
	if err != nil {
		return nil, err
	}
	r := &subResult{rows: store.rows}
	if !s.node.Hashable || s.node.Kind != plan.SubAny {
		return r, nil
	}
	r.set = newDatumSet()
	for _, row := range store.rows {
		d := row[s.out[0]]
		if d.IsNull() {
			r.null = true
			continue
		}
		r.set.add([]types.Datum{d})
	}
	return r, f.rt.grow(store.bytes)
}

// compare tests left against every row.
func (s *compiledSub) compare(f *frame, left types.Datum, cur cursor) (types.Datum, error) {
	all := s.node.Kind == plan.SubAll
	inner := frame{outer: f, rt: f.rt, caseArg: left}
	null := false
	for {
		row, err := cur.next()
		if err != nil {
			return types.NullDatum, err
		}
		if row == nil {
			break
		}
		inner.row = row
		d, err := s.test(&inner)
		if err != nil {
			return types.NullDatum, err
		}
		if d.IsNull() {
			null = true
		} else if d.Bool() != all {
			return types.Bool(!all), nil
		}
	}
	if null {
		return types.NullDatum, nil
	}
	return types.Bool(all), nil
}

package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// aggCall is a compiled aggregate.
type aggCall struct {
	fn       *expr.ResolvedAggregate
	args     []evalFunc
	filter   evalFunc
	distinct bool
	order    []sortKey
}

// aggregateOp groups its input. Groups come out in the order in which their
// first row came in, one grouping set after the other.
type aggregateOp struct {
	in     operator
	groups []evalFunc
	calls  []aggCall
	sets   [][]int
	masks  []int64 // GROUPING() of each set
	mask   bool    // the last column is the mask
}

// groupBytes is what a group is counted as, beside its key.
const groupBytes = 200

func (c *compiler) aggregate(n *plan.Aggregate, outer *layout) compiled {
	in := c.node(n.In, outer)
	op := &aggregateOp{in: in.op, groups: c.exprs(n.Groups, in.lay), sets: n.Sets, mask: n.SetOut != 0}
	for i := range n.Aggs {
		a := &n.Aggs[i]
		op.calls = append(op.calls, aggCall{a.Func, c.exprs(a.Args, in.lay), c.expr(a.Filter, in.lay), a.Distinct, c.keys(a.Order, in.lay)})
	}
	if op.sets == nil {
		all := make([]int, len(n.Groups))
		for i := range all {
			all[i] = i
		}
		op.sets = [][]int{all}
	}
	for _, set := range op.sets {
		mask := int64(0)
		for g := range n.Groups {
			if !slices.Contains(set, g) {
				mask |= 1 << g
			}
		}
		op.masks = append(op.masks, mask)
	}
	return compiled{op, layoutOf(n.Cols(), outer)}
}

func (o *aggregateOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	defer in.close()
	g := &grouper{op: o, rt: rt, f: frame{outer: outer, rt: rt}, key: make([]types.Datum, len(o.groups)),
		args: make([]types.Datum, 0, 4)}
	for _, set := range o.sets {
		gs := &groupSet{cols: set, keys: newDatumSet()}
		if len(set) == 0 && (len(o.groups) == 0 || len(o.sets) > 1) {
			// The empty grouping set has a group even without rows.
			if _, err := g.group(gs, nil); err != nil {
				return nil, err
			}
		}
		g.sets = append(g.sets, gs)
	}
	for {
		row, err := in.next()
		if err == nil && row != nil {
			err = g.add(row)
		}
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
	}
	return &groupCursor{g: g, out: make([]types.Datum, len(o.groups)+len(o.calls)+1)}, nil
}

// grouper is one run of an aggregation.
type grouper struct {
	op    *aggregateOp
	rt    *Runtime
	f     frame
	sets  []*groupSet
	key   []types.Datum
	args  []types.Datum
	bytes int64
}

// groupSet has the groups of one grouping set.
type groupSet struct {
	cols []int
	keys *datumSet
	accs [][]accumulator
}

// accumulator is one aggregate of one group.
type accumulator struct {
	acc  expr.Accumulator
	seen *datumSet // DISTINCT
	rows []keyed   // ORDER BY: args kept until the end
}

// group returns the number of the group with that key, making it.
func (g *grouper) group(s *groupSet, key []types.Datum) (int, error) {
	if n := s.keys.find(key); n >= 0 {
		return n, nil
	}
	n, _ := s.keys.add(slices.Clone(key))
	accs := make([]accumulator, len(g.op.calls))
	for i := range accs {
		accs[i].acc = g.op.calls[i].fn.New()
		if g.op.calls[i].distinct {
			accs[i].seen = newDatumSet()
		}
	}
	s.accs = append(s.accs, accs)
	size := int64(groupBytes + len(accs)*groupBytes/4)
	for _, d := range key {
		size += sizeOf(d)
	}
	return n, g.grow(size)
}

func (g *grouper) grow(n int64) error {
	g.bytes += n
	return g.rt.grow(n)
}

func (g *grouper) add(row []types.Datum) error {
	g.f.row = row
	if len(g.op.groups) == 0 && len(g.sets) == 1 {
		return g.feed(g.sets[0].accs[0]) // one group, and no key to look it up by
	}
	vals := g.key
	for i, e := range g.op.groups {
		var err error
		if vals[i], err = e(&g.f); err != nil {
			return err
		}
	}
	var setKey []types.Datum
	for _, s := range g.sets {
		key := vals
		if len(s.cols) != len(vals) || len(g.sets) > 1 {
			setKey = setKey[:0]
			for _, c := range s.cols {
				setKey = append(setKey, vals[c])
			}
			key = setKey
		}
		n, err := g.group(s, key)
		if err != nil {
			return err
		}
		if err := g.feed(s.accs[n]); err != nil {
			return err
		}
	}
	return nil
}

// feed gives the current row to the aggregates of a group.
func (g *grouper) feed(accs []accumulator) error {
	for i := range g.op.calls {
		call, a := &g.op.calls[i], &accs[i]
		if call.filter != nil {
			if ok, err := isTrue(call.filter, &g.f); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		args := g.args[:0]
		for _, e := range call.args {
			d, err := e(&g.f)
			if err != nil {
				return err
			}
			args = append(args, d)
		}
		if a.seen != nil {
			if a.seen.find(args) >= 0 {
				continue
			}
			a.seen.add(slices.Clone(args))
			if err := g.grow(int64(len(args)+1) * datumBytes * 2); err != nil {
				return err
			}
		}
		if len(call.order) > 0 {
			if err := g.keep(call, a, args); err != nil {
				return err
			}
			continue
		}
		if err := a.acc.Add(g.rt.Expr, args); err != nil {
			return outcome(err)
		}
	}
	return nil
}

// keep holds a row's arguments until all are there to be ordered.
func (g *grouper) keep(call *aggCall, a *accumulator, args []types.Datum) error {
	k := keyed{row: slices.Clone(args), key: make([]types.Datum, len(call.order)), seq: len(a.rows)}
	size := int64(0)
	for i := range call.order {
		var err error
		if k.key[i], err = call.order[i].eval(&g.f); err != nil {
			return err
		}
		size += sizeOf(k.key[i])
	}
	for _, d := range args {
		size += sizeOf(d)
	}
	a.rows = append(a.rows, k)
	return g.grow(size)
}

// result finishes one aggregate.
func (g *grouper) result(i int, a *accumulator) (types.Datum, error) {
	call := &g.op.calls[i]
	if len(call.order) > 0 {
		slices.SortFunc(a.rows, func(x, y keyed) int {
			if c := compareKeys(call.order, x.key, y.key); c != 0 {
				return c
			}
			return x.seq - y.seq
		})
		for _, r := range a.rows {
			if err := a.acc.Add(g.rt.Expr, r.row); err != nil {
				return types.NullDatum, outcome(err)
			}
		}
	}
	d, err := a.acc.Result(g.rt.Expr)
	return d, outcome(err)
}

// groupCursor yields the groups.
type groupCursor struct {
	g        *grouper
	set, pos int
	out      []types.Datum
}

func (c *groupCursor) next() ([]types.Datum, error) {
	for c.set < len(c.g.sets) && c.pos >= len(c.g.sets[c.set].accs) {
		c.set, c.pos = c.set+1, 0
	}
	if c.set >= len(c.g.sets) {
		return nil, nil
	}
	s := c.g.sets[c.set]
	n := len(c.g.op.groups)
	clear(c.out[:n])
	for i, col := range s.cols {
		c.out[col] = s.keys.order[c.pos][i]
	}
	for i := range c.g.op.calls {
		var err error
		if c.out[n+i], err = c.g.result(i, &s.accs[c.pos][i]); err != nil {
			return nil, err
		}
	}
	width := n + len(c.g.op.calls)
	if c.g.op.mask {
		c.out[width] = types.Int(c.g.op.masks[c.set])
		width++
	}
	c.pos++
	return c.out[:width], c.g.rt.tick()
}

func (c *groupCursor) close() {
	c.g.rt.shrink(c.g.bytes)
	c.g.sets, c.g.bytes = nil, 0
}

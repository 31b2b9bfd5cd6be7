package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
)

// compiledCTE is a WITH query; the operator is set after the queries that
// refer to it may have been compiled, because a recursive one refers to itself.
type compiledCTE struct {
	node *plan.CTE
	plan *pickOp
	step *pickOp
}

func (c *compiler) cte(n *plan.CTE, outer *layout) *compiledCTE {
	if x, ok := c.ctes[n]; ok {
		return x
	}
	x := &compiledCTE{node: n}
	c.ctes[n] = x
	if n.Plan == nil {
		return x // the working table of a recursive query
	}
	in := c.node(n.Plan, outer)
	x.plan = &pickOp{in.op, positions(n.Out, in.lay)}
	if n.Step != nil {
		in := c.node(n.Step, outer)
		x.step = &pickOp{in.op, positions(n.StepOut, in.lay)}
	}
	return x
}

type cteScanOp struct{ cte *compiledCTE }

func (c *compiler) cteScan(n *plan.CTEScan, outer *layout) compiled {
	return compiled{&cteScanOp{c.cte(n.CTE, outer)}, layoutOf(n.Out, outer)}
}

func (o *cteScanOp) open(rt *Runtime, outer *frame) (cursor, error) {
	store, ok := rt.ctes[o.cte.node]
	if !ok {
		var err error
		if store, err = o.cte.run(rt, outer); err != nil {
			return nil, err
		}
		rt.setCTE(o.cte.node, store)
	}
	return &sliceCursor{rows: store.rows, rt: rt}, nil
}

func (rt *Runtime) setCTE(n *plan.CTE, s *rowStore) {
	if rt.ctes == nil {
		rt.ctes = map[*plan.CTE]*rowStore{}
	}
	rt.ctes[n] = s
}

// run computes a WITH query, round by round when it is recursive.
func (x *compiledCTE) run(rt *Runtime, outer *frame) (*rowStore, error) {
	in, err := x.plan.open(rt, outer)
	if err != nil {
		return nil, err
	}
	width := len(x.node.Out)
	round, err := drain(rt, in, width)
	if err != nil || x.step == nil {
		return round, err
	}
	all := newRowStore(rt, width)
	seen := newDatumSet()
	for {
		fresh := newRowStore(rt, width)
		for _, row := range round.rows {
			if !x.node.UnionAll {
				if seen.find(row) >= 0 {
					continue
				}
				seen.add(slices.Clone(row))
			}
			if _, err := fresh.add(row); err != nil {
				return nil, err
			}
			if _, err := all.add(row); err != nil {
				return nil, err
			}
		}
		round.free()
		if len(fresh.rows) == 0 {
			return all, nil
		}
		if round, err = x.round(rt, outer, fresh); err != nil {
			return nil, err
		}
		fresh.free()
	}
}

// round runs the recursive part on the last round's rows. What it has cached
// about the working table is forgotten.
func (x *compiledCTE) round(rt *Runtime, outer *frame, working *rowStore) (*rowStore, error) {
	rt.setCTE(x.node.Working, working)
	clear(rt.subs)
	in, err := x.step.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return drain(rt, in, len(x.node.Out))
}

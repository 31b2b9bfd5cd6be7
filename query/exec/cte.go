package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// compiledCTE is a WITH query; the operators are set after the queries that
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

// withOp makes its WITH queries anew each time it is opened.
type withOp struct {
	in   operator
	ctes []*compiledCTE
}

func (c *compiler) with(n *plan.With, outer *layout) compiled {
	op := &withOp{}
	for _, cte := range n.CTEs {
		op.ctes = append(op.ctes, c.cte(cte, outer))
	}
	in := c.node(n.In, outer)
	op.in = in.op
	return compiled{op, in.lay}
}

func (o *withOp) open(rt *Runtime, outer *frame) (cursor, error) {
	c := &withCursor{}
	for _, cte := range o.ctes {
		s := newCTEState(rt, cte, outer)
		rt.setCTE(cte.node, s)
		c.states = append(c.states, s)
	}
	var err error
	if c.cursor, err = o.in.open(rt, outer); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

type withCursor struct {
	cursor
	states []*cteState
}

func (c *withCursor) close() {
	c.cursor.close()
	c.release()
}

func (c *withCursor) release() {
	for _, s := range c.states {
		s.close()
	}
}

// cteState is one run of a WITH query. It is read only as far as somebody asks,
// so that a LIMIT ends a recursion that would not end by itself.
type cteState struct {
	cte   *compiledCTE
	rt    *Runtime
	outer *frame

	all  *rowStore
	in   cursor
	done bool

	// Of a recursive query: the rows of this round, which are the working table
	// of the next one, and those of the last round.
	fresh, last *rowStore
	seen        *datumSet
}

func newCTEState(rt *Runtime, c *compiledCTE, outer *frame) *cteState {
	s := &cteState{cte: c, rt: rt, outer: outer, all: newRowStore(rt, len(c.node.Out))}
	if c.step != nil {
		s.fresh, s.seen = newRowStore(rt, len(c.node.Out)), newDatumSet()
	}
	return s
}

func (rt *Runtime) setCTE(n *plan.CTE, s *cteState) {
	if rt.ctes == nil {
		rt.ctes = map[*plan.CTE]*cteState{}
	}
	rt.ctes[n] = s
}

// row returns row i, or nil when there are not that many.
func (s *cteState) row(i int) ([]types.Datum, error) {
	for i >= len(s.all.rows) && !s.done {
		if err := s.more(); err != nil {
			return nil, err
		}
	}
	if i >= len(s.all.rows) {
		return nil, nil
	}
	return s.all.rows[i], nil
}

// more reads one more row, or goes on to the next round.
func (s *cteState) more() error {
	if s.in == nil {
		in, err := s.cte.plan.open(s.rt, s.outer)
		if err != nil {
			return err
		}
		s.in = in
	}
	row, err := s.in.next()
	if err != nil {
		return err
	}
	if row == nil {
		s.in.close()
		return s.round()
	}
	if s.cte.step != nil {
		if !s.cte.node.UnionAll {
			if s.seen.find(row) >= 0 {
				return nil
			}
			s.seen.add(slices.Clone(row))
		}
		if _, err := s.fresh.add(row); err != nil {
			return err
		}
	}
	_, err = s.all.add(row)
	return err
}

// round runs the recursive part on the last round's rows. What is cached about
// the working table is forgotten.
func (s *cteState) round() error {
	s.in = nil
	if s.cte.step == nil || len(s.fresh.rows) == 0 {
		s.done = true
		return nil
	}
	s.last.free()
	s.last, s.fresh = s.fresh, newRowStore(s.rt, len(s.cte.node.Out))
	s.rt.setCTE(s.cte.node.Working, &cteState{rt: s.rt, all: s.last, done: true})
	clear(s.rt.subs)
	in, err := s.cte.step.open(s.rt, s.outer)
	if err != nil {
		s.done = true
		return err
	}
	s.in = in
	return nil
}

func (s *cteState) close() {
	if s.in != nil {
		s.in.close()
		s.in = nil
	}
	s.done = true
	s.all.free()
	s.fresh.free()
	s.last.free()
	if s.rt.ctes[s.cte.node] == s {
		delete(s.rt.ctes, s.cte.node)
	}
}

type cteScanOp struct{ cte *compiledCTE }

func (c *compiler) cteScan(n *plan.CTEScan, outer *layout) compiled {
	return compiled{&cteScanOp{c.cte(n.CTE, outer)}, layoutOf(n.Out, outer)}
}

func (o *cteScanOp) open(rt *Runtime, outer *frame) (cursor, error) {
	s, ok := rt.ctes[o.cte.node]
	if !ok {
		// The WITH of a data-modifying statement, which is read to its end
		// because nothing closes it.
		s = newCTEState(rt, o.cte, outer)
		rt.setCTE(o.cte.node, s)
		for !s.done {
			if err := s.more(); err != nil {
				s.close()
				return nil, err
			}
		}
	}
	return &cteCursor{s: s}, nil
}

type cteCursor struct {
	s *cteState
	i int
}

func (c *cteCursor) next() ([]types.Datum, error) {
	row, err := c.s.row(c.i)
	if row == nil || err != nil {
		return nil, err
	}
	c.i++
	return row, c.s.rt.tick()
}

func (c *cteCursor) close() {}

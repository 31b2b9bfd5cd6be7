package exec

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// virtualOp reads a virtual table.
type virtualOp struct {
	node   *plan.VirtualScan
	filter evalFunc
	lo, hi evalFunc
}

func (c *compiler) virtual(n *plan.VirtualScan, outer *layout) compiled {
	lay := layoutOf(n.Out, outer)
	op := &virtualOp{node: n, filter: c.expr(n.Filter, lay)}
	if n.Lo != nil {
		op.lo = c.expr(n.Lo.Expr, outer)
	}
	if n.Hi != nil {
		op.hi = c.expr(n.Hi.Expr, outer)
	}
	return compiled{op, lay}
}

func (o *virtualOp) open(rt *Runtime, outer *frame) (cursor, error) {
	if rt.Virtual == nil {
		return nil, unsupported("reading %s.%s in a statement that writes", o.node.Table.Schema, o.node.Table.Name)
	}
	var r syscat.Range
	var err error
	if o.lo != nil {
		if r.Lo, err = o.lo(outer); err != nil {
			return nil, err
		}
		r.LoIncl = o.node.Lo.Inclusive
	}
	if o.hi != nil {
		if r.Hi, err = o.hi(outer); err != nil {
			return nil, err
		}
		r.HiIncl = o.node.Hi.Inclusive
	}
	c := &virtualCursor{f: frame{outer: outer, rt: rt}, filter: o.filter}
	c.pull(func(emit func([]types.Datum) bool) error { return o.node.Table.Rows(rt.Virtual, r, emit) })
	return c, nil
}

// virtualCursor turns a table's emit calls into a cursor.
type virtualCursor struct {
	f       frame
	filter  evalFunc
	pullRow func() ([]types.Datum, bool)
	stop    func()
	err     error
}

func (c *virtualCursor) next() ([]types.Datum, error) {
	for {
		row, ok := c.pullRow()
		if !ok {
			return nil, c.err
		}
		if err := c.f.rt.tick(); err != nil {
			return nil, err
		}
		if c.filter == nil {
			return row, nil
		}
		c.f.row = row
		pass, err := isTrue(c.filter, &c.f)
		if err != nil {
			return nil, err
		}
		if pass {
			return row, nil
		}
	}
}

func (c *virtualCursor) close() { c.stop() }

// funcScanOp yields what functions return, side by side.
type funcScanOp struct {
	calls      []setCall
	width      int
	ordinality bool
}

// setCall is one function in FROM or in a select list.
type setCall struct {
	fn    *expr.Func
	args  []evalFunc
	width int
	plain evalFunc // for a function that returns one value
}

func (c *compiler) setCall(call *plan.Call, width int, l *layout) setCall {
	s := setCall{fn: call.Func, width: width}
	if call.Func.Set == nil {
		s.plain = c.expr(call, l)
		return s
	}
	s.args = c.exprs(call.Args, l)
	return s
}

// rows begins the set of one call; nil means an empty set.
func (s *setCall) rows(f *frame) (expr.RowIter, error) {
	if s.plain != nil {
		d, err := s.plain(f)
		if err != nil {
			return nil, err
		}
		if s.width > 1 || (d.Kind() == types.KindTuple && len(s.fn.OutTypes) > 0) {
			if d.IsNull() {
				return &oneRow{row: make([]types.Datum, s.width)}, nil
			}
			return &oneRow{row: d.Tuple().Fields}, nil
		}
		return &oneRow{row: []types.Datum{d}}, nil
	}
	args := make([]types.Datum, len(s.args))
	for i, a := range s.args {
		var err error
		if args[i], err = a(f); err != nil {
			return nil, err
		}
		if args[i].IsNull() && s.fn.Strict {
			return nil, nil
		}
	}
	it, err := s.fn.Set(f.rt.Expr, args)
	return it, outcome(err)
}

// oneRow is a set of one row.
type oneRow struct {
	row  []types.Datum
	done bool
}

// Next implements expr.RowIter.
func (o *oneRow) Next() ([]types.Datum, bool, error) {
	if o.done {
		return nil, false, nil
	}
	o.done = true
	return o.row, true, nil
}

func (c *compiler) funcScan(n *plan.FuncScan, outer *layout) compiled {
	op := &funcScanOp{width: len(n.Out), ordinality: n.Ordinality}
	for i, call := range n.Calls {
		op.calls = append(op.calls, c.setCall(call, n.Widths[i], outer))
	}
	return compiled{op, layoutOf(n.Out, outer)}
}

func (o *funcScanOp) open(rt *Runtime, outer *frame) (cursor, error) {
	s, err := openSets(o.calls, outer)
	if err != nil {
		return nil, err
	}
	return &funcCursor{sets: s, rt: rt, out: make([]types.Datum, o.width), ordinality: o.ordinality}, nil
}

// openSet is a set being read.
type openSet struct {
	it    expr.RowIter
	width int
}

func openSets(calls []setCall, f *frame) ([]openSet, error) {
	out := make([]openSet, len(calls))
	for i := range calls {
		it, err := calls[i].rows(f)
		if err != nil {
			return nil, err
		}
		out[i] = openSet{it, calls[i].width}
	}
	return out, nil
}

// step fills dst with the next row of each set; ok is false when all are at
// their end. Shorter sets are filled up with NULLs.
func step(sets []openSet, dst []types.Datum) (ok bool, err error) {
	pos := 0
	for i := range sets {
		s := &sets[i]
		part := dst[pos : pos+s.width]
		pos += s.width
		clear(part)
		if s.it == nil {
			continue
		}
		row, more, err := s.it.Next()
		if err != nil {
			return false, outcome(err)
		}
		if !more {
			s.it = nil
			continue
		}
		if len(row) < s.width {
			return false, sqlstate.New(sqlstate.InternalError, "a function returned %d columns instead of %d", len(row), s.width)
		}
		copy(part, row)
		ok = true
	}
	return ok, nil
}

type funcCursor struct {
	sets       []openSet
	rt         *Runtime
	out        []types.Datum
	n          int64
	ordinality bool
}

func (c *funcCursor) next() ([]types.Datum, error) {
	ok, err := step(c.sets, c.out)
	if !ok || err != nil {
		return nil, err
	}
	c.n++
	if c.ordinality {
		c.out[len(c.out)-1] = types.Int(c.n)
	}
	return c.out, c.rt.tick()
}

func (c *funcCursor) close() {}

// projectSetOp adds set-returning calls to its input.
type projectSetOp struct {
	in    operator
	inW   int
	calls []setCall
}

func (c *compiler) projectSet(n *plan.ProjectSet, outer *layout) compiled {
	in := c.node(n.In, outer)
	op := &projectSetOp{in: in.op, inW: in.lay.width}
	lay := &layout{pos: map[plan.ColID]int{}, width: in.lay.width + len(n.Out), outer: outer}
	for id, p := range in.lay.pos {
		lay.pos[id] = p
	}
	for i, e := range n.Exprs {
		call := e.(*plan.Call)
		width := max(1, len(call.Func.OutTypes))
		op.calls = append(op.calls, c.setCall(call, width, in.lay))
		lay.pos[n.Out[i]] = in.lay.width + i
	}
	return compiled{op, lay}
}

func (o *projectSetOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	width := 0
	for _, c := range o.calls {
		width += c.width
	}
	return &projectSetCursor{op: o, in: in, f: frame{outer: outer, rt: rt},
		out: make([]types.Datum, o.inW+len(o.calls)), part: make([]types.Datum, width)}, nil
}

type projectSetCursor struct {
	op        *projectSetOp
	in        cursor
	f         frame
	sets      []openSet
	out, part []types.Datum
}

func (c *projectSetCursor) next() ([]types.Datum, error) {
	for {
		if c.sets == nil {
			row, err := c.in.next()
			if row == nil || err != nil {
				return nil, err
			}
			copy(c.out, row)
			c.f.row = c.out[:c.op.inW]
			if c.sets, err = openSets(c.op.calls, &c.f); err != nil {
				return nil, err
			}
		}
		ok, err := step(c.sets, c.part)
		if err != nil {
			return nil, err
		}
		if !ok {
			c.sets = nil
			continue
		}
		c.fill()
		return c.out, c.f.rt.tick()
	}
}

// fill puts the sets' values behind the input's; a set of several columns
// becomes one row value.
func (c *projectSetCursor) fill() {
	pos := 0
	for i := range c.op.calls {
		call := &c.op.calls[i]
		d := c.part[pos]
		if call.width > 1 {
			d = types.TupleDatum(&types.Tuple{Types: call.fn.OutTypes, Names: call.fn.OutNames,
				Fields: append([]types.Datum{}, c.part[pos:pos+call.width]...)})
		}
		c.out[c.op.inW+i] = d
		pos += call.width
	}
}

func (c *projectSetCursor) close() { c.in.close() }

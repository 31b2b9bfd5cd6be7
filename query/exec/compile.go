package exec

import (
	"fmt"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// layout says where the columns of a row are; outer is the layout of the row
// around it.
type layout struct {
	pos   map[plan.ColID]int
	width int
	outer *layout
}

// layoutOf lays columns out one after the other.
func layoutOf(cols []plan.ColID, outer *layout) *layout {
	l := &layout{pos: make(map[plan.ColID]int, len(cols)), width: len(cols), outer: outer}
	for i, c := range cols {
		l.pos[c] = i
	}
	return l
}

// operator is a compiled node: what it knows is read-only.
type operator interface {
	// open starts yielding rows; outer is the frame of the row around.
	open(rt *Runtime, outer *frame) (cursor, error)
}

// cursor yields the rows of one run of an operator.
type cursor interface {
	// next returns the next row, valid until the following call, or nil.
	next() ([]types.Datum, error)
	close()
}

// compiled is an operator and where its columns are.
type compiled struct {
	op  operator
	lay *layout
}

// compiler compiles one statement.
type compiler struct {
	ctes  map[*plan.CTE]*compiledCTE
	scans []*scanOp
}

// node compiles a plan node; outer is the layout of the row around it, nil at
// the top.
func (c *compiler) node(n plan.Node, outer *layout) compiled {
	switch n := n.(type) {
	case *plan.Scan:
		return c.scan(n, outer)
	case *plan.VirtualScan:
		return c.virtual(n, outer)
	case *plan.Values:
		return c.values(n, outer)
	case *plan.FuncScan:
		return c.funcScan(n, outer)
	case *plan.Filter:
		in := c.node(n.In, outer)
		return compiled{&filterOp{in.op, c.expr(n.Cond, in.lay)}, in.lay}
	case *plan.Project:
		return c.project(n, outer)
	case *plan.ProjectSet:
		return c.projectSet(n, outer)
	case *plan.Join:
		return c.join(n, outer)
	case *plan.Aggregate:
		return c.aggregate(n, outer)
	case *plan.Sort:
		in := c.node(n.In, outer)
		return compiled{&sortOp{in: in.op, width: in.lay.width, keys: c.keys(n.Keys, in.lay)}, in.lay}
	case *plan.Limit:
		return c.limit(n, outer)
	case *plan.Dedup:
		return c.dedup(n, outer)
	case *plan.SetOp:
		return c.setOp(n, outer)
	case *plan.With:
		return c.with(n, outer)
	case *plan.CTEScan:
		return c.cteScan(n, outer)
	}
	panic(fmt.Sprintf("exec: no operator for %T", n))
}

// exprs compiles a list; a nil expression compiles to nil.
func (c *compiler) exprs(es []plan.Expr, l *layout) []evalFunc {
	out := make([]evalFunc, len(es))
	for i, e := range es {
		out[i] = c.expr(e, l)
	}
	return out
}

// filterOp keeps the rows for which cond is true.
type filterOp struct {
	in   operator
	cond evalFunc
}

func (o *filterOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return &filterCursor{in: in, cond: o.cond, f: frame{outer: outer, rt: rt}}, nil
}

type filterCursor struct {
	in   cursor
	cond evalFunc
	f    frame
}

func (c *filterCursor) next() ([]types.Datum, error) {
	for {
		row, err := c.in.next()
		if row == nil || err != nil {
			return nil, err
		}
		c.f.row = row
		ok, err := isTrue(c.cond, &c.f)
		if err != nil {
			return nil, err
		}
		if ok {
			return row, nil
		}
	}
}

func (c *filterCursor) close() { c.in.close() }

// isTrue evaluates a condition; NULL is not true.
func isTrue(cond evalFunc, f *frame) (bool, error) {
	d, err := cond(f)
	return err == nil && !d.IsNull() && d.Bool(), err
}

// projectOp computes expressions.
type projectOp struct {
	in    operator
	exprs []evalFunc
}

func (c *compiler) project(n *plan.Project, outer *layout) compiled {
	in := c.node(n.In, outer)
	return compiled{&projectOp{in.op, c.exprs(n.Exprs, in.lay)}, layoutOf(n.Out, outer)}
}

func (o *projectOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return &projectCursor{in: in, exprs: o.exprs, f: frame{outer: outer, rt: rt}, out: make([]types.Datum, len(o.exprs))}, nil
}

type projectCursor struct {
	in    cursor
	exprs []evalFunc
	f     frame
	out   []types.Datum
}

func (c *projectCursor) next() ([]types.Datum, error) {
	row, err := c.in.next()
	if row == nil || err != nil {
		return nil, err
	}
	c.f.row = row
	for i, e := range c.exprs {
		if c.out[i], err = e(&c.f); err != nil {
			return nil, err
		}
	}
	return c.out, nil
}

func (c *projectCursor) close() { c.in.close() }

// valuesOp yields computed rows.
type valuesOp struct{ rows [][]evalFunc }

func (c *compiler) values(n *plan.Values, outer *layout) compiled {
	op := &valuesOp{}
	empty := &layout{outer: outer}
	for _, r := range n.Rows {
		op.rows = append(op.rows, c.exprs(r, empty))
	}
	return compiled{op, layoutOf(n.Out, outer)}
}

func (o *valuesOp) open(rt *Runtime, outer *frame) (cursor, error) {
	return &valuesCursor{rows: o.rows, f: frame{outer: outer, rt: rt}}, nil
}

type valuesCursor struct {
	rows [][]evalFunc
	f    frame
	out  []types.Datum
}

func (c *valuesCursor) next() ([]types.Datum, error) {
	if len(c.rows) == 0 {
		return nil, nil
	}
	exprs := c.rows[0]
	c.rows = c.rows[1:]
	if cap(c.out) < len(exprs) || c.out == nil {
		c.out = make([]types.Datum, len(exprs))
	}
	var err error
	for i, e := range exprs {
		if c.out[i], err = e(&c.f); err != nil {
			return nil, err
		}
	}
	return c.out, c.f.rt.tick()
}

func (c *valuesCursor) close() {}

// sliceCursor yields rows that are held.
type sliceCursor struct {
	rows [][]types.Datum
	rt   *Runtime
}

func (c *sliceCursor) next() ([]types.Datum, error) {
	if len(c.rows) == 0 {
		return nil, nil
	}
	row := c.rows[0]
	c.rows = c.rows[1:]
	return row, c.rt.tick()
}

func (c *sliceCursor) close() {}

// drain reads all of a cursor into a store and closes it.
func drain(rt *Runtime, in cursor, width int) (*rowStore, error) {
	defer in.close()
	s := newRowStore(rt, width)
	for {
		row, err := in.next()
		if err != nil {
			s.free()
			return nil, err
		}
		if row == nil {
			return s, nil
		}
		if _, err := s.add(row); err != nil {
			s.free()
			return nil, err
		}
	}
}

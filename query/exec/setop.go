package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// dedupOp removes duplicates: of whole rows, or of the values of on.
type dedupOp struct {
	in operator
	on []evalFunc
	// cols are the positions that make up a row, where on is nil.
	cols []int
}

func (c *compiler) dedup(n *plan.Dedup, outer *layout) compiled {
	in := c.node(n.In, outer)
	op := &dedupOp{in: in.op, on: c.exprs(n.On, in.lay), cols: positions(n.In.Cols(), in.lay)}
	return compiled{op, in.lay}
}

func positions(cols []plan.ColID, l *layout) []int {
	out := make([]int, len(cols))
	for i, id := range cols {
		out[i] = l.pos[id]
	}
	return out
}

func (o *dedupOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return &dedupCursor{op: o, in: in, f: frame{outer: outer, rt: rt}, seen: newDatumSet()}, nil
}

type dedupCursor struct {
	op    *dedupOp
	in    cursor
	f     frame
	seen  *datumSet
	key   []types.Datum
	bytes int64
}

func (c *dedupCursor) next() ([]types.Datum, error) {
	for {
		row, err := c.in.next()
		if row == nil || err != nil {
			return nil, err
		}
		c.key = c.key[:0]
		if len(c.op.on) > 0 {
			c.f.row = row
			for _, e := range c.op.on {
				d, err := e(&c.f)
				if err != nil {
					return nil, err
				}
				c.key = append(c.key, d)
			}
		} else {
			c.key = pickInto(c.key, row, c.op.cols)
		}
		if c.seen.find(c.key) >= 0 {
			continue
		}
		c.seen.add(slices.Clone(c.key))
		size := keyBytes(c.key)
		c.bytes += size
		return row, c.f.rt.grow(size)
	}
}

func (c *dedupCursor) close() {
	c.in.close()
	c.f.rt.shrink(c.bytes)
	c.seen, c.bytes = nil, 0
}

func pickInto(dst, row []types.Datum, cols []int) []types.Datum {
	for _, i := range cols {
		dst = append(dst, row[i])
	}
	return dst
}

func keyBytes(key []types.Datum) int64 {
	n := int64(hashEntryBytes)
	for _, d := range key {
		n += sizeOf(d)
	}
	return n
}

// setOp compiles UNION, INTERSECT and EXCEPT.
func (c *compiler) setOp(n *plan.SetOp, outer *layout) compiled {
	left, right := c.node(n.Left, outer), c.node(n.Right, outer)
	l := &pickOp{left.op, positions(n.LeftCols, left.lay)}
	r := &pickOp{right.op, positions(n.RightCols, right.lay)}
	lay := layoutOf(n.Out, outer)
	if n.Kind == plan.Union {
		var op operator = &appendOp{[]operator{l, r}}
		if !n.All {
			all := make([]int, len(n.Out))
			for i := range all {
				all[i] = i
			}
			op = &dedupOp{in: op, cols: all}
		}
		return compiled{op, lay}
	}
	return compiled{&intersectOp{left: l, right: r, except: n.Kind == plan.Except, all: n.All}, lay}
}

// pickOp yields some columns of its input.
type pickOp struct {
	in   operator
	cols []int
}

func (o *pickOp) open(rt *Runtime, outer *frame) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return &pickCursor{in: in, cols: o.cols}, nil
}

type pickCursor struct {
	in   cursor
	cols []int
	out  []types.Datum
}

func (c *pickCursor) next() ([]types.Datum, error) {
	row, err := c.in.next()
	if row == nil || err != nil {
		return nil, err
	}
	if c.out == nil {
		c.out = make([]types.Datum, 0, len(c.cols))
	}
	c.out = pickInto(c.out[:0], row, c.cols)
	return c.out, nil
}

func (c *pickCursor) close() { c.in.close() }

// appendOp yields the rows of one input after the other.
type appendOp struct{ ins []operator }

func (o *appendOp) open(rt *Runtime, outer *frame) (cursor, error) {
	return &appendCursor{ins: o.ins, rt: rt, outer: outer}, nil
}

type appendCursor struct {
	ins   []operator
	cur   cursor
	rt    *Runtime
	outer *frame
}

func (c *appendCursor) next() ([]types.Datum, error) {
	for {
		if c.cur == nil {
			if len(c.ins) == 0 {
				return nil, nil
			}
			var err error
			if c.cur, err = c.ins[0].open(c.rt, c.outer); err != nil {
				return nil, err
			}
			c.ins = c.ins[1:]
		}
		row, err := c.cur.next()
		if row != nil || err != nil {
			return row, err
		}
		c.cur.close()
		c.cur = nil
	}
}

func (c *appendCursor) close() {
	if c.cur != nil {
		c.cur.close()
	}
}

// intersectOp is INTERSECT and EXCEPT: it counts the right side's rows and then
// decides about each of the left's, in their order.
type intersectOp struct {
	left, right operator
	except, all bool
}

func (o *intersectOp) open(rt *Runtime, outer *frame) (cursor, error) {
	rc, err := o.right.open(rt, outer)
	if err != nil {
		return nil, err
	}
	defer rc.close()
	c := &intersectCursor{op: o, rt: rt, right: newDatumSet(), done: newDatumSet()}
	for {
		row, err := rc.next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
		n := c.right.find(row)
		if n < 0 {
			n, _ = c.right.add(slices.Clone(row))
			c.count = append(c.count, 0)
			if err := c.grow(keyBytes(row)); err != nil {
				return nil, err
			}
		}
		c.count[n]++
	}
	c.left, err = o.left.open(rt, outer)
	return c, err
}

type intersectCursor struct {
	op    *intersectOp
	rt    *Runtime
	left  cursor
	right *datumSet
	count []int64
	done  *datumSet // rows already yielded, without ALL
	bytes int64
}

func (c *intersectCursor) grow(n int64) error {
	c.bytes += n
	return c.rt.grow(n)
}

func (c *intersectCursor) next() ([]types.Datum, error) {
	for {
		row, err := c.left.next()
		if row == nil || err != nil {
			return nil, err
		}
		n := c.right.find(row)
		if c.op.all {
			has := n >= 0 && c.count[n] > 0
			if has {
				c.count[n]--
			}
			if has != c.op.except {
				return row, nil
			}
			continue
		}
		if (n >= 0) == c.op.except || c.done.find(row) >= 0 {
			continue
		}
		c.done.add(slices.Clone(row))
		return row, c.grow(keyBytes(row))
	}
}

func (c *intersectCursor) close() {
	if c.left != nil {
		c.left.close()
	}
	c.rt.shrink(c.bytes)
	c.bytes = 0
}

package exec

import (
	"bytes"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

// scanOp reads a table. Its rows have the table's columns at their own
// positions, those that are not wanted NULL, and then the handle.
type scanOp struct {
	node   *plan.Scan
	want   []int // nil: all
	filter evalFunc
	handle bool
	system bool // the offsets of change and creation follow

	// The access path's bounds, evaluated on the row around.
	eq      []evalFunc
	inList  []evalFunc
	inArray evalFunc
	lo, hi  evalFunc
}

func (c *compiler) scan(n *plan.Scan, outer *layout) compiled {
	op := &scanOp{node: n, handle: n.Handle != nil, system: n.System != nil}
	width := len(n.Table.Columns)
	lay := &layout{pos: map[plan.ColID]int{}, width: width, outer: outer}
	op.want = []int{}
	for i, id := range n.Out {
		lay.pos[id] = int(n.Nums[i]) - 1
		op.want = append(op.want, int(n.Nums[i])-1)
	}
	if op.handle {
		op.want = nil
		for i, id := range n.Handle {
			lay.pos[id] = width + i
		}
		lay.width = width + len(n.Handle)
	}
	for _, id := range n.System {
		lay.pos[id] = lay.width
		lay.width++
	}
	slices.Sort(op.want)
	op.filter = c.expr(n.Filter, lay)
	if a := n.Access; a != nil {
		op.eq = c.exprs(a.Eq, outer)
		op.inList = c.exprs(a.InList, outer)
		op.inArray = c.expr(a.InArray, outer)
		if a.Lo != nil {
			op.lo = c.expr(a.Lo.Expr, outer)
		}
		if a.Hi != nil {
			op.hi = c.expr(a.Hi.Expr, outer)
		}
	}
	c.scans = append(c.scans, op)
	return compiled{op, lay}
}

func (o *scanOp) open(rt *Runtime, outer *frame) (cursor, error) {
	c := scanCursor{op: o, f: frame{outer: outer, rt: rt}}
	a := o.node.Access
	if a == nil {
		c.it = rt.Txn.Scan(sm.ScanOptions{Table: o.node.Table, Reverse: o.node.Reverse, Want: o.want})
		return &c, nil
	}
	spans, any, err := o.spans(rt, outer)
	if err != nil {
		return nil, err
	}
	if !any {
		return &sliceCursor{rt: rt}, nil
	}
	if a.Unique && a.Index.Primary {
		return &pointCursor{scanCursor: c, key: spans[0].Lo}, nil
	}
	c.it = rt.Txn.Scan(sm.ScanOptions{Table: o.node.Table, Index: a.Index, Spans: spans, Reverse: o.node.Reverse, Want: o.want})
	return &c, nil
}

// spans turns the access path into ranges of keys; any is false when nothing
// can match.
func (o *scanOp) spans(rt *Runtime, outer *frame) (spans []sm.Span, any bool, err error) {
	a := o.node.Access
	var prefix []byte
	for i, e := range o.eq {
		if e == nil {
			return o.inSpans(outer, prefix, &a.Index.Columns[i])
		}
		d, err := e(outer)
		if err != nil || d.IsNull() {
			return nil, false, err
		}
		var ok bool
		if prefix, ok = o.appendKey(prefix, d, &a.Index.Columns[i]); !ok {
			return nil, false, nil
		}
	}
	if o.lo == nil && o.hi == nil {
		if len(prefix) == 0 {
			return []sm.Span{{}}, true, nil
		}
		return []sm.Span{{Lo: prefix, Hi: keys.PrefixEnd(prefix)}}, true, nil
	}
	return o.rangeSpan(outer, prefix, &a.Index.Columns[len(o.eq)])
}

// appendKey appends a column's key. Values of char(n) are padded as they are
// stored; ok is false for one that is too long to be stored at all.
func (o *scanOp) appendKey(dst []byte, d types.Datum, ic *catalog.IndexColumn) ([]byte, bool) {
	if types.OID(ic.Type) == types.BPCharType.OID {
		col := o.node.Table.Columns[ic.Column-1]
		padded, err := types.CharsTypmod(types.BPCharType, types.TrimBPChar(d.Str()), col.Typmod, false)
		if err != nil {
			return dst, false
		}
		d = padded
	}
	return keys.AppendColumn(dst, d, ic), true
}

// inSpans makes a span for each of a list of values, in the order of the keys.
func (o *scanOp) inSpans(outer *frame, prefix []byte, ic *catalog.IndexColumn) ([]sm.Span, bool, error) {
	var values []types.Datum
	if o.inArray != nil {
		d, err := o.inArray(outer)
		if err != nil || d.IsNull() {
			return nil, false, err
		}
		values = d.Array().Elems
	}
	for _, e := range o.inList {
		d, err := e(outer)
		if err != nil {
			return nil, false, err
		}
		values = append(values, d)
	}
	var found [][]byte
	for _, d := range values {
		if d.IsNull() {
			continue
		}
		if k, ok := o.appendKey(slices.Clone(prefix), d, ic); ok {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, bytes.Compare)
	found = slices.CompactFunc(found, bytes.Equal)
	spans := make([]sm.Span, len(found))
	for i, k := range found {
		spans[i] = sm.Span{Lo: k, Hi: keys.PrefixEnd(k)}
	}
	return spans, len(spans) > 0, nil
}

// rangeSpan bounds the column after the prefix. NULLs are outside of every
// range.
func (o *scanOp) rangeSpan(outer *frame, prefix []byte, ic *catalog.IndexColumn) ([]sm.Span, bool, error) {
	a := o.node.Access
	lo, hi, loBound, hiBound := o.lo, o.hi, a.Lo, a.Hi
	if ic.Descending {
		lo, hi, loBound, hiBound = hi, lo, hiBound, loBound
	}
	end := func(e evalFunc, past bool) ([]byte, bool, error) {
		d, err := e(outer)
		if err != nil || d.IsNull() {
			return nil, false, err
		}
		k := keys.AppendColumn(slices.Clone(prefix), d, ic)
		if past {
			k = keys.PrefixEnd(k)
		}
		return k, true, nil
	}
	null := keys.AppendColumn(slices.Clone(prefix), types.NullDatum, ic)
	s := sm.Span{Lo: prefix, Hi: keys.PrefixEnd(prefix)}
	if len(prefix) == 0 {
		s.Hi = nil
	}
	if ic.NullsFirst {
		s.Lo = keys.PrefixEnd(null)
	} else {
		s.Hi = null
	}
	var ok bool
	var err error
	if lo != nil {
		if s.Lo, ok, err = end(lo, !loBound.Inclusive); !ok {
			return nil, false, err
		}
	}
	if hi != nil {
		if s.Hi, ok, err = end(hi, hiBound.Inclusive); !ok {
			return nil, false, err
		}
	}
	if s.Hi != nil && bytes.Compare(s.Lo, s.Hi) >= 0 {
		return nil, false, nil
	}
	return []sm.Span{s}, true, nil
}

// scanCursor yields the rows of an iterator.
type scanCursor struct {
	op  *scanOp
	it  *sm.Iter
	f   frame
	buf []types.Datum
}

func (c *scanCursor) next() ([]types.Datum, error) {
	for c.it.Next() {
		if err := c.f.rt.tick(); err != nil {
			return nil, err
		}
		row, err := c.pass(c.it.Row())
		if row != nil || err != nil {
			return row, err
		}
	}
	return nil, c.it.Err()
}

var noColumns = []types.Datum{}

// pass adds the handle and applies the filter; nil when the row does not pass.
func (c *scanCursor) pass(r *sm.Row) ([]types.Datum, error) {
	row := r.Values
	if row == nil {
		row = noColumns // nil would be the end
	}
	if c.op.handle {
		h := r.Handle()
		c.buf = append(append(c.buf[:0], r.Values...),
			types.Bytes(h.Key), types.LSN(uint64(h.Created)), types.LSN(uint64(h.Changed)), types.Bytes(h.Stored))
		row = c.buf
	}
	if c.op.system {
		c.buf = append(append(c.buf[:0], row...), offsetOf(r.Changed), offsetOf(r.Created))
		row = c.buf
	}
	if c.op.filter == nil {
		return row, nil
	}
	c.f.row = row
	ok, err := isTrue(c.op.filter, &c.f)
	if err != nil || !ok {
		return nil, err
	}
	return row, nil
}

// offsetOf is an offset as a value; what has none yet is NULL.
func offsetOf(off log.Offset) types.Datum {
	if off == 0 {
		return types.NullDatum
	}
	return types.LSN(uint64(off))
}

func (c *scanCursor) close() { c.it.Close() }

// pointCursor yields the row with one primary key.
type pointCursor struct {
	scanCursor
	key  []byte
	done bool
}

func (c *pointCursor) next() ([]types.Datum, error) {
	if c.done {
		return nil, nil
	}
	c.done = true
	r, ok, err := c.f.rt.Txn.Get(c.op.node.Table, c.key, c.op.want)
	if err != nil || !ok {
		return nil, err
	}
	if err := c.f.rt.tick(); err != nil {
		return nil, err
	}
	if !c.op.handle {
		// The Row is reused by the next Get, which may come before this row is done with.
		return c.pass(&sm.Row{Values: slices.Clone(r.Values), Changed: r.Changed, Created: r.Created})
	}
	return c.pass(r)
}

func (c *pointCursor) close() {}

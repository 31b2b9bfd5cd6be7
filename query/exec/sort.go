package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// sortKey is one compiled key of an ordering.
type sortKey struct {
	eval       evalFunc
	cmp        func(a, b types.Datum) int
	desc       bool
	nullsFirst bool
}

func (c *compiler) keys(ks []plan.SortKey, l *layout) []sortKey {
	out := make([]sortKey, len(ks))
	for i, k := range ks {
		out[i] = sortKey{c.expr(k.Expr, l), comparer(k.Expr.Type()), k.Desc, k.NullsFirst}
	}
	return out
}

// compareKeys orders two rows by their computed keys.
func compareKeys(ks []sortKey, a, b []types.Datum) int {
	for i := range ks {
		if c := ks[i].compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (k *sortKey) compare(a, b types.Datum) int {
	if a.IsNull() || b.IsNull() {
		switch {
		case a.IsNull() && b.IsNull():
			return 0
		case a.IsNull() == k.nullsFirst:
			return -1
		}
		return 1
	}
	if k.desc {
		return k.cmp(b, a)
	}
	return k.cmp(a, b)
}

// sortOp orders its input; rows that compare equal stay in their order. With a
// limit it keeps only the first rows.
type sortOp struct {
	in    operator
	width int
	keys  []sortKey
}

// keyed is a row with its sort keys.
type keyed struct {
	row, key []types.Datum
	seq      int
}

func (o *sortOp) open(rt *Runtime, outer *frame) (cursor, error) { return o.openTop(rt, outer, -1) }

// openTop sorts, keeping the first n rows; negative means all.
func (o *sortOp) openTop(rt *Runtime, outer *frame, n int64) (cursor, error) {
	in, err := o.in.open(rt, outer)
	if err != nil {
		return nil, err
	}
	defer in.close()
	s := &sorter{op: o, rt: rt, f: frame{outer: outer, rt: rt}, limit: n}
	for {
		row, err := in.next()
		if err == nil && row != nil {
			err = s.add(row)
		}
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
	}
	s.sort()
	return &sortCursor{s: s}, nil
}

// sorter collects rows. With a limit it lets the rows grow to twice the limit
// and then drops the larger half.
type sorter struct {
	op    *sortOp
	rt    *Runtime
	f     frame
	rows  []keyed
	seq   int
	limit int64
	bytes int64
}

// minTopRows is the least number of rows a limited sort collects before it
// drops some.
const minTopRows = 256

func (s *sorter) add(row []types.Datum) error {
	k := keyed{row: slices.Clone(row), key: make([]types.Datum, len(s.op.keys)), seq: s.seq}
	s.seq++
	s.f.row = k.row
	size := int64(datumBytes * 2)
	for i := range s.op.keys {
		var err error
		if k.key[i], err = s.op.keys[i].eval(&s.f); err != nil {
			return err
		}
		size += datumBytes
	}
	for _, d := range row {
		size += sizeOf(d)
	}
	s.rows = append(s.rows, k)
	s.bytes += size
	if s.limit >= 0 && int64(len(s.rows)) >= max(2*s.limit, minTopRows) {
		s.sort()
		keep := s.bytes * s.limit / int64(len(s.rows))
		clear(s.rows[s.limit:])
		s.rows = s.rows[:s.limit]
		s.rt.shrink(s.bytes - size - keep)
		s.bytes = keep
		return nil
	}
	return s.rt.grow(size)
}

func (s *sorter) sort() {
	slices.SortFunc(s.rows, func(a, b keyed) int {
		if c := compareKeys(s.op.keys, a.key, b.key); c != 0 {
			return c
		}
		return a.seq - b.seq
	})
}

type sortCursor struct {
	s   *sorter
	pos int
}

func (c *sortCursor) next() ([]types.Datum, error) {
	if c.pos >= len(c.s.rows) {
		return nil, nil
	}
	c.pos++
	return c.s.rows[c.pos-1].row, c.s.rt.tick()
}

func (c *sortCursor) close() {
	c.s.rt.shrink(c.s.bytes)
	c.s.rows, c.s.bytes = nil, 0
}

// limitOp passes some rows of its input.
type limitOp struct {
	in            operator
	sort          *sortOp // the input, when it is a sort
	count, offset evalFunc
	ties          []sortKey
}

func (c *compiler) limit(n *plan.Limit, outer *layout) compiled {
	in := c.node(n.In, outer)
	empty := &layout{outer: outer}
	op := &limitOp{in: in.op, count: c.expr(n.Count, empty), offset: c.expr(n.Offset, empty)}
	op.sort, _ = in.op.(*sortOp)
	if n.WithTies != nil {
		op.ties = c.keys(n.WithTies, in.lay)
		op.sort = nil
	}
	return compiled{op, in.lay}
}

func (o *limitOp) open(rt *Runtime, outer *frame) (cursor, error) {
	f := frame{outer: outer, rt: rt}
	count, err := rowCount(o.count, &f, sqlstate.InvalidRowCountInLimit, "LIMIT")
	if err != nil {
		return nil, err
	}
	offset, err := rowCount(o.offset, &f, sqlstate.InvalidRowCountInOffset, "OFFSET")
	if err != nil {
		return nil, err
	}
	offset = max(offset, 0)
	var in cursor
	if o.sort != nil && count >= 0 && count+offset >= 0 {
		in, err = o.sort.openTop(rt, outer, count+offset)
	} else {
		in, err = o.in.open(rt, outer)
	}
	if err != nil {
		return nil, err
	}
	return &limitCursor{in: in, left: count, skip: offset, ties: o.ties, f: f}, nil
}

// rowCount evaluates a LIMIT or OFFSET; -1 stands for none (NULL).
func rowCount(e evalFunc, f *frame, code sqlstate.Code, what string) (int64, error) {
	if e == nil {
		return -1, nil
	}
	d, err := e(f)
	if err != nil || d.IsNull() {
		return -1, err
	}
	if d.Int() < 0 {
		return 0, sqlstate.New(code, "%s must not be negative", what)
	}
	return d.Int(), nil
}

type limitCursor struct {
	in         cursor
	left, skip int64
	ties       []sortKey
	f          frame
	last       []types.Datum
}

func (c *limitCursor) next() ([]types.Datum, error) {
	for ; c.skip > 0; c.skip-- {
		if row, err := c.in.next(); row == nil || err != nil {
			return nil, err
		}
	}
	if c.left == 0 && c.last == nil {
		return nil, nil
	}
	row, err := c.in.next()
	if row == nil || err != nil {
		return nil, err
	}
	if c.ties == nil {
		if c.left > 0 {
			c.left--
		}
		return row, nil
	}
	return c.tie(row)
}

// tie passes rows beyond the limit that are equal to the last one within.
func (c *limitCursor) tie(row []types.Datum) ([]types.Datum, error) {
	key := make([]types.Datum, len(c.ties))
	c.f.row = row
	for i := range c.ties {
		var err error
		if key[i], err = c.ties[i].eval(&c.f); err != nil {
			return nil, err
		}
	}
	if c.left > 0 {
		c.left--
		c.last = key
		return row, nil
	}
	if compareKeys(c.ties, c.last, key) == 0 {
		return row, nil
	}
	return nil, nil
}

func (c *limitCursor) close() { c.in.close() }

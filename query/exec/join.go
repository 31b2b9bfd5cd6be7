package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// joinOp is what all joins share.
type joinOp struct {
	kind        plan.JoinKind
	left, right operator
	leftW       int
	rightW      int
	on          evalFunc // over left and right columns; nil means always
}

// pairs reports whether the join yields left and right columns together.
func (o *joinOp) pairs() bool { return o.kind != plan.SemiJoin && o.kind != plan.AntiJoin }

func (c *compiler) join(n *plan.Join, outer *layout) compiled {
	left := c.node(n.Left, outer)
	rightOuter := outer
	if n.Method == plan.LookupJoin {
		rightOuter = &layout{pos: left.lay.pos, width: left.lay.width, outer: outer}
	}
	right := c.node(n.Right, rightOuter)
	both := &layout{pos: map[plan.ColID]int{}, width: left.lay.width + right.lay.width, outer: outer}
	for id, p := range left.lay.pos {
		both.pos[id] = p
	}
	for id, p := range right.lay.pos { // order does not matter: it fills a map
		both.pos[id] = left.lay.width + p
	}
	j := joinOp{kind: n.Kind, left: left.op, right: right.op, leftW: left.lay.width, rightW: right.lay.width}
	j.on = c.expr(n.On, both)
	lay := both
	if !j.pairs() {
		lay = &layout{pos: left.lay.pos, width: left.lay.width, outer: outer}
	}
	switch n.Method {
	case plan.LookupJoin:
		return compiled{&lookupJoinOp{j}, lay}
	case plan.HashJoin:
		return compiled{&hashJoinOp{j, c.exprs(n.HashLeft, left.lay), c.exprs(n.HashRight, right.lay)}, lay}
	}
	return compiled{&loopJoinOp{j}, lay}
}

// lookupJoinOp runs its right side anew for each left row, which it refers to.
type lookupJoinOp struct{ joinOp }

func (o *lookupJoinOp) open(rt *Runtime, outer *frame) (cursor, error) {
	left, err := o.left.open(rt, outer)
	if err != nil {
		return nil, err
	}
	return &lookupJoinCursor{op: o, left: left, outer: frame{outer: outer, rt: rt},
		f: frame{outer: outer, rt: rt}, out: make([]types.Datum, o.leftW+o.rightW)}, nil
}

type lookupJoinCursor struct {
	op    *lookupJoinOp
	left  cursor
	right cursor // nil: the next left row is due
	outer frame  // around the right side: the left row
	f     frame
	out   []types.Datum
	found bool
}

func (c *lookupJoinCursor) next() ([]types.Datum, error) {
	for {
		if c.right == nil {
			row, err := c.left.next()
			if row == nil || err != nil {
				return nil, err
			}
			copy(c.out, row)
			c.outer.row = c.out[:c.op.leftW]
			c.found = false
			if c.right, err = c.op.right.open(c.outer.rt, &c.outer); err != nil {
				return nil, err
			}
		}
		row, err := c.right.next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			c.right.close()
			c.right = nil
			if out := c.unmatched(); out != nil {
				return out, nil
			}
			continue
		}
		copy(c.out[c.op.leftW:], row)
		if c.op.on != nil {
			c.f.row = c.out
			if ok, err := isTrue(c.op.on, &c.f); err != nil {
				return nil, err
			} else if !ok {
				continue
			}
		}
		c.found = true
		if c.op.pairs() {
			return c.out, nil
		}
		c.right.close()
		c.right = nil
		if c.op.kind == plan.SemiJoin {
			return c.out[:c.op.leftW], nil
		}
	}
}

// unmatched is the row of a left row without a match, or nil.
func (c *lookupJoinCursor) unmatched() []types.Datum {
	if c.found {
		return nil
	}
	switch c.op.kind {
	case plan.LeftJoin:
		clear(c.out[c.op.leftW:])
		return c.out
	case plan.AntiJoin:
		return c.out[:c.op.leftW]
	}
	return nil
}

func (c *lookupJoinCursor) close() {
	if c.right != nil {
		c.right.close()
	}
	c.left.close()
}

// loopJoinOp keeps the right side and compares every pair.
type loopJoinOp struct{ joinOp }

func (o *loopJoinOp) open(rt *Runtime, outer *frame) (cursor, error) {
	rc, err := o.right.open(rt, outer)
	if err != nil {
		return nil, err
	}
	store, err := drain(rt, rc, o.rightW)
	if err != nil {
		return nil, err
	}
	left, err := o.left.open(rt, outer)
	if err != nil {
		store.free()
		return nil, err
	}
	all := make([]int32, len(store.rows))
	for i := range all {
		all[i] = int32(i)
	}
	return newMatchCursor(&o.joinOp, rt, outer, left, store, func([]types.Datum) ([]int32, error) { return all, nil }), nil
}

// hashJoinOp finds the right rows of a left row by a hash table.
type hashJoinOp struct {
	joinOp
	leftKeys, rightKeys []evalFunc
}

func (o *hashJoinOp) open(rt *Runtime, outer *frame) (cursor, error) {
	rc, err := o.right.open(rt, outer)
	if err != nil {
		return nil, err
	}
	store, err := drain(rt, rc, o.rightW)
	if err != nil {
		return nil, err
	}
	table, err := o.build(rt, outer, store)
	if err != nil {
		store.free()
		return nil, err
	}
	left, err := o.left.open(rt, outer)
	if err != nil {
		store.free()
		return nil, err
	}
	f := frame{outer: outer, rt: rt}
	key := make([]types.Datum, len(o.leftKeys))
	return newMatchCursor(&o.joinOp, rt, outer, left, store, func(row []types.Datum) ([]int32, error) {
		f.row = row
		ok, err := evalKey(o.leftKeys, &f, key)
		if err != nil || !ok {
			return nil, err
		}
		n := table.keys.find(key)
		if n < 0 {
			return nil, nil
		}
		return table.rows[n], nil
	}), nil
}

// hashTable maps keys to the rows that have them, in the order they came.
type hashTable struct {
	keys *datumSet
	rows [][]int32
}

// hashEntryBytes is what an entry of a hash table is counted as, beside its key.
const hashEntryBytes = 64

func (o *hashJoinOp) build(rt *Runtime, outer *frame, store *rowStore) (*hashTable, error) {
	t := &hashTable{keys: newDatumSet()}
	f := frame{outer: outer, rt: rt}
	key := make([]types.Datum, len(o.rightKeys))
	for i, row := range store.rows {
		f.row = row
		ok, err := evalKey(o.rightKeys, &f, key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // NULL equals nothing
		}
		n := t.keys.find(key)
		if n < 0 {
			n, _ = t.keys.add(append([]types.Datum(nil), key...))
			t.rows = append(t.rows, nil)
			size := int64(hashEntryBytes + datumBytes*len(key))
			store.bytes += size
			if err := rt.grow(size); err != nil {
				return nil, err
			}
		}
		t.rows[n] = append(t.rows[n], int32(i))
	}
	return t, nil
}

// evalKey computes a hash key; ok is false when part of it is NULL.
func evalKey(es []evalFunc, f *frame, key []types.Datum) (ok bool, err error) {
	for i, e := range es {
		if key[i], err = e(f); err != nil || key[i].IsNull() {
			return false, err
		}
	}
	return true, nil
}

// matchCursor joins left rows with the held right rows that match names.
type matchCursor struct {
	op      *joinOp
	left    cursor
	store   *rowStore
	match   func(left []types.Datum) ([]int32, error)
	f       frame
	out     []types.Datum
	pending []int32
	have    bool // a left row is being matched
	found   bool
	matched []bool // right rows that found a partner: FULL JOIN
	tail    int    // FULL JOIN: next right row to look at, once the left is done
	atTail  bool
}

func newMatchCursor(op *joinOp, rt *Runtime, outer *frame, left cursor, store *rowStore, match func([]types.Datum) ([]int32, error)) *matchCursor {
	c := &matchCursor{op: op, left: left, store: store, match: match, f: frame{outer: outer, rt: rt},
		out: make([]types.Datum, op.leftW+op.rightW)}
	if op.kind == plan.FullJoin {
		c.matched = make([]bool, len(store.rows))
	}
	return c
}

func (c *matchCursor) next() ([]types.Datum, error) {
	for {
		if c.atTail {
			return c.nextUnmatched(), nil
		}
		if !c.have {
			row, err := c.left.next()
			if err != nil {
				return nil, err
			}
			if row == nil {
				if c.op.kind != plan.FullJoin {
					return nil, nil
				}
				c.atTail = true
				continue
			}
			copy(c.out, row)
			if c.pending, err = c.match(c.out[:c.op.leftW]); err != nil {
				return nil, err
			}
			c.have, c.found = true, false
		}
		row, err := c.pair()
		if row != nil || err != nil {
			return row, err
		}
	}
}

// pair yields the next result for the current left row, or nil when there is
// none left.
func (c *matchCursor) pair() ([]types.Datum, error) {
	for len(c.pending) > 0 {
		i := c.pending[0]
		c.pending = c.pending[1:]
		copy(c.out[c.op.leftW:], c.store.rows[i])
		if err := c.f.rt.tick(); err != nil {
			return nil, err
		}
		if c.op.on != nil {
			c.f.row = c.out
			if ok, err := isTrue(c.op.on, &c.f); err != nil {
				return nil, err
			} else if !ok {
				continue
			}
		}
		c.found = true
		if c.matched != nil {
			c.matched[i] = true
		}
		switch c.op.kind {
		case plan.SemiJoin:
			c.have = false
			return c.out[:c.op.leftW], nil
		case plan.AntiJoin:
			c.have = false
			return nil, nil
		}
		return c.out, nil
	}
	c.have = false
	if c.found {
		return nil, nil
	}
	switch c.op.kind {
	case plan.LeftJoin, plan.FullJoin:
		clear(c.out[c.op.leftW:])
		return c.out, nil
	case plan.AntiJoin:
		return c.out[:c.op.leftW], nil
	}
	return nil, nil
}

// nextUnmatched yields the right rows that no left row matched.
func (c *matchCursor) nextUnmatched() []types.Datum {
	for c.tail < len(c.store.rows) {
		i := c.tail
		c.tail++
		if !c.matched[i] {
			clear(c.out[:c.op.leftW])
			copy(c.out[c.op.leftW:], c.store.rows[i])
			return c.out
		}
	}
	return nil
}

func (c *matchCursor) close() {
	c.left.close()
	c.store.free()
}

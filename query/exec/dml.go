package exec

import (
	"errors"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// tableLayout lays ids out as the live columns of a row of t, each at its own
// position.
func tableLayout(t *catalog.Table, ids []plan.ColID, base int, outer *layout) *layout {
	l := &layout{pos: map[plan.ColID]int{}, width: base + len(t.Columns), outer: outer}
	addTable(l, t, ids, base)
	return l
}

func addTable(l *layout, t *catalog.Table, ids []plan.ColID, base int) {
	i := 0
	for n := range t.Columns {
		if !t.Columns[n].Dropped {
			l.pos[ids[i]] = base + n
			i++
		}
	}
}

// check is a compiled CHECK constraint.
type check struct {
	name string
	cond evalFunc
}

func (c *compiler) checks(cs []plan.TableCheck, l *layout) []check {
	var out []check
	for _, k := range cs {
		out = append(out, check{k.Name, c.expr(k.Cond, l)})
	}
	return out
}

func (c *compiler) returning(r *plan.Returning, l *layout) []evalFunc {
	if r == nil {
		return nil
	}
	return c.exprs(r.Exprs, l)
}

// target is what all data-modifying statements share.
type target struct {
	table     *catalog.Table
	checks    []check
	returning []evalFunc
	rules     *tableRules // what foreign keys want; nil for nothing
}

// verify applies NOT NULL and CHECK to a new row.
func (t *target) verify(rt *Runtime, f *frame, row []types.Datum) error {
	for i := range t.table.Columns {
		c := &t.table.Columns[i]
		if c.NotNull && !c.Dropped && row[i].IsNull() {
			return notNull(rt, t.table, c, row)
		}
	}
	if len(t.checks) == 0 {
		return nil
	}
	saved := f.row
	f.row = row
	defer func() { f.row = saved }()
	for _, k := range t.checks {
		d, err := k.cond(f)
		if err != nil {
			return err
		}
		if !d.IsNull() && !d.Bool() {
			return checkFailed(rt, t.table, k.name, row)
		}
	}
	return nil
}

// answer computes RETURNING and hands it to the sink.
func (t *target) answer(f *frame, row []types.Datum, sink Sink) error {
	if t.returning == nil {
		return nil
	}
	f.row = row
	out := make([]types.Datum, len(t.returning))
	for i, e := range t.returning {
		var err error
		if out[i], err = e(f); err != nil {
			return err
		}
	}
	return sink(out)
}

// readsTable reports whether a source reads t anywhere but in the one scan
// that a data-modifying statement may read while it writes: then the source is
// read to its end first, so that the statement does not see its own changes.
func readsTable(st *plan.Statement, t *catalog.Table, direct plan.Node) bool {
	found := false
	st.EachNode(func(n plan.Node) {
		if sc, ok := n.(*plan.Scan); ok && sc.Table.ID == t.ID && n != direct {
			found = true
		}
	})
	return found
}

// source opens the rows a statement works on.
func source(rt *Runtime, in operator, width int, drained bool) (cursor, error) {
	cur, err := in.open(rt, &frame{rt: rt})
	if err != nil || !drained {
		return cur, err
	}
	store, err := drain(rt, cur, width)
	if err != nil {
		return nil, err
	}
	return &sliceCursor{rows: store.rows, rt: rt}, nil
}

// updateProgram is a compiled UPDATE.
type updateProgram struct {
	target
	in      operator
	lay     *layout
	drained bool
	old     []int // where the old row's live columns are in the source
	handle  []int
	sets    []set
}

type set struct {
	pos  int
	eval evalFunc
}

func (c *compiler) update(n *plan.Update, root *layout) *updateProgram {
	in := c.node(n.Source, root)
	p := &updateProgram{in: in.op, lay: in.lay, old: positions(n.Old, in.lay), handle: positions(n.Handle, in.lay)}
	p.table = n.Table
	st := &plan.Statement{Update: n}
	p.drained = readsTable(st, n.Table, n.Source)
	p.checks = c.checks(n.Checks, tableLayout(n.Table, n.Row, 0, root))
	for _, s := range n.Sets {
		p.sets = append(p.sets, set{int(s.Column) - 1, c.expr(s.Value, in.lay)})
	}
	// RETURNING sees the source's columns and then the new row.
	both := &layout{pos: map[plan.ColID]int{}, width: in.lay.width + len(n.Table.Columns), outer: root}
	for id, at := range in.lay.pos {
		both.pos[id] = at
	}
	addTable(both, n.Table, n.Row, in.lay.width)
	p.returning = c.returning(n.Returning, both)
	return p
}

// oldRow puts the row that a source row stands for together.
func oldRow(t *catalog.Table, row []types.Datum, old, handle []int) *sm.Row {
	values := make([]types.Datum, len(t.Columns))
	i := 0
	for n := range t.Columns {
		if !t.Columns[n].Dropped {
			values[n] = row[old[i]]
			i++
		}
	}
	return sm.RowOf(sm.Handle{
		Key:     row[handle[0]].Bytes(),
		Created: log.Offset(row[handle[1]].LSN()),
		Changed: log.Offset(row[handle[2]].LSN()),
		Stored:  row[handle[3]].Bytes(),
	}, values)
}

func (p *updateProgram) run(rt *Runtime, sink Sink) (int64, error) {
	cur, err := source(rt, p.in, p.lay.width, p.drained)
	if err != nil {
		return 0, err
	}
	defer cur.close()
	f := &frame{rt: rt, outer: &frame{rt: rt}}
	n := int64(0)
	for {
		row, err := cur.next()
		if row == nil || err != nil {
			return n, err
		}
		old := oldRow(p.table, row, p.old, p.handle)
		f.row = row
		fresh := append([]types.Datum(nil), old.Values...)
		for _, s := range p.sets {
			if fresh[s.pos], err = s.eval(f); err != nil {
				return n, err
			}
		}
		if err := p.verify(rt, f, fresh); err != nil {
			return n, err
		}
		switch err := rt.Txn.Update(p.table, old, fresh); {
		case errors.Is(err, sm.ErrRowChanged):
			continue // joined with more than one row: the first one counts
		case err != nil:
			return n, writeError(rt, err)
		}
		if err := p.rules.updated(rt, old.Values, fresh, 0); err != nil {
			return n, err
		}
		n++
		if p.returning != nil {
			if err := p.answer(f, append(append([]types.Datum(nil), row...), fresh...), sink); err != nil {
				return n, err
			}
		}
	}
}

// deleteProgram is a compiled DELETE.
type deleteProgram struct {
	target
	in      operator
	width   int
	drained bool
	old     []int
	handle  []int
}

func (c *compiler) delete(n *plan.Delete, root *layout) *deleteProgram {
	in := c.node(n.Source, root)
	p := &deleteProgram{in: in.op, width: in.lay.width, old: positions(n.Old, in.lay), handle: positions(n.Handle, in.lay)}
	p.table = n.Table
	p.drained = readsTable(&plan.Statement{Delete: n}, n.Table, n.Source)
	p.returning = c.returning(n.Returning, in.lay)
	return p
}

func (p *deleteProgram) run(rt *Runtime, sink Sink) (int64, error) {
	cur, err := source(rt, p.in, p.width, p.drained)
	if err != nil {
		return 0, err
	}
	defer cur.close()
	f := &frame{rt: rt, outer: &frame{rt: rt}}
	n := int64(0)
	for {
		row, err := cur.next()
		if row == nil || err != nil {
			return n, err
		}
		old := oldRow(p.table, row, p.old, p.handle)
		switch err := rt.Txn.Delete(p.table, old); {
		case errors.Is(err, sm.ErrRowChanged):
			continue
		case err != nil:
			return n, writeError(rt, err)
		}
		if err := p.rules.deleted(rt, old.Values, 0); err != nil {
			return n, err
		}
		n++
		if err := p.answer(f, row, sink); err != nil {
			return n, err
		}
	}
}

// notNull is PostgreSQL's error for a NULL where none may be.
func notNull(rt *Runtime, t *catalog.Table, c *catalog.Column, row []types.Datum) error {
	e := sqlstate.New(sqlstate.NotNullViolation, "null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.Name, t.Name)
	e.Table, e.Column, e.Schema = t.Name, c.Name, schemaName(rt, t)
	return e.WithDetail("Failing row contains %s.", rowText(rt, t, row))
}

func checkFailed(rt *Runtime, t *catalog.Table, name string, row []types.Datum) error {
	e := sqlstate.New(sqlstate.CheckViolation, "new row for relation \"%s\" violates check constraint \"%s\"", t.Name, name)
	e.Table, e.Constraint, e.Schema = t.Name, name, schemaName(rt, t)
	return e.WithDetail("Failing row contains %s.", rowText(rt, t, row))
}

package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// insertProgram is a compiled INSERT.
type insertProgram struct {
	target
	in       operator
	width    int
	drained  bool
	from     []int // where the targets' values are in the source
	targets  []int // their positions in the table
	defaults []evalFunc
	conflict *conflict
	single   bool // the source is one literal row
}

// conflict is a compiled ON CONFLICT.
type conflict struct {
	indexes []*catalog.Index
	update  bool
	where   evalFunc
	sets    []set
}

func (c *compiler) insert(n *plan.Insert, root *layout) *insertProgram {
	in := c.node(n.Source, root)
	p := &insertProgram{in: in.op, width: in.lay.width, from: positions(n.From, in.lay)}
	p.table = n.Table
	if v, ok := n.Source.(*plan.Values); ok {
		p.single = len(v.Rows) == 1
	}
	p.drained = readsTable(&plan.Statement{Insert: n}, n.Table, nil)
	for _, num := range n.Targets {
		p.targets = append(p.targets, int(num)-1)
	}
	p.defaults = c.exprs(n.Defaults, root)
	row := tableLayout(n.Table, n.Row, 0, root)
	p.checks = c.checks(n.Checks, row)
	p.returning = c.returning(n.Returning, row)
	if n.Conflict == nil {
		return p
	}
	p.conflict = &conflict{indexes: n.Conflict.Indexes}
	if u := n.Conflict.Update; u != nil {
		p.conflict.update = true
		both := tableLayout(n.Table, u.Existing, 0, root)
		addTable(both, n.Table, u.Excluded, len(n.Table.Columns))
		p.conflict.where = c.expr(u.Where, both)
		for _, s := range u.Sets {
			p.conflict.sets = append(p.conflict.sets, set{int(s.Column) - 1, c.expr(s.Value, both)})
		}
	}
	return p
}

func (p *insertProgram) run(rt *Runtime, sink Sink) (int64, error) {
	cur, err := source(rt, p.in, p.width, p.drained)
	if err != nil {
		return 0, err
	}
	defer cur.close()
	ins := &inserter{p: p, rt: rt, f: frame{rt: rt, outer: &frame{rt: rt}}, sink: sink}
	for {
		src, err := cur.next()
		if src == nil || err != nil {
			return ins.n, err
		}
		row := make([]types.Datum, len(p.table.Columns))
		for i, at := range p.from {
			row[p.targets[i]] = src[at]
		}
		if err := ins.insert(row); err != nil {
			return ins.n, err
		}
	}
}

// inserter is one run of an INSERT.
type inserter struct {
	p    *insertProgram
	rt   *Runtime
	f    frame
	sink Sink
	n    int64
	// touched are the keys of the rows this statement has inserted or updated
	// with ON CONFLICT DO UPDATE: it may not change one of them again.
	touched map[string]bool
}

// insert fills in the defaults and puts one row in.
func (x *inserter) insert(row []types.Datum) error {
	p := x.p
	root := x.f.outer
	for i, d := range p.defaults {
		if d == nil {
			continue
		}
		var err error
		if row[i], err = d(root); err != nil {
			return err
		}
	}
	if err := p.verify(x.rt, &x.f, row); err != nil {
		return err
	}
	if p.conflict != nil {
		existing, err := x.existing(row)
		if err != nil {
			return err
		}
		if existing != nil {
			return x.onConflict(existing, row)
		}
	}
	if err := x.rt.Txn.Insert(p.table, row); err != nil {
		return writeError(x.rt, err)
	}
	if err := p.rules.inserted(x.rt, row); err != nil {
		return err
	}
	if p.conflict != nil && p.conflict.update && !p.single {
		if err := x.touch(row); err != nil {
			return err
		}
	}
	x.n++
	return p.answer(&x.f, row, x.sink)
}

// existing finds a row that is in the way of row in one of the arbiters.
func (x *inserter) existing(row []types.Datum) (*sm.Row, error) {
	for _, ix := range x.p.conflict.indexes {
		r, ok, err := x.rt.Txn.Conflicting(x.p.table, ix, row)
		if err != nil || ok {
			return r, err
		}
	}
	return nil, nil
}

// touch remembers the key of a row just inserted.
func (x *inserter) touch(row []types.Datum) error {
	r, err := x.existing(row)
	if err != nil || r == nil {
		return err
	}
	if x.touched == nil {
		x.touched = map[string]bool{}
	}
	x.touched[string(r.Key)] = true
	return nil
}

// onConflict does nothing, or updates the existing row.
func (x *inserter) onConflict(old *sm.Row, proposed []types.Datum) error {
	c := x.p.conflict
	if !c.update {
		return nil
	}
	if x.touched[string(old.Key)] {
		return sqlstate.New(sqlstate.CardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time").
			WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
	}
	x.f.row = append(append([]types.Datum(nil), old.Values...), proposed...)
	if c.where != nil {
		if ok, err := isTrue(c.where, &x.f); err != nil || !ok {
			return err
		}
	}
	fresh := append([]types.Datum(nil), old.Values...)
	for _, s := range c.sets {
		var err error
		if fresh[s.pos], err = s.eval(&x.f); err != nil {
			return err
		}
	}
	if err := x.p.verify(x.rt, &x.f, fresh); err != nil {
		return err
	}
	if err := x.rt.Txn.Update(x.p.table, old, fresh); err != nil {
		return writeError(x.rt, err)
	}
	if err := x.p.rules.updated(x.rt, old.Values, fresh, 0); err != nil {
		return err
	}
	if !x.p.single {
		if err := x.touch(fresh); err != nil {
			return err
		}
	}
	x.n++
	return x.p.answer(&x.f, fresh, x.sink)
}

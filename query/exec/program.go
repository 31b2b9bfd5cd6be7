package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Program is a compiled statement. It holds no state and may be run by several
// goroutines at once.
type Program struct {
	Statement *plan.Statement

	query  *pickOp
	insert *insertProgram
	update *updateProgram
	delete *deleteProgram
	call   *callProgram
	rules  *rules // of the tables that it changes; nil when no foreign key is concerned

	reads []tableRead
}

// Compile compiles a bound statement.
func Compile(st *plan.Statement) *Program {
	c := &compiler{ctes: map[*plan.CTE]*compiledCTE{}}
	p := &Program{Statement: st}
	root := &layout{}
	p.rules = c.rulesOf(st.Guards, root)
	switch {
	case st.Root != nil:
		in := c.node(st.Root, root)
		p.query = &pickOp{in.op, positions(st.Out, in.lay)}
	case st.Insert != nil:
		p.insert = c.insert(st.Insert, root)
		p.insert.rules = p.rules.of(st.Insert.Table.ID)
	case st.Update != nil:
		p.update = c.update(st.Update, root)
		p.update.rules = p.rules.of(st.Update.Table.ID)
	case st.Delete != nil:
		p.delete = c.delete(st.Delete, root)
		p.delete.rules = p.rules.of(st.Delete.Table.ID)
	}
	if st.Call != nil {
		p.call = c.callProcedure(st.Call, root)
	}
	p.reads = tableReads(st, c.scans)
	return p
}

// Sink takes the result rows of a statement, each valid during the call.
type Sink func(row []types.Datum) error

// Run runs the statement to its end and returns how many rows it yielded or
// changed.
func (p *Program) Run(rt *Runtime, sink Sink) (int64, error) {
	if n := len(rt.Expr.Params); n < len(p.Statement.Params) {
		// A statement of a simple query may name parameters that nobody gave.
		return 0, sqlstate.New(sqlstate.UndefinedParameter, "there is no parameter $%d", n+1)
	}
	if p.Statement.Unidentified != nil {
		return 0, p.Statement.Unidentified
	}
	switch {
	case p.insert != nil:
		return p.change(rt, func() (int64, error) { return p.insert.run(rt, sink) })
	case p.update != nil:
		return p.change(rt, func() (int64, error) { return p.update.run(rt, sink) })
	case p.delete != nil:
		return p.change(rt, func() (int64, error) { return p.delete.run(rt, sink) })
	case p.Statement.DDL != nil:
		n, err := runDDL(rt, p.Statement, sink)
		if err != nil {
			return n, err
		}
		return n, announce(rt, p.Statement)
	case p.call != nil:
		return 0, p.call.run(rt)
	case p.Statement.SetConstraints != nil:
		return 0, runSetConstraints(rt, p.Statement.SetConstraints)
	}
	cur, err := p.Open(rt)
	if err != nil {
		return 0, err
	}
	defer cur.Close()
	n := int64(0)
	for {
		row, err := cur.Next()
		if row == nil || err != nil {
			return n, err
		}
		n++
		if p.Statement.Silent {
			continue
		}
		if err := sink(row); err != nil {
			return n, err
		}
	}
}

// change runs something that changes rows, and then what foreign keys have left
// for the end of the statement.
func (p *Program) change(rt *Runtime, run func() (int64, error)) (int64, error) {
	if p.rules == nil {
		return run()
	}
	if p.rules.err != nil {
		return 0, p.rules.err
	}
	rt.Constraints.queue = nil
	rt.Constraints.dropSets()
	n, err := run()
	if err != nil {
		return n, err
	}
	return n, rt.Constraints.endStatement(rt, p.rules)
}

// Open begins a query whose rows are pulled one by one.
func (p *Program) Open(rt *Runtime) (*Cursor, error) {
	cur, err := p.query.open(rt, &frame{rt: rt})
	if err != nil {
		return nil, err
	}
	return &Cursor{cur}, nil
}

// Cursor is a running query.
type Cursor struct{ cur cursor }

// Next returns the next row, valid until the following call, or nil at the end.
func (c *Cursor) Next() ([]types.Datum, error) { return c.cur.next() }

// Close ends the query.
func (c *Cursor) Close() { c.cur.close() }

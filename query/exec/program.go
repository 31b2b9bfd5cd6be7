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

	reads []tableRead
}

// Compile compiles a bound statement.
func Compile(st *plan.Statement) *Program {
	c := &compiler{ctes: map[*plan.CTE]*compiledCTE{}}
	p := &Program{Statement: st}
	root := &layout{}
	switch {
	case st.Root != nil:
		in := c.node(st.Root, root)
		p.query = &pickOp{in.op, positions(st.Out, in.lay)}
	case st.Insert != nil:
		p.insert = c.insert(st.Insert, root)
	case st.Update != nil:
		p.update = c.update(st.Update, root)
	case st.Delete != nil:
		p.delete = c.delete(st.Delete, root)
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
	switch {
	case p.insert != nil:
		return p.insert.run(rt, sink)
	case p.update != nil:
		return p.update.run(rt, sink)
	case p.delete != nil:
		return p.delete.run(rt, sink)
	case p.Statement.DDL != nil:
		return runDDL(rt, p.Statement, sink)
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

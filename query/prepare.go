package query

import (
	"context"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// prepareSQL is PREPARE.
func (s *Session) prepareSQL(ctx context.Context, c *plan.Prepare, w ResultWriter) error {
	if _, dup := s.prepared[c.Name]; dup {
		return sqlstate.New(sqlstate.DuplicatePreparedStatement, "prepared statement \"%s\" already exists", c.Name)
	}
	if len(s.prepared) >= maxPrepared {
		return sqlstate.New(sqlstate.ConfigurationLimitExceeded, "a session may have at most %d prepared statements", maxPrepared)
	}
	p := &prepared{name: c.Name, text: c.Query.Text(), cmd: c.Query, declared: c.Types}
	if err := s.planAnew(ctx, p); err != nil {
		return err
	}
	s.prepared[c.Name] = p
	return w.CommandComplete("PREPARE")
}

// executeSQL is EXECUTE: its arguments are expressions, converted to the
// parameters' types as in an assignment.
func (s *Session) executeSQL(ctx context.Context, c *plan.Execute, w ResultWriter, describe bool) error {
	p, err := s.lookup(c.Name)
	if err != nil {
		return err
	}
	if p.cmd == nil {
		return w.EmptyQuery()
	}
	q, ok := p.cmd.(*plan.Query)
	if !ok {
		return s.control(ctx, p.cmd, w, describe)
	}
	if err := s.plan(p); err != nil {
		return err
	}
	if len(c.Args) != len(p.params) {
		return sqlstate.New(sqlstate.SyntaxError, "wrong number of parameters for prepared statement \"%s\"", c.Name).
			WithDetail("Expected %d parameters but got %d.", len(p.params), len(c.Args))
	}
	st := &statement{query: q, types: p.params, describe: describe}
	for i, a := range c.Args {
		d, err := s.argument(ctx, a, p.params[i])
		if err != nil {
			return err
		}
		st.params = append(st.params, d)
	}
	return s.query(ctx, st, w)
}

// argument evaluates one argument of EXECUTE.
func (s *Session) argument(ctx context.Context, q *plan.Query, t *types.Type) (types.Datum, error) {
	v, err := s.e.view()
	if err != nil {
		return types.NullDatum, err
	}
	defer v.Close()
	txn := v.Begin()
	defer txn.Close()
	now := s.e.now()
	in := exec.ContextInputs{TxnTime: now, StmtTime: now, Seed: s.e.cfg.Seed()}
	st := &statement{query: q}
	prog, err := s.program(st, v.Catalog(), in, false)
	if err != nil {
		return types.NullDatum, err
	}
	rt := s.runtime(ctx, st, txn, v, in, nil)
	var out types.Datum
	if _, err := prog.Run(rt, func(row []types.Datum) error { out = row[0]; return nil }); err != nil {
		return types.NullDatum, err
	}
	from := prog.Statement.Cols[0].Type
	if out.IsNull() || t == nil || from == t {
		return out, nil
	}
	if from == types.TextType { // a quoted literal has no type of its own
		return t.Parse(rt.Expr.Format, out.Str(), types.NoTypmod)
	}
	cast, ok := expr.FindCast(from, t, expr.Assignment)
	if !ok {
		return types.NullDatum, sqlstate.New(sqlstate.DatatypeMismatch, "parameter of type %s cannot be coerced to the expected type %s", from, t)
	}
	if cast.Binary {
		return out, nil
	}
	return cast.Eval(rt.Expr, out, types.NoTypmod)
}

func (s *Session) deallocate(c *plan.Deallocate, w ResultWriter) error {
	if c.Name == "" {
		clear(s.prepared)
		return w.CommandComplete("DEALLOCATE ALL")
	}
	if _, err := s.lookup(c.Name); err != nil {
		return err
	}
	delete(s.prepared, c.Name)
	return w.CommandComplete("DEALLOCATE")
}

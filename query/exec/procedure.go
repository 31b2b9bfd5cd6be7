package exec

import (
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

const (
	// maxCallDepth bounds how deep procedures may call each other.
	maxCallDepth = 100
	// maxCallStatements bounds the statements that one CALL executes, those of the
	// procedures that it calls included: with two calls in each body, a hundred
	// levels would never end.
	maxCallStatements = 100_000
)

// Planner plans the statements of procedures' bodies.
type Planner struct {
	Plans   *Plans
	Meaning *Meaning
}

// callProgram is a compiled CALL.
type callProgram struct {
	procedure *catalog.Procedure
	args      []evalFunc
}

func (c *compiler) callProcedure(n *plan.CallProcedure, root *layout) *callProgram {
	return &callProgram{n.Procedure, c.exprs(n.Args, root)}
}

// run executes the statements of the procedure, one after the other. What
// queries among them answer is nobody's.
func (p *callProgram) run(rt *Runtime) error {
	if rt.depth >= maxCallDepth {
		return sqlstate.New(sqlstate.StatementTooComplex, "stack depth limit exceeded").
			WithHint("Procedures may call each other at most %d levels deep.", maxCallDepth)
	}
	f := &frame{rt: rt}
	args := make([]types.Datum, len(p.args))
	for i, a := range p.args {
		var err error
		if args[i], err = a(f); err != nil {
			return err
		}
	}
	if rt.called == nil {
		rt.called = new(int)
	}
	outer := rt.Expr.Params
	defer func() { rt.Expr.Params = outer }()
	for i, text := range p.procedure.Body {
		if *rt.called++; *rt.called > maxCallStatements {
			return sqlstate.New(sqlstate.ProgramLimitExceeded, "a CALL may execute at most %d statements", maxCallStatements)
		}
		rt.Expr.Params = args
		prog, err := rt.Planner.body(rt, p.procedure, text)
		if err != nil {
			return err
		}
		if _, err := prog.Run(rt.inner(p.procedure), func([]types.Datum) error { return nil }); err != nil {
			return p.located(err, i)
		}
		if err := rt.tick(); err != nil {
			return err
		}
	}
	return nil
}

// located says of an error which statement it comes from.
func (p *callProgram) located(err error, i int) error {
	var e *sqlstate.Error
	if !errors.As(err, &e) {
		return err // of storage
	}
	out := *e
	if out.Where != "" {
		out.Where += "\n"
	}
	out.Where += fmt.Sprintf("SQL function \"%s\" statement %d", p.procedure.Name, i+1)
	out.Position = 0 // it counts from the beginning of that statement
	return &out
}

// body plans one statement of a procedure's body.
func (pl *Planner) body(rt *Runtime, p *catalog.Procedure, text string) (*Program, error) {
	q, err := pl.Plans.Query(text)
	if err != nil {
		return nil, err
	}
	m := pl.Meaning
	if p.Atomic {
		own := *m
		own.SearchPath = p.SearchPath
		m = &own
	}
	env := plan.BodyEnv(plan.Env{}, p)
	return pl.Plans.Program(Request{Query: q, Catalog: rt.Txn.Catalog(), Meaning: m,
		Params: env.Params, Routine: env.Routine, Ctx: func() *expr.Ctx { return rt.Expr }, Write: true})
}

// inner is the runtime of a statement that rt's calls. Times, random numbers and
// sequences go on; what the statement holds is its own.
func (rt *Runtime) inner(p *catalog.Procedure) *Runtime {
	in := &Runtime{Txn: rt.Txn, Expr: rt.Expr, Constraints: rt.Constraints, Planner: rt.Planner, Cancel: rt.Cancel,
		SearchPath: rt.SearchPath, User: rt.User, Notice: rt.Notice, Steps: rt.Steps, depth: rt.depth + 1, called: rt.called}
	if p.Atomic {
		in.SearchPath = p.SearchPath
	}
	if v := rt.Virtual; v != nil {
		in.Virtual = &syscat.Context{Catalog: rt.Txn.Catalog(), Txn: v.Txn, View: v.View, Session: v.Session, SearchPath: in.SearchPath}
	}
	return in
}

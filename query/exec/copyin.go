package exec

import (
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// CopyProgram plans the text of a COPY … FROM STDIN.
func CopyProgram(text string, env plan.Env) (*Program, error) {
	sts, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(sts) != 1 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "expected one COPY statement")
	}
	cmd, err := plan.Classify(sts[0])
	if err != nil {
		return nil, err
	}
	c, ok := cmd.(*plan.Copy)
	if !ok || !c.Spec.From {
		return nil, sqlstate.New(sqlstate.SyntaxError, "expected COPY ... FROM STDIN")
	}
	st, err := plan.BindCopyFrom(env, &c.Spec)
	if err != nil {
		return nil, err
	}
	return Compile(st), nil
}

// CopyIn inserts rows in stored form (types.AppendRow), each with a value for
// every target column; next returns nil after the last one. It returns how many
// rows it has inserted.
func (p *Program) CopyIn(rt *Runtime, next func() ([]byte, error)) (int64, error) {
	return p.change(rt, func() (int64, error) { return p.copyIn(rt, next) })
}

func (p *Program) copyIn(rt *Runtime, next func() ([]byte, error)) (int64, error) {
	ins := &inserter{p: p.insert, rt: rt, f: frame{rt: rt, outer: &frame{rt: rt}}}
	values := make([]types.Datum, len(p.insert.targets))
	for {
		b, err := next()
		if b == nil || err != nil {
			return ins.n, err
		}
		if err := types.DecodeRow(b, nil, values); err != nil {
			return ins.n, sqlstate.New(sqlstate.BadCopyFileFormat, "row %d of COPY cannot be decoded", ins.n+1)
		}
		row := make([]types.Datum, len(p.insert.table.Columns))
		for i, pos := range p.insert.targets {
			row[pos] = values[i]
			values[i] = types.NullDatum
		}
		if err := ins.insert(row); err != nil {
			return ins.n, err
		}
		if err := rt.tick(); err != nil {
			return ins.n, err
		}
	}
}

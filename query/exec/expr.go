package exec

import (
	"fmt"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// expr compiles an expression to a closure over rows laid out as l.
func (c *compiler) expr(e plan.Expr, l *layout) evalFunc {
	switch e := e.(type) {
	case nil:
		return nil
	case *plan.Const:
		v := e.Value
		return func(*frame) (types.Datum, error) { return v, nil }
	case *plan.Param:
		i := e.Index
		return func(f *frame) (types.Datum, error) { return f.rt.Expr.Params[i], nil }
	case *plan.ColRef:
		return column(e, l)
	case *plan.Call:
		return c.call(e, l)
	case *plan.Cast:
		return c.cast(e, l)
	case *plan.Fit:
		arg, t, mod, explicit := c.expr(e.Arg, l), e.Type(), e.Typmod(), e.Explicit
		return func(f *frame) (types.Datum, error) {
			d, err := arg(f)
			if err != nil || d.IsNull() {
				return d, err
			}
			return expr.ApplyTypmod(f.rt.Expr, t, mod, d, explicit)
		}
	case *plan.Logic:
		return c.logic(e, l)
	case *plan.CaseArg:
		return func(f *frame) (types.Datum, error) { return f.caseArg, nil }
	case *plan.ElemArg:
		return func(f *frame) (types.Datum, error) { return f.elem, nil }
	case *plan.IsNull:
		return c.isNull(e, l)
	case *plan.InList:
		return c.inList(e, l)
	case *plan.Subquery:
		return c.subquery(e, l)
	}
	return c.exprMore(e, l)
}

// column finds a column in the row or in one of those around it.
func column(e *plan.ColRef, l *layout) evalFunc {
	for depth, at := 0, l; at != nil; depth, at = depth+1, at.outer {
		i, ok := at.pos[e.ID]
		if !ok {
			continue
		}
		switch depth {
		case 0:
			return func(f *frame) (types.Datum, error) { return f.row[i], nil }
		case 1:
			return func(f *frame) (types.Datum, error) { return f.outer.row[i], nil }
		}
		return func(f *frame) (types.Datum, error) {
			for range depth {
				f = f.outer
			}
			return f.row[i], nil
		}
	}
	panic(fmt.Sprintf("exec: column %d (%s) is not in any row", e.ID, e.Name))
}

// maxInlineArgs is how many arguments a call keeps on the stack.
const maxInlineArgs = 4

func (c *compiler) call(e *plan.Call, l *layout) evalFunc {
	fn, strict := e.Func.Eval, e.Func.Strict
	args := c.exprs(e.Args, l)
	if fn == nil {
		name := e.Func.Name
		return func(*frame) (types.Datum, error) {
			return types.NullDatum, unsupported("calling function %s here", name)
		}
	}
	switch e.Type().Kind {
	case types.KindString, types.KindBytes, types.KindArray:
		return counted(callOf(fn, strict, args))
	}
	return callOf(fn, strict, args)
}

// counted makes long values count as steps.
func counted(call evalFunc) evalFunc {
	return func(f *frame) (types.Datum, error) {
		d, err := call(f)
		if err != nil {
			return d, err
		}
		return d, f.rt.made(d)
	}
}

func callOf(fn func(*expr.Ctx, []types.Datum) (types.Datum, error), strict bool, args []evalFunc) evalFunc {
	switch len(args) {
	case 0:
		return func(f *frame) (types.Datum, error) {
			d, err := fn(f.rt.Expr, nil)
			return d, outcome(err)
		}
	case 2:
		a0, a1 := args[0], args[1]
		return func(f *frame) (types.Datum, error) {
			var buf [2]types.Datum
			var err error
			if buf[0], err = a0(f); err != nil {
				return types.NullDatum, err
			}
			if buf[1], err = a1(f); err != nil {
				return types.NullDatum, err
			}
			if strict && (buf[0].IsNull() || buf[1].IsNull()) {
				return types.NullDatum, nil
			}
			d, err := fn(f.rt.Expr, buf[:])
			return d, outcome(err)
		}
	}
	return func(f *frame) (types.Datum, error) {
		var inline [maxInlineArgs]types.Datum
		vals := inline[:0]
		if len(args) > maxInlineArgs {
			vals = make([]types.Datum, 0, len(args))
		}
		for _, a := range args {
			d, err := a(f)
			if err != nil {
				return types.NullDatum, err
			}
			if strict && d.IsNull() {
				return types.NullDatum, nil
			}
			vals = append(vals, d)
		}
		d, err := fn(f.rt.Expr, vals)
		return d, outcome(err)
	}
}

func (c *compiler) cast(e *plan.Cast, l *layout) evalFunc {
	arg := c.expr(e.Arg, l)
	if e.Cast.Binary {
		return arg
	}
	fn, mod := e.Cast.Eval, e.Typmod()
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil || d.IsNull() {
			return d, err
		}
		d, err = fn(f.rt.Expr, d, mod)
		return d, outcome(err)
	}
}

func (c *compiler) logic(e *plan.Logic, l *layout) evalFunc {
	args := c.exprs(e.Args, l)
	if e.Op == plan.Not {
		arg := args[0]
		return func(f *frame) (types.Datum, error) {
			d, err := arg(f)
			if err != nil || d.IsNull() {
				return d, err
			}
			return types.Bool(!d.Bool()), nil
		}
	}
	// AND ends at the first false, OR at the first true.
	end := e.Op == plan.Or
	return func(f *frame) (types.Datum, error) {
		null := false
		for _, a := range args {
			d, err := a(f)
			if err != nil {
				return types.NullDatum, err
			}
			if d.IsNull() {
				null = true
				continue
			}
			if d.Bool() == end {
				return d, nil
			}
		}
		if null {
			return types.NullDatum, nil
		}
		return types.Bool(!end), nil
	}
}

func (c *compiler) isNull(e *plan.IsNull, l *layout) evalFunc {
	arg, not := c.expr(e.Arg, l), e.Not
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil {
			return types.NullDatum, err
		}
		if d.Kind() != types.KindTuple {
			return types.Bool(d.IsNull() != not), nil
		}
		// A row IS NULL when all its fields are, IS NOT NULL when none is.
		for _, x := range d.Tuple().Fields {
			if x.IsNull() == not {
				return types.Bool(false), nil
			}
		}
		return types.Bool(true), nil
	}
}

func (c *compiler) inList(e *plan.InList, l *layout) evalFunc {
	arg, not, hasNull := c.expr(e.Arg, l), e.Not, e.HasNull
	set := newDatumSet()
	for _, v := range e.Values {
		set.add([]types.Datum{v})
	}
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil || d.IsNull() {
			return types.NullDatum, err
		}
		if set.has1(d) {
			return types.Bool(!not), nil
		}
		if hasNull {
			return types.NullDatum, nil
		}
		return types.Bool(not), nil
	}
}

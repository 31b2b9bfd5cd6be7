package exec

import (
	"fmt"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func unsupported(format string, args ...any) error {
	return sqlstate.New(sqlstate.FeatureNotSupported, format+" is not supported", args...)
}

func (c *compiler) exprMore(e plan.Expr, l *layout) evalFunc {
	switch e := e.(type) {
	case *plan.BoolTest:
		return c.boolTest(e, l)
	case *plan.Distinct:
		return c.distinct(e, l)
	case *plan.Case:
		return c.caseExpr(e, l)
	case *plan.Coalesce:
		args := c.exprs(e.Args, l)
		return func(f *frame) (types.Datum, error) {
			for _, a := range args {
				if d, err := a(f); err != nil || !d.IsNull() {
					return d, err
				}
			}
			return types.NullDatum, nil
		}
	case *plan.NullIf:
		left, eq := c.expr(e.Left, l), c.expr(e.Equal, l)
		return func(f *frame) (types.Datum, error) {
			d, err := left(f)
			if err != nil {
				return types.NullDatum, err
			}
			same, err := withCaseArg(f, d, eq)
			if err != nil || (!same.IsNull() && same.Bool()) {
				return types.NullDatum, err
			}
			return d, nil
		}
	case *plan.MinMax:
		return c.minMax(e, l)
	case *plan.ArrayExpr:
		return c.array(e, l)
	case *plan.RowExpr:
		return c.row(e, l)
	case *plan.Field:
		arg, i := c.expr(e.Arg, l), e.Index
		return func(f *frame) (types.Datum, error) {
			d, err := arg(f)
			if err != nil || d.IsNull() {
				return d, err
			}
			return d.Tuple().Fields[i], nil
		}
	case *plan.Subscript:
		return c.subscript(e, l)
	case *plan.Assign:
		return c.assign(e, l)
	case *plan.AnyAll:
		return c.anyAll(e, l)
	}
	panic(fmt.Sprintf("exec: no code for %T", e))
}

// withCaseArg evaluates e with CaseArg set, restoring it for nested uses.
func withCaseArg(f *frame, arg types.Datum, e evalFunc) (types.Datum, error) {
	saved := f.caseArg
	f.caseArg = arg
	d, err := e(f)
	f.caseArg = saved
	return d, err
}

func (c *compiler) boolTest(e *plan.BoolTest, l *layout) evalFunc {
	arg, want, not := c.expr(e.Arg, l), e.Want, e.Not
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil {
			return types.NullDatum, err
		}
		is := d.IsNull() == want.IsNull()
		if is && !d.IsNull() {
			is = d.Bool() == want.Bool()
		}
		return types.Bool(is != not), nil
	}
}

func (c *compiler) distinct(e *plan.Distinct, l *layout) evalFunc {
	left, right, eq, not := c.expr(e.Left, l), c.expr(e.Right, l), e.Equal.Eval, e.Not
	return func(f *frame) (types.Datum, error) {
		a, err := left(f)
		if err != nil {
			return types.NullDatum, err
		}
		b, err := right(f)
		if err != nil {
			return types.NullDatum, err
		}
		if a.IsNull() || b.IsNull() {
			return types.Bool((a.IsNull() != b.IsNull()) != not), nil
		}
		d, err := eq(f.rt.Expr, []types.Datum{a, b})
		if err != nil {
			return types.NullDatum, err
		}
		return types.Bool(d.Bool() == not), nil
	}
}

func (c *compiler) caseExpr(e *plan.Case, l *layout) evalFunc {
	type branch struct{ cond, result evalFunc }
	arg, els := c.expr(e.Arg, l), c.expr(e.Else, l)
	branches := make([]branch, len(e.Whens))
	for i, w := range e.Whens {
		branches[i] = branch{c.expr(w.Cond, l), c.expr(w.Result, l)}
	}
	return func(f *frame) (types.Datum, error) {
		var value types.Datum
		if arg != nil {
			var err error
			if value, err = arg(f); err != nil {
				return types.NullDatum, err
			}
		}
		for _, b := range branches {
			var d types.Datum
			var err error
			if arg != nil {
				d, err = withCaseArg(f, value, b.cond)
			} else {
				d, err = b.cond(f)
			}
			if err != nil {
				return types.NullDatum, err
			}
			if !d.IsNull() && d.Bool() {
				return b.result(f)
			}
		}
		if els == nil {
			return types.NullDatum, nil
		}
		return els(f)
	}
}

func (c *compiler) minMax(e *plan.MinMax, l *layout) evalFunc {
	args, greatest := c.exprs(e.Args, l), e.Greatest
	cmp := comparer(e.Type())
	return func(f *frame) (types.Datum, error) {
		var best types.Datum
		for _, a := range args {
			d, err := a(f)
			if err != nil {
				return types.NullDatum, err
			}
			if d.IsNull() {
				continue
			}
			if best.IsNull() || (cmp(d, best) > 0) == greatest {
				best = d
			}
		}
		return best, nil
	}
}

// comparer orders values of a type. char(n) ignores trailing blanks.
func comparer(t *types.Type) func(a, b types.Datum) int {
	if t == types.BPCharType {
		return func(a, b types.Datum) int {
			return types.Compare(types.String(types.TrimBPChar(a.Str())), types.String(types.TrimBPChar(b.Str())))
		}
	}
	return types.Compare
}

func (c *compiler) row(e *plan.RowExpr, l *layout) evalFunc {
	fields := c.exprs(e.Fields, l)
	ts := make([]*types.Type, len(e.Fields))
	for i, x := range e.Fields {
		ts[i] = x.Type()
	}
	names := e.Names
	return func(f *frame) (types.Datum, error) {
		t := &types.Tuple{Types: ts, Names: names, Fields: make([]types.Datum, len(fields))}
		for i, x := range fields {
			var err error
			if t.Fields[i], err = x(f); err != nil {
				return types.NullDatum, err
			}
		}
		return types.TupleDatum(t), nil
	}
}

func (c *compiler) array(e *plan.ArrayExpr, l *layout) evalFunc {
	elems, t, nested := c.exprs(e.Elems, l), e.Type().Elem, e.Nested
	return func(f *frame) (types.Datum, error) {
		vals := make([]types.Datum, len(elems))
		for i, x := range elems {
			var err error
			if vals[i], err = x(f); err != nil {
				return types.NullDatum, err
			}
		}
		if nested {
			return stack(t, vals)
		}
		return types.ArrayDatum(types.NewArray(t, vals)), nil
	}
}

// stack makes arrays of equal dimensions the elements of a new dimension.
func stack(elem *types.Type, parts []types.Datum) (types.Datum, error) {
	out := &types.Array{Elem: elem}
	for i, p := range parts {
		var a *types.Array
		if p.IsNull() {
			a = &types.Array{Elem: elem}
		} else {
			a = p.Array()
		}
		if i == 0 {
			if len(a.Dims) == 0 {
				continue
			}
			out.Dims = append([]int32{int32(len(parts))}, a.Dims...)
			out.Lower = append([]int32{1}, a.Lower...)
		} else if !sameDims(out.Dims, a.Dims) {
			return types.NullDatum, sqlstate.New(sqlstate.ArraySubscriptError,
				"multidimensional arrays must have array expressions with matching dimensions")
		}
		out.Elems = append(out.Elems, a.Elems...)
	}
	return types.ArrayDatum(out), nil
}

func sameDims(whole, part []int32) bool {
	if len(whole) == 0 || len(whole) != len(part)+1 {
		return len(whole) == len(part)
	}
	for i, d := range part {
		if whole[i+1] != d {
			return false
		}
	}
	return true
}

func (c *compiler) anyAll(e *plan.AnyAll, l *layout) evalFunc {
	left, array, test, all := c.expr(e.Left, l), c.expr(e.Array, l), c.expr(e.Test, l), e.All
	return func(f *frame) (types.Datum, error) {
		v, err := left(f)
		if err != nil {
			return types.NullDatum, err
		}
		arr, err := array(f)
		if err != nil || arr.IsNull() {
			return types.NullDatum, err
		}
		savedArg, savedElem := f.caseArg, f.elem
		defer func() { f.caseArg, f.elem = savedArg, savedElem }()
		null := false
		for _, el := range arr.Array().Elems {
			f.caseArg, f.elem = v, el
			d, err := test(f)
			if err != nil {
				return types.NullDatum, err
			}
			if d.IsNull() {
				null = true
			} else if d.Bool() != all {
				return types.Bool(!all), nil
			}
		}
		if null {
			return types.NullDatum, nil
		}
		return types.Bool(all), nil
	}
}

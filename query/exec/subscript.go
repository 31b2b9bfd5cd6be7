package exec

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/types"
)

// subscript compiles a[i], a[lo:hi] and j['key'].
func (c *compiler) subscript(e *plan.Subscript, l *layout) evalFunc {
	arg := c.expr(e.Arg, l)
	lower, upper := c.exprs(e.Lower, l), c.exprs(e.Upper, l)
	if e.OfJSON {
		return jsonSubscript(arg, lower)
	}
	slice := e.Slice
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil || d.IsNull() {
			return types.NullDatum, err
		}
		lo, ok, err := indexes(f, lower)
		if err != nil || !ok {
			return types.NullDatum, err
		}
		if !slice {
			return element(d.Array(), lo), nil
		}
		hi, ok, err := indexes(f, upper)
		if err != nil || !ok {
			return types.NullDatum, err
		}
		return arraySlice(d.Array(), lo, hi), nil
	}
}

// index is a subscript; set is false where a slice leaves its bound out.
type index struct {
	v   int64
	set bool
}

// indexes evaluates subscripts; ok is false when one is NULL.
func indexes(f *frame, es []evalFunc) ([]index, bool, error) {
	out := make([]index, len(es))
	for i, e := range es {
		if e == nil {
			continue
		}
		d, err := e(f)
		if err != nil || d.IsNull() {
			return nil, false, err
		}
		out[i] = index{d.Int(), true}
	}
	return out, true, nil
}

// element returns one element; NULL when a subscript is outside, or their
// number is not that of the dimensions.
func element(a *types.Array, at []index) types.Datum {
	if len(at) != len(a.Dims) {
		return types.NullDatum
	}
	pos := int64(0)
	for i, ix := range at {
		k := ix.v - int64(a.Lower[i])
		if k < 0 || k >= int64(a.Dims[i]) {
			return types.NullDatum
		}
		pos = pos*int64(a.Dims[i]) + k
	}
	return a.Elems[pos]
}

// arraySlice cuts a box out of an array. A single subscript n in a slice means
// 1:n; bounds left out are the array's own.
func arraySlice(a *types.Array, lo, hi []index) types.Datum {
	n := len(a.Dims)
	empty := types.ArrayDatum(types.NewArray(a.Elem, nil))
	if len(lo) > n {
		return empty
	}
	from, to := make([]int64, n), make([]int64, n)
	out := &types.Array{Elem: a.Elem}
	for i := range n {
		first, last := int64(a.Lower[i]), int64(a.Lower[i])+int64(a.Dims[i])-1
		from[i], to[i] = first, last
		if i < len(lo) && lo[i].set {
			from[i] = max(first, lo[i].v)
		}
		if i < len(hi) && hi[i].set {
			to[i] = min(last, hi[i].v)
		}
		if from[i] > to[i] {
			return empty
		}
		out.Dims = append(out.Dims, int32(to[i]-from[i]+1))
		out.Lower = append(out.Lower, 1)
	}
	at := make([]index, n)
	var walk func(dim int)
	walk = func(dim int) {
		if dim == n {
			out.Elems = append(out.Elems, element(a, at))
			return
		}
		for k := from[dim]; k <= to[dim]; k++ {
			at[dim] = index{k, true}
			walk(dim + 1)
		}
	}
	walk(0)
	return types.ArrayDatum(out)
}

// jsonSubscript looks each key up with the operator ->.
func jsonSubscript(arg evalFunc, keys []evalFunc) evalFunc {
	r, err := expr.ResolveOperator("#>", types.JSONBType, types.TextType.Array)
	return func(f *frame) (types.Datum, error) {
		if err != nil {
			return types.NullDatum, err
		}
		d, err := arg(f)
		if err != nil || d.IsNull() {
			return types.NullDatum, err
		}
		path := make([]types.Datum, len(keys))
		for i, k := range keys {
			if path[i], err = k(f); err != nil || path[i].IsNull() {
				return types.NullDatum, err
			}
		}
		return r.Func.Eval(f.rt.Expr, []types.Datum{d, types.ArrayDatum(types.NewArray(types.TextType, path))})
	}
}

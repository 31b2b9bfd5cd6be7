package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxArrayElems is PostgreSQL's limit on the elements of an array.
const maxArrayElems = 134217727

// assign compiles SET a[i] = v and SET a[lo:hi] = v. A NULL array is an empty
// one; assigning NULL to a slice changes nothing.
func (c *compiler) assign(e *plan.Assign, l *layout) evalFunc {
	arg, value := c.expr(e.Arg, l), c.expr(e.Value, l)
	lower, upper := c.exprs(e.Lower, l), c.exprs(e.Upper, l)
	elem, slice := e.Type().Elem, e.Slice
	return func(f *frame) (types.Datum, error) {
		d, err := arg(f)
		if err != nil {
			return types.NullDatum, err
		}
		v, err := value(f)
		if err != nil || (slice && v.IsNull()) {
			return d, err
		}
		a := types.NewArray(elem, nil)
		if !d.IsNull() {
			a = d.Array()
		}
		lo, ok, err := indexes(f, lower)
		if err != nil {
			return types.NullDatum, err
		}
		hi, ok2, err := indexes(f, upper)
		if err != nil {
			return types.NullDatum, err
		}
		if !ok || !ok2 {
			return types.NullDatum, sqlstate.New(sqlstate.NullValueNotAllowed, "array subscript in assignment must not be null")
		}
		if !slice {
			return setBox(a, lo, lo, []types.Datum{v})
		}
		return setBox(a, lo, hi, v.Array().Elems)
	}
}

func subscriptError(format string, args ...any) *sqlstate.Error {
	return sqlstate.New(sqlstate.ArraySubscriptError, format, args...)
}

// setBox replaces the elements between lo and hi by vals. Only an array of one
// dimension grows, with NULLs in the gap.
func setBox(a *types.Array, lo, hi []index, vals []types.Datum) (types.Datum, error) {
	n := len(a.Dims)
	if n == 0 {
		return newBox(a.Elem, lo, hi, vals)
	}
	if n < len(lo) || (n > len(lo) && &lo[0] == &hi[0]) {
		return types.NullDatum, subscriptError("wrong number of array subscripts")
	}
	from, to := make([]int64, n), make([]int64, n)
	need := int64(1)
	for i := range n {
		first := int64(a.Lower[i])
		from[i], to[i] = first, first+int64(a.Dims[i])-1
		if i < len(lo) && lo[i].set {
			from[i] = lo[i].v
		}
		if i < len(hi) && hi[i].set {
			to[i] = hi[i].v
		}
		if from[i] > to[i] {
			return types.NullDatum, subscriptError("upper bound cannot be less than lower bound")
		}
		if n > 1 && (from[i] < first || to[i] > first+int64(a.Dims[i])-1) {
			return types.NullDatum, subscriptError("array subscript out of range")
		}
		need *= to[i] - from[i] + 1
		if need > maxArrayElems {
			return types.NullDatum, arrayTooLarge()
		}
	}
	if int64(len(vals)) < need {
		return types.NullDatum, subscriptError("source array too small")
	}
	out := &types.Array{Elem: a.Elem, Dims: append([]int32{}, a.Dims...), Lower: append([]int32{}, a.Lower...), Elems: append([]types.Datum{}, a.Elems...)}
	if n == 1 {
		if err := stretch(out, from[0], to[0]); err != nil {
			return types.NullDatum, err
		}
	}
	put(out, from, to, vals)
	return types.ArrayDatum(out), nil
}

// newBox is a box assigned to an empty array.
func newBox(elem *types.Type, lo, hi []index, vals []types.Datum) (types.Datum, error) {
	out := &types.Array{Elem: elem}
	need := int64(1)
	for i := range lo {
		if !lo[i].set || !hi[i].set {
			return types.NullDatum, subscriptError("array slice subscript must provide both boundaries").
				WithDetail("When assigning to a slice of an empty array value, slice boundaries must be fully specified.")
		}
		size := hi[i].v - lo[i].v + 1
		if size <= 0 {
			return types.NullDatum, subscriptError("upper bound cannot be less than lower bound")
		}
		if need *= size; need > maxArrayElems {
			return types.NullDatum, arrayTooLarge()
		}
		out.Dims, out.Lower = append(out.Dims, int32(size)), append(out.Lower, int32(lo[i].v))
	}
	if int64(len(vals)) < need {
		return types.NullDatum, subscriptError("source array too small")
	}
	out.Elems = append(out.Elems, vals[:need]...)
	return types.ArrayDatum(out), nil
}

func arrayTooLarge() error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxArrayElems)
}

// stretch makes a one-dimensional array reach from..to.
func stretch(a *types.Array, from, to int64) error {
	first := int64(a.Lower[0])
	last := first + int64(a.Dims[0]) - 1
	before, after := max(0, first-from), max(0, to-last)
	if before+after+int64(a.Dims[0]) > maxArrayElems {
		return arrayTooLarge()
	}
	nulls := func(n int64) []types.Datum { return make([]types.Datum, n) }
	a.Elems = append(append(nulls(before), a.Elems...), nulls(after)...)
	a.Lower[0], a.Dims[0] = int32(first-before), int32(int64(a.Dims[0])+before+after)
	return nil
}

// put writes vals over the box from..to, the last dimension first.
func put(a *types.Array, from, to []int64, vals []types.Datum) {
	at := append([]int64{}, from...)
	for _, v := range vals {
		pos := int64(0)
		for i, k := range at {
			pos = pos*int64(a.Dims[i]) + k - int64(a.Lower[i])
		}
		a.Elems[pos] = v
		i := len(at) - 1
		for ; i >= 0; i-- {
			if at[i]++; at[i] <= to[i] {
				break
			}
			at[i] = from[i]
		}
		if i < 0 {
			return
		}
	}
}

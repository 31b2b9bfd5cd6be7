package expr

import (
	"math"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func arrayError(format string, args ...any) error {
	return sqlstate.New(sqlstate.ArraySubscriptError, format, args...)
}

// ArrayGet returns the element of an array at the given subscripts, NULL when
// they are out of bounds or of the wrong number.
func ArrayGet(a *types.Array, subscripts []int64) types.Datum {
	if len(subscripts) != len(a.Dims) {
		return null
	}
	at := int64(0)
	for i, s := range subscripts {
		s -= int64(a.Lower[i])
		if s < 0 || s >= int64(a.Dims[i]) {
			return null
		}
		at = at*int64(a.Dims[i]) + s
	}
	return a.Elems[at]
}

// ArraySlice returns a[lo:hi, …] as a new array with lower bounds 1; a missing
// bound is the array's own. Out-of-range bounds are cut, and an array of other
// dimensions gives an empty one, as in PostgreSQL.
func ArraySlice(a *types.Array, lo, hi []*int64) *types.Array {
	n := len(a.Dims)
	if n < len(lo) || n == 0 {
		return types.NewArray(a.Elem, nil)
	}
	out := &types.Array{Elem: a.Elem}
	from, to := make([]int64, n), make([]int64, n)
	for i := range n {
		from[i], to[i] = 0, int64(a.Dims[i])-1
		if i < len(lo) {
			if lo[i] != nil {
				from[i] = max(from[i], *lo[i]-int64(a.Lower[i]))
			}
			if hi[i] != nil {
				to[i] = min(to[i], *hi[i]-int64(a.Lower[i]))
			}
		}
		if from[i] > to[i] {
			return types.NewArray(a.Elem, nil)
		}
		out.Dims = append(out.Dims, int32(to[i]-from[i]+1))
		out.Lower = append(out.Lower, 1)
	}
	var walk func(dim int, at int64)
	walk = func(dim int, at int64) {
		if dim == n {
			out.Elems = append(out.Elems, a.Elems[at])
			return
		}
		for i := from[dim]; i <= to[dim]; i++ {
			walk(dim+1, at*int64(a.Dims[dim])+i)
		}
	}
	walk(0, 0)
	return out
}

// arrayAppend and arrayPrepend take NULL arrays as empty ones.
func arrayAppend(b *binding) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return addElem(a[0], a[1], b.ret.Elem, false) }
}

func arrayPrepend(b *binding) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return addElem(a[1], a[0], b.ret.Elem, true) }
}

func addElem(array, elem datum, t *types.Type, front bool) (datum, error) {
	if array.IsNull() || len(array.Array().Elems) == 0 {
		return types.ArrayDatum(types.NewArray(t, []datum{elem})), nil
	}
	v := array.Array()
	if len(v.Dims) != 1 {
		return null, sqlstate.New(sqlstate.ArraySubscriptError, "argument must be empty or one-dimensional array")
	}
	if len(v.Elems) >= types.MaxArrayElems || v.Lower[0] == math.MinInt32 {
		return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", types.MaxArrayElems)
	}
	out := &types.Array{Elem: v.Elem, Dims: []int32{v.Dims[0] + 1}, Lower: v.Lower}
	if front {
		// PostgreSQL keeps the lower bound that the array had.
		out.Elems = append([]datum{elem}, v.Elems...)
	} else {
		out.Elems = append(append(make([]datum, 0, len(v.Elems)+1), v.Elems...), elem)
	}
	return types.ArrayDatum(out), nil
}

func arrayCat(_ *Ctx, a []datum) (datum, error) {
	switch {
	case a[0].IsNull():
		return a[1], nil
	case a[1].IsNull():
		return a[0], nil
	}
	x, y := a[0].Array(), a[1].Array()
	switch {
	case len(x.Elems) == 0:
		return a[1], nil
	case len(y.Elems) == 0:
		return a[0], nil
	}
	mismatch := sqlstate.New(sqlstate.ArraySubscriptError, "cannot concatenate incompatible arrays")
	if d := len(x.Dims) - len(y.Dims); d > 1 || d < -1 {
		return null, mismatch.WithDetail("Arrays of %d and %d dimensions are not compatible for concatenation.", len(x.Dims), len(y.Dims))
	}
	out := &types.Array{Elem: x.Elem}
	out.Elems = append(append(make([]datum, 0, len(x.Elems)+len(y.Elems)), x.Elems...), y.Elems...)
	xInner, yInner := x.Dims, y.Dims
	what := ""
	switch {
	case len(x.Dims) == len(y.Dims):
		xInner, yInner = x.Dims[1:], y.Dims[1:]
		what = "element "
		out.Dims = append([]int32{x.Dims[0] + y.Dims[0]}, xInner...)
		out.Lower = x.Lower
	case len(x.Dims) < len(y.Dims):
		yInner = y.Dims[1:]
		out.Dims = append([]int32{y.Dims[0] + 1}, yInner...)
		out.Lower = y.Lower
	default:
		xInner = x.Dims[1:]
		out.Dims = append([]int32{x.Dims[0] + 1}, xInner...)
		out.Lower = x.Lower
	}
	for i := range xInner {
		if xInner[i] != yInner[i] {
			return null, mismatch.WithDetail("Arrays with differing %sdimensions are not compatible for concatenation.", what)
		}
	}
	return types.ArrayDatum(out), nil
}

func dimAt(a *types.Array, d datum) (int, bool) {
	n := d.Int()
	return int(n) - 1, n >= 1 && n <= int64(len(a.Dims))
}

func arrayLength(_ *Ctx, a []datum) (datum, error) {
	v := a[0].Array()
	i, ok := dimAt(v, a[1])
	if !ok || len(v.Elems) == 0 {
		return null, nil
	}
	return types.Int(int64(v.Dims[i])), nil
}

func arrayLower(_ *Ctx, a []datum) (datum, error) {
	v := a[0].Array()
	i, ok := dimAt(v, a[1])
	if !ok {
		return null, nil
	}
	return types.Int(int64(v.Lower[i])), nil
}

func arrayUpper(_ *Ctx, a []datum) (datum, error) {
	v := a[0].Array()
	i, ok := dimAt(v, a[1])
	if !ok {
		return null, nil
	}
	return types.Int(int64(v.Lower[i]) + int64(v.Dims[i]) - 1), nil
}

func arrayDims(_ *Ctx, a []datum) (datum, error) {
	v := a[0].Array()
	if len(v.Dims) == 0 {
		return null, nil
	}
	var out strings.Builder
	for i := range v.Dims {
		out.WriteString("[" + itoa(int64(v.Lower[i])) + ":" + itoa(int64(v.Lower[i])+int64(v.Dims[i])-1) + "]")
	}
	return types.String(out.String()), nil
}

// containsAll reports whether every element of y is one of x; NULLs never
// are.
func containsAll(x, y *types.Array) bool {
	for _, e := range y.Elems {
		if e.IsNull() || !containsElem(x, e) {
			return false
		}
	}
	return true
}

func containsElem(a *types.Array, d datum) bool {
	for _, e := range a.Elems {
		if !e.IsNull() && equalElems(a.Elem, e, d) {
			return true
		}
	}
	return false
}

// equalElems compares by the type's equality; bpchar ignores trailing blanks.
func equalElems(t *types.Type, a, b datum) bool {
	if t == types.BPCharType {
		return types.TrimBPChar(a.Str()) == types.TrimBPChar(b.Str())
	}
	return types.Equal(a, b)
}

func overlap(x, y *types.Array) bool {
	for _, e := range y.Elems {
		if !e.IsNull() && containsElem(x, e) {
			return true
		}
	}
	return false
}

func arrayToString(b *binding) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		if a[0].IsNull() || a[1].IsNull() {
			return null, nil
		}
		var out []byte
		first := true
		for _, e := range a[0].Array().Elems {
			if e.IsNull() && (len(a) < 3 || a[2].IsNull()) {
				continue
			}
			if !first {
				out = append(out, a[1].Str()...)
			}
			first = false
			if e.IsNull() {
				out = append(out, a[2].Str()...)
			} else {
				out = outputText(c, out, a[0].Array().Elem, e)
			}
		}
		return types.String(string(out)), nil
	}
}

// splitString is string_to_array and string_to_table.
func splitString(a []datum) []datum {
	s := a[0].Str()
	var parts []string
	switch {
	case s == "":
		return nil
	case a[1].IsNull():
		for _, r := range s {
			parts = append(parts, string(r))
		}
	case a[1].Str() == "":
		parts = []string{s}
	default:
		parts = strings.Split(s, a[1].Str())
	}
	out := make([]datum, len(parts))
	for i, p := range parts {
		if len(a) > 2 && !a[2].IsNull() && p == a[2].Str() {
			continue
		}
		out[i] = types.String(p)
	}
	return out
}

func stringToArray(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	return types.ArrayDatum(types.NewArray(types.TextType, splitString(a))), nil
}

func notDistinct(t *types.Type, a, b datum) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	return equalElems(t, a, b)
}

func arrayPosition(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	v := a[0].Array()
	if len(v.Dims) > 1 {
		return null, unsupported("searching for elements in multidimensional arrays is not supported")
	}
	start := int64(math.MinInt64)
	if len(a) > 2 {
		if a[2].IsNull() {
			return null, sqlstate.New(sqlstate.NullValueNotAllowed, "initial position must not be null")
		}
		start = a[2].Int()
	}
	for i, e := range v.Elems {
		if at := int64(i) + int64(v.Lower[0]); at >= start && notDistinct(v.Elem, e, a[1]) {
			return types.Int(at), nil
		}
	}
	return null, nil
}

func arrayPositions(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	v := a[0].Array()
	if len(v.Dims) > 1 {
		return null, unsupported("searching for elements in multidimensional arrays is not supported")
	}
	var out []datum
	for i, e := range v.Elems {
		if notDistinct(v.Elem, e, a[1]) {
			out = append(out, types.Int(int64(i)+int64(v.Lower[0])))
		}
	}
	return types.ArrayDatum(types.NewArray(types.Int4Type, out)), nil
}

func arrayRemove(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	v := a[0].Array()
	if len(v.Dims) > 1 {
		return null, unsupported("removing elements from multidimensional arrays is not supported")
	}
	var out []datum
	for _, e := range v.Elems {
		if !notDistinct(v.Elem, e, a[1]) {
			out = append(out, e)
		}
	}
	if len(out) == len(v.Elems) {
		return a[0], nil
	}
	return types.ArrayDatum(types.NewArray(v.Elem, out)), nil
}

func arrayReplace(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	v := *a[0].Array()
	v.Elems = append([]datum(nil), v.Elems...)
	for i, e := range v.Elems {
		if notDistinct(v.Elem, e, a[1]) {
			v.Elems[i] = a[2]
		}
	}
	return types.ArrayDatum(&v), nil
}

func trimArray(_ *Ctx, a []datum) (datum, error) {
	v, n := a[0].Array(), a[1].Int()
	size := int64(0)
	if len(v.Dims) > 0 {
		size = int64(v.Dims[0])
	}
	if n < 0 || n > size {
		return null, arrayError("number of elements to trim must be between 0 and %d", size)
	}
	if n == 0 || len(v.Dims) == 0 {
		return a[0], nil
	}
	hi := int64(v.Lower[0]) + size - n - 1
	return types.ArrayDatum(ArraySlice(v, []*int64{nil}, []*int64{&hi})), nil
}

func arrayFill(b *binding) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		if a[1].IsNull() || len(a) > 2 && a[2].IsNull() {
			return null, sqlstate.New(sqlstate.NullValueNotAllowed, "dimension array or low bound array cannot be null")
		}
		out := &types.Array{Elem: b.ret.Elem}
		count := int64(1)
		for i, d := range a[1].Array().Elems {
			low := int64(1)
			if len(a) > 2 {
				if i >= len(a[2].Array().Elems) {
					return null, arrayError("wrong number of array subscripts")
				}
				if a[2].Array().Elems[i].IsNull() {
					return null, sqlstate.New(sqlstate.NullValueNotAllowed, "dimension values cannot be null")
				}
				low = a[2].Array().Elems[i].Int()
			}
			if d.IsNull() {
				return null, sqlstate.New(sqlstate.NullValueNotAllowed, "dimension values cannot be null")
			}
			if i >= types.MaxArrayDims {
				return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)",
					len(a[1].Array().Elems), types.MaxArrayDims)
			}
			if count *= d.Int(); d.Int() < 0 || count > maxFillElems {
				return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxFillElems)
			}
			out.Dims, out.Lower = append(out.Dims, int32(d.Int())), append(out.Lower, int32(low))
		}
		if count == 0 || len(out.Dims) == 0 {
			return types.ArrayDatum(types.NewArray(out.Elem, nil)), nil
		}
		out.Elems = make([]datum, count)
		for i := range out.Elems {
			out.Elems[i] = a[0]
		}
		return types.ArrayDatum(out), nil
	}
}

// maxFillElems bounds array_fill, whose result is not bounded by its input.
const maxFillElems = 4 << 20

var arrayBinds = map[string]func(*binding) evalFunc{
	"array_append": arrayAppend, "array_prepend": arrayPrepend, "array_to_string": arrayToString, "array_fill": arrayFill,
}

var arrayEvals = map[string]evalFunc{
	"array_cat": arrayCat, "array_length": arrayLength, "array_lower": arrayLower, "array_upper": arrayUpper,
	"array_dims": arrayDims, "string_to_array": stringToArray, "array_position": arrayPosition,
	"array_positions": arrayPositions, "array_remove": arrayRemove, "array_replace": arrayReplace, "trim_array": trimArray,
	"array_ndims": func(_ *Ctx, a []datum) (datum, error) {
		if n := len(a[0].Array().Dims); n > 0 {
			return types.Int(int64(n)), nil
		}
		return null, nil
	},
	"cardinality": func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(len(a[0].Array().Elems))), nil },
	"arraycontains": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bool(containsAll(a[0].Array(), a[1].Array())), nil
	},
	"arraycontained": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bool(containsAll(a[1].Array(), a[0].Array())), nil
	},
	"arrayoverlap": func(_ *Ctx, a []datum) (datum, error) { return types.Bool(overlap(a[0].Array(), a[1].Array())), nil },
	"array_larger": pickGreater, "array_smaller": pickLess,
}

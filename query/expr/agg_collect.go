package expr

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxCollectBytes bounds what one string or json aggregate may build, as
// PostgreSQL's 1 GB limit on a value does.
const maxCollectBytes = 256 << 20

func tooLarge() error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "result of aggregate exceeds the maximum of %d bytes", maxCollectBytes)
}

type stringAgg struct {
	out  []byte
	seen bool
}

func (a *stringAgg) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	if a.seen && !args[1].IsNull() {
		a.out = append(a.out, args[1].Str()...)
	}
	a.seen = true
	if a.out = append(a.out, args[0].Str()...); len(a.out) > maxCollectBytes {
		return tooLarge()
	}
	return nil
}

func (a *stringAgg) Result(*Ctx) (datum, error) {
	if !a.seen {
		return null, nil
	}
	return types.String(string(a.out)), nil
}

type bytesAgg struct {
	out  []byte
	seen bool
}

func (a *bytesAgg) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	if a.seen && !args[1].IsNull() {
		a.out = append(a.out, args[1].Bytes()...)
	}
	a.seen = true
	if a.out = append(a.out, args[0].Bytes()...); len(a.out) > maxCollectBytes {
		return tooLarge()
	}
	return nil
}

func (a *bytesAgg) Result(*Ctx) (datum, error) {
	if !a.seen {
		return null, nil
	}
	return types.Bytes(slices.Clone(a.out)), nil
}

type arrayAgg struct {
	elem  *types.Type
	elems []datum
}

func (a *arrayAgg) Add(_ *Ctx, args []datum) error {
	if len(a.elems) >= types.MaxArrayElems {
		return tooLarge()
	}
	a.elems = append(a.elems, args[0])
	return nil
}

func (a *arrayAgg) Result(*Ctx) (datum, error) {
	if a.elems == nil {
		return null, nil
	}
	return types.ArrayDatum(types.NewArray(a.elem, slices.Clone(a.elems))), nil
}

// arrayOfArrays is array_agg over arrays: one more dimension.
type arrayOfArrays struct {
	first *types.Array
	n     int32
	elems []datum
}

func (a *arrayOfArrays) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return sqlstate.New(sqlstate.NullValueNotAllowed, "cannot accumulate null arrays")
	}
	v := args[0].Array()
	switch {
	case len(v.Elems) == 0:
		return sqlstate.New(sqlstate.ArraySubscriptError, "cannot accumulate empty arrays")
	case a.first == nil:
		a.first = v
	case !slices.Equal(a.first.Dims, v.Dims) || !slices.Equal(a.first.Lower, v.Lower):
		return sqlstate.New(sqlstate.ArraySubscriptError, "cannot accumulate arrays of different dimensionality")
	}
	if len(v.Dims) >= types.MaxArrayDims {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)",
			len(v.Dims)+1, types.MaxArrayDims)
	}
	a.n++
	a.elems = append(a.elems, v.Elems...)
	return nil
}

func (a *arrayOfArrays) Result(*Ctx) (datum, error) {
	if a.first == nil {
		return null, nil
	}
	return types.ArrayDatum(&types.Array{Elem: a.first.Elem, Dims: append([]int32{a.n}, a.first.Dims...),
		Lower: append([]int32{1}, a.first.Lower...), Elems: slices.Clone(a.elems)}), nil
}

type jsonAgg struct {
	typ *types.Type
	out []byte
}

func (a *jsonAgg) Add(c *Ctx, args []datum) error {
	switch {
	case a.out == nil:
		a.out = append(a.out, '[')
	case args[0].Kind() == types.KindTuple || args[0].Kind() == types.KindArray:
		a.out = append(a.out, ", \n "...)
	default:
		a.out = append(a.out, ", "...)
	}
	a.out = appendJSON(c, a.out, a.typ, args[0])
	if len(a.out) > maxCollectBytes {
		return tooLarge()
	}
	return nil
}

func (a *jsonAgg) Result(*Ctx) (datum, error) {
	if a.out == nil {
		return null, nil
	}
	return types.String(string(a.out) + "]"), nil
}

type jsonbAgg struct {
	typ   *types.Type
	elems []*types.JSON
}

func (a *jsonbAgg) Add(c *Ctx, args []datum) error {
	j, err := toJSONB(c, a.typ, args[0])
	a.elems = append(a.elems, j)
	return err
}

func (a *jsonbAgg) Result(*Ctx) (datum, error) {
	if a.elems == nil {
		return null, nil
	}
	return types.JSONB(&types.JSON{Kind: types.JSONArray, Elems: slices.Clone(a.elems)}), nil
}

type jsonObjectAgg struct {
	b   *binding
	out []byte
}

func (a *jsonObjectAgg) Add(c *Ctx, args []datum) error {
	if args[0].IsNull() {
		return sqlstate.New(sqlstate.NullValueNotAllowed, "field name must not be null")
	}
	if a.out == nil {
		a.out = append(a.out, "{ "...)
	} else {
		a.out = append(a.out, ", "...)
	}
	a.out = types.AppendJSONString(a.out, jsonKey(c, a.b.args[0], args[0]))
	a.out = append(a.out, " : "...)
	a.out = appendJSON(c, a.out, a.b.args[1], args[1])
	if len(a.out) > maxCollectBytes {
		return tooLarge()
	}
	return nil
}

func (a *jsonObjectAgg) Result(*Ctx) (datum, error) {
	if a.out == nil {
		return null, nil
	}
	return types.String(string(a.out) + " }"), nil
}

type jsonbObjectAgg struct {
	b      *binding
	fields []types.JSONField
}

func (a *jsonbObjectAgg) Add(c *Ctx, args []datum) error {
	if args[0].IsNull() {
		return sqlstate.New(sqlstate.InvalidParameterValue, "field name must not be null")
	}
	j, err := toJSONB(c, a.b.args[1], args[1])
	a.fields = append(a.fields, types.JSONField{Key: jsonKey(c, a.b.args[0], args[0]), Value: j})
	return err
}

func (a *jsonbObjectAgg) Result(*Ctx) (datum, error) {
	if a.fields == nil {
		return null, nil
	}
	return types.JSONB(types.NewJSONObject(slices.Clone(a.fields))), nil
}

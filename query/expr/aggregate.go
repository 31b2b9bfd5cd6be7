package expr

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Accumulator computes one aggregate over one group. Add is given every row,
// NULLs included, and decides itself what to skip; it must copy nothing of
// args but the datums.
type Accumulator interface {
	Add(c *Ctx, args []types.Datum) error
	Result(c *Ctx) (types.Datum, error)
}

// Aggregate is one aggregate function; an implementation makes accumulators.
type Aggregate struct {
	Name string
	Args []*types.Type
	Ret  *types.Type
	OID  types.OID

	make func(b *binding) func() Accumulator
}

// ResolvedAggregate is the answer of ResolveAggregate.
type ResolvedAggregate struct {
	Aggregate *Aggregate
	Args      []*types.Type // coerce each argument to this
	Ret       *types.Type
	New       func() Accumulator
}

func (l *library) addAggregate(w []string) {
	if w[9] != "a" {
		return
	}
	a := &Aggregate{OID: types.OID(atoi(w[1])), Name: w[2], Args: parseTypes(w[3]), Ret: mustType(w[4])}
	if m, ok := aggregateMakers[a.Name+"("+typeNames(a.Args)+")"]; ok {
		a.make = m
	} else if m, ok := aggregateMakers[a.Name]; ok {
		a.make = m
	}
	l.aggs = append(l.aggs, a)
	l.aggByName[a.Name] = append(l.aggByName[a.Name], a)
}

// Aggregates lists the aggregates that can be called, in OID order.
func Aggregates() []*Aggregate {
	return slices.DeleteFunc(slices.Clone(lib.aggs), func(a *Aggregate) bool { return a.make == nil })
}

// IsAggregate reports whether a name is that of an aggregate function.
func IsAggregate(name string) bool { return len(lib.aggByName[name]) > 0 }

// ResolveAggregate finds the aggregate a call means; args is empty for
// count(*). Errors are ResolveFunc's.
func ResolveAggregate(name string, args []*types.Type) (*ResolvedAggregate, error) {
	var list []*candidate
	for _, a := range lib.aggByName[name] {
		if len(a.Args) == len(args) {
			list = append(list, &candidate{args: a.Args, agg: a})
		}
	}
	if len(args) == 0 && name != "count" {
		if IsAggregate(name) {
			return nil, sqlstate.New(sqlstate.WrongObjectType, "%s(*) must be used to call a parameterless aggregate function", name)
		}
	}
	c, ambiguous := pick(args, list)
	if ambiguous {
		return nil, sqlstate.New(sqlstate.AmbiguousFunction, "function %s(%s) is not unique", name, sqlNames(args)).
			WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
	}
	if c == nil {
		return nil, UndefinedFunction(name, args)
	}
	if c.agg.make == nil {
		return nil, unsupported("aggregate function %s is not supported", name)
	}
	params, ret, ok := solvePolymorphic(c.args, args, c.agg.Ret)
	if !ok || ret == nil {
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "could not determine polymorphic type because input has type unknown")
	}
	out := &ResolvedAggregate{Aggregate: c.agg, Args: slices.Clone(params), Ret: ret}
	for i, p := range out.Args {
		if p == types.AnyType {
			out.Args[i] = args[i]
		}
	}
	out.New = c.agg.make(&binding{args: out.Args, ret: ret})
	return out, nil
}

// plain makes a maker of accumulators that need no binding.
func plain[T any, P interface {
	*T
	Accumulator
}]() func(*binding) func() Accumulator {
	return func(*binding) func() Accumulator { return func() Accumulator { return P(new(T)) } }
}

var aggregateMakers = func() map[string]func(*binding) func() Accumulator {
	m := map[string]func(*binding) func() Accumulator{
		"count()": plain[countAll](), "count": plain[countArg](),
		"sum(int2)": plain[sumInt](), "sum(int4)": plain[sumInt](), "sum(int8)": plain[sumInt8](),
		"avg(int2)": plain[avgInt](), "avg(int4)": plain[avgInt](), "avg(int8)": plain[avgInt](),
		"sum(numeric)": plain[sumNumeric](), "avg(numeric)": plain[avgNumeric](),
		"sum(float4)": func(*binding) func() Accumulator { return func() Accumulator { return &sumFloat{single: true} } },
		"sum(float8)": plain[sumFloat](), "avg(float4)": plain[avgFloat](), "avg(float8)": plain[avgFloat](),
		"sum(interval)": plain[sumInterval](), "avg(interval)": plain[avgInterval](),
		"min": extreme(-1), "max": extreme(1),
		"bool_and": plain[boolAnd](), "every": plain[boolAnd](), "bool_or": plain[boolOr](),
		"string_agg(text,text)": plain[stringAgg](), "string_agg(bytea,bytea)": plain[bytesAgg](),
		"bit_and": bitAgg(func(a, b int64) int64 { return a & b }),
		"bit_or":  bitAgg(func(a, b int64) int64 { return a | b }),
		"bit_xor": bitAgg(func(a, b int64) int64 { return a ^ b }),
		"array_agg(anynonarray)": func(b *binding) func() Accumulator {
			return func() Accumulator { return &arrayAgg{elem: b.args[0]} }
		},
		"array_agg(anyarray)": plain[arrayOfArrays](),
		"json_agg":            func(b *binding) func() Accumulator { return func() Accumulator { return &jsonAgg{typ: b.args[0]} } },
		"jsonb_agg":           func(b *binding) func() Accumulator { return func() Accumulator { return &jsonbAgg{typ: b.args[0]} } },
		"json_object_agg":     func(b *binding) func() Accumulator { return func() Accumulator { return &jsonObjectAgg{b: b} } },
		"jsonb_object_agg":    func(b *binding) func() Accumulator { return func() Accumulator { return &jsonbObjectAgg{b: b} } },
	}
	for name, v := range map[string]variance{ // order does not matter: it fills a map
		"var_pop": {}, "var_samp": {sample: true}, "variance": {sample: true},
		"stddev_pop": {root: true}, "stddev_samp": {sample: true, root: true}, "stddev": {sample: true, root: true},
	} {
		for _, t := range []string{"int2", "int4", "int8", "numeric"} {
			m[name+"("+t+")"] = func(*binding) func() Accumulator {
				return func() Accumulator { return &numericVariance{variance: v} }
			}
		}
		for _, t := range []string{"float4", "float8"} {
			m[name+"("+t+")"] = func(*binding) func() Accumulator {
				return func() Accumulator { return &floatVariance{variance: v} }
			}
		}
	}
	for _, name := range regrNames {
		m[name] = func(*binding) func() Accumulator { return func() Accumulator { return &regression{name: name} } }
	}
	return m
}()

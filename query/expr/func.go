package expr

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// Short names for what every signature in this package repeats.
type (
	datum    = types.Datum
	evalFunc = func(c *Ctx, args []datum) (datum, error)
	setFunc  = func(c *Ctx, args []datum) (RowIter, error)
)

var null = types.NullDatum

// Volatility says what a function's result depends on.
type Volatility uint8

// The volatilities: Immutable depends on the arguments only, Stable is fixed
// within a statement, Volatile may differ at each call.
const (
	Immutable Volatility = iota
	Stable
	Volatile
)

// Func is one function: a name, argument types, and what it computes.
type Func struct {
	Name       string
	Args       []*types.Type // the last is the array type (or "any") when Variadic
	Variadic   bool
	Ret        *types.Type
	OID        types.OID
	Strict     bool // NULL in, NULL out; the caller checks
	Volatility Volatility
	// ReadOnlyOnly marks a function that different machines may compute
	// differently; the binder refuses it (0A000) in anything that writes.
	ReadOnlyOnly bool
	// Eval computes the function. It is nil for functions that are not
	// implemented, that return sets, or whose behaviour depends on argument
	// types that ResolveFunc has not yet seen.
	Eval func(c *Ctx, args []types.Datum) (types.Datum, error)
	// Set is what a set-returning function has instead. Rows have one datum
	// for each of OutTypes, or one of type Ret when that is empty.
	Set      func(c *Ctx, args []types.Datum) (RowIter, error)
	RetSet   bool
	OutNames []string
	OutTypes []*types.Type
	// ArgNames are the parameters' names where calls may use them; Defaults are the
	// values of the last parameters when a call leaves them out.
	ArgNames []string
	Defaults []types.Datum

	Own bool // in the schema OwnSchema, not in pg_catalog

	bind      func(b *binding) evalFunc
	bindSet   func(b *binding) setFunc
	shortened bool // a variant with fewer arguments, for defaults; not listed
}

// binding is what a polymorphic function learns at resolution: the actual
// types of its arguments, coercions done, and of its result.
type binding struct {
	args []*types.Type
	ret  *types.Type
}

// RowIter yields the rows of a set-returning function. A row is valid until
// the next call.
type RowIter interface {
	Next() (row []types.Datum, ok bool, err error)
}

// Implemented reports whether the function can be called.
func (f *Func) Implemented() bool {
	return f.Eval != nil || f.Set != nil || f.bind != nil || f.bindSet != nil
}

// signature is the key of maps of implementations: name(type,type).
func (f *Func) signature() string { return f.Name + "(" + typeNames(f.Args) + ")" }

func typeNames(ts []*types.Type) string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.Name
	}
	return strings.Join(names, ",")
}

func sqlNames(ts []*types.Type) string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.SQLName
	}
	return strings.Join(names, ", ")
}

// Operator is one operator; Func computes it.
type Operator struct {
	OID        types.OID
	Name       string
	Left       *types.Type // nil for a prefix operator
	Right      *types.Type
	Ret        *types.Type
	Func       *Func
	Commutator types.OID
	Negator    types.OID
}

// Resolved is the answer of overload resolution.
type Resolved struct {
	Func         *Func         // ready to call: Eval or Set is not nil
	Args         []*types.Type // coerce each argument to this (FindCast, implicit)
	Ret          *types.Type   // the result type with polymorphic types solved
	VariadicCall bool          // the function's last parameter took several arguments
	Operator     *Operator     // from ResolveOperator
}

// sliceIter yields rows that are known beforehand.
type sliceIter struct {
	rows [][]datum
}

func (s *sliceIter) Next() ([]datum, bool, error) {
	if len(s.rows) == 0 {
		return nil, false, nil
	}
	row := s.rows[0]
	s.rows = s.rows[1:]
	return row, true, nil
}

// valuesIter yields rows of one column that are known beforehand.
func valuesIter(values []datum) RowIter {
	i := 0
	row := make([]datum, 1)
	return iterFunc(func() ([]datum, bool, error) {
		if i >= len(values) {
			return nil, false, nil
		}
		row[0] = values[i]
		i++
		return row, true, nil
	})
}

// iterFunc makes a function a RowIter.
type iterFunc func() ([]datum, bool, error)

func (f iterFunc) Next() ([]datum, bool, error) { return f() }

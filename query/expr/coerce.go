package expr

import (
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// CastContext says how a conversion was asked for; each allows what those
// before it allow.
type CastContext uint8

// The contexts: Implicit (inside expressions), Assignment (storing into a
// column), Explicit (CAST or ::).
const (
	Implicit CastContext = iota
	Assignment
	Explicit
)

// Cast converts values of one type to another.
type Cast struct {
	From, To *types.Type
	// Binary says that a value of From is a value of To as it is: no work.
	Binary bool
	// Eval converts a value that is not NULL. The type modifier matters only
	// where it changes how text is read (interval); ApplyTypmod enforces it.
	Eval       func(c *Ctx, d types.Datum, typmod int32) (types.Datum, error)
	Volatility Volatility
}

// CastEntry is one row of pg_cast.
type CastEntry struct {
	OID     types.OID
	From    *types.Type
	To      *types.Type
	Func    types.OID // 0 for binary and I/O casts
	Context CastContext
	Method  byte // 'f', 'b' or 'i'
}

// Casts lists pg_cast in OID order.
func Casts() []*CastEntry { return lib.casts }

func (l *library) addCast(w []string) {
	e := &CastEntry{OID: types.OID(atoi(w[1])), From: mustType(w[2]), To: mustType(w[3]),
		Func: types.OID(atoi(w[4])), Method: w[6][0]}
	switch w[5] {
	case "e":
		e.Context = Explicit
	case "a":
		e.Context = Assignment
	}
	l.casts = append(l.casts, e)
	l.castByType[[2]types.OID{e.From.OID, e.To.OID}] = e
}

// FindCast returns how to convert from one type to another in a context; ok
// is false when PostgreSQL would say "cannot cast" (42846) or, for an
// assignment, "column is of type … but expression is of type …" (42804).
func FindCast(from, to *types.Type, ctx CastContext) (*Cast, bool) {
	switch {
	case from == to, to == types.AnyType, isPolymorphic(to) && canCoerce(from, to, ctx):
		return &Cast{From: from, To: to, Binary: true}, true
	case from == types.UnknownType:
		return inputCast(from, to), true
	}
	if e, ok := lib.castByType[[2]types.OID{from.OID, to.OID}]; ok {
		if e.Context > ctx {
			return nil, false
		}
		return tableCast(e)
	}
	if isVectorArray(from, to) {
		return &Cast{From: from, To: to, Binary: true}, true
	}
	if from.Elem != nil && to.Elem != nil && !from.IsVector() && !to.IsVector() {
		elem, ok := FindCast(from.Elem, to.Elem, ctx)
		if !ok {
			return nil, false
		}
		return arrayCast(from, to, elem), true
	}
	if from == types.RecordType && to == types.RecordType {
		return &Cast{From: from, To: to, Binary: true}, true
	}
	// Any type goes to text by its output function in an assignment, and from
	// text by its input function when asked explicitly.
	switch {
	case to.Pseudo || from.Pseudo && from != types.RecordType:
		return nil, false
	case to.Category == types.CategoryString && ctx >= Assignment:
		return outputCast(from, to), true
	case from.Category == types.CategoryString && ctx >= Explicit:
		return throughText(from, to), true
	}
	return nil, false
}

// canCoerce reports whether FindCast or polymorphism would succeed.
func canCoerce(from, to *types.Type, ctx CastContext) bool {
	switch {
	case from == to, to == types.AnyType, from == types.UnknownType:
		return true
	case to == types.AnyElementType, to == types.AnyCompatibleType:
		return true
	case to == types.AnyNonArrayType, to == types.AnyCompatibleNonArrayType:
		return from.Elem == nil || from.IsVector()
	case to == types.AnyArrayType, to == types.AnyCompatibleArrayType:
		return from.Elem != nil
	case to.Pseudo || from.Pseudo:
		return false
	}
	if e, ok := lib.castByType[[2]types.OID{from.OID, to.OID}]; ok {
		return e.Context <= ctx
	}
	_, ok := FindCast(from, to, ctx)
	return ok
}

func isVectorArray(from, to *types.Type) bool {
	return from.IsVector() && to == from.Elem.Array
}

func inputCast(from, to *types.Type) *Cast {
	volatility := Immutable
	if to.Category == types.CategoryDateTime || to.IsReg() {
		volatility = Stable
	}
	return &Cast{From: from, To: to, Volatility: volatility, Eval: func(c *Ctx, d datum, typmod int32) (datum, error) {
		if to != types.IntervalType {
			typmod = types.NoTypmod
		}
		return to.Parse(c.Format, d.Str(), typmod)
	}}
}

func outputCast(from, to *types.Type) *Cast {
	return &Cast{From: from, To: to, Volatility: Stable, Eval: func(c *Ctx, d datum, _ int32) (datum, error) {
		text := textOf(c, from, d)
		if to == types.TextType || to == types.VarcharType {
			return types.String(text), nil
		}
		return to.Parse(c.Format, text, types.NoTypmod)
	}}
}

func throughText(from, to *types.Type) *Cast {
	out := inputCast(from, to)
	if from != types.BPCharType {
		return out
	}
	eval := out.Eval
	out.Eval = func(c *Ctx, d datum, typmod int32) (datum, error) {
		return eval(c, types.String(types.TrimBPChar(d.Str())), typmod)
	}
	return out
}

// textOf prints a value as a cast to text does.
func textOf(c *Ctx, t *types.Type, d datum) string {
	if d.Kind() == types.KindBool {
		if d.Bool() {
			return "true"
		}
		return "false"
	}
	return t.Text(c.Format, d)
}

func tableCast(e *CastEntry) (*Cast, bool) {
	cast := &Cast{From: e.From, To: e.To}
	switch e.Method {
	case 'b':
		if needsOIDWrap(e.From, e.To) {
			cast.Eval = wrapOID(e.To)
			return cast, true
		}
		cast.Binary = true
		return cast, true
	case 'i':
		if e.To.Category == types.CategoryString {
			return outputCast(e.From, e.To), true
		}
		if e.From.Kind == types.KindString {
			return inputCast(e.From, e.To), true
		}
		cast.Eval = func(c *Ctx, d datum, typmod int32) (datum, error) {
			return e.To.Parse(c.Format, e.From.Text(c.Format, d), typmod)
		}
		return cast, true
	}
	f, ok := lib.funcByOID[e.Func]
	if !ok || f.Eval == nil {
		return nil, false
	}
	cast.Volatility = f.Volatility
	cast.Eval = func(c *Ctx, d datum, _ int32) (datum, error) { return f.Eval(c, []datum{d}) }
	return cast, true
}

// needsOIDWrap is set where PostgreSQL relabels 32 bits that we hold in 64,
// signed on one side and unsigned on the other.
func needsOIDWrap(from, to *types.Type) bool {
	return (from == types.Int4Type) != (to == types.Int4Type) && from.Kind == types.KindInt && to.Kind == types.KindInt
}

func wrapOID(to *types.Type) func(*Ctx, datum, int32) (datum, error) {
	if to == types.Int4Type {
		return func(_ *Ctx, d datum, _ int32) (datum, error) { return types.Int(int64(int32(d.Int()))), nil }
	}
	return func(_ *Ctx, d datum, _ int32) (datum, error) { return types.Int(int64(uint32(d.Int()))), nil }
}

// arrayCast converts element by element; the modifier is the elements'.
func arrayCast(from, to *types.Type, elem *Cast) *Cast {
	cast := &Cast{From: from, To: to, Volatility: elem.Volatility}
	cast.Eval = func(c *Ctx, d datum, typmod int32) (datum, error) {
		a := *d.Array()
		a.Elem = to.Elem
		if !elem.Binary {
			a.Elems = make([]datum, len(d.Array().Elems))
			for i, e := range d.Array().Elems {
				if e.IsNull() {
					continue
				}
				var err error
				if a.Elems[i], err = elem.Eval(c, e, typmod); err != nil {
					return null, err
				}
			}
		}
		return types.ArrayDatum(&a), nil
	}
	return cast
}

// ApplyTypmod enforces a type modifier on a value of type t: the length of
// varchar(n) and char(n) (22001 unless explicit, which truncates), precision
// and scale of numeric (22003), decimal places of times, fields of interval.
// For arrays it applies to the elements.
func ApplyTypmod(c *Ctx, t *types.Type, typmod int32, d types.Datum, explicit bool) (types.Datum, error) {
	if typmod < 0 || d.IsNull() {
		return d, nil
	}
	switch d.Kind() {
	case types.KindString:
		if t == types.VarcharType || t == types.BPCharType {
			return types.CharsTypmod(t, d.Str(), typmod, explicit)
		}
	case types.KindDecimal:
		v, err := types.NumericTypmodApply(d.Decimal(), typmod)
		if err != nil {
			return null, err
		}
		return types.Decimal(v), nil
	case types.KindTime:
		return types.Time(types.RoundMicros(d.Time(), typmod)), nil
	case types.KindTimestamp:
		return types.Timestamp(types.RoundMicros(d.Timestamp(), typmod)), nil
	case types.KindInterval:
		return types.IntervalDatum(types.IntervalTypmodApply(d.Interval(), typmod)), nil
	case types.KindArray:
		a := *d.Array()
		a.Elems = make([]datum, len(d.Array().Elems))
		for i, e := range d.Array().Elems {
			var err error
			if a.Elems[i], err = ApplyTypmod(c, a.Elem, typmod, e, explicit); err != nil {
				return null, err
			}
		}
		return types.ArrayDatum(&a), nil
	}
	return d, nil
}

// SelectCommonType finds the type that UNION, CASE, COALESCE, VALUES, ARRAY,
// GREATEST … give their inputs (select_common_type). where names the
// construct in the error 42804, for example "CASE" or "UNION".
func SelectCommonType(ts []*types.Type, where string) (*types.Type, error) {
	same := len(ts) > 0 && ts[0] != types.UnknownType
	for _, t := range ts {
		same = same && t == ts[0]
	}
	if same {
		return ts[0], nil
	}
	best := types.UnknownType
	for _, t := range ts {
		if t == types.UnknownType || t == best {
			continue
		}
		switch {
		case best == types.UnknownType:
			best = t
		case t.Category != best.Category:
			return nil, sqlstate.New(sqlstate.DatatypeMismatch, "%s types %s and %s cannot be matched",
				where, best.SQLName, t.SQLName)
		case !best.Preferred && canCoerce(best, t, Implicit) && !canCoerce(t, best, Implicit):
			best = t
		}
	}
	if best == types.UnknownType {
		return types.TextType, nil
	}
	return best, nil
}

// CannotCast is the error 42846 of an explicit cast that does not exist.
func CannotCast(from, to *types.Type) error {
	return sqlstate.New(sqlstate.CannotCoerce, "cannot cast type %s to %s", from.SQLName, to.SQLName)
}

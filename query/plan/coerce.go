package plan

import (
	"strings"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// coerce converts e to a type, by the casts that ctx allows.
func (b *binder) coerce(e Expr, t *types.Type, mod int32, ctx expr.CastContext) (Expr, error) {
	if e.Type() == types.UnknownType {
		return b.fromUnknown(e, t, mod, ctx)
	}
	if e.Type() == t {
		return b.fit(e, mod, ctx == expr.Explicit), nil
	}
	if row, ok := e.(*RowExpr); ok && t == types.RecordType {
		return row, nil
	}
	c, ok := expr.FindCast(e.Type(), t, ctx)
	if !ok {
		return nil, sqlstate.New(sqlstate.CannotCoerce, "cannot cast type %s to %s", e.Type(), t)
	}
	return b.cast(e, c, t, mod, ctx == expr.Explicit)
}

func (b *binder) cast(e Expr, c *expr.Cast, t *types.Type, mod int32, explicit bool) (Expr, error) {
	out := Expr(&Cast{typed: typed{t, types.NoTypmod}, Arg: e, Cast: c, Explicit: explicit})
	if k, ok := e.(*Const); ok && c.Volatility == expr.Immutable {
		if k.Value.IsNull() {
			return &Const{typed{t, mod}, types.NullDatum}, nil
		}
		v := k.Value
		if !c.Binary {
			var err error
			if v, err = c.Eval(b.env.Ctx, k.Value, mod); err != nil {
				return nil, err
			}
		}
		out = &Const{typed{t, types.NoTypmod}, v}
	}
	return b.fit(out, mod, explicit), nil
}

// fit applies a type modifier that e does not have yet.
func (b *binder) fit(e Expr, mod int32, explicit bool) Expr {
	if mod == types.NoTypmod || mod == e.Typmod() {
		return e
	}
	if k, ok := e.(*Const); ok {
		if k.Value.IsNull() {
			return &Const{typed{k.typ, mod}, k.Value}
		}
		// A value that does not fit is reported when the statement runs, where
		// it may turn out not to be needed.
		if v, err := expr.ApplyTypmod(b.env.Ctx, k.typ, mod, k.Value, explicit); err == nil {
			return &Const{typed{k.typ, mod}, v}
		}
	}
	return &Fit{typed{e.Type(), mod}, e, explicit}
}

// fromUnknown gives a type to a literal or parameter that has none yet.
func (b *binder) fromUnknown(e Expr, t *types.Type, mod int32, ctx expr.CastContext) (Expr, error) {
	switch e := e.(type) {
	case *Param:
		if b.params[e.Index] == nil || b.params[e.Index] == types.UnknownType {
			if t == types.UnknownType {
				return e, nil
			}
			b.params[e.Index] = t
		}
		e.typ = b.params[e.Index]
		if e.typ != t {
			return b.coerce(e, t, mod, ctx)
		}
		return b.fit(e, mod, ctx == expr.Explicit), nil
	case *Const:
		if t == types.UnknownType {
			return e, nil
		}
		if e.Value.IsNull() {
			return &Const{typed{t, mod}, types.NullDatum}, nil
		}
		if t.Pseudo {
			return &Const{ofType(types.TextType), e.Value}, nil
		}
		return b.literal(e.Value.Str(), t, mod, ctx)
	}
	c, ok := expr.FindCast(types.TextType, t, expr.Explicit)
	if !ok {
		return nil, sqlstate.New(sqlstate.CannotCoerce, "cannot cast type unknown to %s", t)
	}
	return b.cast(e, c, t, mod, ctx == expr.Explicit)
}

// literal reads a quoted literal as a value of type t.
func (b *binder) literal(text string, t *types.Type, mod int32, ctx expr.CastContext) (Expr, error) {
	if relativeTime(text, t) {
		b.uncacheable = true
	}
	if t.IsReg() || (t.Elem != nil && t.Elem.IsReg()) {
		// The catalog decides, so it is read when the statement runs.
		c, ok := expr.FindCast(types.TextType, t, expr.Explicit)
		if !ok {
			return nil, sqlstate.New(sqlstate.CannotCoerce, "cannot cast type text to %s", t)
		}
		return &Cast{typed: ofType(t), Arg: &Const{ofType(types.TextType), types.String(text)}, Cast: c, Explicit: true}, nil
	}
	read := int32(types.NoTypmod)
	if t.Kind == types.KindInterval {
		read = mod // INTERVAL '1' YEAR: the modifier says what the number counts
	}
	d, err := t.Parse(b.env.Ctx.Format, text, read)
	if err != nil {
		return nil, b.at(err, func(sql string) int { return parser.FindLiteral(sql, text) })
	}
	return b.fit(&Const{ofType(t), d}, mod, ctx == expr.Explicit), nil
}

// relativeTime reports whether a literal means a moment relative to now.
func relativeTime(text string, t *types.Type) bool {
	if t.Kind != types.KindDate && t.Kind != types.KindTimestamp && t.Kind != types.KindTime {
		return false
	}
	l := strings.ToLower(text)
	for _, w := range []string{"now", "today", "tomorrow", "yesterday"} {
		if strings.Contains(l, w) {
			return true
		}
	}
	return false
}

// resolveUnknown turns what is still unknown into text.
func (b *binder) resolveUnknown(e Expr) Expr {
	if e.Type() != types.UnknownType {
		return e
	}
	out, err := b.fromUnknown(e, types.TextType, types.NoTypmod, expr.Implicit)
	if err != nil {
		return e
	}
	return out
}

// unify converts expressions to their common type, as UNION, CASE, VALUES and
// ARRAY do.
func (b *binder) unify(es []Expr, where string) ([]Expr, error) {
	ts := make([]*types.Type, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	t, err := expr.SelectCommonType(ts, where)
	if err != nil {
		return nil, err
	}
	out := make([]Expr, len(es))
	for i, e := range es {
		if out[i], err = b.coerce(e, t, types.NoTypmod, expr.Implicit); err != nil {
			return nil, sqlstate.New(sqlstate.CannotCoerce, "%s could not convert type %s to %s", where, e.Type(), t)
		}
	}
	return out, nil
}

// commonTypmod is the modifier that all of es share, or none.
func commonTypmod(es []Expr) int32 {
	for _, e := range es[1:] {
		if e.Typmod() != es[0].Typmod() {
			return types.NoTypmod
		}
	}
	return es[0].Typmod()
}

// assign converts a value to a column's type by assignment casts.
func (b *binder) assign(e Expr, column string, t *types.Type, mod int32) (Expr, error) {
	if e.Type() != types.UnknownType && e.Type() != t {
		if _, ok := expr.FindCast(e.Type(), t, expr.Assignment); !ok {
			return nil, sqlstate.New(sqlstate.DatatypeMismatch, "column \"%s\" is of type %s but expression is of type %s",
				column, t, e.Type()).WithHint("You will need to rewrite or cast the expression.")
		}
	}
	return b.coerce(e, t, mod, expr.Assignment)
}

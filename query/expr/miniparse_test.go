package expr

import (
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// A small evaluator of SQL expressions for the golden tests: literals, casts
// with ::, function calls, one operator at a time (parentheses otherwise).
// It resolves and coerces exactly as a binder does.

type evaluated struct {
	typ    *types.Type
	values []datum // one for each row
}

type miniParser struct {
	c   *Ctx
	s   string
	pos int
}

func parseExpr(c *Ctx, s string) (*evaluated, error) {
	p := &miniParser{c: c, s: s}
	e, err := p.expr()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(p.s) {
		return nil, fmt.Errorf("test expression: rest %q", p.s[p.pos:])
	}
	return e, nil
}

func (p *miniParser) space() {
	for p.pos < len(p.s) && p.s[p.pos] == ' ' {
		p.pos++
	}
}

func (p *miniParser) take(set string) string {
	p.space()
	start := p.pos
	for p.pos < len(p.s) && strings.IndexByte(set, p.s[p.pos]) >= 0 {
		p.pos++
	}
	return p.s[start:p.pos]
}

const (
	opChars   = "+-*/<>=~!@#%^&|?"
	wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789\""
)

func (p *miniParser) expr() (*evaluated, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for {
		op := p.take(opChars)
		if op == "" {
			return left, nil
		}
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		r, err := ResolveOperator(op, left.typ, right.typ)
		if err != nil {
			return nil, err
		}
		if left, err = p.call(r, []*evaluated{left, right}); err != nil {
			return nil, err
		}
	}
}

func (p *miniParser) operand() (*evaluated, error) {
	if op := p.take(opChars); op != "" {
		e, err := p.operand()
		if err != nil {
			return nil, err
		}
		r, err := ResolveOperator(op, nil, e.typ)
		if err != nil {
			return nil, err
		}
		return p.call(r, []*evaluated{e})
	}
	e, err := p.primary()
	if err != nil {
		return nil, err
	}
	for strings.HasPrefix(p.s[p.pos:], "::") {
		p.pos += 2
		start := p.pos
		p.take(wordChars)
		if p.pos < len(p.s) && p.s[p.pos] == '(' {
			p.pos += strings.IndexByte(p.s[p.pos:], ')') + 1
		}
		if strings.HasPrefix(p.s[p.pos:], "[]") {
			p.pos += 2
		}
		if e, err = p.cast(e, p.s[start:p.pos]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (p *miniParser) primary() (*evaluated, error) {
	p.space()
	switch c := p.s[p.pos]; {
	case c == '(':
		p.pos++
		e, err := p.expr()
		p.space()
		p.pos++
		return e, err
	case c == '\'':
		return p.literal(), nil
	case c >= '0' && c <= '9':
		return p.number()
	}
	name := p.take(wordChars)
	if strings.EqualFold(name, "null") {
		return &evaluated{types.UnknownType, []datum{null}}, nil
	}
	if name == "true" || name == "false" {
		return &evaluated{types.BoolType, []datum{types.Bool(name == "true")}}, nil
	}
	p.space()
	if p.pos >= len(p.s) || p.s[p.pos] != '(' {
		return nil, fmt.Errorf("test expression: %q at %q", p.s, p.s[p.pos:])
	}
	p.pos++
	return p.function(strings.ToLower(strings.Trim(name, "\"")))
}

func (p *miniParser) literal() *evaluated {
	var out strings.Builder
	for p.pos++; p.pos < len(p.s); p.pos++ {
		if p.s[p.pos] == '\'' {
			if p.pos+1 >= len(p.s) || p.s[p.pos+1] != '\'' {
				break
			}
			p.pos++
		}
		out.WriteByte(p.s[p.pos])
	}
	p.pos++
	return &evaluated{types.UnknownType, []datum{types.String(out.String())}}
}

func (p *miniParser) number() (*evaluated, error) {
	text := p.take("0123456789.e")
	for _, t := range []*types.Type{types.Int4Type, types.Int8Type, types.NumericType} {
		if d, err := t.Parse(p.c.Format, text, types.NoTypmod); err == nil {
			return &evaluated{t, []datum{d}}, nil
		}
	}
	return nil, fmt.Errorf("test expression: number %q", text)
}

func (p *miniParser) function(name string) (*evaluated, error) {
	var args []*evaluated
	variadic := false
	for p.space(); p.s[p.pos] != ')'; p.space() {
		if p.s[p.pos] == ',' {
			p.pos++
			p.space()
		}
		if strings.HasPrefix(p.s[p.pos:], "VARIADIC ") {
			variadic = true
			p.pos += len("VARIADIC ")
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	p.pos++
	ts := make([]*types.Type, len(args))
	for i, a := range args {
		ts[i] = a.typ
	}
	r, err := ResolveFunc(name, ts, variadic)
	if err != nil {
		return nil, err
	}
	return p.call(r, args)
}

func (p *miniParser) call(r *Resolved, args []*evaluated) (*evaluated, error) {
	values := make([]datum, len(args))
	for i, a := range args {
		cast, ok := FindCast(a.typ, r.Args[i], Implicit)
		if !ok {
			return nil, CannotCast(a.typ, r.Args[i])
		}
		values[i] = a.values[0]
		if values[i].IsNull() {
			if r.Func.Strict && !r.Func.RetSet {
				return &evaluated{r.Ret, []datum{null}}, nil
			}
			continue
		}
		if !cast.Binary {
			var err error
			if values[i], err = cast.Eval(p.c, values[i], types.NoTypmod); err != nil {
				return nil, err
			}
		}
	}
	if r.Func.RetSet {
		return p.rows(r, values)
	}
	d, err := r.Func.Eval(p.c, values)
	return &evaluated{r.Ret, []datum{d}}, err
}

func (p *miniParser) rows(r *Resolved, args []datum) (*evaluated, error) {
	out := &evaluated{typ: r.Ret}
	for _, a := range args {
		if r.Func.Strict && a.IsNull() {
			return out, nil
		}
	}
	it, err := r.Func.Set(p.c, args)
	if err != nil {
		return nil, err
	}
	for {
		row, ok, err := it.Next()
		if err != nil || !ok {
			return out, err
		}
		if len(row) == 1 && r.Ret != types.RecordType {
			out.values = append(out.values, row[0])
			continue
		}
		out.values = append(out.values, types.TupleDatum(&types.Tuple{Types: r.Func.OutTypes, Fields: append([]datum(nil), row...)}))
	}
}

func (p *miniParser) cast(e *evaluated, spec string) (*evaluated, error) {
	array := strings.HasSuffix(spec, "[]")
	base, mods, hasMods := strings.Cut(strings.TrimSuffix(spec, "[]"), "(")
	if base == "char" {
		base = "bpchar"
	}
	t, ok := types.ByName(strings.Trim(base, "\""))
	if !ok {
		return nil, sqlstate.New(sqlstate.UndefinedObject, "type \"%s\" does not exist", base)
	}
	typmod := types.NoTypmod
	if hasMods {
		var list []int32
		for m := range strings.SplitSeq(strings.TrimSuffix(mods, ")"), ",") {
			d, err := types.Int4Type.Parse(nil, m, types.NoTypmod)
			if err != nil {
				return nil, err
			}
			list = append(list, int32(d.Int()))
		}
		var err error
		if typmod, err = types.MakeTypmod(t, list); err != nil {
			return nil, err
		}
	}
	if array {
		t = t.Array
	}
	cast, ok := FindCast(e.typ, t, Explicit)
	if !ok {
		return nil, CannotCast(e.typ, t)
	}
	d := e.values[0]
	var err error
	if !cast.Binary && !d.IsNull() {
		if d, err = cast.Eval(p.c, d, typmod); err != nil {
			return nil, err
		}
	}
	d, err = ApplyTypmod(p.c, t, typmod, d, true)
	return &evaluated{t, []datum{d}}, err
}

package types

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Limits of arrays, as in PostgreSQL.
const (
	MaxArrayDims  = 6
	MaxArrayElems = 1<<27 - 1
)

// NewArray returns a one-dimensional array with lower bound 1, or an empty
// one.
func NewArray(elem *Type, elems []Datum) *Array {
	if len(elems) == 0 {
		return &Array{Elem: elem}
	}
	return &Array{Elem: elem, Dims: []int32{int32(len(elems))}, Lower: []int32{1}, Elems: elems}
}

// newVector returns the value of an int2vector or oidvector.
func newVector(elem *Type, elems []Datum) *Array {
	return &Array{Elem: elem, Dims: []int32{int32(len(elems))}, Lower: []int32{0}, Elems: elems}
}

// VectorDatum returns an int2vector or oidvector datum: one dimension with
// lower bound 0.
func VectorDatum(t *Type, elems []Datum) Datum { return ArrayDatum(newVector(t.Elem, elems)) }

func parseVector(f *Format, t *Type, s string) (Datum, error) {
	words := strings.Fields(s)
	elems := make([]Datum, len(words))
	for i, w := range words {
		d, err := t.Elem.Parse(f, w, NoTypmod)
		if err != nil {
			return Datum{}, err
		}
		elems[i] = d
	}
	return VectorDatum(t, elems), nil
}

// malformed reports bad array text.
func malformed(s, detail string, args ...any) error {
	e := sqlstate.New(sqlstate.InvalidTextRepresentation, "malformed array literal: \"%s\"", s)
	if detail != "" {
		return e.WithDetail(detail, args...)
	}
	return e
}

type arrayParser struct {
	f      *Format
	elem   *Type
	typmod int32
	s      string
	pos    int
	dims   []int32
	fixed  bool // the number of dimensions is known
	elems  []Datum
}

func parseArray(f *Format, t *Type, s string, typmod int32) (Datum, error) {
	p := &arrayParser{f: f, elem: t.Elem, typmod: typmod, s: s}
	lower, declared, err := p.bounds()
	if err != nil {
		return Datum{}, err
	}
	p.space()
	if p.pos >= len(s) || s[p.pos] != '{' {
		if declared != nil {
			return Datum{}, malformed(s, "Array contents must start with \"{\".")
		}
		return Datum{}, malformed(s, "Array value must start with \"{\" or dimension information.")
	}
	if err := p.level(0); err != nil {
		return Datum{}, err
	}
	p.space()
	if p.pos < len(s) {
		return Datum{}, malformed(s, "Junk after closing right brace.")
	}
	if len(p.elems) == 0 {
		return ArrayDatum(&Array{Elem: t.Elem}), nil
	}
	if declared != nil {
		if len(declared) != len(p.dims) {
			return Datum{}, malformed(s, "Specified array dimensions do not match array contents.")
		}
		for i := range declared {
			if declared[i] != p.dims[i] {
				return Datum{}, malformed(s, "Specified array dimensions do not match array contents.")
			}
		}
	} else {
		lower = make([]int32, len(p.dims))
		for i := range lower {
			lower[i] = 1
		}
	}
	return ArrayDatum(&Array{Elem: t.Elem, Dims: p.dims, Lower: lower, Elems: p.elems}), nil
}

func (p *arrayParser) space() {
	for p.pos < len(p.s) && isSpace(p.s[p.pos]) {
		p.pos++
	}
}

// bounds reads an optional prefix such as [0:2][1:3]=.
func (p *arrayParser) bounds() (lower, dims []int32, err error) {
	for {
		p.space()
		if p.pos >= len(p.s) || p.s[p.pos] != '[' {
			break
		}
		end := strings.IndexByte(p.s[p.pos:], ']')
		if end < 0 {
			return nil, nil, malformed(p.s, "Missing \"%s\" after array dimensions.", "]")
		}
		inner := p.s[p.pos+1 : p.pos+end]
		p.pos += end + 1
		lo, hi, ok := strings.Cut(inner, ":")
		if !ok {
			lo, hi = "1", inner
		}
		l, err1 := strconv.ParseInt(lo, 10, 32)
		h, err2 := strconv.ParseInt(hi, 10, 32)
		if err1 != nil || err2 != nil {
			return nil, nil, malformed(p.s, "\"[\" must introduce explicitly-specified array dimensions.")
		}
		if h < l {
			return nil, nil, sqlstate.New(sqlstate.ArraySubscriptError, "upper bound cannot be less than lower bound")
		}
		if h-l+1 > MaxArrayElems || h == math.MaxInt32 {
			return nil, nil, arrayTooBig()
		}
		if len(dims) == MaxArrayDims {
			return nil, nil, tooManyDims(len(dims) + 1)
		}
		lower, dims = append(lower, int32(l)), append(dims, int32(h-l+1))
	}
	if dims != nil {
		if p.pos >= len(p.s) || p.s[p.pos] != '=' {
			return nil, nil, malformed(p.s, "Missing \"%s\" after array dimensions.", "=")
		}
		p.pos++
	}
	return lower, dims, nil
}

func arrayTooBig() error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", MaxArrayElems)
}

func tooManyDims(n int) error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded,
		"number of array dimensions (%d) exceeds the maximum allowed (%d)", n, MaxArrayDims)
}

// level reads one brace-enclosed list; depth counts from 0.
func (p *arrayParser) level(depth int) error {
	if depth >= MaxArrayDims {
		return tooManyDims(depth + 1)
	}
	p.pos++ // the opening brace
	if depth == len(p.dims) {
		if p.fixed {
			return p.ragged()
		}
		p.dims = append(p.dims, -1)
	}
	count := int32(0)
	nested := false // the items are arrays themselves
	for {
		p.space()
		if p.pos >= len(p.s) {
			return malformed(p.s, "Unexpected end of input.")
		}
		if p.s[p.pos] == '}' {
			if count > 0 || depth > 0 {
				return malformed(p.s, "Unexpected \"%c\" character.", '}')
			}
			p.pos++
			break
		}
		if isList := p.s[p.pos] == '{'; count == 0 {
			nested = isList
		} else if isList && !nested {
			return malformed(p.s, "Unexpected \"%c\" character.", '{')
		} else if !isList && nested {
			return malformed(p.s, "Unexpected array element.")
		}
		if err := p.item(depth); err != nil {
			return err
		}
		count++
		p.space()
		if p.pos < len(p.s) && p.s[p.pos] == ',' {
			p.pos++
			continue
		}
		if p.pos < len(p.s) && p.s[p.pos] == '}' {
			p.pos++
			break
		}
		if p.pos >= len(p.s) {
			return malformed(p.s, "Unexpected end of input.")
		}
		return malformed(p.s, "Unexpected array element.")
	}
	if p.dims[depth] == -1 {
		p.dims[depth] = count
	} else if p.dims[depth] != count {
		return p.ragged()
	}
	return nil
}

func (p *arrayParser) ragged() error {
	return malformed(p.s, "Multidimensional arrays must have sub-arrays with matching dimensions.")
}

// item reads a sub-array or an element inside the list at depth.
func (p *arrayParser) item(depth int) error {
	if p.s[p.pos] == '{' {
		return p.level(depth + 1)
	}
	if p.fixed && depth+1 != len(p.dims) || !p.fixed && depth+1 < len(p.dims) {
		return p.ragged()
	}
	p.fixed = true
	text, isNull, err := p.word()
	if err != nil {
		return err
	}
	if isNull {
		p.elems = append(p.elems, NullDatum)
		return nil
	}
	d, err := p.elem.Parse(p.f, text, p.typmod)
	if err != nil {
		return err
	}
	p.elems = append(p.elems, d)
	return nil
}

func (p *arrayParser) word() (text string, isNull bool, err error) {
	var out []byte
	if p.s[p.pos] == '"' {
		for i := p.pos + 1; i < len(p.s); i++ {
			switch p.s[i] {
			case '"':
				p.pos = i + 1
				return string(out), false, nil
			case '\\':
				i++
				if i >= len(p.s) {
					return "", false, malformed(p.s, "Unexpected end of input.")
				}
			}
			out = append(out, p.s[i])
		}
		return "", false, malformed(p.s, "Unexpected end of input.")
	}
	escaped := false
	kept := 0 // length of out without trailing white space
	i := p.pos
loop:
	for ; i < len(p.s); i++ {
		c := p.s[i]
		switch c {
		case ',', '}':
			break loop
		case '"':
			return "", false, malformed(p.s, "Unexpected array element.")
		case '{':
			return "", false, malformed(p.s, "Unexpected \"%c\" character.", c)
		case '\\':
			escaped = true
			if i++; i >= len(p.s) {
				return "", false, malformed(p.s, "Unexpected end of input.")
			}
			out = append(out, p.s[i])
			kept = len(out)
			continue
		}
		out = append(out, c)
		if !isSpace(c) {
			kept = len(out)
		}
	}
	if i >= len(p.s) {
		return "", false, malformed(p.s, "Unexpected end of input.")
	}
	if kept == 0 {
		return "", false, malformed(p.s, "Unexpected \"%c\" character.", p.s[i])
	}
	p.pos = i
	text = string(out[:kept])
	return text, !escaped && strings.EqualFold(text, "null"), nil
}

func appendArray(dst []byte, f *Format, t *Type, a *Array) []byte {
	if t.IsVector() {
		for i, e := range a.Elems {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = a.Elem.AppendText(dst, f, e)
		}
		return dst
	}
	if len(a.Elems) == 0 {
		return append(dst, "{}"...)
	}
	for _, l := range a.Lower {
		if l == 1 {
			continue
		}
		for i := range a.Dims {
			dst = append(dst, '[')
			dst = strconv.AppendInt(dst, int64(a.Lower[i]), 10)
			dst = append(dst, ':')
			dst = strconv.AppendInt(dst, int64(a.Lower[i])+int64(a.Dims[i])-1, 10)
			dst = append(dst, ']')
		}
		dst = append(dst, '=')
		break
	}
	dst, _ = appendArrayLevel(dst, f, a, 0, 0)
	return dst
}

func appendArrayLevel(dst []byte, f *Format, a *Array, dim, pos int) ([]byte, int) {
	dst = append(dst, '{')
	for i := range a.Dims[dim] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dim+1 < len(a.Dims) {
			dst, pos = appendArrayLevel(dst, f, a, dim+1, pos)
			continue
		}
		if e := a.Elems[pos]; e.IsNull() {
			dst = append(dst, "NULL"...)
		} else {
			dst = appendArrayElem(dst, f, a.Elem, e)
		}
		pos++
	}
	return append(dst, '}'), pos
}

func appendArrayElem(dst []byte, f *Format, t *Type, d Datum) []byte {
	start := len(dst)
	dst = t.AppendText(dst, f, d)
	switch d.kind {
	case KindInt, KindFloat, KindDecimal, KindBool, KindUUID:
		if !t.IsReg() {
			return dst
		}
	}
	text := string(dst[start:])
	if !needsArrayQuotes(text) {
		return dst
	}
	return appendQuoted(dst[:start], text, '\\')
}

func needsArrayQuotes(s string) bool {
	if s == "" || strings.EqualFold(s, "null") {
		return true
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"', c == '\\', c == '{', c == '}', c == ',', isSpace(c):
			return true
		}
	}
	return false
}

// appendQuoted writes s in double quotes; quotes are escaped with escape and
// backslashes with themselves.
func appendQuoted(dst []byte, s string, escape byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			dst = append(dst, escape)
		case '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// appendTuple prints a row value: (1,"a b",).
func appendTuple(dst []byte, f *Format, t *Tuple) []byte {
	dst = append(dst, '(')
	for i, d := range t.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		if d.IsNull() {
			continue
		}
		text := t.Types[i].Text(f, d)
		if text == "" || strings.ContainsAny(text, "\"\\(), \t\n\v\f\r") {
			dst = appendQuoted(dst, text, '"')
		} else {
			dst = append(dst, text...)
		}
	}
	return append(dst, ')')
}

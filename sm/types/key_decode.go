package types

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// keyReader reads the key form; invert is set for descending columns.
type keyReader struct {
	b      []byte
	invert byte // 0xFF to complement
}

// DecodeKey decodes the value of type t at the start of b and returns what
// follows it. A numeric comes back with the least scale that shows its value,
// an interval as days and time of its length, and a -0 as 0. A record, whose
// field types the key does not hold, is refused. Corrupt input gives XX001.
func DecodeKey(b []byte, t *Type, desc bool) (Datum, []byte, error) {
	r := keyReader{b: b}
	if desc {
		r.invert = 0xFF
	}
	d, ok := r.datum(t, 0)
	if !ok {
		return Datum{}, nil, corruptKey()
	}
	return d, r.b, nil
}

func (r *keyReader) byte() (byte, bool) {
	if len(r.b) == 0 {
		return 0, false
	}
	c := r.b[0] ^ r.invert
	r.b = r.b[1:]
	return c, true
}

func (r *keyReader) uint(n int) (uint64, bool) {
	if len(r.b) < n {
		return 0, false
	}
	v := uint64(0)
	for _, c := range r.b[:n] {
		v = v<<8 | uint64(c^r.invert)
	}
	r.b = r.b[n:]
	return v, true
}

func (r *keyReader) datum(t *Type, depth int) (Datum, bool) {
	tag, ok := r.byte()
	if !ok || depth > maxValueDepth {
		return Datum{}, false
	}
	if tag == keyNull {
		return Datum{}, true
	}
	switch t.Kind {
	case KindDecimal:
		d, ok := r.decimal(tag)
		return Decimal(d), ok
	case KindInt, KindDate, KindTime, KindTimestamp:
		v, ok := r.int(tag)
		return Datum{kind: t.Kind, num: uint64(v)}, ok
	case KindLSN:
		n := int(tag) - keyNotNull
		if n < 0 || n > 8 {
			return Datum{}, false
		}
		v, ok := r.uint(n)
		return LSN(v), ok
	case KindBool:
		return Bool(tag == keyNotNull+1), tag == keyNotNull || tag == keyNotNull+1
	}
	if tag != keyNotNull {
		return Datum{}, false
	}
	switch t.Kind {
	case KindFloat:
		v, ok := r.uint(8)
		return Float(floatFromKey(v)), ok
	case KindString:
		b, ok := r.bytes()
		return String(string(b)), ok
	case KindBytes:
		b, ok := r.bytes()
		return Bytes(b), ok
	case KindUUID:
		hi, ok1 := r.uint(8)
		lo, ok2 := r.uint(8)
		var u [16]byte
		binary.BigEndian.PutUint64(u[:8], hi)
		binary.BigEndian.PutUint64(u[8:], lo)
		return UUID(u), ok1 && ok2
	case KindInterval:
		return r.interval()
	case KindJSONB:
		j, ok := r.json(0)
		return JSONB(j), ok
	case KindArray:
		return r.array(t, depth)
	case KindVoid:
		return Void, true
	}
	return Datum{}, false
}

func (r *keyReader) int(tag byte) (int64, bool) {
	n := int(tag) - keyNotNull
	switch {
	case n >= 0 && n <= 8:
		v, ok := r.uint(n)
		return int64(v), ok && v <= math.MaxInt64
	case n < 0 && n >= -8:
		v, ok := r.uint(-n)
		if n > -8 {
			v |= math.MaxUint64 << (8 * -n)
		}
		return int64(v), ok && int64(v) < 0
	}
	return 0, false
}

func (r *keyReader) bytes() ([]byte, bool) {
	out := []byte{}
	for {
		c, ok := r.byte()
		if !ok {
			return nil, false
		}
		if c == keyEscape {
			c, ok = r.byte()
			if ok && c == keyStringEnd {
				return out, true
			}
			if !ok || c != keyEscapeZero {
				return nil, false
			}
			c = 0
		}
		out = append(out, c)
	}
}

func floatFromKey(v uint64) float64 {
	if v == math.MaxUint64 {
		return math.NaN()
	}
	if v>>63 != 0 {
		return math.Float64frombits(v &^ (1 << 63))
	}
	return math.Float64frombits(^v)
}

func (r *keyReader) decimal(tag byte) (*apd.Decimal, bool) {
	negative := false
	switch tag {
	case keyDecNegInf:
		return NumericNegInf, true
	case keyDecInf:
		return NumericInf, true
	case keyDecNaN:
		return NumericNaN, true
	case keyDecZero:
		return &apd.Decimal{}, true
	case keyDecNegative:
		negative = true
		r.invert = ^r.invert
		defer func() { r.invert = ^r.invert }()
	case keyDecPositive:
	default:
		return nil, false
	}
	expTag, ok := r.byte()
	if !ok {
		return nil, false
	}
	exponent, ok := r.int(expTag)
	if !ok || exponent > MaxNumericIntegerDigits || exponent < -MaxNumericDisplayScale {
		return nil, false
	}
	var digits []byte
	for {
		c, ok := r.byte()
		if !ok || c > 100 {
			return nil, false
		}
		if c == 0 {
			break
		}
		digits = append(digits, '0'+(c-1)/10, '0'+(c-1)%10)
	}
	if len(digits) == 0 || len(digits) > MaxNumericIntegerDigits+MaxNumericDisplayScale+2 {
		return nil, false
	}
	if digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	d := &apd.Decimal{Negative: negative, Exponent: int32(exponent) - int32(len(digits))}
	if _, ok := d.Coeff.SetString(string(digits), 10); !ok || d.Exponent < -MaxNumericDisplayScale || d.Coeff.Sign() == 0 {
		return nil, false
	}
	out, err := NormalizeDecimal(d)
	return out, err == nil
}

func (r *keyReader) interval() (Datum, bool) {
	hi, ok1 := r.uint(8)
	lo, ok2 := r.uint(8)
	if !ok1 || !ok2 {
		return Datum{}, false
	}
	v := new(big.Int).Lsh(big.NewInt(int64(hi^1<<63)), 64)
	v.Add(v, new(big.Int).SetUint64(lo))
	days, micros := v.QuoRem(v, big.NewInt(MicrosPerDay), new(big.Int))
	iv := Interval{Micros: micros.Int64()}
	if !days.IsInt64() {
		return Datum{}, false
	}
	n := days.Int64()
	if n != int64(int32(n)) {
		iv.Months = int32(n / DaysPerMonth)
		if n/DaysPerMonth != int64(iv.Months) {
			return Datum{}, false
		}
		n %= DaysPerMonth
	}
	iv.Days = int32(n)
	return IntervalDatum(iv), true
}

func (r *keyReader) json(depth int) (*JSON, bool) {
	tag, ok := r.byte()
	if !ok || depth > MaxJSONDepth {
		return nil, false
	}
	if tag == keyJSONEmptyArray && depth == 0 {
		return &JSON{Kind: JSONArray}, true
	}
	if tag < keyJSONKind || tag > keyJSONKind+byte(JSONObject) {
		return nil, false
	}
	j := &JSON{Kind: JSONKind(tag - keyJSONKind)}
	switch j.Kind {
	case JSONBool:
		c, ok := r.byte()
		j.Bool = c == 1
		return j, ok && c <= 1
	case JSONString:
		b, ok := r.bytes()
		j.Str = string(b)
		return j, ok
	case JSONNumber:
		numTag, ok := r.byte()
		if !ok {
			return nil, false
		}
		j.Num, ok = r.decimal(numTag)
		return j, ok
	case JSONArray, JSONObject:
		n, ok := r.uint(4)
		if !ok || n > uint64(len(r.b)) {
			return nil, false
		}
		return j, r.jsonMembers(j, int(n), depth)
	}
	return j, true
}

func (r *keyReader) jsonMembers(j *JSON, n, depth int) bool {
	for range n {
		var key []byte
		ok := true
		if j.Kind == JSONObject {
			if key, ok = r.bytes(); !ok {
				return false
			}
		}
		e, ok := r.json(depth + 1)
		if !ok {
			return false
		}
		if j.Kind == JSONObject {
			j.Fields = append(j.Fields, JSONField{string(key), e})
		} else {
			j.Elems = append(j.Elems, e)
		}
	}
	return true
}

func (r *keyReader) array(t *Type, depth int) (Datum, bool) {
	if t.Elem == nil {
		return Datum{}, false
	}
	a := &Array{Elem: t.Elem}
	for {
		c, ok := r.byte()
		if !ok || c != keyListEnd && c != keyListNext {
			return Datum{}, false
		}
		if c == keyListEnd {
			break
		}
		e, ok := r.datum(t.Elem, depth+1)
		if !ok {
			return Datum{}, false
		}
		a.Elems = append(a.Elems, e)
	}
	ndim, ok := r.byte()
	if !ok || ndim > MaxArrayDims {
		return Datum{}, false
	}
	count := uint64(1)
	for range ndim {
		v, ok := r.uint(4)
		if !ok || v > MaxArrayElems {
			return Datum{}, false
		}
		a.Dims = append(a.Dims, int32(v))
		if count *= v; count > MaxArrayElems {
			return Datum{}, false
		}
	}
	for range ndim {
		v, ok := r.uint(4)
		if !ok {
			return Datum{}, false
		}
		a.Lower = append(a.Lower, int32(uint32(v)^1<<31))
	}
	if ndim == 0 {
		count = 0
	}
	return ArrayDatum(a), count == uint64(len(a.Elems))
}

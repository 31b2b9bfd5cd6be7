package types

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// The key format: bytes whose order is the order of the values. Each value
// begins with a tag, ends where its own bytes say, and no encoding is a
// prefix of another, so that values can follow each other. NULL sorts after
// everything, as in PostgreSQL; a descending column is the complement of all
// bytes, NULL included (NULLS FIRST).
const (
	keyNull    = 0xF0
	keyNotNull = 0x80 // plain kinds; also number 0
	// A number v > 0 of n bytes has the tag keyNotNull+n, v < 0 keyNotNull-n.

	keyDecNegInf   = 0x10
	keyDecNegative = 0x20
	keyDecZero     = 0x30
	keyDecPositive = 0x40
	keyDecInf      = 0x50
	keyDecNaN      = 0x60

	keyEscape     = 0x00 // inside strings: 00 FF is a zero byte
	keyEscapeZero = 0xFF
	keyStringEnd  = 0x01 // 00 01 ends a string

	keyListEnd  = 0x01
	keyListNext = 0x02
)

func corruptKey() error { return sqlstate.New(sqlstate.DataCorrupted, "key encoding is corrupt") }

// AppendKey appends the key form of a value. Equal values have the same form:
// the display scale of a numeric and the split of an interval into months,
// days and time are not kept, so a column of these types must be stored in
// the row as well. bpchar must be trimmed by the caller (TrimBPChar).
func AppendKey(dst []byte, d Datum, desc bool) []byte {
	at := len(dst)
	dst = appendKey(dst, d)
	if desc {
		for i := at; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

func appendKey(dst []byte, d Datum) []byte {
	switch d.kind {
	case KindNull:
		return append(dst, keyNull)
	case KindInt, KindDate, KindTime, KindTimestamp:
		return appendKeyInt(dst, int64(d.num))
	case KindLSN:
		return appendKeyUint(dst, d.num)
	case KindBool:
		return append(dst, keyNotNull+byte(d.num))
	case KindFloat:
		return binary.BigEndian.AppendUint64(append(dst, keyNotNull), floatKey(d.Float()))
	case KindDecimal:
		return appendKeyDecimal(dst, d.Decimal())
	case KindString, KindBytes:
		return appendKeyBytes(append(dst, keyNotNull), d.raw())
	case KindInterval:
		hi, lo := d.Interval().span()
		dst = binary.BigEndian.AppendUint64(append(dst, keyNotNull), uint64(hi)^1<<63)
		return binary.BigEndian.AppendUint64(dst, lo)
	case KindUUID:
		u := (*[16]byte)(d.ptr)
		return append(append(dst, keyNotNull), u[:]...)
	case KindJSONB:
		return appendKeyJSON(append(dst, keyNotNull), d.JSONB(), true)
	case KindArray:
		a := d.Array()
		dst = appendKeyList(append(dst, keyNotNull), a.Elems)
		dst = append(dst, byte(len(a.Dims)))
		for _, v := range a.Dims {
			dst = binary.BigEndian.AppendUint32(dst, uint32(v))
		}
		for _, v := range a.Lower {
			dst = binary.BigEndian.AppendUint32(dst, uint32(v)^1<<31)
		}
		return dst
	case KindTuple:
		return appendKeyList(append(dst, keyNotNull), d.Tuple().Fields)
	}
	return append(dst, keyNotNull)
}

func appendKeyList(dst []byte, elems []Datum) []byte {
	for _, e := range elems {
		dst = appendKey(append(dst, keyListNext), e)
	}
	return append(dst, keyListEnd)
}

func appendKeyInt(dst []byte, v int64) []byte {
	if v >= 0 {
		return appendKeyUint(dst, uint64(v))
	}
	n := (bits.Len64(^uint64(v)) + 7) / 8
	if n == 0 {
		n = 1 // -1
	}
	dst = append(dst, keyNotNull-byte(n))
	return appendBigEndian(dst, uint64(v), n)
}

func appendKeyUint(dst []byte, v uint64) []byte {
	n := (bits.Len64(v) + 7) / 8
	return appendBigEndian(append(dst, keyNotNull+byte(n)), v, n)
}

func appendBigEndian(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}

func appendKeyBytes(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, keyEscape)
		if i < 0 {
			return append(append(dst, b...), keyEscape, keyStringEnd)
		}
		dst = append(append(dst, b[:i]...), keyEscape, keyEscapeZero)
		b = b[i+1:]
	}
}

// floatKey maps a float to a number of the same order.
func floatKey(f float64) uint64 {
	switch {
	case math.IsNaN(f):
		return math.MaxUint64
	case f == 0:
		return 1 << 63
	}
	v := math.Float64bits(f)
	if v>>63 != 0 {
		return ^v
	}
	return v | 1<<63
}

// appendKeyDecimal writes sign, decimal exponent and the digits in pairs
// without trailing zeros; everything after the tag is complemented for
// negative numbers.
func appendKeyDecimal(dst []byte, d *apd.Decimal) []byte {
	if d.Form != apd.Finite {
		switch formRank(d) {
		case -1:
			return append(dst, keyDecNegInf)
		case 1:
			return append(dst, keyDecInf)
		}
		return append(dst, keyDecNaN)
	}
	if d.Coeff.Sign() == 0 {
		return append(dst, keyDecZero)
	}
	var buf [48]byte
	digits := d.Coeff.Append(buf[:0], 10)
	exponent := int64(len(digits)) + int64(d.Exponent) // value = 0.digits × 10^exponent
	digits = bytes.TrimRight(digits, "0")
	tag := byte(keyDecPositive)
	if d.Negative {
		tag = keyDecNegative
	}
	dst = append(dst, tag)
	at := len(dst)
	dst = appendKeyInt(dst, exponent)
	for i := 0; i < len(digits); i += 2 {
		pair := (digits[i] - '0') * 10
		if i+1 < len(digits) {
			pair += digits[i+1] - '0'
		}
		dst = append(dst, pair+1)
	}
	dst = append(dst, 0)
	if d.Negative {
		for i := at; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// keyJSONEmptyArray is the tag of an empty array at the top level, which
// sorts before everything; the other tags are keyJSONKind + kind.
const (
	keyJSONEmptyArray = 0x01
	keyJSONKind       = 0x10
)

func appendKeyJSON(dst []byte, j *JSON, top bool) []byte {
	if top && j.isEmptyArray() {
		return append(dst, keyJSONEmptyArray)
	}
	dst = append(dst, keyJSONKind+byte(j.Kind))
	switch j.Kind {
	case JSONBool:
		return append(dst, byte(boolToInt(j.Bool)))
	case JSONString:
		return appendKeyBytes(dst, []byte(j.Str))
	case JSONNumber:
		return appendKeyDecimal(dst, j.Num)
	case JSONArray:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(j.Elems)))
		for _, e := range j.Elems {
			dst = appendKeyJSON(dst, e, false)
		}
	case JSONObject:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(j.Fields)))
		for _, f := range j.Fields {
			dst = appendKeyBytes(dst, []byte(f.Key))
			dst = appendKeyJSON(dst, f.Value, false)
		}
	}
	return dst
}

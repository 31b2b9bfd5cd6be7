package types

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"strings"
)

// Compare orders two values of the same kind, neither NULL, as PostgreSQL's
// btree does with collation C: NaN is greatest and equal to itself, numerics
// go by value, intervals by length, arrays and rows element by element.
// Trailing blanks of bpchar count; the operators of bpchar strip them.
func Compare(a, b Datum) int {
	a.must(b.kind)
	switch a.kind {
	case KindInt, KindDate, KindTime, KindTimestamp:
		return cmp.Compare(int64(a.num), int64(b.num))
	case KindBool, KindLSN:
		return cmp.Compare(a.num, b.num)
	case KindString:
		return strings.Compare(a.Str(), b.Str())
	case KindFloat:
		return CompareFloat(a.Float(), b.Float())
	case KindDecimal:
		return CompareDecimal(a.Decimal(), b.Decimal())
	case KindBytes:
		return bytes.Compare(a.Bytes(), b.Bytes())
	case KindInterval:
		return CompareInterval(a.Interval(), b.Interval())
	case KindUUID:
		x, y := a.UUID(), b.UUID()
		return bytes.Compare(x[:], y[:])
	case KindJSONB:
		return CompareJSON(a.JSONB(), b.JSONB())
	case KindArray:
		return compareArray(a.Array(), b.Array())
	case KindTuple:
		return compareDatums(a.Tuple().Fields, b.Tuple().Fields)
	}
	return 0
}

// CompareNulls is Compare for values that may be NULL, which sorts last.
func CompareNulls(a, b Datum) int {
	if a.kind == KindNull || b.kind == KindNull {
		return boolToInt(a.kind == KindNull) - boolToInt(b.kind == KindNull)
	}
	return Compare(a, b)
}

// CompareFloat orders floats with NaN greatest and both zeros equal.
func CompareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return boolToInt(math.IsNaN(a)) - boolToInt(math.IsNaN(b))
}

func compareArray(a, b *Array) int {
	if c := compareDatums(a.Elems, b.Elems); c != 0 {
		return c
	}
	if c := cmp.Compare(len(a.Dims), len(b.Dims)); c != 0 {
		return c
	}
	for i := range a.Dims {
		if c := cmp.Compare(a.Dims[i], b.Dims[i]); c != 0 {
			return c
		}
	}
	for i := range a.Lower {
		if c := cmp.Compare(a.Lower[i], b.Lower[i]); c != 0 {
			return c
		}
	}
	return 0
}

// compareDatums compares lists element by element; a prefix is less.
func compareDatums(a, b []Datum) int {
	for i := range min(len(a), len(b)) {
		if a[i].kind != KindNull && b[i].kind != KindNull && a[i].kind != b[i].kind {
			return cmp.Compare(a[i].kind, b[i].kind)
		}
		if c := CompareNulls(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// Equal reports whether two values of the same kind are equal; NULL equals
// only NULL (IS NOT DISTINCT FROM).
func Equal(a, b Datum) bool {
	if a.kind == KindNull || b.kind == KindNull {
		return a.kind == b.kind
	}
	return Compare(a, b) == 0
}

// Constants of the hash: odd 64-bit numbers without structure.
const (
	hashSeed  = 0x9E3779B97F4A7C15
	hashMul   = 0xA0761D6478BD642F
	hashFinal = 0xE7037ED1A0B428DB
)

func hashMix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash returns a hash under which equal values of one kind are equal: 1.0 and
// 1.00, 0.0 and -0.0, 24 hours and 1 day. It is the same on every machine and
// in every release of one semantics version.
func Hash(d Datum) uint64 {
	seed := uint64(hashSeed) + uint64(d.kind)
	switch d.kind {
	case KindNull, KindVoid:
		return hashMix(seed, hashMul)
	case KindFloat:
		v := d.num
		if f := d.Float(); f == 0 {
			v = 0
		} else if math.IsNaN(f) {
			v = math.Float64bits(math.NaN())
		}
		return hashMix(hashMix(v^seed, hashMul), hashFinal)
	case KindString, KindBytes:
		return hashBytes(seed, d.raw())
	case KindUUID:
		u := d.UUID()
		return hashBytes(seed, u[:])
	case KindDecimal, KindInterval, KindJSONB, KindArray, KindTuple:
		var buf [64]byte
		return hashBytes(seed, AppendKey(buf[:0], d, false))
	}
	return hashMix(hashMix(d.num^seed, hashMul), hashFinal)
}

func hashBytes(h uint64, b []byte) uint64 {
	n := uint64(len(b))
	for len(b) >= 8 {
		h = hashMix(h^littleEndian(b, 8), hashMul)
		b = b[8:]
	}
	h = hashMix(h^littleEndian(b, len(b)), hashMul)
	return hashMix(h^n, hashFinal)
}

package types

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/stretchr/testify/require"
)

// randomDatum draws a value of a type, with the extremes and repetitions that
// make comparisons interesting.
func randomDatum(r *rand.Rand, t *Type, depth int) Datum {
	small := r.IntN(3) == 0
	switch t.Kind {
	case KindBool:
		return Bool(r.IntN(2) == 0)
	case KindInt:
		lo, hi := intRange(t)
		switch {
		case small:
			return Int(int64(r.IntN(5)) - 2)
		case r.IntN(8) == 0:
			return Int([]int64{lo, hi}[r.IntN(2)])
		case t.Len == 8:
			return Int(int64(r.Uint64()) >> r.IntN(64))
		}
		return Int(int64(int32(r.Uint32())) >> (8 * (4 - t.Len)))
	case KindFloat:
		f := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1, -1, 1.5, math.MaxFloat64, 5e-324}
		if small {
			return Float(f[r.IntN(len(f))])
		}
		return Float(math.Float64frombits(r.Uint64()))
	case KindDecimal:
		return Decimal(randomDecimal(r))
	case KindString:
		return String(randomString(r, "ab\x01\x7fé\U0010ffff"))
	case KindBytes:
		return Bytes([]byte(randomString(r, "a\x00\x01\x7f")))
	case KindDate:
		return Date(int32(r.Uint32()) >> r.IntN(32))
	case KindTime:
		return Time(r.Int64N(MicrosPerDay + 1))
	case KindTimestamp:
		return Timestamp(int64(r.Uint64()) >> r.IntN(64))
	case KindInterval:
		if small {
			return IntervalDatum(Interval{Months: int32(r.IntN(3)) - 1, Days: int32(r.IntN(61)) - 30, Micros: (r.Int64N(5) - 2) * MicrosPerDay})
		}
		return IntervalDatum(Interval{int32(r.Uint32()), int32(r.Uint32()), int64(r.Uint64())})
	case KindUUID:
		return UUID([16]byte{byte(r.IntN(3)), 15: byte(r.IntN(256))})
	case KindLSN:
		return LSN(r.Uint64() >> r.IntN(64))
	case KindJSONB:
		return JSONB(randomJSON(r, 0))
	case KindArray:
		n := r.IntN(4)
		elems := make([]Datum, n)
		for i := range elems {
			if r.IntN(5) > 0 {
				elems[i] = randomDatum(r, t.Elem, depth+1)
			}
		}
		a := NewArray(t.Elem, elems)
		if n > 0 && r.IntN(4) == 0 {
			a.Lower[0] = int32(r.IntN(5)) - 2
		}
		return ArrayDatum(a)
	}
	panic("no generator for " + t.Name)
}

func randomDecimal(r *rand.Rand) *apd.Decimal {
	switch r.IntN(12) {
	case 0:
		return []*apd.Decimal{NumericNaN, NumericInf, NumericNegInf}[r.IntN(3)]
	case 1:
		return &apd.Decimal{Exponent: -int32(r.IntN(4))}
	}
	d := &apd.Decimal{Negative: r.IntN(2) == 0, Exponent: int32(r.IntN(40)) - 30}
	d.Coeff.SetUint64(r.Uint64() >> r.IntN(64))
	if r.IntN(4) == 0 {
		d.Coeff.Mul(&d.Coeff, Pow10(int64(r.IntN(40))))
	}
	out, err := NormalizeDecimal(d)
	if err != nil {
		panic(err)
	}
	return out
}

func randomString(r *rand.Rand, alphabet string) string {
	runes := []rune(alphabet)
	out := ""
	for range r.IntN(6) {
		out += string(runes[r.IntN(len(runes))])
	}
	return out
}

func randomJSON(r *rand.Rand, depth int) *JSON {
	switch k := JSONKind(r.IntN(6)); {
	case k == JSONBool:
		return &JSON{Kind: k, Bool: r.IntN(2) == 0}
	case k == JSONString:
		return &JSON{Kind: k, Str: randomString(r, "ab")}
	case k == JSONNumber:
		d := randomDecimal(r)
		for d.Form != apd.Finite {
			d = randomDecimal(r)
		}
		return &JSON{Kind: k, Num: d}
	case k == JSONArray && depth < 3:
		j := &JSON{Kind: k}
		for range r.IntN(4) {
			j.Elems = append(j.Elems, randomJSON(r, depth+1))
		}
		return j
	case k == JSONObject && depth < 3:
		var fields []JSONField
		for range r.IntN(4) {
			fields = append(fields, JSONField{randomString(r, "ab"), randomJSON(r, depth+1)})
		}
		return NewJSONObject(fields)
	}
	return &JSON{Kind: JSONNull}
}

func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var propertyTypes = []*Type{BoolType, Int2Type, Int4Type, Int8Type, Float8Type, NumericType, TextType, ByteaType, DateType,
	TimeType, TimestampType, IntervalType, UUIDType, LSNType, JSONBType, Int4ArrayType, TextArrayType, NumericArrayType, JSONBArrayType}

// TestKeyOrder: the order of key encodings is the order of values, equal
// values have one encoding and one hash, and decoding gives an equal value.
func TestKeyOrder(t *testing.T) {
	r := seeded(t)
	for _, typ := range propertyTypes {
		for range 3000 {
			a, b := randomDatum(r, typ, 0), randomDatum(r, typ, 0)
			want := sign(Compare(a, b))
			for _, desc := range []bool{false, true} {
				x, y := AppendKey(nil, a, desc), AppendKey(nil, b, desc)
				got := bytes.Compare(x, y)
				if desc {
					got = -got
				}
				require.Equal(t, want, got, "%s: %s and %s", typ, show(typ, a), show(typ, b))
				if want != 0 {
					require.False(t, bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x), "%s prefix", typ)
				}
				back, rest, err := DecodeKey(append(x, 0xAB, 0xCD), typ, desc)
				if typ == IntervalType && err != nil {
					continue // lengths beyond what one interval holds as days
				}
				require.NoError(t, err, "%s: %s", typ, show(typ, a))
				require.Equal(t, []byte{0xAB, 0xCD}, rest)
				require.Zero(t, Compare(a, back), "%s: %s", typ, show(typ, a))
			}
			if want == 0 {
				require.Equal(t, Hash(a), Hash(b), "%s: %s and %s", typ, show(typ, a), show(typ, b))
			}
			require.Negative(t, bytes.Compare(AppendKey(nil, a, false), AppendKey(nil, NullDatum, false)))
			require.Positive(t, bytes.Compare(AppendKey(nil, a, true), AppendKey(nil, NullDatum, true)))
		}
	}
}

func show(t *Type, d Datum) string { return t.Text(DefaultFormat(), d) }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// TestRowRoundTrip stores random rows and reads all, some and missing columns.
func TestRowRoundTrip(t *testing.T) {
	r := seeded(t)
	for range 2000 {
		cols := make([]*Type, r.IntN(12))
		row := make([]Datum, len(cols))
		for i := range cols {
			cols[i] = propertyTypes[r.IntN(len(propertyTypes))]
			if r.IntN(4) > 0 {
				row[i] = randomDatum(r, cols[i], 0)
			}
		}
		b := AppendRow(nil, row)
		out := make([]Datum, len(cols)+2)
		out[len(cols)] = Int(42)
		require.NoError(t, DecodeRow(b, nil, out))
		require.Equal(t, int64(42), out[len(cols)].Int(), "a column the row lacks must stay")
		for i := range cols {
			requireSame(t, cols[i], row[i], out[i])
		}
		var want []int
		for i := range cols {
			if r.IntN(2) == 0 {
				want = append(want, i)
			}
		}
		if want == nil {
			continue
		}
		some := make([]Datum, len(want))
		require.NoError(t, DecodeRowStable(b, want, some))
		for i, col := range want {
			requireSame(t, cols[col], row[col], some[i])
		}
		for n := range b {
			_ = DecodeRow(b[:n], nil, out) // must not panic
		}
	}
}

// requireSame wants the very same value: scale, sign of zero and all.
func requireSame(t *testing.T, typ *Type, a, b Datum) {
	t.Helper()
	require.Equal(t, a.IsNull(), b.IsNull())
	if a.IsNull() {
		return
	}
	require.Equal(t, show(typ, a), show(typ, b))
	if a.Kind() == KindFloat {
		require.Equal(t, math.Float64bits(a.Float()), math.Float64bits(b.Float()))
	}
}

func TestDecodeRowAllocatesNothing(t *testing.T) {
	b := AppendRow(nil, []Datum{Int(1), Float(2), String("abc"), Timestamp(5), Bool(true), NullDatum, UUID([16]byte{1})})
	out := make([]Datum, 7)
	want := []int{0, 2, 3, 6}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if DecodeRowStable(b, want, out) != nil {
			panic("decode")
		}
	}))
}

func BenchmarkDecodeRow(b *testing.B) {
	row := AppendRow(nil, []Datum{Int(123456), Int(1), Int(-5), String("some text of a row")})
	out := make([]Datum, 4)
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeRowStable(row, nil, out); err != nil {
			b.Fatal(err)
		}
	}
}

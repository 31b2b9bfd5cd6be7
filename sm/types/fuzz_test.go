package types

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecodeRow(f *testing.F) {
	f.Add(AppendRow(nil, []Datum{Int(1), String("a"), NullDatum, Decimal(NewDecimalInt(5)), ArrayDatum(NewArray(Int4Type, []Datum{Int(1)}))}))
	f.Add([]byte{0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		out := make([]Datum, 16)
		_ = DecodeRow(b, nil, out)
		_ = DecodeRowStable(b, []int{1, 3}, out)
		if d, _, err := DecodeDatum(b); err == nil {
			back, rest, err := DecodeDatum(AppendDatum(nil, d))
			require.NoError(t, err)
			require.Empty(t, rest)
			require.True(t, Equal(d, back))
		}
	})
}

func FuzzParseBinary(f *testing.F) {
	f.Add(uint32(1700), NumericType.AppendBinary(nil, Decimal(NewDecimalInt(12345))))
	f.Add(uint32(1007), Int4ArrayType.AppendBinary(nil, ArrayDatum(NewArray(Int4Type, []Datum{Int(1), NullDatum}))))
	f.Add(uint32(3802), []byte("\x01{\"a\":1}"))
	f.Add(uint32(2249), []byte{0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 4, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, oid uint32, b []byte) {
		typ, ok := ByOID(OID(oid))
		if !ok {
			return
		}
		format := DefaultFormat()
		d, err := typ.ParseBinary(format, b, NoTypmod)
		if err != nil {
			return
		}
		typ.AppendText(nil, format, d)
		back, err := typ.ParseBinary(format, typ.AppendBinary(nil, d), NoTypmod)
		require.NoError(t, err)
		require.True(t, Equal(d, back))
	})
}

func FuzzParseText(f *testing.F) {
	for _, oid := range []uint32{16, 17, 20, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3220} {
		for _, s := range []string{"1", "1999-01-08 04:05:06.789-8", "P1Y2M3DT4H5M6S", "1 day -2:03:04", "Jan 8, 1999", "NaN", `\x00`} {
			f.Add(oid, s)
		}
	}
	f.Fuzz(func(t *testing.T, oid uint32, s string) {
		typ, ok := ByOID(OID(oid))
		if !ok || typ.IsReg() {
			return
		}
		format := DefaultFormat()
		d, err := typ.Parse(format, s, NoTypmod)
		if err != nil {
			return
		}
		text := typ.Text(format, d)
		back, err := typ.Parse(format, text, NoTypmod)
		require.NoError(t, err, "%s from %q", text, s)
		require.True(t, Equal(d, back), "%s from %q", text, s)
	})
}

func FuzzArrayText(f *testing.F) {
	for _, s := range []string{`{1,2}`, `{a,"b c",NULL}`, `[0:1]={x,y}`, `{{1,2},{3,4}}`, `{"\""}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		format := DefaultFormat()
		d, err := TextArrayType.Parse(format, s, NoTypmod)
		if err != nil {
			return
		}
		text := TextArrayType.Text(format, d)
		back, err := TextArrayType.Parse(format, text, NoTypmod)
		require.NoError(t, err, text)
		require.True(t, Equal(d, back), text)
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.50,"x\u00e9",null,true]}`, `[[[]]]`, `"\ud83d\ude00"`, `-1e-5`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := ParseJSON(s)
		if err != nil {
			return
		}
		_, err = parseJSONText(s)
		require.NoError(t, err, "jsonb accepts what json refuses")
		back, err := ParseJSON(j.String())
		require.NoError(t, err)
		require.Zero(t, CompareJSON(j, back))
	})
}

func FuzzDecodeKey(f *testing.F) {
	f.Add(uint32(23), AppendKey(nil, Int(-5), false), false)
	f.Add(uint32(1700), AppendKey(nil, Decimal(NewDecimalInt(125)), true), true)
	f.Add(uint32(1009), AppendKey(nil, ArrayDatum(NewArray(TextType, []Datum{String("a")})), false), false)
	f.Fuzz(func(t *testing.T, oid uint32, b []byte, desc bool) {
		typ, ok := ByOID(OID(oid))
		if !ok {
			return
		}
		if d, _, err := DecodeKey(b, typ, desc); err == nil {
			AppendKey(nil, d, desc)
		}
	})
}

package types

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func TestDeepJSONIsRefused(t *testing.T) {
	for _, typ := range []*Type{JSONType, JSONBType} {
		_, err := typ.Parse(DefaultFormat(), strings.Repeat("[", 10<<20), NoTypmod)
		require.Equal(t, sqlstate.StatementTooComplex, sqlstate.CodeOf(err))
		deep := strings.Repeat("[", MaxJSONDepth) + strings.Repeat("]", MaxJSONDepth)
		d, err := typ.Parse(DefaultFormat(), deep, NoTypmod)
		require.NoError(t, err)
		back, _, err := DecodeDatum(AppendDatum(nil, d))
		require.NoError(t, err)
		require.Equal(t, deep, typ.Text(DefaultFormat(), back))
	}
}

func TestLengthChecks(t *testing.T) {
	mod := CharTypmod(3)
	_, err := VarcharType.Parse(DefaultFormat(), "abcd", mod)
	require.EqualError(t, err, "value too long for type character varying(3) (SQLSTATE 22001)")
	_, err = BPCharType.Parse(DefaultFormat(), "abcd", mod)
	require.EqualError(t, err, "value too long for type character(3) (SQLSTATE 22001)")
	d, err := CharsTypmod(VarcharType, "äöüß", mod, true)
	require.NoError(t, err)
	require.Equal(t, "äöü", d.Str())
}

func TestFormatType(t *testing.T) {
	for want, c := range map[string]struct {
		t   *Type
		mod int32
	}{
		"character varying(10)":          {VarcharType, CharTypmod(10)},
		"numeric(10,2)":                  {NumericType, NumericTypmod(10, 2)},
		"numeric(3,-2)":                  {NumericType, NumericTypmod(3, -2)},
		"timestamp(3) without time zone": {TimestampType, 3},
		"timestamp(0) with time zone":    {TimestampTZType, 0},
		"interval day to second(2)":      {IntervalType, IntervalTypmod(intervalDay|intervalHour|intervalMinute|intervalSecond, 2)},
		"integer[]":                      {Int4ArrayType, NoTypmod},
		"character varying(5)[]":         {VarcharArrayType, CharTypmod(5)},
		`"char"`:                         {CharType, NoTypmod},
	} {
		require.Equal(t, want, FormatType(c.t, c.mod))
	}
}

func TestRegistry(t *testing.T) {
	last := OID(0)
	for _, typ := range All() {
		require.Greater(t, typ.OID, last)
		last = typ.OID
		got, ok := ByOID(typ.OID)
		require.True(t, ok)
		require.Same(t, typ, got)
		got, ok = ByName(typ.Name)
		require.True(t, ok)
		require.Same(t, typ, got)
	}
	for name, want := range map[string]*Type{"int": Int4Type, "Character  Varying": VarcharType, "text[]": TextArrayType,
		"timestamp with time zone": TimestampTZType, "char": CharType, "character": BPCharType, "decimal": NumericType} {
		got, ok := ByName(name)
		require.True(t, ok, name)
		require.Same(t, want, got)
	}
}

// TestDateStyles pins what PostgreSQL 15 prints in its other styles.
func TestDateStyles(t *testing.T) {
	berlin, err := LoadLocation("europe/berlin")
	require.NoError(t, err)
	require.Equal(t, "Europe/Berlin", berlin.String())
	f := DefaultFormat()
	f.Location = berlin
	d, err := TimestampTZType.Parse(f, "1997-12-17 07:37:16.5", NoTypmod)
	require.NoError(t, err)
	for _, c := range []struct {
		style DateStyle
		order DateOrder
		want  string
	}{
		{DateStyleISO, DateOrderMDY, "1997-12-17 07:37:16.5+01"},
		{DateStyleSQL, DateOrderMDY, "12/17/1997 07:37:16.5 CET"},
		{DateStyleSQL, DateOrderDMY, "17/12/1997 07:37:16.5 CET"},
		{DateStylePostgres, DateOrderMDY, "Wed Dec 17 07:37:16.5 1997 CET"},
		{DateStylePostgres, DateOrderDMY, "Wed 17 Dec 07:37:16.5 1997 CET"},
		{DateStyleGerman, DateOrderDMY, "17.12.1997 07:37:16.5 CET"},
	} {
		f.DateStyle, f.DateOrder = c.style, c.order
		text := TimestampTZType.Text(f, d)
		require.Equal(t, c.want, text)
		back, err := TimestampTZType.Parse(f, text, NoTypmod)
		require.NoError(t, err)
		require.Equal(t, d, back)
	}
}

func TestIntervalStyles(t *testing.T) {
	f := DefaultFormat()
	d, err := IntervalType.Parse(f, "-1 year -2 mons +3 days -04:05:06.7", NoTypmod)
	require.NoError(t, err)
	for style, want := range map[IntervalStyle]string{
		IntervalStylePostgres: "-1 years -2 mons +3 days -04:05:06.7",
		IntervalStyleVerbose:  "@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago",
		IntervalStyleSQL:      "-1-2 +3 -4:05:06.7",
		IntervalStyleISO8601:  "P-1Y-2M3DT-4H-5M-6.7S",
	} {
		f.IntervalStyle = style
		require.Equal(t, want, IntervalType.Text(f, d))
	}
}

func TestRelativeDates(t *testing.T) {
	f := DefaultFormat()
	f.Now = TimeToTimestamp(time.Date(2024, 2, 29, 23, 30, 0, 0, time.UTC))
	tokyo, err := LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	f.Location = tokyo
	for s, want := range map[string]string{"now": "2024-03-01 08:30:00+09", "today": "2024-03-01 00:00:00+09",
		"yesterday": "2024-02-29 00:00:00+09", "tomorrow": "2024-03-02 00:00:00+09", "today 10:00": "2024-03-01 10:00:00+09"} {
		d, err := TimestampTZType.Parse(f, s, NoTypmod)
		require.NoError(t, err)
		require.Equal(t, want, TimestampTZType.Text(f, d), s)
	}
}

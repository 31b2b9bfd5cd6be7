package types

import (
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// varHeader is PostgreSQL's VARHDRSZ, which its typmods add to lengths.
const varHeader = 4

// Limits of modifiers, as in PostgreSQL.
const (
	MaxCharLength       = 10485760 // characters in varchar(n) and char(n)
	MaxNumericPrecision = 1000     // digits in numeric(p, s)
	MaxNumericScale     = 1000     // decimal places in numeric(p, s); also the negated minimum
	MaxTimePrecision    = 6        // decimal places of seconds
)

// Interval field masks, as in PostgreSQL's timestamp.h.
const (
	intervalMonth  = 1 << 1
	intervalYear   = 1 << 2
	intervalDay    = 1 << 3
	intervalHour   = 1 << 10
	intervalMinute = 1 << 11
	intervalSecond = 1 << 12

	intervalFullRange     = 0x7FFF
	intervalFullPrecision = 0xFFFF
)

// CharTypmod returns the typmod of varchar(n) and char(n).
func CharTypmod(n int32) int32 { return n + varHeader }

// CharLength returns the n of a varchar or bpchar typmod, or -1 for none.
func CharLength(typmod int32) int32 {
	if typmod < varHeader {
		return -1
	}
	return typmod - varHeader
}

// NumericTypmod returns the typmod of numeric(precision, scale).
func NumericTypmod(precision, scale int32) int32 {
	return (precision<<16 | scale&0x7ff) + varHeader
}

// NumericPrecisionScale splits a numeric typmod; ok is false for none.
func NumericPrecisionScale(typmod int32) (precision, scale int32, ok bool) {
	if typmod < varHeader {
		return 0, 0, false
	}
	t := typmod - varHeader
	return t >> 16 & 0xffff, (t&0x7ff ^ 1024) - 1024, true
}

// IntervalTypmod returns the typmod for a field mask and a precision; a
// negative precision means none.
func IntervalTypmod(fields, precision int32) int32 {
	if precision < 0 {
		precision = intervalFullPrecision
	}
	return fields&intervalFullRange<<16 | precision&intervalFullPrecision
}

func intervalParts(typmod int32) (fields, precision int32) {
	if typmod < 0 {
		return intervalFullRange, intervalFullPrecision
	}
	return typmod >> 16 & intervalFullRange, typmod & intervalFullPrecision
}

// MakeTypmod returns the typmod for the modifiers written after a type name,
// as the typmodin functions do: varchar(n), numeric(p[,s]), timestamp(p),
// interval with its field mask first. It raises 22023 for values that are out
// of range and 42601 for types without modifiers.
func MakeTypmod(t *Type, mods []int32) (int32, error) {
	if t.Elem != nil && !t.IsVector() {
		t = t.Elem
	}
	if len(mods) == 0 {
		return NoTypmod, nil
	}
	switch t {
	case VarcharType, BPCharType:
		return charTypmodIn(t, mods)
	case NumericType:
		return numericTypmodIn(mods)
	case TimeType, TimestampType, TimestampTZType:
		return timeTypmodIn(t, mods)
	case IntervalType:
		return intervalTypmodIn(mods)
	}
	return 0, sqlstate.New(sqlstate.SyntaxError, "type modifier is not allowed for type \"%s\"", t.Name)
}

func charTypmodIn(t *Type, mods []int32) (int32, error) {
	name := "varchar"
	if t == BPCharType {
		name = "char"
	}
	switch {
	case len(mods) != 1:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid type modifier")
	case mods[0] < 1:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "length for type %s must be at least 1", name)
	case mods[0] > MaxCharLength:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "length for type %s cannot exceed %d", name, MaxCharLength)
	}
	return CharTypmod(mods[0]), nil
}

func numericTypmodIn(mods []int32) (int32, error) {
	scale := int32(0)
	if len(mods) == 2 {
		scale = mods[1]
	}
	switch {
	case len(mods) > 2:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid NUMERIC type modifier")
	case mods[0] < 1 || mods[0] > MaxNumericPrecision:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "NUMERIC precision %d must be between 1 and %d",
			mods[0], MaxNumericPrecision)
	case scale < -MaxNumericScale || scale > MaxNumericScale:
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "NUMERIC scale %d must be between %d and %d",
			scale, -MaxNumericScale, MaxNumericScale)
	}
	return NumericTypmod(mods[0], scale), nil
}

func timeTypmodIn(t *Type, mods []int32) (int32, error) {
	name, suffix := "TIMESTAMP", ""
	if t == TimeType {
		name = "TIME"
	}
	if t == TimestampTZType {
		suffix = " WITH TIME ZONE"
	}
	if len(mods) != 1 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid type modifier")
	}
	if mods[0] < 0 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "%s(%d)%s precision must not be negative", name, mods[0], suffix)
	}
	// PostgreSQL reduces the precision with a warning.
	return min(mods[0], MaxTimePrecision), nil
}

func intervalTypmodIn(mods []int32) (int32, error) {
	precision := int32(-1)
	if len(mods) == 2 {
		if mods[1] < 0 {
			return 0, sqlstate.New(sqlstate.InvalidParameterValue, "INTERVAL(%d) precision must not be negative", mods[1])
		}
		precision = min(mods[1], MaxTimePrecision)
	}
	if len(mods) > 2 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid INTERVAL type modifier")
	}
	return IntervalTypmod(mods[0], precision), nil
}

var intervalFieldNames = []struct {
	mask int32
	name string
}{
	{intervalYear, " year"}, {intervalMonth, " month"}, {intervalDay, " day"}, {intervalHour, " hour"},
	{intervalMinute, " minute"}, {intervalSecond, " second"},
	{intervalYear | intervalMonth, " year to month"},
	{intervalDay | intervalHour, " day to hour"},
	{intervalDay | intervalHour | intervalMinute, " day to minute"},
	{intervalDay | intervalHour | intervalMinute | intervalSecond, " day to second"},
	{intervalHour | intervalMinute, " hour to minute"},
	{intervalHour | intervalMinute | intervalSecond, " hour to second"},
	{intervalMinute | intervalSecond, " minute to second"},
}

// TypmodText returns what the type's typmodout function prints, such as
// "(10,2)", or "" for none.
func TypmodText(t *Type, typmod int32) string {
	if typmod < 0 {
		return ""
	}
	switch t {
	case VarcharType, BPCharType:
		if n := CharLength(typmod); n >= 0 {
			return "(" + strconv.Itoa(int(n)) + ")"
		}
	case NumericType:
		if p, s, ok := NumericPrecisionScale(typmod); ok {
			return "(" + strconv.Itoa(int(p)) + "," + strconv.Itoa(int(s)) + ")"
		}
	case TimeType, TimestampType, TimestampTZType:
		return "(" + strconv.Itoa(int(typmod)) + ")"
	case IntervalType:
		fields, precision := intervalParts(typmod)
		out := ""
		for _, f := range intervalFieldNames {
			if f.mask == fields {
				out = f.name
			}
		}
		if precision != intervalFullPrecision {
			out += "(" + strconv.Itoa(int(precision)) + ")"
		}
		return out
	}
	return ""
}

// FormatType returns the SQL name of a type with its modifier, as
// format_type() does.
func FormatType(t *Type, typmod int32) string {
	if t.Elem != nil && !t.IsVector() {
		return FormatType(t.Elem, typmod) + "[]"
	}
	mod := TypmodText(t, typmod)
	if mod == "" {
		return t.SQLName
	}
	// The precision of a time type stands inside its name.
	if head, tail, ok := strings.Cut(t.SQLName, " with"); ok && (t == TimeType || t == TimestampType || t == TimestampTZType) {
		return head + mod + " with" + tail
	}
	return t.SQLName + mod
}

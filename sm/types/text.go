package types

import (
	"strconv"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Parse is the type's input function: it reads the text form of a value and
// applies typmod as an assignment does. Errors are PostgreSQL's (22P02, 22003,
// 22007, 22008, 22001 …).
func (t *Type) Parse(f *Format, s string, typmod int32) (Datum, error) {
	switch t {
	case Int2Type, Int4Type, Int8Type:
		return parseInt(t, s)
	case TextType, UnknownType, CStringType, PGNodeTreeType, ACLItemType:
		return String(s), nil
	case VarcharType, BPCharType, NameType, CharType:
		return parseChars(t, s, typmod)
	case BoolType:
		return parseBool(s)
	case Float4Type, Float8Type:
		return parseFloat(t, s)
	case NumericType:
		return parseNumeric(s, typmod)
	case ByteaType:
		return parseBytea(s)
	case UUIDType:
		return parseUUID(s)
	case LSNType:
		return parseLSN(s)
	case OIDType, XIDType, CIDType, XID8Type:
		return parseUnsigned(t, s)
	case DateType:
		return parseDate(f, s)
	case TimeType:
		return parseTime(f, s, typmod)
	case TimestampType, TimestampTZType:
		return parseTimestamp(f, t, s, typmod)
	case IntervalType:
		return parseInterval(f, s, typmod)
	case JSONType:
		return parseJSONText(s)
	case JSONBType:
		return parseJSONB(s)
	case VoidType:
		return Void, nil
	case Int2VectorType, OIDVectorType:
		return parseVector(f, t, s)
	}
	if t.IsReg() {
		return parseReg(f, t, s)
	}
	if t.Elem != nil {
		return parseArray(f, t, s, typmod)
	}
	if t == RecordType {
		return Datum{}, sqlstate.New(sqlstate.FeatureNotSupported, "input of anonymous composite types is not implemented")
	}
	return Datum{}, sqlstate.New(sqlstate.FeatureNotSupported, "cannot accept a value of type %s", t.SQLName)
}

// AppendText is the type's output function: it appends the text form of d,
// which must not be NULL, to dst.
func (t *Type) AppendText(dst []byte, f *Format, d Datum) []byte {
	switch d.kind {
	case KindInt:
		if t.IsReg() {
			return appendReg(dst, f, t, d)
		}
		if t == XID8Type {
			return strconv.AppendUint(dst, d.num, 10)
		}
		return strconv.AppendInt(dst, int64(d.num), 10)
	case KindString:
		return append(dst, d.Str()...)
	case KindBool:
		if d.num != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case KindFloat:
		return AppendFloat(dst, d.Float(), floatBits(t), f.ExtraFloatDigits)
	case KindDecimal:
		return AppendDecimal(dst, d.Decimal())
	case KindBytes:
		return appendBytea(dst, d.Bytes(), f.ByteaOutput)
	case KindDate:
		return appendDate(dst, f, d.Date())
	case KindTime:
		return appendTime(dst, d.Time())
	case KindTimestamp:
		return appendTimestamp(dst, f, d.Timestamp(), t == TimestampTZType)
	case KindInterval:
		return appendInterval(dst, f.IntervalStyle, d.Interval())
	case KindUUID:
		return appendUUID(dst, d.UUID())
	case KindJSONB:
		return d.JSONB().Append(dst)
	case KindLSN:
		return appendLSN(dst, d.LSN())
	case KindArray:
		return appendArray(dst, f, t, d.Array())
	case KindTuple:
		return appendTuple(dst, f, d.Tuple())
	}
	return dst
}

// Text returns the text form of d as a string.
func (t *Type) Text(f *Format, d Datum) string { return string(t.AppendText(nil, f, d)) }

func floatBits(t *Type) int {
	if t == Float4Type {
		return 32
	}
	return 64
}

package types

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// jsonbVersion is the first byte of jsonb's binary form.
const jsonbVersion = 1

func badBinary(t *Type) error {
	return sqlstate.New(sqlstate.InvalidBinaryRepresentation, "incorrect binary data format for type %s", t.SQLName)
}

func badLength(t *Type, got int) error {
	return sqlstate.New(sqlstate.InvalidBinaryRepresentation, "incorrect binary data length %d for type %s", got, t.SQLName)
}

// ParseBinary is the type's receive function: it reads the binary form that
// drivers send, and applies typmod. It keeps no reference to b, never panics
// and allocates no more than in proportion to len(b). Errors are 22P03, or
// those of the value's range.
func (t *Type) ParseBinary(f *Format, b []byte, typmod int32) (Datum, error) {
	switch t.Kind {
	case KindInt:
		return binaryInt(t, b)
	case KindFloat:
		if len(b) != int(t.Len) {
			return Datum{}, badLength(t, len(b))
		}
		if t == Float4Type {
			return Float(float64(math.Float32frombits(binary.BigEndian.Uint32(b)))), nil
		}
		return Float(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	case KindString:
		if err := CheckUTF8(b); err != nil {
			return Datum{}, err
		}
		return t.Parse(f, string(b), typmod)
	case KindBytes:
		return Bytes(append([]byte(nil), b...)), nil
	case KindBool:
		if len(b) != 1 {
			return Datum{}, badLength(t, len(b))
		}
		return Bool(b[0] != 0), nil
	case KindDecimal:
		return binaryNumeric(b, typmod)
	case KindDate, KindTime, KindTimestamp, KindInterval, KindLSN:
		return binaryDateTime(t, b, typmod)
	case KindUUID:
		if len(b) != 16 {
			return Datum{}, badLength(t, len(b))
		}
		return UUID([16]byte(b)), nil
	case KindJSONB:
		if len(b) < 1 || b[0] != jsonbVersion {
			return Datum{}, sqlstate.New(sqlstate.InvalidBinaryRepresentation, "unsupported jsonb version number")
		}
		if err := CheckUTF8(b[1:]); err != nil {
			return Datum{}, err
		}
		return parseJSONB(string(b[1:]))
	case KindArray:
		if t.Elem != nil {
			return binaryArray(f, t, b, typmod)
		}
	case KindTuple:
		return binaryTuple(f, b)
	case KindVoid:
		return Void, nil
	}
	return Datum{}, sqlstate.New(sqlstate.FeatureNotSupported, "no binary input function available for type %s", t.SQLName)
}

// CheckUTF8 refuses text that PostgreSQL would: bad UTF-8 and NUL (22021).
func CheckUTF8(b []byte) error {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf && b[i] != 0 {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == 0 || r == utf8.RuneError && n <= 1 {
			return sqlstate.New(sqlstate.CharacterNotInRepertoire,
				"invalid byte sequence for encoding \"UTF8\": 0x%02x", b[i])
		}
		i += n
	}
	return nil
}

func binaryInt(t *Type, b []byte) (Datum, error) {
	if len(b) != int(t.Len) {
		return Datum{}, badLength(t, len(b))
	}
	switch t.Len {
	case 2:
		return Int(int64(int16(binary.BigEndian.Uint16(b)))), nil
	case 4:
		v := binary.BigEndian.Uint32(b)
		if t == Int4Type {
			return Int(int64(int32(v))), nil
		}
		return Int(int64(v)), nil
	}
	return Int(int64(binary.BigEndian.Uint64(b))), nil
}

func binaryDateTime(t *Type, b []byte, typmod int32) (Datum, error) {
	if len(b) != int(t.Len) {
		return Datum{}, badLength(t, len(b))
	}
	if t == DateType {
		days := int32(binary.BigEndian.Uint32(b))
		if days != DateInfinity && days != DateNegInfinity && (days < MinDate || days >= EndDate) {
			return Datum{}, DateOutOfRange()
		}
		return Date(days), nil
	}
	v := int64(binary.BigEndian.Uint64(b))
	switch t.Kind {
	case KindLSN:
		return LSN(uint64(v)), nil
	case KindTime:
		if v < 0 || v > MicrosPerDay {
			return Datum{}, sqlstate.New(sqlstate.DatetimeFieldOverflow, "time out of range")
		}
		return Time(RoundMicros(v, typmod)), nil
	case KindTimestamp:
		if v != TimestampInfinity && v != TimestampNegInfinity {
			if _, err := CheckTimestamp(v); err != nil {
				return Datum{}, err
			}
		}
		return Timestamp(RoundMicros(v, typmod)), nil
	}
	days, months := int32(binary.BigEndian.Uint32(b[8:])), int32(binary.BigEndian.Uint32(b[12:]))
	return IntervalDatum(IntervalTypmodApply(Interval{months, days, v}, typmod)), nil
}

func binaryArray(f *Format, t *Type, b []byte, typmod int32) (Datum, error) {
	if len(b) < 12 {
		return Datum{}, badBinary(t)
	}
	ndim := binary.BigEndian.Uint32(b)
	elemOID := OID(binary.BigEndian.Uint32(b[8:]))
	if ndim > MaxArrayDims {
		return Datum{}, tooManyDims(int(int32(ndim)))
	}
	elem := t.Elem
	if elemOID != elem.OID {
		e, ok := ByOID(elemOID)
		if !ok || e.Kind != elem.Kind || e.Len != elem.Len {
			return Datum{}, sqlstate.New(sqlstate.DatatypeMismatch,
				"binary data has array element type %d (%s) instead of expected %d (%s)",
				elemOID, typeNameOrUnknown(elemOID), elem.OID, elem.SQLName)
		}
	}
	b = b[12:]
	if len(b) < int(ndim)*8 {
		return Datum{}, badBinary(t)
	}
	a := &Array{Elem: elem}
	count := int64(1)
	for range ndim {
		dim, low := int32(binary.BigEndian.Uint32(b)), int32(binary.BigEndian.Uint32(b[4:]))
		b = b[8:]
		if dim < 0 || int64(low)+int64(dim) > math.MaxInt32 {
			return Datum{}, arrayTooBig()
		}
		a.Dims, a.Lower = append(a.Dims, dim), append(a.Lower, low)
		if count *= int64(dim); count > MaxArrayElems {
			return Datum{}, arrayTooBig()
		}
	}
	// Every element takes at least its length word.
	if ndim == 0 || count == 0 {
		if len(b) != 0 {
			return Datum{}, badBinary(t)
		}
		if t.IsVector() {
			return VectorDatum(t, nil), nil
		}
		return ArrayDatum(&Array{Elem: elem}), nil
	}
	if int64(len(b)) < count*4 {
		return Datum{}, badBinary(t)
	}
	a.Elems = make([]Datum, count)
	for i := range a.Elems {
		var err error
		if a.Elems[i], b, err = binaryField(f, t, elem, b, typmod); err != nil {
			return Datum{}, err
		}
	}
	if len(b) != 0 {
		return Datum{}, badBinary(t)
	}
	return ArrayDatum(a), nil
}

func typeNameOrUnknown(oid OID) string {
	if t, ok := ByOID(oid); ok {
		return t.SQLName
	}
	return "???"
}

// binaryField reads a length word and the value after it.
func binaryField(f *Format, outer, t *Type, b []byte, typmod int32) (Datum, []byte, error) {
	if len(b) < 4 {
		return Datum{}, nil, badBinary(outer)
	}
	n := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n == -1 {
		return NullDatum, b, nil
	}
	if n < 0 || int(n) > len(b) {
		return Datum{}, nil, badBinary(outer)
	}
	d, err := t.ParseBinary(f, b[:n], typmod)
	return d, b[n:], err
}

func binaryTuple(f *Format, b []byte) (Datum, error) {
	if len(b) < 4 {
		return Datum{}, badBinary(RecordType)
	}
	n := int64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n*8 > int64(len(b)) {
		return Datum{}, badBinary(RecordType)
	}
	out := &Tuple{Types: make([]*Type, n), Fields: make([]Datum, n)}
	for i := range out.Fields {
		if len(b) < 4 {
			return Datum{}, badBinary(RecordType)
		}
		t, ok := ByOID(OID(binary.BigEndian.Uint32(b)))
		// A record inside a record could nest as deep as the input is long.
		if !ok || t == RecordType || t == RecordArrayType {
			return Datum{}, badBinary(RecordType)
		}
		var err error
		out.Types[i] = t
		if out.Fields[i], b, err = binaryField(f, RecordType, t, b[4:], NoTypmod); err != nil {
			return Datum{}, err
		}
	}
	if len(b) != 0 {
		return Datum{}, badBinary(RecordType)
	}
	return TupleDatum(out), nil
}

// AppendBinary is the type's send function; d must not be NULL.
func (t *Type) AppendBinary(dst []byte, d Datum) []byte {
	switch d.kind {
	case KindInt:
		switch t.Len {
		case 2:
			return binary.BigEndian.AppendUint16(dst, uint16(d.num))
		case 4:
			return binary.BigEndian.AppendUint32(dst, uint32(d.num))
		}
		return binary.BigEndian.AppendUint64(dst, d.num)
	case KindBool:
		return append(dst, byte(d.num))
	case KindFloat:
		if t == Float4Type {
			return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(d.Float())))
		}
		return binary.BigEndian.AppendUint64(dst, d.num)
	case KindString:
		return append(dst, d.Str()...)
	case KindBytes:
		return append(dst, d.Bytes()...)
	case KindDecimal:
		return appendBinaryNumeric(dst, d.Decimal())
	case KindDate:
		return binary.BigEndian.AppendUint32(dst, uint32(d.num))
	case KindTime, KindTimestamp, KindLSN:
		return binary.BigEndian.AppendUint64(dst, d.num)
	case KindInterval:
		iv := d.Interval()
		dst = binary.BigEndian.AppendUint64(dst, uint64(iv.Micros))
		dst = binary.BigEndian.AppendUint32(dst, uint32(iv.Days))
		return binary.BigEndian.AppendUint32(dst, uint32(iv.Months))
	case KindUUID:
		u := d.UUID()
		return append(dst, u[:]...)
	case KindJSONB:
		return d.JSONB().Append(append(dst, jsonbVersion))
	case KindArray:
		return appendBinaryArray(dst, d.Array())
	case KindTuple:
		return appendBinaryTuple(dst, d.Tuple())
	}
	return dst
}

func appendBinaryArray(dst []byte, a *Array) []byte {
	hasNull := uint32(0)
	for _, e := range a.Elems {
		if e.IsNull() {
			hasNull = 1
			break
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.Dims)))
	dst = binary.BigEndian.AppendUint32(dst, hasNull)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Elem.OID))
	for i := range a.Dims {
		dst = binary.BigEndian.AppendUint32(dst, uint32(a.Dims[i]))
		dst = binary.BigEndian.AppendUint32(dst, uint32(a.Lower[i]))
	}
	for _, e := range a.Elems {
		dst = appendBinaryField(dst, a.Elem, e)
	}
	return dst
}

// appendBinaryField writes a length word, -1 for NULL, and the value.
func appendBinaryField(dst []byte, t *Type, d Datum) []byte {
	if d.IsNull() {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	}
	at := len(dst)
	dst = t.AppendBinary(append(dst, 0, 0, 0, 0), d)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func appendBinaryTuple(dst []byte, t *Tuple) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.Fields)))
	for i, d := range t.Fields {
		dst = binary.BigEndian.AppendUint32(dst, uint32(t.Types[i].OID))
		dst = appendBinaryField(dst, t.Types[i], d)
	}
	return dst
}

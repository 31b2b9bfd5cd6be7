package types

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// The stored row format. A row is
//
//	uvarint n · null bitmap of (n+7)/8 bytes, bit set = NULL · values
//
// and a value is a tag byte (kind in the low five bits, a code in the high
// three) and a payload whose length follows from the tag alone or from a
// uvarint after it, so that columns nobody asked for are stepped over without
// being decoded. Integers and times are zigzag numbers of as many bytes as
// they need. The format is versioned by the row version's header, not here.

const (
	tagKindBits = 5
	tagKindMask = 1<<tagKindBits - 1
)

// MaxRowColumns is how many columns a stored row may have: PostgreSQL's limit
// on target lists.
const MaxRowColumns = 1664

// maxValueDepth bounds arrays in rows in arrays, and jsonb is bounded by
// MaxJSONDepth already when it is parsed.
const maxValueDepth = 64

func corrupt() error {
	return sqlstate.New(sqlstate.DataCorrupted, "stored row is corrupt")
}

// AppendRow appends the stored form of a row to dst.
func AppendRow(dst []byte, row []Datum) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(row)))
	at := len(dst)
	for range (len(row) + 7) / 8 {
		dst = append(dst, 0)
	}
	for i, d := range row {
		if d.kind == KindNull {
			dst[at+i/8] |= 1 << (i % 8)
		} else {
			dst = AppendDatum(dst, d)
		}
	}
	return dst
}

// RowColumns returns how many columns a stored row has.
func RowColumns(b []byte) (int, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > MaxRowColumns {
		return 0, corrupt()
	}
	return int(n), nil
}

// DecodeRow decodes a stored row. With want nil, out[i] receives column i;
// otherwise want is an ascending list of column ordinals and out[i] receives
// column want[i]. Entries of out for columns the row does not have (it was
// stored before they were added) are left as they are. Nothing in out refers
// to b. Corrupt input gives XX001.
func DecodeRow(b []byte, want []int, out []Datum) error { return decodeRow(b, want, out, false) }

// DecodeRowStable is DecodeRow for a buffer that nobody changes while the
// datums live: strings and byte strings refer to b instead of being copied.
func DecodeRowStable(b []byte, want []int, out []Datum) error { return decodeRow(b, want, out, true) }

func decodeRow(b []byte, want []int, out []Datum, stable bool) error {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > MaxRowColumns {
		return corrupt()
	}
	b = b[w:]
	nulls := int(n+7) / 8
	if len(b) < nulls {
		return corrupt()
	}
	bitmap := b[:nulls]
	b = b[nulls:]
	next := 0 // index into want, or the column itself
	limit := len(out)
	if want != nil {
		limit = min(limit, len(want))
	}
	for col := range int(n) {
		if next >= limit {
			return nil
		}
		wanted := want == nil || want[next] == col
		isNull := bitmap[col/8]>>(col%8)&1 != 0
		switch {
		case isNull && wanted:
			out[next] = Datum{}
			next++
		case isNull:
		case wanted:
			if n := decodeFast(&out[next], b, stable); n > 0 {
				b = b[n:]
				next++
				continue
			}
			var err error
			if out[next], b, err = decodeDatum(b, stable, 0); err != nil {
				return err
			}
			next++
		default:
			var ok bool
			if b, ok = skipDatum(b); !ok {
				return corrupt()
			}
		}
	}
	return nil
}

// decodeFast decodes the commonest values, numbers and short strings of a
// stable buffer, and returns the bytes used; 0 leaves it to decodeDatum.
func decodeFast(dst *Datum, b []byte, stable bool) int {
	// Nine bytes are the longest number, so that one check covers all loads.
	if len(b) < 9 {
		return 0
	}
	kind, code := Kind(b[0]&tagKindMask), b[0]>>tagKindBits
	switch kind {
	case KindInt, KindDate, KindTime, KindTimestamp:
		n := codeBytes(int(code))
		v := binary.LittleEndian.Uint64(b[1:])
		if n < 8 {
			v &= 1<<(8*n) - 1
		}
		*dst = Datum{kind: kind, num: uint64(unzigzag(v))}
		return 1 + n
	case KindString, KindBytes:
		n := int(b[1])
		if !stable || n >= 0x80 || len(b) < 2+n {
			return 0
		}
		*dst = Datum{kind: kind, num: uint64(n), ptr: unsafe.Pointer(unsafe.SliceData(b[2:]))}
		return 2 + n
	}
	return 0
}

// intBytes returns the length code of a number and the bytes it stands for.
func intBytes(v uint64) (code, n int) {
	n = (bits.Len64(v) + 7) / 8
	if n >= 7 {
		return 7, 8
	}
	return n, n
}

func codeBytes(code int) int {
	if code == 7 {
		return 8
	}
	return code
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// AppendDatum appends the stored form of one value, NULL included.
func AppendDatum(dst []byte, d Datum) []byte {
	switch d.kind {
	case KindBool:
		return append(dst, byte(KindBool)|byte(d.num)<<tagKindBits)
	case KindInt, KindDate, KindTime, KindTimestamp:
		return appendNumber(dst, d.kind, zigzag(int64(d.num)))
	case KindLSN:
		return appendNumber(dst, d.kind, d.num)
	case KindFloat:
		return binary.LittleEndian.AppendUint64(append(dst, byte(KindFloat)), d.num)
	case KindString:
		dst = binary.AppendUvarint(append(dst, byte(KindString)), d.num)
		return append(dst, d.Str()...)
	case KindBytes:
		dst = binary.AppendUvarint(append(dst, byte(KindBytes)), d.num)
		return append(dst, d.Bytes()...)
	case KindUUID:
		u := (*[16]byte)(d.ptr)
		return append(append(dst, byte(KindUUID)), u[:]...)
	case KindDecimal:
		return appendSized(dst, d.kind, func(b []byte) []byte { return appendStoredDecimal(b, d.Decimal()) })
	case KindInterval:
		iv := d.Interval()
		return appendSized(dst, d.kind, func(b []byte) []byte {
			b = binary.AppendVarint(b, int64(iv.Months))
			b = binary.AppendVarint(b, int64(iv.Days))
			return binary.AppendVarint(b, iv.Micros)
		})
	case KindJSONB:
		return appendSized(dst, d.kind, func(b []byte) []byte { return appendStoredJSON(b, d.JSONB()) })
	case KindArray:
		return appendSized(dst, d.kind, func(b []byte) []byte { return appendStoredArray(b, d.Array()) })
	case KindTuple:
		return appendSized(dst, d.kind, func(b []byte) []byte { return appendStoredTuple(b, d.Tuple()) })
	}
	return append(dst, byte(d.kind))
}

func appendNumber(dst []byte, k Kind, v uint64) []byte {
	code, n := intBytes(v)
	dst = append(dst, byte(k)|byte(code)<<tagKindBits)
	for range n {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst
}

// appendSized writes tag, uvarint length and payload.
func appendSized(dst []byte, k Kind, payload func([]byte) []byte) []byte {
	dst = append(dst, byte(k), 0)
	at := len(dst)
	dst = payload(dst)
	n := len(dst) - at
	if n < 0x80 {
		dst[at-1] = byte(n)
		return dst
	}
	// The length needs more than the one byte set aside for it.
	var head [binary.MaxVarintLen64]byte
	w := binary.PutUvarint(head[:], uint64(n))
	dst = append(dst, head[1:w]...)
	copy(dst[at-1+w:], dst[at:at+n])
	copy(dst[at-1:], head[:w])
	return dst
}

// DecodeDatum decodes one value and returns what follows it; it keeps no
// reference to b. Corrupt input gives XX001.
func DecodeDatum(b []byte) (d Datum, rest []byte, err error) { return decodeDatum(b, false, 0) }

// DecodeDatumStable is DecodeDatum for a buffer that is not changed while the
// datum lives.
func DecodeDatumStable(b []byte) (d Datum, rest []byte, err error) { return decodeDatum(b, true, 0) }

func decodeDatum(b []byte, stable bool, depth int) (Datum, []byte, error) {
	if len(b) == 0 || depth > maxValueDepth {
		return Datum{}, nil, corrupt()
	}
	kind, code := Kind(b[0]&tagKindMask), int(b[0]>>tagKindBits)
	b = b[1:]
	switch kind {
	case KindNull, KindVoid:
		return Datum{kind: kind}, b, nil
	case KindBool:
		return Datum{kind: kind, num: uint64(code & 1)}, b, nil
	case KindInt, KindDate, KindTime, KindTimestamp, KindLSN:
		n := codeBytes(code)
		if len(b) < n {
			return Datum{}, nil, corrupt()
		}
		v := littleEndian(b, n)
		if kind != KindLSN {
			v = uint64(unzigzag(v))
		}
		return Datum{kind: kind, num: v}, b[n:], nil
	case KindFloat:
		if len(b) < 8 {
			return Datum{}, nil, corrupt()
		}
		return Datum{kind: kind, num: binary.LittleEndian.Uint64(b)}, b[8:], nil
	case KindUUID:
		if len(b) < 16 {
			return Datum{}, nil, corrupt()
		}
		if stable {
			return Datum{kind: kind, num: 16, ptr: unsafe.Pointer(unsafe.SliceData(b))}, b[16:], nil
		}
		return UUID([16]byte(b)), b[16:], nil
	}
	if kind > KindVoid {
		return Datum{}, nil, corrupt()
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return Datum{}, nil, corrupt()
	}
	payload, rest := b[w:w+int(n)], b[w+int(n):]
	d, err := decodePayload(kind, payload, stable, depth)
	return d, rest, err
}

func littleEndian(b []byte, n int) uint64 {
	if n == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	v := uint64(0)
	for i := n - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func decodePayload(kind Kind, b []byte, stable bool, depth int) (Datum, error) {
	switch kind {
	case KindString, KindBytes:
		if !stable {
			b = append([]byte(nil), b...)
		}
		return Datum{kind: kind, num: uint64(len(b)), ptr: unsafe.Pointer(unsafe.SliceData(b))}, nil
	case KindDecimal:
		return decodeStoredDecimal(b)
	case KindInterval:
		var v [3]int64
		for i := range v {
			n, w := binary.Varint(b)
			if w <= 0 {
				return Datum{}, corrupt()
			}
			v[i], b = n, b[w:]
		}
		return IntervalDatum(Interval{int32(v[0]), int32(v[1]), v[2]}), nil
	case KindJSONB:
		j, _, err := decodeStoredJSON(b, 0)
		if err != nil {
			return Datum{}, err
		}
		return JSONB(j), nil
	case KindArray:
		return decodeStoredArray(b, stable, depth)
	case KindTuple:
		return decodeStoredTuple(b, stable, depth)
	}
	return Datum{}, corrupt()
}

// skipDatum steps over one value.
func skipDatum(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	kind, code := Kind(b[0]&tagKindMask), int(b[0]>>tagKindBits)
	b = b[1:]
	n := 0
	switch kind {
	case KindNull, KindVoid, KindBool:
		return b, true
	case KindInt, KindDate, KindTime, KindTimestamp, KindLSN:
		n = codeBytes(code)
	case KindFloat:
		n = 8
	case KindUUID:
		n = 16
	default:
		v, w := binary.Uvarint(b)
		if w <= 0 || v > uint64(len(b)-w) || kind > KindVoid {
			return nil, false
		}
		n = w + int(v)
	}
	if len(b) < n {
		return nil, false
	}
	return b[n:], true
}

const (
	decimalNegative = 1 << 2 // beside the form in the low two bits
)

func appendStoredDecimal(dst []byte, d *apd.Decimal) []byte {
	form := byte(d.Form)
	if d.Negative {
		form |= decimalNegative
	}
	dst = append(dst, form)
	if d.Form != apd.Finite {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(-int64(d.Exponent)))
	if d.Coeff.IsUint64() {
		for v := d.Coeff.Uint64(); v != 0; v >>= 8 {
			dst = append(dst, byte(v))
		}
		return dst
	}
	big := d.Coeff.Bytes()
	for i := len(big) - 1; i >= 0; i-- {
		dst = append(dst, big[i])
	}
	return dst
}

func decodeStoredDecimal(b []byte) (Datum, error) {
	if len(b) == 0 {
		return Datum{}, corrupt()
	}
	form, negative := apd.Form(b[0]&3), b[0]&decimalNegative != 0
	b = b[1:]
	switch {
	case form == apd.Infinite && negative:
		return Decimal(NumericNegInf), nil
	case form == apd.Infinite:
		return Decimal(NumericInf), nil
	case form != apd.Finite:
		return Decimal(NumericNaN), nil
	}
	scale, w := binary.Uvarint(b)
	if w <= 0 || scale > MaxNumericDisplayScale {
		return Datum{}, corrupt()
	}
	b = b[w:]
	d := &apd.Decimal{Negative: negative, Exponent: -int32(scale)}
	if len(b) <= 8 {
		d.Coeff.SetUint64(littleEndian(b, min(len(b), 8)))
	} else {
		big := make([]byte, len(b))
		for i, c := range b {
			big[len(b)-1-i] = c
		}
		d.Coeff.SetBytes(big)
	}
	if d.Coeff.Sign() == 0 {
		d.Negative = false
	}
	if d.NumDigits()+int64(d.Exponent) > MaxNumericIntegerDigits {
		return Datum{}, corrupt()
	}
	return Decimal(d), nil
}

func readUvarint(b []byte, limit uint64) (uint64, []byte, bool) {
	v, w := binary.Uvarint(b)
	if w <= 0 || v > limit {
		return 0, nil, false
	}
	return v, b[w:], true
}

const maxUint32 = math.MaxUint32

package types

import (
	"math"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
)

// Kind says how a Datum is held in memory. Several SQL types share a kind
// (int2, int4, int8 and oid are all KindInt); the static type of an
// expression or column says which one is meant.
type Kind uint8

// The kinds. KindNull is the zero value, so the zero Datum is SQL NULL.
const (
	KindNull      Kind = iota
	KindBool           // bool
	KindInt            // int2, int4, int8, oid, regclass and the other reg types: signed 64 bits
	KindFloat          // float4 (already rounded to 32 bits) and float8
	KindDecimal        // numeric: *apd.Decimal, never modified once in a Datum
	KindString         // text, varchar, bpchar, name, "char", json, unknown: UTF-8 without NUL
	KindBytes          // bytea
	KindDate           // days since 2000-01-01; math.MinInt32/MaxInt32 are -infinity/infinity
	KindTime           // microseconds since midnight, 0 to 86 400 000 000
	KindTimestamp      // timestamp and timestamptz: microseconds since 2000-01-01 (UTC); math.MinInt64/MaxInt64 are the infinities
	KindInterval       // *Interval
	KindUUID           // 16 bytes
	KindJSONB          // *JSON, normalised
	KindArray          // *Array
	KindLSN            // pg_lsn: unsigned 64 bits
	KindTuple          // anonymous or named row value: *Tuple
	KindVoid           // the result of functions returning void
)

// Datum is one SQL value. It is 24 bytes, holds fixed-width values in place
// and is copied freely; what it points to is immutable. The payload is kept
// as (number, pointer) rather than as an interface so that a scan of a
// million integers allocates nothing.
type Datum struct {
	kind Kind
	num  uint64         // the value itself, or the length of what ptr points to
	ptr  unsafe.Pointer // string or byte data, *apd.Decimal, *Interval, *JSON, *Array, *Tuple
}

// NullDatum is SQL NULL.
var NullDatum = Datum{}

// Interval is PostgreSQL's interval: three parts that do not reduce to each
// other, because months and days vary in length.
type Interval struct {
	Months int32
	Days   int32
	Micros int64
}

// Array is an array value. Elems is in row-major order; Dims and Lower have
// one entry for each dimension and both are empty for '{}'.
type Array struct {
	Elem  *Type
	Dims  []int32
	Lower []int32
	Elems []Datum
}

// Tuple is a row value. Types has one entry for each field; Names may be nil.
type Tuple struct {
	Types  []*Type
	Names  []string
	Fields []Datum
}

// Bool returns a bool datum.
func Bool(b bool) Datum {
	if b {
		return Datum{kind: KindBool, num: 1}
	}
	return Datum{kind: KindBool}
}

// Int returns an integer datum.
func Int(i int64) Datum { return Datum{kind: KindInt, num: uint64(i)} }

// Float returns a floating-point datum.
func Float(f float64) Datum { return Datum{kind: KindFloat, num: math.Float64bits(f)} }

// Decimal returns a numeric datum. The caller must not change d afterwards.
func Decimal(d *apd.Decimal) Datum { return Datum{kind: KindDecimal, ptr: unsafe.Pointer(d)} }

// String returns a character datum (text, varchar, bpchar, name, json, unknown).
func String(s string) Datum {
	return Datum{kind: KindString, num: uint64(len(s)), ptr: unsafe.Pointer(unsafe.StringData(s))}
}

// Bytes returns a bytea datum. The caller must not change b afterwards.
func Bytes(b []byte) Datum {
	return Datum{kind: KindBytes, num: uint64(len(b)), ptr: unsafe.Pointer(unsafe.SliceData(b))}
}

// Date returns a date datum; days counts from 2000-01-01.
func Date(days int32) Datum { return Datum{kind: KindDate, num: uint64(int64(days))} }

// Time returns a time-of-day datum in microseconds since midnight.
func Time(micros int64) Datum { return Datum{kind: KindTime, num: uint64(micros)} }

// Timestamp returns a timestamp or timestamptz datum in microseconds since 2000-01-01.
func Timestamp(micros int64) Datum { return Datum{kind: KindTimestamp, num: uint64(micros)} }

// IntervalDatum returns an interval datum.
func IntervalDatum(iv Interval) Datum { return Datum{kind: KindInterval, ptr: unsafe.Pointer(&iv)} }

// UUID returns a uuid datum.
func UUID(u [16]byte) Datum {
	p := new([16]byte)
	*p = u
	return Datum{kind: KindUUID, num: 16, ptr: unsafe.Pointer(p)}
}

// JSONB returns a jsonb datum.
func JSONB(j *JSON) Datum { return Datum{kind: KindJSONB, ptr: unsafe.Pointer(j)} }

// ArrayDatum returns an array datum.
func ArrayDatum(a *Array) Datum { return Datum{kind: KindArray, ptr: unsafe.Pointer(a)} }

// LSN returns a pg_lsn datum.
func LSN(v uint64) Datum { return Datum{kind: KindLSN, num: v} }

// TupleDatum returns a row datum.
func TupleDatum(t *Tuple) Datum { return Datum{kind: KindTuple, ptr: unsafe.Pointer(t)} }

// Void is the result of a function that returns void.
var Void = Datum{kind: KindVoid}

// Kind says how d is held.
func (d Datum) Kind() Kind { return d.kind }

// IsNull reports whether d is SQL NULL.
func (d Datum) IsNull() bool { return d.kind == KindNull }

// The accessors below panic when d has another kind: the binder has proved
// the types, so a mismatch is a broken invariant and not bad input.

// Bool returns the value of a bool datum.
func (d Datum) Bool() bool { d.must(KindBool); return d.num != 0 }

// Int returns the value of an integer datum.
func (d Datum) Int() int64 { d.must(KindInt); return int64(d.num) }

// Float returns the value of a floating-point datum.
func (d Datum) Float() float64 { d.must(KindFloat); return math.Float64frombits(d.num) }

// Decimal returns the value of a numeric datum, which must not be changed.
func (d Datum) Decimal() *apd.Decimal { d.must(KindDecimal); return (*apd.Decimal)(d.ptr) }

// Str returns the value of a character datum.
func (d Datum) Str() string {
	d.must(KindString)
	return unsafe.String((*byte)(d.ptr), int(d.num))
}

// Bytes returns the value of a bytea datum, which must not be changed.
func (d Datum) Bytes() []byte {
	d.must(KindBytes)
	return unsafe.Slice((*byte)(d.ptr), int(d.num))
}

// Date returns a date datum's days since 2000-01-01.
func (d Datum) Date() int32 { d.must(KindDate); return int32(int64(d.num)) }

// Time returns a time datum's microseconds since midnight.
func (d Datum) Time() int64 { d.must(KindTime); return int64(d.num) }

// Timestamp returns a timestamp datum's microseconds since 2000-01-01.
func (d Datum) Timestamp() int64 { d.must(KindTimestamp); return int64(d.num) }

// Interval returns the value of an interval datum.
func (d Datum) Interval() Interval { d.must(KindInterval); return *(*Interval)(d.ptr) }

// UUID returns the value of a uuid datum.
func (d Datum) UUID() [16]byte { d.must(KindUUID); return *(*[16]byte)(d.ptr) }

// JSONB returns the value of a jsonb datum, which must not be changed.
func (d Datum) JSONB() *JSON { d.must(KindJSONB); return (*JSON)(d.ptr) }

// Array returns the value of an array datum, which must not be changed.
func (d Datum) Array() *Array { d.must(KindArray); return (*Array)(d.ptr) }

// LSN returns the value of a pg_lsn datum.
func (d Datum) LSN() uint64 { d.must(KindLSN); return d.num }

// Tuple returns the value of a row datum, which must not be changed.
func (d Datum) Tuple() *Tuple { d.must(KindTuple); return (*Tuple)(d.ptr) }

func (d Datum) must(k Kind) {
	if d.kind != k {
		kindMismatch(d.kind, k)
	}
}

//go:noinline
func kindMismatch(have, want Kind) {
	panic("types: datum of kind " + have.String() + " used as " + want.String())
}

var kindNames = [...]string{"null", "bool", "int", "float", "decimal", "string", "bytes", "date", "time",
	"timestamp", "interval", "uuid", "jsonb", "array", "lsn", "tuple", "void"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// raw returns the bytes of a character or bytea datum.
func (d Datum) raw() []byte { return unsafe.Slice((*byte)(d.ptr), int(d.num)) }

package types

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// A numeric is an apd.Decimal whose exponent is never positive, so that
// -Exponent is PostgreSQL's display scale, and that has no negative zero.

// Limits of numeric, as in PostgreSQL.
const (
	MaxNumericIntegerDigits = 131072 // digits before the decimal point
	MaxNumericDisplayScale  = 16383  // digits after the decimal point
)

// The numeric values that are not finite.
var (
	NumericNaN    = &apd.Decimal{Form: apd.NaN}
	NumericInf    = &apd.Decimal{Form: apd.Infinite}
	NumericNegInf = &apd.Decimal{Form: apd.Infinite, Negative: true}
)

var bigTen = apd.NewBigInt(10)

// pow10Cache holds the powers of ten that fit in 64 bits.
var pow10Cache = func() [19]*apd.BigInt {
	var out [19]*apd.BigInt
	v := int64(1)
	for i := range out {
		out[i] = apd.NewBigInt(v)
		v *= 10
	}
	return out
}()

// Pow10 returns 10^n for n ≥ 0. The result must not be changed.
func Pow10(n int64) *apd.BigInt {
	if n < int64(len(pow10Cache)) {
		return pow10Cache[n]
	}
	return new(apd.BigInt).Exp(bigTen, apd.NewBigInt(n), nil)
}

// NumericOverflow is the error for a numeric outside the format's limits.
func NumericOverflow() error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "value overflows numeric format")
}

// NewDecimalInt returns v as a numeric with display scale 0.
func NewDecimalInt(v int64) *apd.Decimal { return apd.New(v, 0) }

// NormalizeDecimal brings d, which it may change, into the form that datums
// hold: exponent at most 0, no negative zero, within the limits of the type.
func NormalizeDecimal(d *apd.Decimal) (*apd.Decimal, error) {
	switch d.Form {
	case apd.NaN, apd.NaNSignaling:
		return NumericNaN, nil
	case apd.Infinite:
		if d.Negative {
			return NumericNegInf, nil
		}
		return NumericInf, nil
	}
	if d.Coeff.Sign() == 0 {
		d.Negative = false
		if d.Exponent > 0 {
			d.Exponent = 0
		}
	}
	if d.NumDigits()+int64(d.Exponent) > MaxNumericIntegerDigits {
		return nil, NumericOverflow()
	}
	if d.Exponent > 0 {
		d.Coeff.Mul(&d.Coeff, Pow10(int64(d.Exponent)))
		d.Exponent = 0
	}
	if d.Exponent < -MaxNumericDisplayScale {
		d = RoundDecimal(d, MaxNumericDisplayScale)
	}
	return d, nil
}

// RoundDecimal returns d rounded half away from zero to scale decimal places
// (which may be negative) with exactly that display scale. d is not changed.
func RoundDecimal(d *apd.Decimal, scale int32) *apd.Decimal { return rescale(d, scale, true) }

// TruncDecimal is RoundDecimal that cuts off instead.
func TruncDecimal(d *apd.Decimal, scale int32) *apd.Decimal { return rescale(d, scale, false) }

func rescale(d *apd.Decimal, scale int32, round bool) *apd.Decimal {
	if d.Form != apd.Finite || -d.Exponent == scale {
		return d
	}
	out := &apd.Decimal{Negative: d.Negative, Exponent: -scale}
	diff := int64(d.Exponent) + int64(scale)
	if diff >= 0 {
		out.Coeff.Mul(&d.Coeff, Pow10(diff))
		return out
	}
	if -diff > d.NumDigits()+1 {
		// All digits are cut off and the first of them is no 5.
		out.Negative = false
	} else {
		p := Pow10(-diff)
		var rem apd.BigInt
		out.Coeff.QuoRem(&d.Coeff, p, &rem)
		if round && rem.Lsh(&rem, 1).Cmp(p) >= 0 {
			out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
		}
	}
	if out.Exponent > 0 {
		out.Coeff.Mul(&out.Coeff, Pow10(int64(out.Exponent)))
		out.Exponent = 0
	}
	if out.Coeff.Sign() == 0 {
		out.Negative = false
	}
	return out
}

func parseNumeric(s string, typmod int32) (Datum, error) {
	d, err := ParseDecimal(s)
	if err != nil {
		return Datum{}, err
	}
	if d, err = NumericTypmodApply(d, typmod); err != nil {
		return Datum{}, err
	}
	return Decimal(d), nil
}

// ParseDecimal reads a numeric: 22P02 for bad syntax, 22003 beyond the
// format's limits.
func ParseDecimal(s string) (*apd.Decimal, error) {
	v := trimSpace(s)
	switch strings.ToLower(v) {
	case "nan":
		return NumericNaN, nil
	case "infinity", "+infinity", "inf", "+inf":
		return NumericInf, nil
	case "-infinity", "-inf":
		return NumericNegInf, nil
	}
	digits, exponent, negative, ok := splitNumber(v)
	if !ok {
		return nil, invalidSyntax(NumericType, s)
	}
	scale := int64(-exponent)
	digits = strings.TrimLeft(digits, "0")
	if int64(len(digits))-scale > MaxNumericIntegerDigits {
		return nil, NumericOverflow()
	}
	d := &apd.Decimal{Negative: negative}
	if digits == "" {
		d.Negative = false
	} else if len(digits) <= 18 {
		n, _ := strconv.ParseInt(digits, 10, 64)
		d.Coeff.SetInt64(n)
	} else {
		d.Coeff.SetString(digits, 10)
	}
	if scale > MaxNumericDisplayScale {
		return nil, NumericOverflow()
	}
	if d.Coeff.Sign() == 0 {
		d.Exponent = -int32(max(scale, 0))
		return d, nil
	}
	d.Exponent = -int32(scale)
	return NormalizeDecimal(d)
}

// splitNumber takes apart [sign] digits [. digits] [e [sign] digits].
func splitNumber(v string) (digits string, exponent int, negative, ok bool) {
	if v != "" && (v[0] == '-' || v[0] == '+') {
		negative = v[0] == '-'
		v = v[1:]
	}
	i := 0
	for i < len(v) && v[i] >= '0' && v[i] <= '9' {
		i++
	}
	digits = v[:i]
	v = v[i:]
	if v != "" && v[0] == '.' {
		i = 1
		for i < len(v) && v[i] >= '0' && v[i] <= '9' {
			i++
		}
		digits += v[1:i]
		exponent = -(i - 1)
		v = v[i:]
	}
	if digits == "" {
		return "", 0, false, false
	}
	if v == "" {
		return digits, exponent, negative, true
	}
	if v[0] != 'e' && v[0] != 'E' {
		return "", 0, false, false
	}
	e, err := strconv.ParseInt(v[1:], 10, 32)
	if err != nil || e > math.MaxInt32/2 || e < -math.MaxInt32/2 {
		return "", 0, false, false
	}
	return digits, exponent + int(e), negative, true
}

// NumericTypmodApply rounds d to the scale of numeric(p,s) and checks its
// precision (22003 "numeric field overflow").
func NumericTypmodApply(d *apd.Decimal, typmod int32) (*apd.Decimal, error) {
	precision, scale, ok := NumericPrecisionScale(typmod)
	if !ok || d.Form == apd.NaN {
		return d, nil
	}
	if d.Form == apd.Infinite {
		return nil, sqlstate.New(sqlstate.NumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d cannot hold an infinite value.", precision, scale)
	}
	out := RoundDecimal(d, scale)
	if out.Coeff.Sign() == 0 {
		return out, nil
	}
	if out.NumDigits()+int64(out.Exponent) > int64(precision-scale) {
		prefix := "10^" + strconv.Itoa(int(precision-scale))
		if precision == scale {
			prefix = "1"
		}
		return nil, sqlstate.New(sqlstate.NumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d must round to an absolute value less than %s.",
				precision, scale, prefix)
	}
	return out, nil
}

// AppendDecimal prints d with its display scale.
func AppendDecimal(dst []byte, d *apd.Decimal) []byte {
	switch d.Form {
	case apd.NaN, apd.NaNSignaling:
		return append(dst, "NaN"...)
	case apd.Infinite:
		if d.Negative {
			return append(dst, "-Infinity"...)
		}
		return append(dst, "Infinity"...)
	}
	if d.Negative {
		dst = append(dst, '-')
	}
	if d.Exponent >= 0 {
		dst = d.Coeff.Append(dst, 10)
		for range d.Exponent {
			dst = append(dst, '0')
		}
		return dst
	}
	scale := int(-d.Exponent)
	start := len(dst)
	dst = d.Coeff.Append(dst, 10)
	if n := len(dst) - start; n <= scale {
		digits := append([]byte(nil), dst[start:]...)
		dst = append(dst[:start], "0."...)
		for range scale - n {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - scale
	copy(dst[point+1:], dst[point:len(dst)-1])
	dst[point] = '.'
	return dst
}

// CompareDecimal orders numerics by value; NaN is equal to itself and greater
// than everything else.
func CompareDecimal(a, b *apd.Decimal) int {
	if a.Form == apd.Finite && b.Form == apd.Finite {
		return a.Cmp(b)
	}
	return formRank(a) - formRank(b)
}

func formRank(d *apd.Decimal) int {
	switch {
	case d.Form == apd.Finite:
		return 0
	case d.Form != apd.Infinite:
		return 2
	case d.Negative:
		return -1
	}
	return 1
}

// DecimalToInt64 rounds d half away from zero; ok is false when it is not
// finite or does not fit.
func DecimalToInt64(d *apd.Decimal) (v int64, ok bool) {
	if d.Form != apd.Finite {
		return 0, false
	}
	if d.Exponent != 0 {
		d = RoundDecimal(d, 0)
	}
	if !d.Coeff.IsUint64() {
		return 0, false
	}
	u := d.Coeff.Uint64()
	if d.Negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

// DecimalToFloat returns the nearest float; ok is false on overflow.
func DecimalToFloat(d *apd.Decimal, bits int) (v float64, ok bool) {
	if d.Form != apd.Finite {
		switch formRank(d) {
		case 2:
			return math.NaN(), true
		case -1:
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	f, err := strconv.ParseFloat(string(AppendDecimal(nil, d)), bits)
	return f, err == nil
}

// FloatToDecimal converts with 15 significant digits for float8 and 6 for
// float4, as PostgreSQL's casts do.
func FloatToDecimal(v float64, bits int) (*apd.Decimal, error) {
	switch {
	case math.IsNaN(v):
		return NumericNaN, nil
	case math.IsInf(v, 1):
		return NumericInf, nil
	case math.IsInf(v, -1):
		return NumericNegInf, nil
	}
	digits := 15
	if bits == 32 {
		digits = 6
	}
	return ParseDecimal(strconv.FormatFloat(v, 'g', digits, 64))
}

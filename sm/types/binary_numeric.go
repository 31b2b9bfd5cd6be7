package types

import (
	"encoding/binary"

	"github.com/cockroachdb/apd/v3"
)

// Signs in numeric's binary form.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaNSign  = 0xC000
	numericPosInf   = 0xD000
	numericNegInf   = 0xF000
)

// numericBase is what one 16-bit digit of numeric's binary form counts to.
const (
	numericBase       = 10000
	numericBaseDigits = 4
)

func binaryNumeric(b []byte, typmod int32) (Datum, error) {
	if len(b) < 8 {
		return Datum{}, badLength(NumericType, len(b))
	}
	ndigits := int(binary.BigEndian.Uint16(b))
	weight := int32(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	dscale := binary.BigEndian.Uint16(b[6:])
	b = b[8:]
	var d *apd.Decimal
	switch sign {
	case numericNaNSign:
		d = NumericNaN
	case numericPosInf:
		d = NumericInf
	case numericNegInf:
		d = NumericNegInf
	case numericPositive, numericNegative:
		if len(b) != ndigits*2 || dscale > MaxNumericDisplayScale {
			return Datum{}, badBinary(NumericType)
		}
		text := make([]byte, 0, ndigits*numericBaseDigits+1)
		text = append(text, '0')
		for i := range ndigits {
			v := binary.BigEndian.Uint16(b[i*2:])
			if v >= numericBase {
				return Datum{}, badBinary(NumericType)
			}
			text = append(text, '0'+byte(v/1000), '0'+byte(v/100%10), '0'+byte(v/10%10), '0'+byte(v%10))
		}
		raw := &apd.Decimal{Negative: sign == numericNegative, Exponent: (weight - int32(ndigits) + 1) * numericBaseDigits}
		raw.Coeff.SetString(string(text), 10)
		if raw.Coeff.Sign() == 0 {
			raw.Negative, raw.Exponent = false, 0
		}
		if raw.NumDigits()+int64(raw.Exponent) > MaxNumericIntegerDigits {
			return Datum{}, NumericOverflow()
		}
		d = TruncDecimal(raw, int32(dscale))
	default:
		return Datum{}, badBinary(NumericType)
	}
	d, err := NumericTypmodApply(d, typmod)
	if err != nil {
		return Datum{}, err
	}
	return Decimal(d), nil
}

func appendBinaryNumeric(dst []byte, d *apd.Decimal) []byte {
	put := func(v int) { dst = binary.BigEndian.AppendUint16(dst, uint16(v)) }
	header := func(ndigits, weight, sign, dscale int) { put(ndigits); put(weight); put(sign); put(dscale) }
	if d.Form != apd.Finite {
		sign := numericNaNSign
		switch formRank(d) {
		case 1:
			sign = numericPosInf
		case -1:
			sign = numericNegInf
		}
		header(0, 0, sign, 0)
		return dst
	}
	scale := int(-d.Exponent)
	// Pad the digits on the right so that the point falls between groups, and
	// on the left to whole groups.
	var buf [64]byte
	digits := d.Coeff.Append(buf[:0], 10)
	for range (numericBaseDigits - scale%numericBaseDigits) % numericBaseDigits {
		digits = append(digits, '0')
	}
	lead := (numericBaseDigits - len(digits)%numericBaseDigits) % numericBaseDigits
	groups := make([]int, 0, len(digits)/numericBaseDigits+1)
	v, n := 0, lead
	for _, c := range digits {
		v = v*10 + int(c-'0')
		if n++; n == numericBaseDigits {
			groups = append(groups, v)
			v, n = 0, 0
		}
	}
	weight := len(groups) - (scale+numericBaseDigits-1)/numericBaseDigits - 1
	for len(groups) > 0 && groups[0] == 0 {
		groups = groups[1:]
		weight--
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	sign := numericPositive
	if d.Negative {
		sign = numericNegative
	}
	if len(groups) == 0 {
		weight = 0
	}
	header(len(groups), weight, sign, scale)
	for _, g := range groups {
		put(g)
	}
	return dst
}

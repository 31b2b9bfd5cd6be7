package expr

import (
	"math"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Limits of the scale of numeric results, from PostgreSQL's numeric.c.
const (
	minSignificantDigits = 16
	maxDisplayScale      = 1000
	decDigits            = 4 // decimal digits in one of PostgreSQL's base-10000 digits
)

func scaleOf(d *apd.Decimal) int32 { return -d.Exponent }

func isFinite(d *apd.Decimal) bool { return d.Form == apd.Finite }
func isNaN(d *apd.Decimal) bool    { return d.Form == apd.NaN || d.Form == apd.NaNSignaling }

// numericResult checks a result against the type's limits.
func numericResult(d *apd.Decimal) (datum, error) {
	out, err := types.NormalizeDecimal(d)
	if err != nil {
		return null, err
	}
	return types.Decimal(out), nil
}

func infinity(negative bool) *apd.Decimal {
	if negative {
		return types.NumericNegInf
	}
	return types.NumericInf
}

func numericAdd(x, y *apd.Decimal) *apd.Decimal {
	if !isFinite(x) || !isFinite(y) {
		switch {
		case isNaN(x) || isNaN(y), !isFinite(x) && !isFinite(y) && x.Negative != y.Negative:
			return types.NumericNaN
		case !isFinite(x):
			return x
		}
		return y
	}
	if out, ok := addSmall(x, y); ok {
		return out
	}
	// Bring both to the greater scale and add the signed coefficients.
	scale := max(scaleOf(x), scaleOf(y))
	a, b := signedCoeff(x, scale), signedCoeff(y, scale)
	out := &apd.Decimal{Exponent: -scale}
	out.Coeff.Add(a, b)
	if out.Coeff.Sign() < 0 {
		out.Negative = true
		out.Coeff.Neg(&out.Coeff)
	}
	return out
}

// addSmall adds numbers of one scale whose coefficients fit a machine word,
// which most are, without big integers.
func addSmall(x, y *apd.Decimal) (*apd.Decimal, bool) {
	if x.Exponent != y.Exponent || !x.Coeff.IsInt64() || !y.Coeff.IsInt64() {
		return nil, false
	}
	a, b := x.Coeff.Int64(), y.Coeff.Int64()
	if x.Negative {
		a = -a
	}
	if y.Negative {
		b = -b
	}
	sum, ok := addInt(a, b)
	if !ok || sum == math.MinInt64 {
		return nil, false
	}
	return apd.New(sum, x.Exponent), true
}

func signedCoeff(d *apd.Decimal, scale int32) *apd.BigInt {
	out := new(apd.BigInt)
	if diff := scale - scaleOf(d); diff > 0 {
		out.Mul(&d.Coeff, types.Pow10(int64(diff)))
	} else {
		out.Set(&d.Coeff)
	}
	if d.Negative {
		out.Neg(out)
	}
	return out
}

func negate(d *apd.Decimal) *apd.Decimal {
	if isNaN(d) || isFinite(d) && d.Coeff.Sign() == 0 {
		return d
	}
	if !isFinite(d) {
		return infinity(!d.Negative)
	}
	out := &apd.Decimal{Negative: !d.Negative, Exponent: d.Exponent}
	out.Coeff.Set(&d.Coeff)
	return out
}

func numericMul(x, y *apd.Decimal) *apd.Decimal {
	if !isFinite(x) || !isFinite(y) {
		if isNaN(x) || isNaN(y) || isFinite(x) && x.Coeff.Sign() == 0 || isFinite(y) && y.Coeff.Sign() == 0 {
			return types.NumericNaN
		}
		return infinity(x.Negative != y.Negative)
	}
	out := &apd.Decimal{Negative: x.Negative != y.Negative, Exponent: x.Exponent + y.Exponent}
	out.Coeff.Mul(&x.Coeff, &y.Coeff)
	return out
}

// weight returns the weight and value of the first base-10000 digit, which
// PostgreSQL's scale rules are made of.
func weight(d *apd.Decimal) (w int32, first int64) {
	if d.Coeff.Sign() == 0 {
		return 0, 0
	}
	n := int32(d.NumDigits())
	intDigits := n + d.Exponent // digits before the point; may be negative
	w = int32(types.FloorDiv(int64(intDigits)-1, decDigits))
	// The first digit covers the decimal digits from position 4(w+1) down.
	lead := intDigits - w*decDigits // 1 to 4 decimal digits
	first = leadingDigits(d, n, lead)
	return w, first
}

// leadingDigits returns the first k decimal digits of the coefficient.
func leadingDigits(d *apd.Decimal, n, k int32) int64 {
	if n <= k {
		v := new(apd.BigInt).Mul(&d.Coeff, types.Pow10(int64(k-n)))
		return v.Int64()
	}
	v := new(apd.BigInt).Quo(&d.Coeff, types.Pow10(int64(n-k)))
	return v.Int64()
}

// divScale is PostgreSQL's select_div_scale: at least 16 significant digits
// and no less than either input's scale.
func divScale(x, y *apd.Decimal) int32 {
	w1, first1 := weight(x)
	w2, first2 := weight(y)
	qweight := w1 - w2
	if first1 <= first2 {
		qweight--
	}
	scale := minSignificantDigits - qweight*decDigits
	scale = max(scale, scaleOf(x), scaleOf(y), 0)
	return min(scale, maxDisplayScale)
}

// divideTo computes x / y rounded (or truncated) to scale decimal places.
func divideTo(x, y *apd.Decimal, scale int32, round bool) *apd.Decimal {
	// x·10^e / y with e such that the quotient has the wanted scale.
	shift := int64(scale) + int64(x.Exponent) - int64(y.Exponent)
	num, den := new(apd.BigInt).Set(&x.Coeff), new(apd.BigInt).Set(&y.Coeff)
	if shift >= 0 {
		num.Mul(num, types.Pow10(shift))
	} else {
		den.Mul(den, types.Pow10(-shift))
	}
	out := &apd.Decimal{Negative: x.Negative != y.Negative, Exponent: -scale}
	rem := new(apd.BigInt)
	out.Coeff.QuoRem(num, den, rem)
	if round && rem.Lsh(rem, 1).Cmp(den) >= 0 {
		out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
	}
	return out
}

func numericDiv(x, y *apd.Decimal) (*apd.Decimal, error) {
	if out, done, err := divSpecial(x, y); done {
		return out, err
	}
	return divideTo(x, y, divScale(x, y), true), nil
}

// divSpecial handles NaN, infinities and zero divisors.
func divSpecial(x, y *apd.Decimal) (out *apd.Decimal, done bool, err error) {
	switch {
	case isNaN(x) || isNaN(y):
		return types.NumericNaN, true, nil
	case isFinite(y) && y.Coeff.Sign() == 0:
		return nil, true, divisionByZero()
	case isFinite(x) && isFinite(y):
		return nil, false, nil
	case isFinite(x):
		return &apd.Decimal{}, true, nil
	case isFinite(y):
		return infinity(x.Negative != y.Negative), true, nil
	}
	return types.NumericNaN, true, nil
}

func numericMod(x, y *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(x) || isNaN(y):
		return types.NumericNaN, nil
	case isFinite(y) && y.Coeff.Sign() == 0:
		return nil, divisionByZero()
	case !isFinite(x):
		return types.NumericNaN, nil
	case !isFinite(y):
		return x, nil
	}
	scale := max(scaleOf(x), scaleOf(y))
	a, b := signedCoeff(x, scale), signedCoeff(y, scale)
	out := &apd.Decimal{Exponent: -scale}
	out.Coeff.Rem(a, b)
	if out.Coeff.Sign() < 0 {
		out.Negative = true
		out.Coeff.Neg(&out.Coeff)
	}
	return out, nil
}

// num1 and num2 make functions of numerics implementations.
func num1(f func(x *apd.Decimal) (*apd.Decimal, error)) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		out, err := f(a[0].Decimal())
		if err != nil {
			return null, err
		}
		return numericResult(out)
	}
}

func num2(f func(x, y *apd.Decimal) (*apd.Decimal, error)) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		out, err := f(a[0].Decimal(), a[1].Decimal())
		if err != nil {
			return null, err
		}
		return numericResult(out)
	}
}

func noError2(f func(x, y *apd.Decimal) *apd.Decimal) func(x, y *apd.Decimal) (*apd.Decimal, error) {
	return func(x, y *apd.Decimal) (*apd.Decimal, error) { return f(x, y), nil }
}

func noError1(f func(x *apd.Decimal) *apd.Decimal) func(x *apd.Decimal) (*apd.Decimal, error) {
	return func(x *apd.Decimal) (*apd.Decimal, error) { return f(x), nil }
}

func numericAbs(d *apd.Decimal) *apd.Decimal {
	if d.Negative {
		return negate(d)
	}
	return d
}

func numericSign(d *apd.Decimal) *apd.Decimal {
	switch {
	case isNaN(d):
		return d
	case isFinite(d) && d.Coeff.Sign() == 0:
		return types.NewDecimalInt(0)
	case d.Negative:
		return types.NewDecimalInt(-1)
	}
	return types.NewDecimalInt(1)
}

func numericFloor(d *apd.Decimal) *apd.Decimal {
	out := types.TruncDecimal(d, 0)
	if isFinite(d) && d.Negative && out.Cmp(d) != 0 {
		return numericAdd(out, types.NewDecimalInt(-1))
	}
	return out
}

func numericCeil(d *apd.Decimal) *apd.Decimal { return negate(numericFloor(negate(d))) }

func numericRem0(d *apd.Decimal) bool { return isFinite(d) && d.Coeff.Sign() == 0 }

// divTrunc is div(): the quotient cut to an integer.
func divTrunc(x, y *apd.Decimal) (*apd.Decimal, error) {
	if out, done, err := divSpecial(x, y); done {
		return out, err
	}
	return divideTo(x, y, 0, false), nil
}

func clampScale(n int64) int32 { return int32(min(max(n, -maxDisplayScale*2), maxDisplayScale*2)) }

func numericGCD(x, y *apd.Decimal) (*apd.Decimal, error) {
	if !isFinite(x) || !isFinite(y) {
		return types.NumericNaN, nil
	}
	scale := max(scaleOf(x), scaleOf(y))
	a, b := signedCoeff(x, scale), signedCoeff(y, scale)
	out := &apd.Decimal{Exponent: -scale}
	out.Coeff.GCD(nil, nil, a.Abs(a), b.Abs(b))
	return out, nil
}

func numericLCM(x, y *apd.Decimal) (*apd.Decimal, error) {
	if !isFinite(x) || !isFinite(y) {
		return types.NumericNaN, nil
	}
	scale := max(scaleOf(x), scaleOf(y))
	out := &apd.Decimal{Exponent: -scale}
	if numericRem0(x) || numericRem0(y) {
		return out, nil
	}
	g, _ := numericGCD(x, y)
	a, b := signedCoeff(x, scale), signedCoeff(y, scale)
	a.Quo(a, &g.Coeff)
	out.Coeff.Mul(a, b)
	out.Coeff.Abs(&out.Coeff)
	return out, nil
}

func minScale(d *apd.Decimal) int32 {
	if numericRem0(d) {
		return 0
	}
	reduced, _ := new(apd.Decimal).Reduce(d)
	return max(scaleOf(reduced), 0)
}

var numericEvals = map[string]evalFunc{
	"numeric_add": num2(noError2(numericAdd)), "numeric_mul": num2(noError2(numericMul)),
	"numeric_sub":          num2(noError2(func(x, y *apd.Decimal) *apd.Decimal { return numericAdd(x, negate(y)) })),
	"numeric_div":          num2(numericDiv),
	"numeric_mod":          num2(numericMod),
	"mod(numeric,numeric)": num2(numericMod),
	"numeric_uminus":       num1(noError1(negate)),
	"numeric_uplus":        identity,
	"numeric_abs":          num1(noError1(numericAbs)),
	"abs(numeric)":         num1(noError1(numericAbs)),
	"sign(numeric)":        num1(noError1(numericSign)),
	"floor(numeric)":       num1(noError1(numericFloor)),
	"ceil(numeric)":        num1(noError1(numericCeil)),
	"ceiling(numeric)":     num1(noError1(numericCeil)),
	"numeric_div_trunc":    num2(divTrunc),
	"div(numeric,numeric)": num2(divTrunc),
	"gcd(numeric,numeric)": num2(numericGCD),
	"lcm(numeric,numeric)": num2(numericLCM),
	"numeric_larger":       pickGreater, "numeric_smaller": pickLess,
	"round(numeric)": num1(noError1(func(d *apd.Decimal) *apd.Decimal { return types.RoundDecimal(d, 0) })),
	"trunc(numeric)": num1(noError1(func(d *apd.Decimal) *apd.Decimal { return types.TruncDecimal(d, 0) })),
	"round(numeric,int4)": func(_ *Ctx, a []datum) (datum, error) {
		return numericResult(types.RoundDecimal(a[0].Decimal(), clampScale(a[1].Int())))
	},
	"trunc(numeric,int4)": func(_ *Ctx, a []datum) (datum, error) {
		return numericResult(types.TruncDecimal(a[0].Decimal(), clampScale(a[1].Int())))
	},
	"scale": func(_ *Ctx, a []datum) (datum, error) {
		if !isFinite(a[0].Decimal()) {
			return null, nil
		}
		return types.Int(int64(scaleOf(a[0].Decimal()))), nil
	},
	"min_scale": func(_ *Ctx, a []datum) (datum, error) {
		if !isFinite(a[0].Decimal()) {
			return null, nil
		}
		return types.Int(int64(minScale(a[0].Decimal()))), nil
	},
	"trim_scale": func(_ *Ctx, a []datum) (datum, error) {
		d := a[0].Decimal()
		if !isFinite(d) {
			return a[0], nil
		}
		return types.Decimal(types.RoundDecimal(d, minScale(d))), nil
	},
}

// Casts between numbers.

func intFrom(size intSize) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return size.check(a[0].Int(), true) }
}

func intFromFloat(size intSize) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		v := math.RoundToEven(a[0].Float())
		// The upper bound of bigint is not a float; its successor is.
		if math.IsNaN(v) || v < float64(size.min) || v >= float64(size.max)+1 || v > float64(size.max) && size != size8 {
			return null, intRangeError(size.name)
		}
		return types.Int(int64(v)), nil
	}
}

func intFromNumeric(size intSize) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		d := a[0].Decimal()
		if !isFinite(d) {
			what := "infinity"
			if isNaN(d) {
				what = "NaN"
			}
			return null, sqlstate.New(sqlstate.FeatureNotSupported, "cannot convert %s to %s", what, size.name)
		}
		v, ok := types.DecimalToInt64(d)
		return size.check(v, ok)
	}
}

func floatFromNumeric(t *types.Type, width int) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		v, ok := types.DecimalToFloat(a[0].Decimal(), width)
		if !ok {
			return null, sqlstate.New(sqlstate.NumericValueOutOfRange, "\"%s\" is out of range for type %s",
				types.AppendDecimal(nil, a[0].Decimal()), t.SQLName)
		}
		return types.Float(v), nil
	}
}

func numericFromFloat(width int) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		d, err := types.FloatToDecimal(a[0].Float(), width)
		if err != nil {
			return null, err
		}
		return types.Decimal(d), nil
	}
}

func numericFromInt(_ *Ctx, a []datum) (datum, error) {
	return types.Decimal(types.NewDecimalInt(a[0].Int())), nil
}

func floatFromInt(_ *Ctx, a []datum) (datum, error) { return types.Float(float64(a[0].Int())), nil }

func float4FromInt(_ *Ctx, a []datum) (datum, error) {
	return types.Float(float64(float32(a[0].Int()))), nil
}

func float4FromFloat8(_ *Ctx, a []datum) (datum, error) {
	v := a[0].Float()
	f := float64(float32(v))
	if math.IsInf(f, 0) && !math.IsInf(v, 0) {
		return null, floatOverflow()
	}
	if f == 0 && v != 0 {
		return null, floatUnderflow()
	}
	return types.Float(f), nil
}

func oidFromInt8(_ *Ctx, a []datum) (datum, error) {
	if v := a[0].Int(); v < 0 || v > math.MaxUint32 {
		return null, sqlstate.New(sqlstate.NumericValueOutOfRange, "OID out of range")
	}
	return a[0], nil
}

var castEvals = map[string]evalFunc{
	"int2(int4)": intFrom(size2), "int2(int8)": intFrom(size2), "int4(int8)": intFrom(size4),
	"int4(int2)": identity, "int8(int2)": identity, "int8(int4)": identity, "int8(oid)": identity, "oid(int8)": oidFromInt8,
	"int2(float4)": intFromFloat(size2), "int2(float8)": intFromFloat(size2), "int4(float4)": intFromFloat(size4),
	"int4(float8)": intFromFloat(size4), "int8(float4)": intFromFloat(size8), "int8(float8)": intFromFloat(size8),
	"int2(numeric)": intFromNumeric(size2), "int4(numeric)": intFromNumeric(size4), "int8(numeric)": intFromNumeric(size8),
	"float4(int2)": float4FromInt, "float4(int4)": float4FromInt, "float4(int8)": float4FromInt,
	"float8(int2)": floatFromInt, "float8(int4)": floatFromInt, "float8(int8)": floatFromInt,
	"float8(float4)": identity, "float4(float8)": float4FromFloat8,
	"float4(numeric)": floatFromNumeric(types.Float4Type, 32), "float8(numeric)": floatFromNumeric(types.Float8Type, 64),
	"numeric(int2)": numericFromInt, "numeric(int4)": numericFromInt, "numeric(int8)": numericFromInt,
	"numeric(float4)": numericFromFloat(32), "numeric(float8)": numericFromFloat(64),
	"text(bpchar)": func(_ *Ctx, a []datum) (datum, error) { return types.String(types.TrimBPChar(a[0].Str())), nil },
	"text(name)":   identity, "text(char)": identity, "bpchar(name)": identity, "varchar(name)": identity, "bpchar(char)": identity,
	"name(text)": func(_ *Ctx, a []datum) (datum, error) { return types.String(types.TruncateName(a[0].Str())), nil },
	"name(bpchar)": func(_ *Ctx, a []datum) (datum, error) {
		return types.String(types.TruncateName(types.TrimBPChar(a[0].Str()))), nil
	},
	"name(varchar)": func(_ *Ctx, a []datum) (datum, error) { return types.String(types.TruncateName(a[0].Str())), nil },
	"char(text)": func(c *Ctx, a []datum) (datum, error) {
		return types.CharType.Parse(c.Format, a[0].Str(), types.NoTypmod)
	},
	"char(int4)": func(_ *Ctx, a []datum) (datum, error) {
		v := a[0].Int()
		if v < -128 || v > 127 {
			return null, sqlstate.New(sqlstate.NumericValueOutOfRange, "\"char\" out of range")
		}
		if v < 0 {
			return null, unsupported("\"char\" values above 127 are not supported")
		}
		if v == 0 {
			return types.String(""), nil
		}
		return types.String(string(rune(v))), nil
	},
	"int4(char)": func(_ *Ctx, a []datum) (datum, error) {
		if a[0].Str() == "" {
			return types.Int(0), nil
		}
		return types.Int(int64(a[0].Str()[0])), nil
	},
}

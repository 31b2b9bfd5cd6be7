package expr

import (
	"math"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

const (
	log10E = 0.434294481903252
	ln10   = 2.302585092994046

	// extraDigits are computed beyond the result's scale and rounded away.
	extraDigits = 12
	// maxRealDigits bounds the digits of exp() and of powers that are not exact,
	// whose cost grows with the square of it; more is refused (0A000).
	maxRealDigits = 2500
	// maxPowerDigits bounds the size of an exact integer power.
	maxPowerDigits = types.MaxNumericIntegerDigits + maxDisplayScale
)

func resultScale(n int32, others ...int32) int32 {
	scale := max(minSignificantDigits-n, 0)
	for _, o := range others {
		scale = max(scale, o)
	}
	return min(scale, maxDisplayScale)
}

// toFloat approximates for the choice of scales.
func toFloat(d *apd.Decimal) float64 {
	v, _ := types.DecimalToFloat(d, 64)
	return v
}

// sqrtTo computes the square root rounded to scale decimal places.
func sqrtTo(d *apd.Decimal, scale int32) *apd.Decimal {
	x := new(apd.BigInt).Set(&d.Coeff)
	if shift := 2*int64(scale) + int64(d.Exponent); shift >= 0 {
		x.Mul(x, types.Pow10(shift))
	} else {
		x.Quo(x, types.Pow10(-shift))
	}
	out := &apd.Decimal{Exponent: -scale}
	out.Coeff.Sqrt(x)
	// Round up when the remainder exceeds the root: (s + ½)² = s² + s + ¼.
	rem := new(apd.BigInt).Mul(&out.Coeff, &out.Coeff)
	if rem.Sub(x, rem).Cmp(&out.Coeff) > 0 {
		out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
	}
	return out
}

func numericSqrt(d *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(d):
		return d, nil
	case d.Negative:
		return nil, sqlstate.New("2201F", "cannot take square root of a negative number")
	case !isFinite(d):
		return d, nil
	}
	w, _ := weight(d)
	sweight := (w+1)*decDigits/2 - 1
	return sqrtTo(d, resultScale(sweight, scaleOf(d))), nil
}

func precision(digits int64) *apd.Context {
	c := apd.BaseContext.WithPrecision(uint32(max(digits, minSignificantDigits) + extraDigits))
	c.MaxExponent, c.MinExponent = apd.MaxExponent, apd.MinExponent
	c.Traps = 0
	return c
}

func numericExp(d *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(d):
		return d, nil
	case !isFinite(d) && d.Negative:
		return &apd.Decimal{}, nil
	case !isFinite(d):
		return d, nil
	}
	val := toFloat(d) * log10E
	if err := checkRealDigits(val); err != nil {
		return nil, err
	}
	scale := resultScale(int32(min(max(val, -2000), 2000)), scaleOf(d))
	if val < -maxDisplayScale-1 {
		return &apd.Decimal{Exponent: -scale}, nil
	}
	return expTo(d, int64(val), scale)
}

// checkRealDigits refuses results with too many digits before the point.
func checkRealDigits(val float64) error {
	switch {
	case val > types.MaxNumericIntegerDigits || math.IsInf(val, 1):
		return types.NumericOverflow()
	case val > maxRealDigits:
		return unsupported("numeric results of exponentiation with more than %d digits are not supported", maxRealDigits)
	}
	return nil
}

// expTo computes e^d; w is about the number of digits before the point.
func expTo(d *apd.Decimal, w int64, scale int32) (*apd.Decimal, error) {
	out := new(apd.Decimal)
	if _, err := precision(max(w, 0)+int64(scale)).Exp(out, d); err != nil {
		return nil, types.NumericOverflow()
	}
	return types.RoundDecimal(out, scale), nil
}

// lnWeight estimates the decimal weight of ln(d), as PostgreSQL's
// estimate_ln_dweight does.
func lnWeight(d *apd.Decimal) int32 {
	lo, hi := apd.New(9, -1), apd.New(11, -1)
	if d.Cmp(lo) >= 0 && d.Cmp(hi) <= 0 {
		x := numericAdd(d, types.NewDecimalInt(-1))
		if x.Coeff.Sign() == 0 {
			return 0
		}
		w, first := weight(x)
		return w*decDigits + int32(math.Log(float64(first))*log10E)
	}
	n := int32(d.NumDigits())
	k := min(n, 8)
	digits := leadingDigits(d, n, k)
	v := math.Log(float64(digits)) + float64(float64(n-k+d.Exponent)*ln10)
	return int32(math.Log(math.Abs(v)) * log10E)
}

func logDomain(d *apd.Decimal) error {
	switch {
	case isNaN(d):
		return nil
	case isFinite(d) && d.Coeff.Sign() == 0:
		return sqlstate.New(sqlstate.InvalidArgumentForLog, "cannot take logarithm of zero")
	case d.Negative:
		return sqlstate.New(sqlstate.InvalidArgumentForLog, "cannot take logarithm of a negative number")
	}
	return nil
}

func numericLn(d *apd.Decimal) (*apd.Decimal, error) {
	if err := logDomain(d); err != nil {
		return nil, err
	}
	if !isFinite(d) {
		return d, nil
	}
	w := lnWeight(d)
	scale := resultScale(w, scaleOf(d))
	out, err := lnTo(d, w, scale)
	if err != nil {
		return nil, err
	}
	return types.RoundDecimal(out, scale), nil
}

func lnTo(d *apd.Decimal, w, scale int32) (*apd.Decimal, error) {
	c := precision(int64(max(w, 0)) + int64(scale) + extraDigits)
	// ln(m × 10^e) = ln(m) + e × ln(10), with 1 ≤ m < 10.
	e := d.NumDigits() - 1 + int64(d.Exponent)
	m := &apd.Decimal{Coeff: d.Coeff, Exponent: int32(1 - d.NumDigits())}
	if e > -2 && e < 2 {
		m, e = d, 0
	}
	if digits := int32(c.Precision) + extraDigits; scaleOf(m) > digits && e != 0 {
		m = types.RoundDecimal(m, digits)
	}
	out := new(apd.Decimal)
	if _, err := c.Ln(out, m); err != nil {
		return nil, types.NumericOverflow()
	}
	if e != 0 {
		tens := new(apd.Decimal)
		if _, err := c.Ln(tens, types.NewDecimalInt(10)); err != nil {
			return nil, types.NumericOverflow()
		}
		out = numericAdd(out, numericMul(tens, types.NewDecimalInt(e)))
	}
	return out, nil
}

func numericLog(base, d *apd.Decimal) (*apd.Decimal, error) {
	if err := logDomain(base); err != nil {
		return nil, err
	}
	if err := logDomain(d); err != nil {
		return nil, err
	}
	switch {
	case isNaN(base) || isNaN(d), !isFinite(base) && !isFinite(d):
		return types.NumericNaN, nil
	case !isFinite(base):
		return &apd.Decimal{}, nil
	case !isFinite(d):
		return d, nil
	}
	bw, dw := lnWeight(base), lnWeight(d)
	scale := resultScale(dw-bw, scaleOf(base), scaleOf(d))
	x, err := lnTo(base, bw, scale+extraDigits+max(dw-bw, 0))
	if err != nil {
		return nil, err
	}
	y, err := lnTo(d, dw, scale+extraDigits+max(bw-dw, 0))
	if err != nil {
		return nil, err
	}
	if x.Sign() == 0 {
		return nil, divisionByZero()
	}
	return divideTo(y, x, scale, true), nil
}

func numericPower(x, y *apd.Decimal) (*apd.Decimal, error) {
	one := types.NewDecimalInt(1)
	switch {
	case isNaN(x):
		if isFinite(y) && y.Coeff.Sign() == 0 {
			return one, nil
		}
		return x, nil
	case isNaN(y):
		if isFinite(x) && x.Cmp(one) == 0 {
			return one, nil
		}
		return y, nil
	case !isFinite(x) || !isFinite(y):
		return powerInfinite(x, y)
	}
	integer := minScale(y) == 0
	switch {
	case x.Coeff.Sign() == 0 && y.Negative:
		return nil, sqlstate.New(sqlstate.InvalidArgumentForPower, "zero raised to a negative power is undefined")
	case x.Negative && !integer:
		return nil, sqlstate.New(sqlstate.InvalidArgumentForPower, "a negative number raised to a non-integer power yields a complex result")
	}
	if n, ok := types.DecimalToInt64(y); ok && integer && n == int64(int32(n)) {
		return powerInt(x, n, scaleOf(y))
	}
	if x.Coeff.Sign() == 0 {
		return &apd.Decimal{Exponent: -minSignificantDigits}, nil
	}
	return powerReal(x, y, integer)
}

func powerInfinite(x, y *apd.Decimal) (*apd.Decimal, error) {
	one := types.NewDecimalInt(1)
	switch {
	case isFinite(x) && x.Cmp(one) == 0, isFinite(y) && y.Coeff.Sign() == 0:
		return one, nil
	case isFinite(y): // x is infinite
		odd := minScale(y) == 0 && types.TruncDecimal(y, 0).Coeff.Bit(0) == 1
		if y.Negative {
			return &apd.Decimal{}, nil
		}
		if x.Negative && minScale(y) != 0 {
			return nil, sqlstate.New(sqlstate.InvalidArgumentForPower, "a negative number raised to a non-integer power yields a complex result")
		}
		return infinity(x.Negative && odd), nil
	}
	size := 1
	if isFinite(x) {
		size = numericAbs(x).Cmp(one)
		if x.Coeff.Sign() == 0 && y.Negative {
			return nil, sqlstate.New(sqlstate.InvalidArgumentForPower, "zero raised to a negative power is undefined")
		}
	}
	switch {
	case size == 0:
		return one, nil
	case (size > 0) == !y.Negative:
		return types.NumericInf, nil
	}
	return &apd.Decimal{}, nil
}

// powerInt raises to an integer exactly and rounds once.
func powerInt(x *apd.Decimal, n int64, yScale int32) (*apd.Decimal, error) {
	f := 0.0
	if x.Coeff.Sign() != 0 {
		digits := int32(x.NumDigits())
		k := min(digits, 16)
		f = float64(n) * float64(float64(math.Log(float64(leadingDigits(x, digits, k)))*log10E)+float64(digits-k+x.Exponent))
	}
	switch {
	case f > types.MaxNumericIntegerDigits:
		return nil, types.NumericOverflow()
	case f+1 < -maxDisplayScale:
		return &apd.Decimal{Exponent: -maxDisplayScale}, nil
	}
	scale := resultScale(0, scaleOf(x), yScale)
	abs := n
	if abs < 0 {
		abs = -abs
	}
	// Beyond what can be kept exactly, work with as many digits as matter.
	if float64(x.NumDigits())*float64(abs) > maxPowerDigits {
		if err := checkRealDigits(f); err != nil {
			return nil, err
		}
		c := precision(int64(max(f, 0)) + int64(scale) + extraDigits)
		out := new(apd.Decimal)
		if _, err := c.Pow(out, x, apd.New(n, 0)); err != nil {
			return nil, types.NumericOverflow()
		}
		return types.RoundDecimal(out, scale), nil
	}
	p := &apd.Decimal{Negative: x.Negative && abs%2 == 1, Exponent: x.Exponent * int32(abs)}
	p.Coeff.Exp(&x.Coeff, apd.NewBigInt(abs), nil)
	if n < 0 {
		return divideTo(types.NewDecimalInt(1), p, scale, true), nil
	}
	return types.RoundDecimal(p, scale), nil
}

func powerReal(x, y *apd.Decimal, integer bool) (*apd.Decimal, error) {
	negative := x.Negative && integer && types.TruncDecimal(y, 0).Coeff.Bit(0) == 1
	x = numericAbs(x)
	lw := lnWeight(x)
	approx, err := lnTo(x, lw, max(8-lw, 0))
	if err != nil {
		return nil, err
	}
	val := toFloat(numericMul(approx, y)) * log10E
	if err := checkRealDigits(val); err != nil {
		return nil, err
	}
	if val < -maxDisplayScale-1 {
		return &apd.Decimal{Exponent: -maxDisplayScale}, nil
	}
	scale := resultScale(int32(val), scaleOf(x), scaleOf(y))
	ln, err := lnTo(x, lw, scale+int32(math.Abs(val))+extraDigits+int32(y.NumDigits()))
	if err != nil {
		return nil, err
	}
	out, err := expTo(numericMul(ln, y), int64(val), scale)
	if err == nil && negative {
		out = negate(out)
	}
	return out, err
}

var numericMathEvals = map[string]evalFunc{
	"sqrt(numeric)": num1(numericSqrt), "numeric_sqrt": num1(numericSqrt),
	"exp(numeric)": num1(numericExp), "numeric_exp": num1(numericExp),
	"ln(numeric)": num1(numericLn), "numeric_ln": num1(numericLn),
	"log(numeric,numeric)": num2(numericLog), "numeric_log": num2(numericLog),
	"log(numeric)": num1(func(d *apd.Decimal) (*apd.Decimal, error) {
		return numericLog(types.NewDecimalInt(10), d)
	}),
	"log10(numeric)": num1(func(d *apd.Decimal) (*apd.Decimal, error) {
		return numericLog(types.NewDecimalInt(10), d)
	}),
	"pow(numeric,numeric)": num2(numericPower), "power(numeric,numeric)": num2(numericPower), "numeric_power": num2(numericPower),
}

package expr

import (
	"math"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func inputOutOfRange() error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "input is out of range")
}

// checked1 is float1 with PostgreSQL's overflow and underflow errors.
func checked1(f func(float64) float64, zeroOK bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		x := a[0].Float()
		v := f(x)
		switch {
		case math.IsInf(v, 0) && !math.IsInf(x, 0):
			return null, floatOverflow()
		case v == 0 && x != 0 && !math.IsInf(x, 0) && !zeroOK:
			return null, floatUnderflow()
		case math.IsNaN(v) && !math.IsNaN(x):
			return null, inputOutOfRange()
		}
		return types.Float(v), nil
	}
}

func floatSqrt(_ *Ctx, a []datum) (datum, error) {
	if a[0].Float() < 0 {
		return null, sqlstate.New(sqlstate.InvalidArgumentForPower, "cannot take square root of a negative number")
	}
	return types.Float(math.Sqrt(a[0].Float())), nil
}

func floatLogarithm(f func(float64) float64) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		switch x := a[0].Float(); {
		case x == 0:
			return null, sqlstate.New(sqlstate.InvalidArgumentForLog, "cannot take logarithm of zero")
		case x < 0:
			return null, sqlstate.New(sqlstate.InvalidArgumentForLog, "cannot take logarithm of a negative number")
		default:
			return types.Float(f(x)), nil
		}
	}
}

// log10 is math.Log10 written so that no machine fuses its product and sum.
func log10(x float64) float64 {
	frac, exp := math.Frexp(x)
	log2 := float64(exp - 1)
	if frac != 0.5 {
		log2 = float64(math.Log(frac)*(1/math.Ln2)) + float64(exp)
	}
	return log2 * (math.Ln2 / math.Ln10)
}

func floatPower(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].Float(), a[1].Float()
	switch {
	case math.IsNaN(x) && y == 0, x == 1 && math.IsNaN(y):
		return types.Float(1), nil
	case math.IsNaN(x) || math.IsNaN(y):
		return types.Float(math.NaN()), nil
	case x == 0 && y < 0:
		return null, sqlstate.New(sqlstate.InvalidArgumentForPower, "zero raised to a negative power is undefined")
	case x < 0 && !math.IsInf(x, 0) && y != math.Floor(y):
		return null, sqlstate.New(sqlstate.InvalidArgumentForPower, "a negative number raised to a non-integer power yields a complex result")
	}
	v := math.Pow(x, y)
	if !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		if math.IsInf(v, 0) {
			return null, floatOverflow()
		}
		if v == 0 && x != 0 {
			return null, floatUnderflow()
		}
	}
	return types.Float(v), nil
}

func floatSign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

const degree = math.Pi / 180

// inDegrees makes a trigonometric function take degrees, exact at multiples
// of 30 where its values are.
func sind(x float64) float64 {
	x = math.Mod(x, 360)
	switch x {
	case 0, 180, -180:
		return 0
	case 30, 150, -210, -330:
		return 0.5
	case 90, -270:
		return 1
	case -30, -150, 210, 330:
		return -0.5
	case -90, 270:
		return -1
	}
	return math.Sin(x * degree)
}

func cosd(x float64) float64 { return sind(math.Mod(math.Abs(x), 360) + 90) }

func tand(x float64) float64 {
	switch math.Mod(x, 180) {
	case 0:
		return 0
	case 45, -135:
		return 1
	case -45, 135:
		return -1
	}
	return sind(x) / cosd(x)
}

func widthBucket(v, lo, hi float64, n int64) (datum, error) {
	const code = "2201G"
	switch {
	case n <= 0:
		return null, sqlstate.New(code, "count must be greater than zero")
	case math.IsNaN(v) || math.IsNaN(lo) || math.IsNaN(hi):
		return null, sqlstate.New(code, "operand, lower bound, and upper bound cannot be NaN")
	case math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return null, sqlstate.New(code, "lower and upper bounds must be finite")
	case lo == hi:
		return null, sqlstate.New(code, "lower bound cannot equal upper bound")
	}
	if lo > hi {
		v, lo, hi = -v, -lo, -hi
	}
	switch {
	case v < lo:
		return types.Int(0), nil
	case v >= hi:
		return size4.check(addInt(n, 1))
	}
	return types.Int(int64(float64((v-lo)/(hi-lo))*float64(n)) + 1), nil
}

func widthBucketNumeric(_ *Ctx, a []datum) (datum, error) {
	const code = "2201G"
	v, lo, hi, n := a[0].Decimal(), a[1].Decimal(), a[2].Decimal(), a[3].Int()
	switch {
	case n <= 0:
		return null, sqlstate.New(code, "count must be greater than zero")
	case isNaN(v) || isNaN(lo) || isNaN(hi):
		return null, sqlstate.New(code, "operand, lower bound, and upper bound cannot be NaN")
	case !isFinite(lo) || !isFinite(hi):
		return null, sqlstate.New(code, "lower and upper bounds must be finite")
	}
	order := types.CompareDecimal(lo, hi)
	if order == 0 {
		return null, sqlstate.New(code, "lower bound cannot equal upper bound")
	}
	if order > 0 {
		v, lo, hi = negate(v), negate(lo), negate(hi)
	}
	switch {
	case types.CompareDecimal(v, lo) < 0:
		return types.Int(0), nil
	case types.CompareDecimal(v, hi) >= 0:
		return size4.check(addInt(n, 1))
	}
	q, err := divTrunc(numericMul(numericAdd(v, negate(lo)), types.NewDecimalInt(n)), numericAdd(hi, negate(lo)))
	if err != nil {
		return null, err
	}
	i, _ := types.DecimalToInt64(q)
	return types.Int(i + 1), nil
}

var floatMathEvals = map[string]evalFunc{
	"dsqrt": floatSqrt, "sqrt(float8)": floatSqrt,
	"dcbrt": float1(math.Cbrt), "cbrt": float1(math.Cbrt),
	"exp(float8)": checked1(math.Exp, false), "dexp": checked1(math.Exp, false),
	"dpow": floatPower, "pow(float8,float8)": floatPower, "power(float8,float8)": floatPower,
	"ln(float8)": floatLogarithm(math.Log), "dlog1": floatLogarithm(math.Log),
	"log(float8)": floatLogarithm(log10), "log10(float8)": floatLogarithm(log10), "dlog10": floatLogarithm(log10),
	"round(float8)": float1(math.RoundToEven), "dround": float1(math.RoundToEven),
	"trunc(float8)": float1(math.Trunc), "dtrunc": float1(math.Trunc),
	"ceil(float8)": float1(math.Ceil), "ceiling(float8)": float1(math.Ceil), "floor(float8)": float1(math.Floor),
	"sign(float8)": float1(floatSign),
	"pi":           func(*Ctx, []datum) (datum, error) { return types.Float(math.Pi), nil },
	"degrees":      float1(func(x float64) float64 { return x / degree }),
	"radians":      float1(func(x float64) float64 { return x * degree }),
	"sin":          checked1(math.Sin, true), "cos": checked1(math.Cos, true), "tan": checked1(math.Tan, true),
	"cot":  float1(func(x float64) float64 { return 1 / math.Tan(x) }),
	"asin": checked1(math.Asin, true), "acos": checked1(math.Acos, true), "atan": float1(math.Atan),
	"atan2": func(_ *Ctx, a []datum) (datum, error) {
		return types.Float(math.Atan2(a[0].Float(), a[1].Float())), nil
	},
	"sinh": float1(math.Sinh), "cosh": float1(math.Cosh), "tanh": float1(math.Tanh),
	"asinh": float1(math.Asinh), "acosh": checked1(math.Acosh, true), "atanh": checked1(math.Atanh, true),
	"sind": checked1(sind, true), "cosd": checked1(cosd, true), "tand": float1(tand),
	"width_bucket(float8,float8,float8,int4)": func(_ *Ctx, a []datum) (datum, error) {
		return widthBucket(a[0].Float(), a[1].Float(), a[2].Float(), a[3].Int())
	},
	"width_bucket(numeric,numeric,numeric,int4)": widthBucketNumeric,
	"factorial": func(_ *Ctx, a []datum) (datum, error) { return factorial(a[0].Int()) },
	"random": func(c *Ctx, _ []datum) (datum, error) {
		r, err := c.random()
		if err != nil {
			return null, err
		}
		return types.Float(r.Float64()), nil
	},
	"gen_random_uuid": func(c *Ctx, _ []datum) (datum, error) {
		r, err := c.random()
		if err != nil {
			return null, err
		}
		return types.UUID(randomUUID(r)), nil
	},
}

// randomUUID is a version 4 UUID.
func randomUUID(r *Rand) [16]byte {
	var u [16]byte
	hi, lo := r.Uint64(), r.Uint64()
	for i := range 8 {
		u[i], u[8+i] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// maxFactorial is the greatest n whose factorial a numeric holds.
const maxFactorial = 32177

func factorial(n int64) (datum, error) {
	if n < 0 {
		return null, sqlstate.New(sqlstate.NumericValueOutOfRange, "factorial of a negative number is undefined")
	}
	if n > maxFactorial {
		return null, types.NumericOverflow()
	}
	out := types.NewDecimalInt(1)
	out.Coeff.MulRange(1, max(n, 1))
	return numericResult(out)
}

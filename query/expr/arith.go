package expr

import (
	"math"
	"math/bits"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func divisionByZero() error { return sqlstate.New(sqlstate.DivisionByZero, "division by zero") }

func intRangeError(name string) error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "%s out of range", name)
}

// intSize is one width of integers: its range and its name in errors.
type intSize struct {
	min, max int64
	name     string
}

var (
	size2 = intSize{math.MinInt16, math.MaxInt16, "smallint"}
	size4 = intSize{math.MinInt32, math.MaxInt32, "integer"}
	size8 = intSize{math.MinInt64, math.MaxInt64, "bigint"}
)

func (s intSize) check(v int64, ok bool) (datum, error) {
	if !ok || v < s.min || v > s.max {
		return null, intRangeError(s.name)
	}
	return types.Int(v), nil
}

func addInt(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}

func subInt(a, b int64) (int64, bool) {
	s := a - b
	return s, (s < a) == (b > 0)
}

func mulInt(a, b int64) (int64, bool) {
	if int64(int32(a)) == a && int64(int32(b)) == b {
		return a * b, true
	}
	neg := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(absInt(a), absInt(b))
	if hi != 0 || lo > 1<<63 || lo == 1<<63 && !neg {
		return 0, false
	}
	if neg {
		return -int64(lo), true
	}
	return int64(lo), true
}

func absInt(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func (s intSize) add(_ *Ctx, a []datum) (datum, error) {
	return s.check(addInt(a[0].Int(), a[1].Int()))
}
func (s intSize) sub(_ *Ctx, a []datum) (datum, error) {
	return s.check(subInt(a[0].Int(), a[1].Int()))
}
func (s intSize) mul(_ *Ctx, a []datum) (datum, error) {
	return s.check(mulInt(a[0].Int(), a[1].Int()))
}

func (s intSize) div(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].Int(), a[1].Int()
	if y == 0 {
		return null, divisionByZero()
	}
	if y == -1 {
		return s.check(subInt(0, x))
	}
	return s.check(x/y, true)
}

func (s intSize) mod(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].Int(), a[1].Int()
	if y == 0 {
		return null, divisionByZero()
	}
	if y == -1 {
		return types.Int(0), nil
	}
	return types.Int(x % y), nil
}

func (s intSize) neg(_ *Ctx, a []datum) (datum, error) { return s.check(subInt(0, a[0].Int())) }

func (s intSize) abs(_ *Ctx, a []datum) (datum, error) {
	if v := a[0].Int(); v >= 0 {
		return a[0], nil
	}
	return s.check(subInt(0, a[0].Int()))
}

// bits2 makes a bitwise operation an implementation.
func bits2(f func(a, b int64) int64) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return types.Int(f(a[0].Int(), a[1].Int())), nil }
}

// shift makes a shift; the count wraps at the width as C's does on the
// machines PostgreSQL runs on.
func (s intSize) shift(left bool) evalFunc {
	width := int64(64)
	mask := int64(63)
	switch s {
	case size2:
		width, mask = 16, 31
	case size4:
		width, mask = 32, 31
	}
	return func(_ *Ctx, a []datum) (datum, error) {
		v, n := a[0].Int(), uint(a[1].Int()&mask)
		if !left {
			return types.Int(v >> n), nil
		}
		v <<= n
		return types.Int(v << (64 - width) >> (64 - width)), nil
	}
}

func identity(_ *Ctx, a []datum) (datum, error) { return a[0], nil }

func gcdInt(s intSize) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		g := gcdUint(absInt(a[0].Int()), absInt(a[1].Int()))
		if g > uint64(s.max) {
			return null, intRangeError(s.name)
		}
		return types.Int(int64(g)), nil
	}
}

func gcdUint(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func lcmInt(s intSize) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		x, y := absInt(a[0].Int()), absInt(a[1].Int())
		if x == 0 || y == 0 {
			return types.Int(0), nil
		}
		hi, lo := bits.Mul64(x/gcdUint(x, y), y)
		if hi != 0 || lo > uint64(s.max) {
			return null, intRangeError(s.name)
		}
		return types.Int(int64(lo)), nil
	}
}

func pickLess(_ *Ctx, a []datum) (datum, error) {
	if types.Compare(a[0], a[1]) <= 0 {
		return a[0], nil
	}
	return a[1], nil
}

func pickGreater(_ *Ctx, a []datum) (datum, error) {
	if types.Compare(a[0], a[1]) >= 0 {
		return a[0], nil
	}
	return a[1], nil
}

// Float arithmetic. PostgreSQL raises errors where IEEE gives infinities and
// denormals out of finite operands.

func floatOverflow() error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "value out of range: overflow")
}

func floatUnderflow() error {
	return sqlstate.New(sqlstate.NumericValueOutOfRange, "value out of range: underflow")
}

// float2 makes a binary operation on floats of the given width; zeroOK says
// when a result of zero is exact and not an underflow.
func float2(width int, f func(a, b float64) float64, zeroOK func(a, b float64) bool) evalFunc {
	return func(_ *Ctx, args []datum) (datum, error) {
		a, b := args[0].Float(), args[1].Float()
		v := f(a, b)
		if width == 32 {
			v = float64(float32(v))
		}
		if math.IsInf(v, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
			return null, floatOverflow()
		}
		if v == 0 && !zeroOK(a, b) {
			return null, floatUnderflow()
		}
		return types.Float(v), nil
	}
}

func always(_, _ float64) bool { return true }

func floatAdd(w int) evalFunc {
	return float2(w, func(a, b float64) float64 { return a + b }, always)
}

func floatSub(w int) evalFunc {
	return float2(w, func(a, b float64) float64 { return a - b }, always)
}

func floatMul(w int) evalFunc {
	return float2(w, func(a, b float64) float64 { return a * b }, func(a, b float64) bool { return a == 0 || b == 0 })
}

func floatDiv(w int) evalFunc {
	div := float2(w, func(a, b float64) float64 { return a / b }, func(a, b float64) bool { return a == 0 || math.IsInf(b, 0) })
	return func(c *Ctx, args []datum) (datum, error) {
		if args[1].Float() == 0 && !math.IsNaN(args[0].Float()) {
			return null, divisionByZero()
		}
		return div(c, args)
	}
}

// float1 makes a function of one float an implementation.
func float1(f func(float64) float64) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return types.Float(f(a[0].Float())), nil }
}

var arithmeticEvals = func() map[string]evalFunc {
	m := map[string]evalFunc{
		"oidlarger": pickGreater, "oidsmaller": pickLess,
		"float4pl": floatAdd(32), "float4mi": floatSub(32), "float4mul": floatMul(32), "float4div": floatDiv(32),
		"float4um": float1(func(v float64) float64 { return -v }), "float4up": identity, "float4abs": float1(math.Abs),
		"float8um": float1(func(v float64) float64 { return -v }), "float8up": identity, "float8abs": float1(math.Abs),
		"abs(float4)": float1(math.Abs), "abs(float8)": float1(math.Abs),
	}
	for _, name := range []string{"float8", "float48", "float84"} {
		m[name+"pl"], m[name+"mi"], m[name+"mul"], m[name+"div"] = floatAdd(64), floatSub(64), floatMul(64), floatDiv(64)
	}
	for name, s := range map[string]intSize{"int2": size2, "int24": size4, "int28": size8, "int4": size4, "int42": size4, // order does not matter: it fills a map
		"int48": size8, "int8": size8, "int84": size8, "int82": size8} {
		m[name+"pl"], m[name+"mi"], m[name+"mul"], m[name+"div"] = s.add, s.sub, s.mul, s.div
	}
	for name, s := range map[string]intSize{"int2": size2, "int4": size4, "int8": size8} { // order does not matter: it fills a map
		m[name+"mod"], m[name+"um"], m[name+"up"], m[name+"abs"] = s.mod, s.neg, identity, s.abs
		m["mod("+name+","+name+")"], m["abs("+name+")"] = s.mod, s.abs
		m[name+"and"] = bits2(func(a, b int64) int64 { return a & b })
		m[name+"or"] = bits2(func(a, b int64) int64 { return a | b })
		m[name+"xor"] = bits2(func(a, b int64) int64 { return a ^ b })
		m[name+"not"] = func(_ *Ctx, a []datum) (datum, error) { return types.Int(^a[0].Int()), nil }
		m[name+"shl"], m[name+"shr"] = s.shift(true), s.shift(false)
		if s != size2 {
			m["gcd("+name+","+name+")"], m["lcm("+name+","+name+")"] = gcdInt(s), lcmInt(s)
		}
		m[name+"larger"], m[name+"smaller"] = pickGreater, pickLess
	}
	return m
}()

var boolEvals = map[string]evalFunc{
	"text(bool)": func(_ *Ctx, a []datum) (datum, error) {
		if a[0].Bool() {
			return types.String("true"), nil
		}
		return types.String("false"), nil
	},
	"bool(int4)": func(_ *Ctx, a []datum) (datum, error) { return types.Bool(a[0].Int() != 0), nil },
	"int4(bool)": func(_ *Ctx, a []datum) (datum, error) {
		if a[0].Bool() {
			return types.Int(1), nil
		}
		return types.Int(0), nil
	},
}

// readOnlyFuncs are the functions of floats that Go computes differently on
// different processors (see Func.ReadOnlyOnly).
var readOnlyFuncs = map[string]bool{
	"exp(float8)": true, "dexp": true, "pow(float8,float8)": true, "power(float8,float8)": true, "dpow": true,
	"sin": true, "cos": true, "tan": true, "cot": true, "asin": true, "acos": true, "atan": true, "atan2": true,
	"sind": true, "cosd": true, "tand": true, "cotd": true, "asind": true, "acosd": true, "atand": true, "atan2d": true,
	"sinh": true, "cosh": true, "tanh": true, "asinh": true, "acosh": true, "atanh": true, "pg_sleep": true,
}

package expr

import (
	"math/bits"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/types"
)

type countAll struct{ n int64 }

func (a *countAll) Add(*Ctx, []datum) error    { a.n++; return nil }
func (a *countAll) Result(*Ctx) (datum, error) { return types.Int(a.n), nil }

type countArg struct{ n int64 }

func (a *countArg) Add(_ *Ctx, args []datum) error {
	if !args[0].IsNull() {
		a.n++
	}
	return nil
}
func (a *countArg) Result(*Ctx) (datum, error) { return types.Int(a.n), nil }

// sumInt is sum(int2) and sum(int4), whose result is a bigint.
type sumInt struct {
	sum  int64
	seen bool
}

func (a *sumInt) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	s, ok := addInt(a.sum, args[0].Int())
	if !ok {
		return intRangeError("bigint")
	}
	a.sum, a.seen = s, true
	return nil
}

func (a *sumInt) Result(*Ctx) (datum, error) {
	if !a.seen {
		return null, nil
	}
	return types.Int(a.sum), nil
}

// int128 is the running sum of integers; it cannot overflow within 2^63 rows.
type int128 struct {
	hi int64
	lo uint64
	n  int64
}

func (s *int128) add(v int64) {
	lo, carry := bits.Add64(s.lo, uint64(v), 0)
	s.lo = lo
	s.hi += v>>63 + int64(carry)
	s.n++
}

func (s *int128) decimal() *apd.Decimal {
	v := new(apd.BigInt).SetInt64(s.hi)
	v.Lsh(v, 64)
	v.Add(v, new(apd.BigInt).SetUint64(s.lo))
	d := &apd.Decimal{}
	if v.Sign() < 0 {
		d.Negative = true
		v.Neg(v)
	}
	d.Coeff.Set(v)
	return d
}

// sumInt8 is sum(int8), whose result is a numeric.
type sumInt8 struct{ sum int128 }

func (a *sumInt8) Add(_ *Ctx, args []datum) error {
	if !args[0].IsNull() {
		a.sum.add(args[0].Int())
	}
	return nil
}

func (a *sumInt8) Result(*Ctx) (datum, error) {
	if a.sum.n == 0 {
		return null, nil
	}
	return types.Decimal(a.sum.decimal()), nil
}

type avgInt struct{ sumInt8 }

func (a *avgInt) Result(*Ctx) (datum, error) {
	if a.sum.n == 0 {
		return null, nil
	}
	return divideByCount(a.sum.decimal(), a.sum.n)
}

func divideByCount(sum *apd.Decimal, n int64) (datum, error) {
	out, err := numericDiv(sum, types.NewDecimalInt(n))
	if err != nil {
		return null, err
	}
	return numericResult(out)
}

// sumNumeric adds numerics. A sum of values with up to 18 digits and one
// scale stays in a machine word.
type sumNumeric struct {
	sum *apd.Decimal
	n   int64
}

func (a *sumNumeric) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	a.add(args[0].Decimal())
	return nil
}

func (a *sumNumeric) add(d *apd.Decimal) {
	if a.n++; a.sum == nil {
		a.sum = d
		return
	}
	a.sum = numericAdd(a.sum, d)
}

func (a *sumNumeric) Result(*Ctx) (datum, error) {
	if a.n == 0 {
		return null, nil
	}
	return numericResult(a.sum)
}

type avgNumeric struct{ sumNumeric }

func (a *avgNumeric) Result(*Ctx) (datum, error) {
	if a.n == 0 {
		return null, nil
	}
	return divideByCount(a.sum, a.n)
}

type sumFloat struct {
	sum    float64
	seen   bool
	single bool
}

func (a *sumFloat) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	v := args[0].Float()
	s := a.sum + v
	if !a.seen {
		s = v
	}
	if a.single {
		s = float64(float32(s))
	}
	if isInf(s) && !isInf(a.sum) && !isInf(v) {
		return floatOverflow()
	}
	a.sum, a.seen = s, true
	return nil
}

func isInf(v float64) bool { return v-v != 0 && v == v }

func (a *sumFloat) Result(*Ctx) (datum, error) {
	if !a.seen {
		return null, nil
	}
	return types.Float(a.sum), nil
}

type avgFloat struct {
	sumFloat
	n int64
}

func (a *avgFloat) Add(c *Ctx, args []datum) error {
	if !args[0].IsNull() {
		a.n++
	}
	return a.sumFloat.Add(c, args)
}

func (a *avgFloat) Result(*Ctx) (datum, error) {
	if a.n == 0 {
		return null, nil
	}
	return types.Float(a.sum / float64(a.n)), nil
}

type sumInterval struct {
	sum types.Interval
	n   int64
}

func (a *sumInterval) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	s, err := addInterval(a.sum, args[0].Interval())
	a.sum = s
	a.n++
	return err
}

func (a *sumInterval) Result(*Ctx) (datum, error) {
	if a.n == 0 {
		return null, nil
	}
	return types.IntervalDatum(a.sum), nil
}

type avgInterval struct{ sumInterval }

func (a *avgInterval) Result(*Ctx) (datum, error) {
	if a.n == 0 {
		return null, nil
	}
	iv, err := scaleInterval(a.sum, 1, float64(a.n))
	return types.IntervalDatum(iv), err
}

// extremum is min and max; sign is -1 or 1.
type extremum struct {
	sign    int
	compare compareFunc
	best    datum
}

func extreme(sign int) func(*binding) func() Accumulator {
	return func(b *binding) func() Accumulator {
		compare := comparer(b.args[0], b.args[0])
		return func() Accumulator { return &extremum{sign: sign, compare: compare} }
	}
}

func (a *extremum) Add(c *Ctx, args []datum) error {
	v := args[0]
	if v.IsNull() {
		return nil
	}
	if a.best.IsNull() {
		a.best = v
		return nil
	}
	n, err := a.compare(c, v, a.best)
	if n*a.sign > 0 {
		a.best = v
	}
	return err
}

func (a *extremum) Result(*Ctx) (datum, error) { return a.best, nil }

type boolAnd struct{ state datum }

func (a *boolAnd) Add(_ *Ctx, args []datum) error {
	if !args[0].IsNull() && (a.state.IsNull() || a.state.Bool()) {
		a.state = args[0]
	}
	return nil
}
func (a *boolAnd) Result(*Ctx) (datum, error) { return a.state, nil }

type boolOr struct{ state datum }

func (a *boolOr) Add(_ *Ctx, args []datum) error {
	if !args[0].IsNull() && (a.state.IsNull() || !a.state.Bool()) {
		a.state = args[0]
	}
	return nil
}
func (a *boolOr) Result(*Ctx) (datum, error) { return a.state, nil }

type bitFold struct {
	f     func(a, b int64) int64
	state datum
}

func bitAgg(f func(a, b int64) int64) func(*binding) func() Accumulator {
	return func(*binding) func() Accumulator { return func() Accumulator { return &bitFold{f: f} } }
}

func (a *bitFold) Add(_ *Ctx, args []datum) error {
	switch {
	case args[0].IsNull():
	case a.state.IsNull():
		a.state = args[0]
	default:
		a.state = types.Int(a.f(a.state.Int(), args[0].Int()))
	}
	return nil
}
func (a *bitFold) Result(*Ctx) (datum, error) { return a.state, nil }

package expr

import (
	"math"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/types"
)

// variance says which of the six functions is computed.
type variance struct {
	sample bool // divide by n - 1
	root   bool // standard deviation
}

// numericVariance is exact: it keeps the sums of values and squares.
type numericVariance struct {
	variance
	n           int64
	sum, square *apd.Decimal
	nan         bool
}

func (a *numericVariance) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	var d *apd.Decimal
	if args[0].Kind() == types.KindInt {
		d = types.NewDecimalInt(args[0].Int())
	} else {
		d = args[0].Decimal()
	}
	a.n++
	if !isFinite(d) {
		a.nan = true
		return nil
	}
	if a.sum == nil {
		a.sum, a.square = &apd.Decimal{}, &apd.Decimal{}
	}
	a.sum = numericAdd(a.sum, d)
	a.square = numericAdd(a.square, numericMul(d, d))
	return nil
}

func (a *numericVariance) Result(*Ctx) (datum, error) {
	switch {
	case a.n == 0 || a.sample && a.n == 1:
		return null, nil
	case a.nan:
		return types.Decimal(types.NumericNaN), nil
	}
	n := types.NewDecimalInt(a.n)
	num := numericAdd(numericMul(n, a.square), negate(numericMul(a.sum, a.sum)))
	if num.Negative || num.Coeff.Sign() == 0 {
		return types.Decimal(types.NewDecimalInt(0)), nil
	}
	den := numericMul(n, n)
	if a.sample {
		den = numericMul(n, types.NewDecimalInt(a.n-1))
	}
	scale := divScale(num, den)
	out := divideTo(num, den, scale, true)
	if a.root {
		out = sqrtTo(out, scale)
	}
	return numericResult(out)
}

// floatVariance follows PostgreSQL's use of the Youngs-Cramer algorithm. The
// conversions keep compilers from fusing a product and a sum, which would
// give other bits on other machines.
type floatVariance struct {
	variance
	n, sx, sxx float64
}

func (a *floatVariance) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() {
		return nil
	}
	v := args[0].Float()
	a.n++
	a.sx += v
	if a.n > 1 {
		t := float64(v*a.n) - a.sx
		a.sxx += float64(float64(t*t) / float64(a.n*(a.n-1)))
		if isInf(a.sx) || isInf(a.sxx) {
			if !isInf(a.sx-v) && !isInf(v) {
				return floatOverflow()
			}
			a.sxx = math.NaN()
		}
	} else if v-v != 0 {
		a.sxx = math.NaN()
	}
	return nil
}

func (a *floatVariance) Result(*Ctx) (datum, error) {
	if a.n == 0 || a.sample && a.n == 1 {
		return null, nil
	}
	d := a.n
	if a.sample {
		d--
	}
	v := a.sxx / d
	if a.root {
		v = math.Sqrt(v)
	}
	return types.Float(v), nil
}

var regrNames = []string{"regr_count", "regr_sxx", "regr_syy", "regr_sxy", "regr_avgx", "regr_avgy", "regr_r2",
	"regr_slope", "regr_intercept", "covar_pop", "covar_samp", "corr"}

// regression is the family of aggregates over pairs (y, x).
type regression struct {
	name                     string
	n, sx, sxx, sy, syy, sxy float64
}

func (a *regression) Add(_ *Ctx, args []datum) error {
	if args[0].IsNull() || args[1].IsNull() {
		return nil
	}
	y, x := args[0].Float(), args[1].Float()
	a.n++
	a.sx += x
	a.sy += y
	if a.n > 1 {
		tx := float64(x*a.n) - a.sx
		ty := float64(y*a.n) - a.sy
		scale := 1 / float64(a.n*(a.n-1))
		a.sxx += float64(float64(tx*tx) * scale)
		a.syy += float64(float64(ty*ty) * scale)
		a.sxy += float64(float64(tx*ty) * scale)
	}
	return nil
}

func (a *regression) Result(*Ctx) (datum, error) {
	if a.name == "regr_count" {
		return types.Int(int64(a.n)), nil
	}
	v, ok := a.value()
	if !ok {
		return null, nil
	}
	return types.Float(v), nil
}

func (a *regression) value() (v float64, ok bool) {
	some := a.n >= 1
	switch a.name {
	case "regr_sxx":
		return a.sxx, some
	case "regr_syy":
		return a.syy, some
	case "regr_sxy":
		return a.sxy, some
	case "regr_avgx":
		return a.sx / a.n, some
	case "regr_avgy":
		return a.sy / a.n, some
	case "covar_pop":
		return a.sxy / a.n, some
	case "covar_samp":
		return a.sxy / (a.n - 1), a.n >= 2
	case "corr":
		return a.sxy / math.Sqrt(float64(a.sxx*a.syy)), some && a.sxx != 0 && a.syy != 0
	case "regr_r2":
		if some && a.sxx != 0 && a.syy == 0 {
			return 1, true
		}
		return float64(a.sxy*a.sxy) / float64(a.sxx*a.syy), some && a.sxx != 0
	case "regr_slope":
		return a.sxy / a.sxx, some && a.sxx != 0
	}
	return (a.sy - float64(a.sx*a.sxy)/a.sxx) / a.n, some && a.sxx != 0 // regr_intercept
}

package expr

import (
	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func stepZero() error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "step size cannot equal zero")
}

// generateInt is generate_series over integers; it stops where the next
// value would overflow.
func generateInt(size intSize) setFunc {
	return func(_ *Ctx, a []datum) (RowIter, error) {
		cur, stop, step := a[0].Int(), a[1].Int(), int64(1)
		if len(a) > 2 {
			step = a[2].Int()
		}
		if step == 0 {
			return nil, stepZero()
		}
		done := false
		row := make([]datum, 1)
		return iterFunc(func() ([]datum, bool, error) {
			if done || step > 0 && cur > stop || step < 0 && cur < stop {
				return nil, false, nil
			}
			row[0] = types.Int(cur)
			next, ok := addInt(cur, step)
			cur, done = next, !ok || next < size.min || next > size.max
			return row, true, nil
		}), nil
	}
}

func generateNumeric(_ *Ctx, a []datum) (RowIter, error) {
	cur, stop, step := a[0].Decimal(), a[1].Decimal(), types.NewDecimalInt(1)
	if len(a) > 2 {
		step = a[2].Decimal()
	}
	for i, name := range []string{"start", "stop", "step size"}[:len(a)] {
		if d := a[i].Decimal(); !isFinite(d) {
			what := "infinity"
			if isNaN(d) {
				what = "NaN"
			}
			return nil, sqlstate.New(sqlstate.InvalidParameterValue, "%s value cannot be %s", name, what)
		}
	}
	if step.Coeff.Sign() == 0 {
		return nil, stepZero()
	}
	row := make([]datum, 1)
	return iterFunc(func() ([]datum, bool, error) {
		c := types.CompareDecimal(cur, stop)
		if !step.Negative && c > 0 || step.Negative && c < 0 {
			return nil, false, nil
		}
		row[0] = types.Decimal(cur)
		next, err := types.NormalizeDecimal(numericAdd(new(apd.Decimal).Set(cur), step))
		cur = next
		return row, true, err
	}), nil
}

func generateTimestamp(zoned bool) setFunc {
	return func(c *Ctx, a []datum) (RowIter, error) {
		cur, stop, step := a[0].Timestamp(), a[1].Timestamp(), a[2].Interval()
		sign := types.CompareInterval(step, types.Interval{})
		if sign == 0 {
			return nil, stepZero()
		}
		row := make([]datum, 1)
		return iterFunc(func() ([]datum, bool, error) {
			if sign > 0 && cur > stop || sign < 0 && cur < stop {
				return nil, false, nil
			}
			row[0] = types.Timestamp(cur)
			next, err := addToTimestamp(c, cur, step, zoned)
			if err == nil && next == cur {
				return nil, false, sqlstate.New(sqlstate.InvalidParameterValue, "series of infinite timestamps does not end")
			}
			cur = next
			return row, true, err
		}), nil
	}
}

func generateSubscripts(_ *Ctx, a []datum) (RowIter, error) {
	v := a[0].Array()
	i, ok := dimAt(v, a[1])
	if !ok {
		return valuesIter(nil), nil
	}
	out := make([]datum, v.Dims[i])
	for j := range out {
		at := int64(v.Lower[i]) + int64(j)
		if len(a) > 2 && a[2].Bool() {
			at = int64(v.Lower[i]) + int64(v.Dims[i]) - 1 - int64(j)
		}
		out[j] = types.Int(at)
	}
	return valuesIter(out), nil
}

var setFuncs = map[string]setFunc{
	"generate_series(int4,int4)": generateInt(size4), "generate_series(int4,int4,int4)": generateInt(size4),
	"generate_series(int8,int8)": generateInt(size8), "generate_series(int8,int8,int8)": generateInt(size8),
	"generate_series(numeric,numeric)": generateNumeric, "generate_series(numeric,numeric,numeric)": generateNumeric,
	"generate_series(timestamp,timestamp,interval)":     generateTimestamp(false),
	"generate_series(timestamptz,timestamptz,interval)": generateTimestamp(true),
	"unnest(anyarray)":    func(_ *Ctx, a []datum) (RowIter, error) { return valuesIter(a[0].Array().Elems), nil },
	"generate_subscripts": generateSubscripts,
	"regexp_matches":      regexpMatches,
	"regexp_split_to_table": func(_ *Ctx, a []datum) (RowIter, error) {
		parts, err := splitRegex(a, "regexp_split_to_table")
		return valuesIter(parts), err
	},
	"string_to_table": func(_ *Ctx, a []datum) (RowIter, error) {
		if a[0].IsNull() {
			return valuesIter(nil), nil
		}
		return valuesIter(splitString(a)), nil
	},
}

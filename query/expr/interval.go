package expr

import (
	"math"

	"github.com/tidemark-db/tidemark/sm/types"
)

func add32(a, b int32) (int32, bool) {
	s := int64(a) + int64(b)
	return int32(s), s == int64(int32(s))
}

func addInterval(a, b types.Interval) (types.Interval, error) {
	months, ok1 := add32(a.Months, b.Months)
	days, ok2 := add32(a.Days, b.Days)
	micros, ok3 := addInt(a.Micros, b.Micros)
	if !ok1 || !ok2 || !ok3 {
		return types.Interval{}, types.IntervalOutOfRange()
	}
	return types.Interval{Months: months, Days: days, Micros: micros}, nil
}

func negateInterval(a types.Interval) (types.Interval, error) {
	if a.Months == math.MinInt32 || a.Days == math.MinInt32 || a.Micros == math.MinInt64 {
		return a, types.IntervalOutOfRange()
	}
	return types.Interval{Months: -a.Months, Days: -a.Days, Micros: -a.Micros}, nil
}

// scaleInterval computes iv × factor ÷ divisor, one of which is 1, spilling
// fractions of months into days and of days into time, as interval_mul and
// interval_div do.
func scaleInterval(iv types.Interval, factor, divisor float64) (types.Interval, error) {
	if divisor == 0 {
		return iv, divisionByZero()
	}
	scale := func(v float64) float64 { return float64(float64(v*factor) / divisor) }
	months := scale(float64(iv.Months))
	days := scale(float64(iv.Days))
	if math.IsNaN(months) || math.Abs(months) > math.MaxInt32 || math.IsNaN(days) || math.Abs(days) > math.MaxInt32 {
		return iv, types.IntervalOutOfRange()
	}
	out := types.Interval{Months: int32(months), Days: int32(days)}
	remMonthDays := roundMicro(float64((months - float64(out.Months)) * types.DaysPerMonth))
	remSec := roundMicro(float64((days-float64(out.Days))+(remMonthDays-math.Trunc(remMonthDays))) * 86400)
	// Cascade whole days that rounding made.
	if math.Abs(remSec) >= 86400 {
		whole := int32(remSec / 86400)
		out.Days += whole
		remSec -= float64(whole) * 86400
	}
	out.Days += int32(remMonthDays)
	micros := math.RoundToEven(float64(scale(float64(iv.Micros)) + float64(remSec*types.MicrosPerSecond)))
	if math.IsNaN(micros) || micros < math.MinInt64 || micros >= math.MaxInt64 {
		return iv, types.IntervalOutOfRange()
	}
	out.Micros = int64(micros)
	return out, nil
}

// roundMicro is PostgreSQL's TSROUND: six decimal places.
func roundMicro(v float64) float64 {
	return math.RoundToEven(float64(v*types.MicrosPerSecond)) / types.MicrosPerSecond
}

func intervalDatum(iv types.Interval, err error) (datum, error) {
	if err != nil {
		return null, err
	}
	return types.IntervalDatum(iv), nil
}

// addToTimestamp adds months, then days, then time. For a timestamptz the
// first two happen in local time.
func addToTimestamp(c *Ctx, ts int64, iv types.Interval, zoned bool) (int64, error) {
	if ts == types.TimestampInfinity || ts == types.TimestampNegInfinity {
		return ts, nil
	}
	if iv.Months != 0 || iv.Days != 0 {
		local := ts
		var err error
		if zoned {
			if local, err = types.UTCToLocal(ts, location(c)); err != nil {
				return 0, err
			}
		}
		if local, err = addDate(local, iv); err != nil {
			return 0, err
		}
		if ts = local; zoned {
			if ts, err = types.LocalToUTC(local, location(c)); err != nil {
				return 0, err
			}
		}
	}
	out, ok := addInt(ts, iv.Micros)
	if !ok {
		return 0, types.TimestampOutOfRange()
	}
	return types.CheckTimestamp(out)
}

// addDate adds an interval's months and days to a local time. A day past the
// end of the month becomes its last day.
func addDate(ts int64, iv types.Interval) (int64, error) {
	civil := types.CivilFromTimestamp(ts)
	if iv.Months != 0 {
		m := int64(civil.Year)*12 + int64(civil.Month-1) + int64(iv.Months)
		civil.Year, civil.Month = int(types.FloorDiv(m, 12)), int(m-types.FloorDiv(m, 12)*12)+1
		civil.Day = min(civil.Day, types.DaysInMonth(civil.Year, civil.Month))
	}
	out, err := civil.Timestamp()
	if err != nil {
		return 0, err
	}
	sum, ok := addInt(out, int64(iv.Days)*types.MicrosPerDay)
	if !ok {
		return 0, types.TimestampOutOfRange()
	}
	return types.CheckTimestamp(sum)
}

// subtractTimestamps is timestamp - timestamp: days and time.
func subtractTimestamps(a, b int64) (types.Interval, error) {
	if !finite(a) || !finite(b) {
		return types.Interval{}, cannotSubtractInfinite()
	}
	d, ok := subInt(a, b)
	if !ok {
		return types.Interval{}, types.IntervalOutOfRange()
	}
	return justifyHours(types.Interval{Micros: d})
}

func finite(ts int64) bool { return ts != types.TimestampInfinity && ts != types.TimestampNegInfinity }

func justifyHours(iv types.Interval) (types.Interval, error) {
	days := iv.Micros / types.MicrosPerDay
	iv.Micros -= days * types.MicrosPerDay
	sum := int64(iv.Days) + days
	if sum != int64(int32(sum)) {
		return iv, types.IntervalOutOfRange()
	}
	iv.Days = int32(sum)
	switch {
	case iv.Days > 0 && iv.Micros < 0:
		iv.Days, iv.Micros = iv.Days-1, iv.Micros+types.MicrosPerDay
	case iv.Days < 0 && iv.Micros > 0:
		iv.Days, iv.Micros = iv.Days+1, iv.Micros-types.MicrosPerDay
	}
	return iv, nil
}

func justifyDays(iv types.Interval) (types.Interval, error) {
	months := iv.Days / types.DaysPerMonth
	iv.Days -= months * types.DaysPerMonth
	m, ok := add32(iv.Months, months)
	if !ok {
		return iv, types.IntervalOutOfRange()
	}
	iv.Months = m
	switch {
	case iv.Months > 0 && iv.Days < 0:
		iv.Months, iv.Days = iv.Months-1, iv.Days+types.DaysPerMonth
	case iv.Months < 0 && iv.Days > 0:
		iv.Months, iv.Days = iv.Months+1, iv.Days-types.DaysPerMonth
	}
	return iv, nil
}

func justifyInterval(iv types.Interval) (types.Interval, error) {
	iv, err := justifyHours(types.Interval{Micros: iv.Micros, Days: iv.Days, Months: iv.Months})
	if err != nil {
		return iv, err
	}
	if iv, err = justifyDays(iv); err != nil {
		return iv, err
	}
	switch {
	case iv.Months > 0 && (iv.Days < 0 || iv.Days == 0 && iv.Micros < 0):
		iv.Months, iv.Days = iv.Months-1, iv.Days+types.DaysPerMonth
	case iv.Months < 0 && (iv.Days > 0 || iv.Days == 0 && iv.Micros > 0):
		iv.Months, iv.Days = iv.Months+1, iv.Days-types.DaysPerMonth
	}
	switch {
	case iv.Days > 0 && iv.Micros < 0:
		iv.Days, iv.Micros = iv.Days-1, iv.Micros+types.MicrosPerDay
	case iv.Days < 0 && iv.Micros > 0:
		iv.Days, iv.Micros = iv.Days+1, iv.Micros-types.MicrosPerDay
	}
	return iv, nil
}

// age is the difference in years, months, days and time of the calendar.
func age(a, b int64) (types.Interval, error) {
	if !finite(a) || !finite(b) {
		return types.Interval{}, types.TimestampOutOfRange()
	}
	sign := int32(1)
	x, y := types.CivilFromTimestamp(a), types.CivilFromTimestamp(b)
	if a < b {
		sign = -1
		x, y = y, x
	}
	micro := x.Micro - y.Micro
	second, minute, hour := x.Second-y.Second, x.Minute-y.Minute, x.Hour-y.Hour
	day, month, year := x.Day-y.Day, x.Month-y.Month, x.Year-y.Year
	borrow := func(v *int, unit int, from *int) {
		if *v < 0 {
			*v += unit
			*from--
		}
	}
	borrow(&micro, types.MicrosPerSecond, &second)
	borrow(&second, 60, &minute)
	borrow(&minute, 60, &hour)
	borrow(&hour, 24, &day)
	if day < 0 {
		// The month of the earlier date lends its days.
		day += types.DaysInMonth(y.Year, y.Month)
		month--
	}
	borrow(&month, 12, &year)
	micros := (int64(hour)*3600+int64(minute)*60+int64(second))*types.MicrosPerSecond + int64(micro)
	return types.Interval{Months: sign * int32(year*12+month), Days: sign * int32(day), Micros: int64(sign) * micros}, nil
}

package expr

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// unitAliases maps the names extract, date_part and date_trunc accept to the
// ones used below.
var unitAliases = map[string]string{
	"years": "year", "y": "year", "yr": "year", "yrs": "year", "mon": "month", "mons": "month", "months": "month",
	"d": "day", "days": "day", "h": "hour", "hr": "hour", "hrs": "hour", "hours": "hour", "m": "minute", "min": "minute",
	"mins": "minute", "minutes": "minute", "s": "second", "sec": "second", "secs": "second", "seconds": "second",
	"ms": "millisecond", "msec": "millisecond", "milliseconds": "millisecond", "msecs": "millisecond",
	"us": "microsecond", "usec": "microsecond", "microseconds": "microsecond", "usecs": "microsecond",
	"w": "week", "weeks": "week", "qtr": "quarter", "dec": "decade", "decades": "decade", "decs": "decade",
	"c": "century", "cent": "century", "centuries": "century", "mil": "millennium", "mils": "millennium",
	"millennia": "millennium", "timezone_h": "timezone_hour", "timezone_m": "timezone_minute",
}

var knownUnits = map[string]bool{"year": true, "month": true, "day": true, "hour": true, "minute": true, "second": true,
	"millisecond": true, "microsecond": true, "week": true, "quarter": true, "decade": true, "century": true,
	"millennium": true, "dow": true, "isodow": true, "doy": true, "isoyear": true, "julian": true, "epoch": true,
	"timezone": true, "timezone_hour": true, "timezone_minute": true}

func unitName(s string) (string, bool) {
	u := strings.ToLower(s)
	if a, ok := unitAliases[u]; ok {
		u = a
	}
	return u, knownUnits[u]
}

func unitError(s string, t *types.Type) error {
	if _, ok := unitName(s); ok {
		return unsupported("unit \"%s\" not supported for type %s", strings.ToLower(s), t.SQLName)
	}
	return sqlstate.New(sqlstate.InvalidParameterValue, "unit \"%s\" not recognized for type %s", strings.ToLower(s), t.SQLName)
}

// isoWeek returns the ISO 8601 year and week of a date.
func isoWeek(days int64) (year, week int) {
	weekday := (types.WeekdayOf(days) + 6) % 7 // 0 is Monday
	thursday := days - int64(weekday) + 3
	year, _, _ = types.CivilFromDate(thursday)
	return year, int(thursday-types.DateFromCivil(year, 1, 1))/7 + 1
}

// intNumeric and micros make results of extract.
func intNumeric(v int64) *apd.Decimal { return types.NewDecimalInt(v) }

// scaled is v × 10^-scale with that display scale.
func scaled(v int64, scale int32) *apd.Decimal {
	d := &apd.Decimal{Exponent: -scale, Negative: v < 0}
	d.Coeff.SetUint64(absInt(v))
	return d
}

func floorTo(v, unit int64) int64 { return types.FloorDiv(v, unit) }

// extractCivil returns a field of a date and time; days is its date.
func extractCivil(unit string, c *types.Civil, zoned bool) (*apd.Decimal, bool) {
	days := types.DateFromCivil(c.Year, c.Month, c.Day)
	year := int64(c.Year)
	if year <= 0 {
		year-- // 1 BC is year -1
	}
	secMicros := int64(c.Second)*types.MicrosPerSecond + int64(c.Micro)
	switch unit {
	case "year":
		return intNumeric(year), true
	case "month":
		return intNumeric(int64(c.Month)), true
	case "day":
		return intNumeric(int64(c.Day)), true
	case "hour":
		return intNumeric(int64(c.Hour)), true
	case "minute":
		return intNumeric(int64(c.Minute)), true
	case "second":
		return scaled(secMicros, 6), true
	case "millisecond":
		return scaled(secMicros, 3), true
	case "microsecond":
		return intNumeric(secMicros), true
	case "quarter":
		return intNumeric(int64(c.Month-1)/3 + 1), true
	case "decade":
		return intNumeric(floorTo(int64(c.Year), 10)), true
	case "century":
		return intNumeric(eraOf(int64(c.Year), 100)), true
	case "millennium":
		return intNumeric(eraOf(int64(c.Year), 1000)), true
	case "dow":
		return intNumeric(int64(types.WeekdayOf(days))), true
	case "isodow":
		return intNumeric(int64((types.WeekdayOf(days)+6)%7 + 1)), true
	case "doy":
		return intNumeric(days - types.DateFromCivil(c.Year, 1, 1) + 1), true
	case "week":
		_, week := isoWeek(days)
		return intNumeric(int64(week)), true
	case "isoyear":
		y, _ := isoWeek(days)
		if y <= 0 {
			y--
		}
		return intNumeric(int64(y)), true
	}
	if !zoned {
		return nil, false
	}
	switch unit {
	case "timezone":
		return intNumeric(int64(c.Offset)), true
	case "timezone_hour":
		return intNumeric(int64(c.Offset / 3600)), true
	case "timezone_minute":
		return intNumeric(int64(c.Offset / 60 % 60)), true
	}
	return nil, false
}

// eraOf numbers centuries and millennia, of which there is no zeroth.
func eraOf(year, span int64) int64 {
	if year > 0 {
		return (year + span - 1) / span
	}
	return -((span - 1 - (year - 1)) / span)
}

// infiniteField returns what a field of an infinite value is: infinity for
// those that grow without bound, NULL for those that repeat.
func infiniteField(unit string, negative bool) datum {
	switch unit {
	case "year", "decade", "century", "millennium", "julian", "isoyear", "epoch":
		return types.Decimal(infinity(negative))
	}
	return null
}

func extractTimestamp(zoned bool) evalFunc {
	typ := types.TimestampType
	if zoned {
		typ = types.TimestampTZType
	}
	return func(ctx *Ctx, a []datum) (datum, error) {
		unit, ok := unitName(a[0].Str())
		ts := a[1].Timestamp()
		if !ok {
			return null, unitError(a[0].Str(), typ)
		}
		if !finite(ts) {
			return infiniteField(unit, ts < 0), nil
		}
		var c types.Civil
		if zoned {
			c = types.CivilInZone(ts, location(ctx))
		} else {
			c = types.CivilFromTimestamp(ts)
		}
		switch unit {
		case "epoch":
			return types.Decimal(numericAdd(scaled(ts, 6), intNumeric(types.PGEpochUnix))), nil
		case "julian":
			return types.Decimal(julian(&c)), nil
		}
		d, ok := extractCivil(unit, &c, zoned)
		if !ok {
			return null, unitError(a[0].Str(), typ)
		}
		return types.Decimal(d), nil
	}
}

// julian is the Julian day with the time of day as a fraction.
func julian(c *types.Civil) *apd.Decimal {
	days := types.DateFromCivil(c.Year, c.Month, c.Day) - types.MinDate
	micros := (int64(c.Hour)*3600+int64(c.Minute)*60+int64(c.Second))*types.MicrosPerSecond + int64(c.Micro)
	q, err := numericDiv(intNumeric(micros), intNumeric(types.MicrosPerDay))
	if err != nil {
		return intNumeric(days) // not reached: the divisor is a constant
	}
	return numericAdd(intNumeric(days), q)
}

func extractDate(_ *Ctx, a []datum) (datum, error) {
	unit, ok := unitName(a[0].Str())
	if !ok {
		return null, unitError(a[0].Str(), types.DateType)
	}
	days := a[1].Date()
	if infiniteDate(days) {
		return infiniteField(unit, days < 0), nil
	}
	switch unit {
	case "epoch":
		return types.Decimal(intNumeric((int64(days) + types.PGEpochDays) * 86400)), nil
	case "julian":
		return types.Decimal(intNumeric(int64(days) - types.MinDate)), nil
	case "hour", "minute", "second", "millisecond", "microsecond":
		return null, unitError(a[0].Str(), types.DateType)
	}
	var c types.Civil
	c.Year, c.Month, c.Day = types.CivilFromDate(int64(days))
	d, ok := extractCivil(unit, &c, false)
	if !ok {
		return null, unitError(a[0].Str(), types.DateType)
	}
	return types.Decimal(d), nil
}

func extractTime(_ *Ctx, a []datum) (datum, error) {
	unit, _ := unitName(a[0].Str())
	c := types.CivilFromTimestamp(a[1].Time())
	c.Hour = int(a[1].Time() / types.MicrosPerHour)
	switch unit {
	case "hour", "minute", "second", "millisecond", "microsecond":
		d, _ := extractCivil(unit, &c, false)
		return types.Decimal(d), nil
	case "epoch":
		return types.Decimal(scaled(a[1].Time(), 6)), nil
	}
	return null, unitError(a[0].Str(), types.TimeType)
}

func extractInterval(_ *Ctx, a []datum) (datum, error) {
	unit, _ := unitName(a[0].Str())
	iv := a[1].Interval()
	years, months := int64(iv.Months)/12, int64(iv.Months)%12
	sec := iv.Micros % types.MicrosPerMinute
	var d *apd.Decimal
	switch unit {
	case "year":
		d = intNumeric(years)
	case "month":
		d = intNumeric(months)
	case "day":
		d = intNumeric(int64(iv.Days))
	case "hour":
		d = intNumeric(iv.Micros / types.MicrosPerHour)
	case "minute":
		d = intNumeric(iv.Micros / types.MicrosPerMinute % 60)
	case "second":
		d = scaled(sec, 6)
	case "millisecond":
		d = scaled(sec, 3)
	case "microsecond":
		d = intNumeric(sec)
	case "quarter":
		d = intNumeric(months/3 + 1)
	case "decade":
		d = intNumeric(years / 10)
	case "century":
		d = intNumeric(years / 100)
	case "millennium":
		d = intNumeric(years / 1000)
	case "epoch":
		// A year counts 365.25 days, a month 30.
		quarter := years*1461 + (months*types.DaysPerMonth+int64(iv.Days))*4
		secs := numericMul(intNumeric(quarter), intNumeric(86400/4))
		d = numericAdd(secs, scaled(iv.Micros, 6))
	default:
		return null, unitError(a[0].Str(), types.IntervalType)
	}
	return types.Decimal(d), nil
}

// asFloat makes an extract a date_part, whose result is a float.
func asFloat(f evalFunc) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		d, err := f(c, a)
		if err != nil || d.IsNull() {
			return d, err
		}
		return types.Float(toFloat(d.Decimal())), nil
	}
}

// truncCivil cuts a date and time to a unit.
func truncCivil(unit string, c *types.Civil) bool {
	switch unit {
	case "millennium":
		c.Year = int(truncEra(int64(c.Year), 1000))
	case "century":
		c.Year = int(truncEra(int64(c.Year), 100))
	case "decade":
		c.Year = int(floorTo(int64(c.Year), 10) * 10)
	case "year", "month", "quarter", "week", "day", "hour", "minute", "second", "millisecond", "microsecond":
	default:
		return false
	}
	switch unit {
	case "millisecond":
		c.Micro = c.Micro / 1000 * 1000
	case "microsecond":
	default:
		c.Micro = 0
		if unit == "second" {
			return true
		}
		c.Second = 0
		if unit == "minute" {
			return true
		}
		c.Minute = 0
		if unit == "hour" {
			return true
		}
		c.Hour = 0
		truncDate(unit, c)
	}
	return true
}

func truncDate(unit string, c *types.Civil) {
	switch unit {
	case "day":
	case "week":
		days := types.DateFromCivil(c.Year, c.Month, c.Day)
		days -= int64((types.WeekdayOf(days) + 6) % 7)
		c.Year, c.Month, c.Day = types.CivilFromDate(days)
	case "month":
		c.Day = 1
	case "quarter":
		c.Month, c.Day = (c.Month-1)/3*3+1, 1
	default:
		c.Month, c.Day = 1, 1
	}
}

func truncEra(year, span int64) int64 {
	if year > 0 {
		return (year+span-1)/span*span - span + 1
	}
	return -((span-1-(year-1))/span)*span + 1
}

func truncTimestamp(_ *Ctx, a []datum) (datum, error) {
	unit, _ := unitName(a[0].Str())
	ts := a[1].Timestamp()
	var c types.Civil
	if finite(ts) {
		c = types.CivilFromTimestamp(ts)
	} else {
		c = types.CivilFromTimestamp(0)
	}
	if !truncCivil(unit, &c) {
		return null, unitError(a[0].Str(), types.TimestampType)
	}
	if !finite(ts) {
		return a[1], nil
	}
	return timestampDatum(c.Timestamp())
}

func truncTimestampTZ(ctx *Ctx, a []datum) (datum, error) {
	loc := location(ctx)
	if len(a) == 3 {
		var err error
		if loc, err = types.LoadLocation(a[2].Str()); err != nil {
			return null, err
		}
	}
	local, err := types.UTCToLocal(a[1].Timestamp(), loc)
	if err != nil {
		return null, err
	}
	out, err := truncTimestamp(ctx, []datum{a[0], types.Timestamp(local)})
	if err != nil {
		if e := sqlstate.As(err); strings.Contains(e.Message, types.TimestampType.SQLName) {
			return null, unitError(a[0].Str(), types.TimestampTZType)
		}
		return null, err
	}
	if !finite(local) {
		return a[1], nil
	}
	// Within an hour the displacement cannot have changed; keep the one the
	// value has, so that both passes through an ambiguous hour stay apart.
	if unit, _ := unitName(a[0].Str()); unit == "hour" || unit == "minute" || unit == "second" || unit == "millisecond" || unit == "microsecond" {
		return timestampDatum(types.CheckTimestamp(a[1].Timestamp() - (local - out.Timestamp())))
	}
	return timestampDatum(types.LocalToUTC(out.Timestamp(), loc))
}

func truncInterval(_ *Ctx, a []datum) (datum, error) {
	unit, _ := unitName(a[0].Str())
	iv := a[1].Interval()
	months := func(n int32) datum { return types.IntervalDatum(types.Interval{Months: iv.Months / n * n}) }
	micros := func(n int64) datum {
		return types.IntervalDatum(types.Interval{Months: iv.Months, Days: iv.Days, Micros: iv.Micros / n * n})
	}
	switch unit {
	case "millennium":
		return months(12000), nil
	case "century":
		return months(1200), nil
	case "decade":
		return months(120), nil
	case "year":
		return months(12), nil
	case "quarter":
		return months(3), nil
	case "month":
		return months(1), nil
	case "day":
		return types.IntervalDatum(types.Interval{Months: iv.Months, Days: iv.Days}), nil
	case "hour":
		return micros(types.MicrosPerHour), nil
	case "minute":
		return micros(types.MicrosPerMinute), nil
	case "second":
		return micros(types.MicrosPerSecond), nil
	case "millisecond":
		return micros(1000), nil
	case "microsecond":
		return a[1], nil
	}
	err := sqlstate.As(unitError(a[0].Str(), types.IntervalType))
	if unit == "week" {
		err = err.WithDetail("Months usually have fractional weeks.")
	}
	return null, err
}

var extractEvals = map[string]evalFunc{
	"extract(text,timestamp)": extractTimestamp(false), "date_part(text,timestamp)": asFloat(extractTimestamp(false)),
	"extract(text,timestamptz)": extractTimestamp(true), "date_part(text,timestamptz)": asFloat(extractTimestamp(true)),
	"extract(text,date)": extractDate,
	"date_part(text,date)": func(c *Ctx, a []datum) (datum, error) {
		ts, err := dateToTimestamp(a[1].Date())
		if err != nil {
			return null, err
		}
		return asFloat(extractTimestamp(false))(c, []datum{a[0], types.Timestamp(ts)})
	},
	"extract(text,time)": extractTime, "date_part(text,time)": asFloat(extractTime),
	"extract(text,interval)": extractInterval, "date_part(text,interval)": asFloat(extractInterval),
	"date_trunc(text,timestamp)": truncTimestamp, "date_trunc(text,timestamptz)": truncTimestampTZ,
	"date_trunc(text,timestamptz,text)": truncTimestampTZ, "date_trunc(text,interval)": truncInterval,
}

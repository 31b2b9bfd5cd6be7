package expr

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func cannotSubtractInfinite() error {
	return sqlstate.New(sqlstate.DatetimeFieldOverflow, "cannot subtract infinite timestamps")
}

func timestampDatum(ts int64, err error) (datum, error) {
	if err != nil {
		return null, err
	}
	return types.Timestamp(ts), nil
}

func checkDate(days int64) (datum, error) {
	if days < types.MinDate || days >= types.EndDate {
		return null, types.DateOutOfRange()
	}
	return types.Date(int32(days)), nil
}

func infiniteDate(d int32) bool { return d == types.DateInfinity || d == types.DateNegInfinity }

func dateAddDays(d int32, n int64) (datum, error) {
	if infiniteDate(d) {
		return types.Date(d), nil
	}
	return checkDate(int64(d) + n)
}

func dateToTimestamp(d int32) (int64, error) {
	switch d {
	case types.DateInfinity:
		return types.TimestampInfinity, nil
	case types.DateNegInfinity:
		return types.TimestampNegInfinity, nil
	}
	if int64(d) >= types.EndTimestamp/types.MicrosPerDay {
		return 0, sqlstate.New(sqlstate.DatetimeFieldOverflow, "date out of range for timestamp")
	}
	return int64(d) * types.MicrosPerDay, nil
}

func timestampToDate(ts int64) datum {
	switch ts {
	case types.TimestampInfinity:
		return types.Date(types.DateInfinity)
	case types.TimestampNegInfinity:
		return types.Date(types.DateNegInfinity)
	}
	return types.Date(int32(types.FloorDiv(ts, types.MicrosPerDay)))
}

// timestampPlus makes timestamp ± interval; sign is 1 or -1.
func timestampPlus(zoned bool, sign int, swap bool) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		t, iv := a[0], a[1]
		if swap {
			t, iv = a[1], a[0]
		}
		span := iv.Interval()
		if sign < 0 {
			var err error
			if span, err = negateInterval(span); err != nil {
				return null, err
			}
		}
		return timestampDatum(addToTimestamp(c, t.Timestamp(), span, zoned))
	}
}

func datePlusInterval(sign int, swap bool) evalFunc {
	plus := timestampPlus(false, sign, false)
	return func(c *Ctx, a []datum) (datum, error) {
		d, iv := a[0], a[1]
		if swap {
			d, iv = a[1], a[0]
		}
		ts, err := dateToTimestamp(d.Date())
		if err != nil {
			return null, err
		}
		return plus(c, []datum{types.Timestamp(ts), iv})
	}
}

// timePlusInterval ignores days and months and wraps at midnight.
func timePlusInterval(sign int64, swap bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		t, iv := a[0], a[1]
		if swap {
			t, iv = a[1], a[0]
		}
		v := (t.Time() + sign*(iv.Interval().Micros%types.MicrosPerDay)) % types.MicrosPerDay
		if v < 0 {
			v += types.MicrosPerDay
		}
		return types.Time(v), nil
	}
}

func dateTime(c *Ctx, date, time datum) (datum, error) {
	ts, err := dateToTimestamp(date.Date())
	if err != nil || !finite(ts) {
		return timestampDatum(ts, err)
	}
	return timestampDatum(types.CheckTimestamp(ts + time.Time()))
}

// atZone is AT TIME ZONE with a zone that is a name or an interval.
func atZone(toLocal bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		ts := a[1].Timestamp()
		if a[0].Kind() == types.KindInterval {
			iv := a[0].Interval()
			if iv.Months != 0 || iv.Days != 0 {
				return null, sqlstate.New(sqlstate.InvalidParameterValue, "interval time zone \"%s\" must not include months or days",
					types.IntervalType.Text(types.DefaultFormat(), a[0]))
			}
			if !finite(ts) {
				return a[1], nil
			}
			if !toLocal {
				iv.Micros = -iv.Micros
			}
			return timestampDatum(types.CheckTimestamp(ts + iv.Micros/types.MicrosPerSecond*types.MicrosPerSecond))
		}
		loc, err := types.LoadLocation(a[0].Str())
		if err != nil {
			return null, err
		}
		// PostgreSQL takes a bare displacement in the POSIX sense: west.
		if s := strings.TrimSpace(a[0].Str()); s != "" && (s[0] == '+' || s[0] == '-') {
			if loc, err = types.LoadLocation("<X>" + s); err != nil {
				return null, types.UndefinedZone(a[0].Str())
			}
		}
		if toLocal {
			return timestampDatum(types.UTCToLocal(ts, loc))
		}
		return timestampDatum(types.LocalToUTC(ts, loc))
	}
}

func makeDate(_ *Ctx, a []datum) (datum, error) {
	y, m, d := int(a[0].Int()), int(a[1].Int()), int(a[2].Int())
	bad := func() error {
		return sqlstate.New(sqlstate.DatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", y, m, d)
	}
	year := y
	if y < 0 {
		year = y + 1 // -1 is 1 BC
	}
	if y == 0 || m < 1 || m > 12 || d < 1 || d > types.DaysInMonth(year, m) {
		return null, bad()
	}
	days := types.DateFromCivil(year, m, d)
	if days < types.MinDate || days >= types.EndDate {
		return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "date out of range: %d-%02d-%02d", y, m, d)
	}
	return types.Date(int32(days)), nil
}

func clockMicros(h, m int64, s float64) (int64, error) {
	if h < 0 || m < 0 || m > 59 || math.IsNaN(s) || s < 0 || s > 60 || h > 24 || h == 24 && (m > 0 || s > 0) {
		return 0, sqlstate.New(sqlstate.DatetimeFieldOverflow, "time field value out of range: %d:%02d:%s", h, m, secondsText(s))
	}
	return h*types.MicrosPerHour + m*types.MicrosPerMinute + int64(math.RoundToEven(float64(s*types.MicrosPerSecond))), nil
}

func secondsText(s float64) string {
	out := strconv.FormatFloat(s, 'g', 6, 64)
	if i := strings.IndexByte(out, '.'); i == 1 || i < 0 && len(out) == 1 {
		out = "0" + out
	}
	return out
}

func makeTime(_ *Ctx, a []datum) (datum, error) {
	t, err := clockMicros(a[0].Int(), a[1].Int(), a[2].Float())
	if err != nil {
		return null, err
	}
	return types.Time(t), nil
}

func makeTimestamp(c *Ctx, a []datum) (datum, error) {
	date, err := makeDate(c, a[:3])
	if err != nil {
		return null, err
	}
	t, err := makeTime(c, a[3:6])
	if err != nil {
		return null, err
	}
	return dateTime(c, date, t)
}

func makeTimestampTZ(c *Ctx, a []datum) (datum, error) {
	ts, err := makeTimestamp(c, a)
	if err != nil {
		return null, err
	}
	loc := location(c)
	if len(a) > 6 {
		if loc, err = types.LoadLocation(a[6].Str()); err != nil {
			return null, err
		}
	}
	return timestampDatum(types.LocalToUTC(ts.Timestamp(), loc))
}

func makeInterval(_ *Ctx, a []datum) (datum, error) {
	secs := a[6].Float()
	if math.IsNaN(secs) || math.IsInf(secs, 0) {
		return null, types.IntervalOutOfRange()
	}
	months, ok1 := addInt(a[0].Int()*12, a[1].Int())
	days, ok2 := addInt(a[2].Int()*7, a[3].Int())
	micros := float64(a[4].Int()*types.MicrosPerHour+a[5].Int()*types.MicrosPerMinute) + math.RoundToEven(float64(secs*types.MicrosPerSecond))
	if !ok1 || !ok2 || months != int64(int32(months)) || days != int64(int32(days)) || math.Abs(micros) >= math.MaxInt64 {
		return null, types.IntervalOutOfRange()
	}
	return types.IntervalDatum(types.Interval{Months: int32(months), Days: int32(days), Micros: int64(micros)}), nil
}

func intervalFn(f func(types.Interval) (types.Interval, error)) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return intervalDatum(f(a[0].Interval())) }
}

func localNow(c *Ctx) (int64, error) { return types.UTCToLocal(c.TxnTime, location(c)) }

// today is midnight of the transaction's local date, as a timestamp.
func today(c *Ctx) (int64, error) {
	now, err := localNow(c)
	return types.FloorDiv(now, types.MicrosPerDay) * types.MicrosPerDay, err
}

func dateBin(_ *Ctx, a []datum) (datum, error) {
	iv, ts, origin := a[0].Interval(), a[1].Timestamp(), a[2].Timestamp()
	if !finite(ts) {
		return a[1], nil
	}
	if !finite(origin) {
		return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "origin out of range")
	}
	if iv.Months != 0 {
		return null, unsupported("timestamps cannot be binned into intervals containing months or years")
	}
	stride, ok := addInt(int64(iv.Days)*types.MicrosPerDay, iv.Micros)
	if !ok {
		return null, types.IntervalOutOfRange()
	}
	if stride <= 0 {
		return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "stride must be greater than zero")
	}
	diff, ok := subInt(ts, origin)
	if !ok {
		return null, types.IntervalOutOfRange()
	}
	return timestampDatum(types.CheckTimestamp(origin + types.FloorDiv(diff, stride)*stride))
}

func ageOf(zoned bool) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		x, y := int64(0), int64(0)
		var err error
		if len(a) == 1 {
			if x, err = today(c); err != nil {
				return null, err
			}
			y = a[0].Timestamp()
		} else {
			x, y = a[0].Timestamp(), a[1].Timestamp()
		}
		if zoned {
			if len(a) == 2 {
				if x, err = types.UTCToLocal(x, location(c)); err != nil {
					return null, err
				}
			}
			if y, err = types.UTCToLocal(y, location(c)); err != nil {
				return null, err
			}
		}
		return intervalDatum(age(x, y))
	}
}

func timestampDiff(_ *Ctx, a []datum) (datum, error) {
	return intervalDatum(subtractTimestamps(a[0].Timestamp(), a[1].Timestamp()))
}

func finiteTimestamp(_ *Ctx, a []datum) (datum, error) {
	return types.Bool(finite(a[0].Timestamp())), nil
}

var datetimeEvals = map[string]evalFunc{
	"date_pli":        func(_ *Ctx, a []datum) (datum, error) { return dateAddDays(a[0].Date(), a[1].Int()) },
	"date_mii":        func(_ *Ctx, a []datum) (datum, error) { return dateAddDays(a[0].Date(), -a[1].Int()) },
	"integer_pl_date": func(_ *Ctx, a []datum) (datum, error) { return dateAddDays(a[1].Date(), a[0].Int()) },
	"date_mi": func(_ *Ctx, a []datum) (datum, error) {
		if infiniteDate(a[0].Date()) || infiniteDate(a[1].Date()) {
			return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "cannot subtract infinite dates")
		}
		return size4.check(int64(a[0].Date())-int64(a[1].Date()), true)
	},
	"date_pl_interval": datePlusInterval(1, false), "date_mi_interval": datePlusInterval(-1, false), "interval_pl_date": datePlusInterval(1, true),
	"timestamp_pl_interval": timestampPlus(false, 1, false), "timestamp_mi_interval": timestampPlus(false, -1, false),
	"interval_pl_timestamp":   timestampPlus(false, 1, true),
	"timestamptz_pl_interval": timestampPlus(true, 1, false), "timestamptz_mi_interval": timestampPlus(true, -1, false),
	"interval_pl_timestamptz": timestampPlus(true, 1, true),
	"timestamp_mi":            timestampDiff, "timestamptz_mi": timestampDiff,
	"time_pl_interval": timePlusInterval(1, false), "time_mi_interval": timePlusInterval(-1, false), "interval_pl_time": timePlusInterval(1, true),
	"time_mi_time": func(_ *Ctx, a []datum) (datum, error) {
		return types.IntervalDatum(types.Interval{Micros: a[0].Time() - a[1].Time()}), nil
	},
	"datetime_pl": func(c *Ctx, a []datum) (datum, error) { return dateTime(c, a[0], a[1]) },
	"timedate_pl": func(c *Ctx, a []datum) (datum, error) { return dateTime(c, a[1], a[0]) },
	"interval_pl": func(_ *Ctx, a []datum) (datum, error) {
		return intervalDatum(addInterval(a[0].Interval(), a[1].Interval()))
	},
	"interval_mi": func(_ *Ctx, a []datum) (datum, error) {
		n, err := negateInterval(a[1].Interval())
		if err != nil {
			return null, err
		}
		return intervalDatum(addInterval(a[0].Interval(), n))
	},
	"interval_um": intervalFn(negateInterval),
	"interval_mul": func(_ *Ctx, a []datum) (datum, error) {
		return intervalDatum(scaleInterval(a[0].Interval(), a[1].Float(), 1))
	},
	"mul_d_interval": func(_ *Ctx, a []datum) (datum, error) {
		return intervalDatum(scaleInterval(a[1].Interval(), a[0].Float(), 1))
	},
	"interval_div": func(_ *Ctx, a []datum) (datum, error) {
		return intervalDatum(scaleInterval(a[0].Interval(), 1, a[1].Float()))
	},
	"justify_hours": intervalFn(justifyHours), "justify_days": intervalFn(justifyDays), "justify_interval": intervalFn(justifyInterval),
	"timezone(text,timestamptz)": atZone(true), "timezone(interval,timestamptz)": atZone(true),
	"timezone(text,timestamp)": atZone(false), "timezone(interval,timestamp)": atZone(false),
	"timestamp(date)":      func(_ *Ctx, a []datum) (datum, error) { return timestampDatum(dateToTimestamp(a[0].Date())) },
	"timestamp(date,time)": func(c *Ctx, a []datum) (datum, error) { return dateTime(c, a[0], a[1]) },
	"timestamp(timestamptz)": func(c *Ctx, a []datum) (datum, error) {
		return timestampDatum(types.UTCToLocal(a[0].Timestamp(), location(c)))
	},
	"timestamptz(timestamp)": func(c *Ctx, a []datum) (datum, error) {
		return timestampDatum(types.LocalToUTC(a[0].Timestamp(), location(c)))
	},
	"timestamptz(date)": func(c *Ctx, a []datum) (datum, error) {
		ts, err := dateToTimestamp(a[0].Date())
		if err != nil {
			return null, err
		}
		return timestampDatum(types.LocalToUTC(ts, location(c)))
	},
	"timestamptz(date,time)": func(c *Ctx, a []datum) (datum, error) {
		ts, err := dateTime(c, a[0], a[1])
		if err != nil {
			return null, err
		}
		return timestampDatum(types.LocalToUTC(ts.Timestamp(), location(c)))
	},
	"date(timestamp)": func(_ *Ctx, a []datum) (datum, error) { return timestampToDate(a[0].Timestamp()), nil },
	"date(timestamptz)": func(c *Ctx, a []datum) (datum, error) {
		ts, err := types.UTCToLocal(a[0].Timestamp(), location(c))
		return timestampToDate(ts), err
	},
	"time(timestamp)": func(_ *Ctx, a []datum) (datum, error) { return timeOfDay(a[0].Timestamp()), nil },
	"time(timestamptz)": func(c *Ctx, a []datum) (datum, error) {
		ts, err := types.UTCToLocal(a[0].Timestamp(), location(c))
		return timeOfDay(ts), err
	},
	"time(interval)": func(_ *Ctx, a []datum) (datum, error) {
		v := a[0].Interval().Micros
		return types.Time(v - types.FloorDiv(v, types.MicrosPerDay)*types.MicrosPerDay), nil
	},
	"interval(time)": func(_ *Ctx, a []datum) (datum, error) {
		return types.IntervalDatum(types.Interval{Micros: a[0].Time()}), nil
	},
	"isfinite(timestamp)": finiteTimestamp, "isfinite(timestamptz)": finiteTimestamp,
	"isfinite(date)":     func(_ *Ctx, a []datum) (datum, error) { return types.Bool(!infiniteDate(a[0].Date())), nil },
	"isfinite(interval)": func(*Ctx, []datum) (datum, error) { return types.Bool(true), nil },
	"make_date":          makeDate, "make_time": makeTime, "make_timestamp": makeTimestamp, "make_timestamptz": makeTimestampTZ,
	"make_interval": makeInterval, "date_bin": dateBin,
	"age(timestamp)": ageOf(false), "age(timestamp,timestamp)": ageOf(false),
	"age(timestamptz)": ageOf(true), "age(timestamptz,timestamptz)": ageOf(true),
	"now":                   func(c *Ctx, _ []datum) (datum, error) { return types.Timestamp(c.TxnTime), nil },
	"transaction_timestamp": func(c *Ctx, _ []datum) (datum, error) { return types.Timestamp(c.TxnTime), nil },
	"statement_timestamp":   func(c *Ctx, _ []datum) (datum, error) { return types.Timestamp(c.StmtTime), nil },
	"clock_timestamp":       func(c *Ctx, _ []datum) (datum, error) { return types.Timestamp(c.clock()), nil },
	"timeofday": func(c *Ctx, _ []datum) (datum, error) {
		t := types.CivilInZone(c.clock(), location(c))
		days := types.DateFromCivil(t.Year, t.Month, t.Day)
		return types.String(types.DayNames[types.WeekdayOf(days)][:3] + " " + types.MonthNames[t.Month-1][:3] + " " +
			pad(t.Day, 2) + " " + pad(t.Hour, 2) + ":" + pad(t.Minute, 2) + ":" + pad(t.Second, 2) + "." + pad(t.Micro, 6) +
			" " + pad(t.Year, 4) + " " + t.Zone), nil
	},
	"to_timestamp(float8)": func(_ *Ctx, a []datum) (datum, error) {
		switch v := a[0].Float(); {
		case math.IsNaN(v):
			return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "timestamp cannot be NaN")
		case math.IsInf(v, 1):
			return types.Timestamp(types.TimestampInfinity), nil
		case math.IsInf(v, -1):
			return types.Timestamp(types.TimestampNegInfinity), nil
		case math.Abs(v) > 1e13:
			return null, sqlstate.New(sqlstate.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", strconv.FormatFloat(v, 'g', -1, 64))
		default:
			return timestampDatum(types.CheckTimestamp(int64(math.RoundToEven(float64((v - types.PGEpochUnix) * types.MicrosPerSecond)))))
		}
	},
}

func timeOfDay(ts int64) datum {
	if !finite(ts) {
		return null
	}
	return types.Time(ts - types.FloorDiv(ts, types.MicrosPerDay)*types.MicrosPerDay)
}

func pad(v, width int) string {
	s := strconv.Itoa(v)
	if len(s) < width {
		s = strings.Repeat("0", width-len(s)) + s
	}
	return s
}

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

package types

import (
	"math"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Units of time. Timestamps count microseconds.
const (
	MicrosPerSecond = 1_000_000
	MicrosPerMinute = 60 * MicrosPerSecond
	MicrosPerHour   = 60 * MicrosPerMinute
	MicrosPerDay    = 24 * MicrosPerHour

	// PGEpochUnix is 2000-01-01 UTC in seconds since 1970-01-01.
	PGEpochUnix = 946684800
	// PGEpochDays is 2000-01-01 in days since 1970-01-01.
	PGEpochDays = PGEpochUnix / 86400
)

// Range of dates and timestamps, as in PostgreSQL: from 4713-11-24 BC.
const (
	MinDate      = -2451545             // Julian day 0
	EndDate      = 2147483494 - 2451545 // 5874898-01-01, exclusive
	MinTimestamp = -211813488000000000
	EndTimestamp = 9223371331200000000 // 294277-01-01, exclusive

	DateInfinity         = math.MaxInt32
	DateNegInfinity      = math.MinInt32
	TimestampInfinity    = math.MaxInt64
	TimestampNegInfinity = math.MinInt64
)

// DateFromCivil returns the days since 2000-01-01 of a date in the proleptic
// Gregorian calendar; year 0 is 1 BC. Month and day may be out of range only
// by what the arithmetic below carries.
func DateFromCivil(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	m := int64(month)
	doy := (153*((m+9)%12)+2)/5 + int64(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468 - PGEpochDays
}

// CivilFromDate is the inverse of DateFromCivil.
func CivilFromDate(days int64) (year, month, day int) {
	z := days + PGEpochDays + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = int(yoe + era*400)
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// FloorDiv is integer division that rounds down.
func FloorDiv(a, b int64) int64 { return floorDiv(a, b) }

// IsLeap reports whether a year has 366 days.
func IsLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// DaysInMonth returns the number of days of a month from 1 to 12.
func DaysInMonth(year, month int) int {
	if month == 2 && IsLeap(year) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// Civil is a point in time taken apart.
type Civil struct {
	Year, Month, Day     int // year 0 is 1 BC
	Hour, Minute, Second int
	Micro                int
	Offset               int    // seconds east of UTC, for timestamptz
	Zone                 string // abbreviation, for timestamptz
}

// CivilFromTimestamp takes a finite timestamp without time zone apart.
func CivilFromTimestamp(ts int64) Civil {
	days := floorDiv(ts, MicrosPerDay)
	t := ts - days*MicrosPerDay
	var c Civil
	c.Year, c.Month, c.Day = CivilFromDate(days)
	c.setTime(t)
	return c
}

func (c *Civil) setTime(t int64) {
	c.Hour = int(t / MicrosPerHour)
	c.Minute = int(t / MicrosPerMinute % 60)
	c.Second = int(t / MicrosPerSecond % 60)
	c.Micro = int(t % MicrosPerSecond)
}

// CivilInZone takes a finite timestamptz apart in a time zone.
func CivilInZone(ts int64, loc *time.Location) Civil {
	zone, offset := time.Unix(floorDiv(ts, MicrosPerSecond)+PGEpochUnix, 0).In(loc).Zone()
	c := CivilFromTimestamp(ts + int64(offset)*MicrosPerSecond)
	c.Offset, c.Zone = offset, zone
	return c
}

// Timestamp puts the fields together again, ignoring the offset.
func (c *Civil) Timestamp() (int64, error) {
	days := DateFromCivil(c.Year, c.Month, c.Day)
	if days < MinDate || days > EndTimestamp/MicrosPerDay+1 {
		return 0, TimestampOutOfRange()
	}
	return CheckTimestamp(days*MicrosPerDay + c.timeOfDay())
}

func (c *Civil) timeOfDay() int64 {
	return int64(c.Hour)*MicrosPerHour + int64(c.Minute)*MicrosPerMinute + int64(c.Second)*MicrosPerSecond + int64(c.Micro)
}

// TimestampOutOfRange is PostgreSQL's error 22008.
func TimestampOutOfRange() error {
	return sqlstate.New(sqlstate.DatetimeFieldOverflow, "timestamp out of range")
}

// DateOutOfRange is PostgreSQL's error 22008 for dates.
func DateOutOfRange() error {
	return sqlstate.New(sqlstate.DatetimeFieldOverflow, "date out of range")
}

// CheckTimestamp returns ts, or 22008 when it is out of range.
func CheckTimestamp(ts int64) (int64, error) {
	if ts < MinTimestamp || ts >= EndTimestamp {
		return 0, TimestampOutOfRange()
	}
	return ts, nil
}

// LocalToUTC reads a timestamp as local time in a zone and returns the
// timestamptz. A time that clocks skip is read with the offset before the
// gap, one that occurs twice with the offset after it, as in PostgreSQL.
func LocalToUTC(ts int64, loc *time.Location) (int64, error) {
	if ts == TimestampInfinity || ts == TimestampNegInfinity {
		return ts, nil
	}
	return CheckTimestamp(ts - int64(localOffset(ts, loc))*MicrosPerSecond)
}

// localOffset returns the displacement, in seconds east, that a local time
// has. It follows PostgreSQL's DetermineTimeZoneOffset: look a day back, find
// the next transition, and decide on which side of it the local time lies.
func localOffset(ts int64, loc *time.Location) int {
	sec := floorDiv(ts, MicrosPerSecond) + PGEpochUnix // as if it were UTC
	prev := time.Unix(sec-86400, 0).In(loc)
	_, before := prev.Zone()
	_, end := prev.ZoneBounds()
	if end.IsZero() {
		return before
	}
	boundary := end.Unix()
	_, after := end.In(loc).Zone()
	beforeSec := sec - int64(before)
	afterSec := sec - int64(after)
	if beforeSec < boundary && afterSec < boundary {
		return before
	}
	if beforeSec > boundary && afterSec >= boundary || beforeSec >= boundary && afterSec >= boundary {
		// There may be a second transition within the day.
		_, now := time.Unix(afterSec, 0).In(loc).Zone()
		if now != after {
			return now
		}
		return after
	}
	// Within the gap prefer what held before it, within the overlap what held
	// after it: either way the later of the two instants.
	if beforeSec > afterSec {
		return before
	}
	return after
}

// UTCToLocal returns the local time in a zone of a timestamptz.
func UTCToLocal(ts int64, loc *time.Location) (int64, error) {
	if ts == TimestampInfinity || ts == TimestampNegInfinity {
		return ts, nil
	}
	_, offset := time.Unix(floorDiv(ts, MicrosPerSecond)+PGEpochUnix, 0).In(loc).Zone()
	return CheckTimestamp(ts + int64(offset)*MicrosPerSecond)
}

// TimeToTimestamp converts a Go time to microseconds since 2000-01-01 UTC.
func TimeToTimestamp(t time.Time) int64 { return t.UnixMicro() - PGEpochUnix*MicrosPerSecond }

// TimestampToTime is the inverse of TimeToTimestamp for finite values.
func TimestampToTime(ts int64) time.Time {
	return time.UnixMicro(ts + PGEpochUnix*MicrosPerSecond).UTC()
}

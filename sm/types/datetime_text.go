package types

import "strconv"

var monthAbbrevs = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
var dayAbbrevs = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// appendPadded writes v with at least width digits.
func appendPadded(dst []byte, v, width int) []byte {
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	limit := 1
	for range width - 1 {
		limit *= 10
	}
	for ; limit > 1 && v < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(v), 10)
}

// displayYear turns the astronomical year into the one that is printed.
func displayYear(y int) (year int, bc bool) {
	if y > 0 {
		return y, false
	}
	return 1 - y, true
}

func appendBC(dst []byte, bc bool) []byte {
	if bc {
		return append(dst, " BC"...)
	}
	return dst
}

func appendDate(dst []byte, f *Format, days int32) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	var c Civil
	c.Year, c.Month, c.Day = CivilFromDate(int64(days))
	year, bc := displayYear(c.Year)
	switch f.DateStyle {
	case DateStyleISO:
		dst = appendPadded(dst, year, 4)
		dst = appendPadded(append(dst, '-'), c.Month, 2)
		dst = appendPadded(append(dst, '-'), c.Day, 2)
	default:
		dst = appendNumericDate(dst, f, &c, year)
	}
	return appendBC(dst, bc)
}

// appendNumericDate prints the styles other than ISO: SQL mm/dd/yyyy, German
// dd.mm.yyyy, Postgres mm-dd-yyyy.
func appendNumericDate(dst []byte, f *Format, c *Civil, year int) []byte {
	sep := byte('/')
	dayFirst := f.DateOrder == DateOrderDMY
	switch f.DateStyle {
	case DateStyleGerman:
		sep, dayFirst = '.', true
	case DateStylePostgres:
		sep = '-'
	}
	first, second := c.Month, c.Day
	if dayFirst {
		first, second = second, first
	}
	dst = appendPadded(dst, first, 2)
	dst = appendPadded(append(dst, sep), second, 2)
	return appendPadded(append(dst, sep), year, 4)
}

func appendTime(dst []byte, t int64) []byte {
	var c Civil
	c.setTime(t)
	return appendClock(dst, &c)
}

// appendClock prints hh:mm:ss with the fraction that is needed.
func appendClock(dst []byte, c *Civil) []byte {
	dst = appendPadded(dst, c.Hour, 2)
	dst = appendPadded(append(dst, ':'), c.Minute, 2)
	dst = appendPadded(append(dst, ':'), c.Second, 2)
	return appendFraction(dst, c.Micro)
}

func appendFraction(dst []byte, micros int) []byte {
	if micros == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), micros, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

func appendTimestamp(dst []byte, f *Format, ts int64, zoned bool) []byte {
	switch ts {
	case TimestampInfinity:
		return append(dst, "infinity"...)
	case TimestampNegInfinity:
		return append(dst, "-infinity"...)
	}
	var c Civil
	if zoned {
		c = CivilInZone(ts, f.location())
	} else {
		c = CivilFromTimestamp(ts)
	}
	year, bc := displayYear(c.Year)
	switch f.DateStyle {
	case DateStyleISO:
		dst = appendPadded(dst, year, 4)
		dst = appendPadded(append(dst, '-'), c.Month, 2)
		dst = appendPadded(append(dst, '-'), c.Day, 2)
		dst = appendClock(append(dst, ' '), &c)
		if zoned {
			dst = appendOffset(dst, c.Offset)
		}
	case DateStylePostgres:
		dst = appendPostgresTimestamp(dst, f, &c, year, zoned)
	default:
		dst = appendNumericDate(dst, f, &c, year)
		dst = appendClock(append(dst, ' '), &c)
		if zoned {
			dst = appendZoneName(append(dst, ' '), &c)
		}
	}
	return appendBC(dst, bc)
}

// appendPostgresTimestamp prints Sat Jan 08 10:00:00 2000 PST.
func appendPostgresTimestamp(dst []byte, f *Format, c *Civil, year int, zoned bool) []byte {
	weekday := WeekdayOf(DateFromCivil(c.Year, c.Month, c.Day))
	dst = append(append(dst, dayAbbrevs[weekday]...), ' ')
	if f.DateOrder == DateOrderDMY {
		dst = append(append(appendPadded(dst, c.Day, 2), ' '), monthAbbrevs[c.Month-1]...)
	} else {
		dst = appendPadded(append(append(dst, monthAbbrevs[c.Month-1]...), ' '), c.Day, 2)
	}
	dst = appendClock(append(dst, ' '), c)
	dst = appendPadded(append(dst, ' '), year, 4)
	if zoned {
		dst = appendZoneName(append(dst, ' '), c)
	}
	return dst
}

// appendZoneName prints the abbreviation, or the displacement where the zone
// has none.
func appendZoneName(dst []byte, c *Civil) []byte {
	if c.Zone == "" || c.Zone[0] == '+' || c.Zone[0] == '-' {
		return appendOffset(dst, c.Offset)
	}
	return append(dst, c.Zone...)
}

// WeekdayOf returns the day of the week of a date, 0 for Sunday.
func WeekdayOf(days int64) int {
	// 2000-01-01 was a Saturday.
	return int(((days+6)%7 + 7) % 7)
}

package types

import "github.com/tidemark-db/tidemark/sm/sqlstate"

func (d *dtDecoder) relative(k dtKeywordKind) error {
	if d.mask&haveDate != 0 {
		return errDateFormat
	}
	now := CivilInZone(d.f.Now, d.f.location())
	days := DateFromCivil(now.Year, now.Month, now.Day)
	switch k {
	case kwTomorrow:
		days++
	case kwYesterday:
		days--
	}
	d.c.Year, d.c.Month, d.c.Day = CivilFromDate(days)
	d.mask |= haveDate
	if k == kwNow {
		if d.mask&(haveClock|haveZone) != 0 {
			return errDateFormat
		}
		d.c.setTime(now.timeOfDay())
		d.offset = now.Offset
		d.mask |= haveClock | haveZone
	}
	return d.relativeYear()
}

// relativeYear undoes the checks that are meant for years a user wrote.
func (d *dtDecoder) relativeYear() error {
	d.twoDigits = false
	if d.c.Year <= 0 {
		d.bc, d.c.Year = true, 1-d.c.Year
	}
	return nil
}

func (d *dtDecoder) finish() error {
	if d.special != 0 {
		if d.mask&(haveDate|haveClock) != 0 {
			return errDateFormat
		}
		return nil
	}
	if err := d.validateClock(); err != nil {
		return err
	}
	if d.mask&haveDate == 0 && d.timeOnly {
		if d.mask&haveClock == 0 {
			return errDateFormat
		}
		return nil
	}
	if d.mask&haveDate != haveDate {
		return errDateFormat
	}
	return d.validateDate()
}

func (d *dtDecoder) validateClock() error {
	c := &d.c
	if d.ampm >= 0 {
		if c.Hour > 12 {
			return errDateOverflow
		}
		if c.Hour == 12 {
			c.Hour = 0
		}
		c.Hour += 12 * d.ampm
	}
	if c.Minute > 59 || c.Second > 60 || c.Hour > 24 || c.Hour == 24 && (c.Minute > 0 || c.Second > 0 || c.Micro > 0) {
		return errDateOverflow
	}
	return nil
}

func (d *dtDecoder) validateDate() error {
	c := &d.c
	switch {
	case d.bc:
		if c.Year <= 0 {
			return errDateOverflow
		}
		c.Year = 1 - c.Year
	case d.twoDigits:
		if c.Year < 0 {
			return errDateOverflow
		}
		if c.Year < 70 {
			c.Year += 2000
		} else if c.Year < 100 {
			c.Year += 1900
		}
	case c.Year <= 0:
		return errDateOverflow
	}
	if d.mask&haveDOY != 0 {
		c.Year, c.Month, c.Day = CivilFromDate(DateFromCivil(c.Year, 1, 1) + int64(d.doy) - 1)
	}
	if c.Month < 1 || c.Month > 12 || c.Day < 1 || c.Day > 31 {
		return errDateOrder
	}
	if c.Day > DaysInMonth(c.Year, c.Month) {
		return errDateOverflow
	}
	return nil
}

func parseDate(f *Format, s string) (Datum, error) {
	d, err := decodeDateTime(f, DateType, s)
	if err != nil {
		return Datum{}, err
	}
	switch d.special {
	case kwInfinity:
		return Date(DateInfinity), nil
	case kwNegInfinity:
		return Date(DateNegInfinity), nil
	case kwEpoch:
		return Date(-PGEpochDays), nil
	}
	days := DateFromCivil(d.c.Year, d.c.Month, d.c.Day)
	if days < MinDate || days >= EndDate {
		return Datum{}, sqlstate.New(sqlstate.DatetimeFieldOverflow, "date out of range: \"%s\"", s)
	}
	return Date(int32(days)), nil
}

func parseTime(f *Format, s string, typmod int32) (Datum, error) {
	d, err := decodeDateTime(f, TimeType, s)
	if err != nil {
		return Datum{}, err
	}
	if d.special != 0 {
		return Datum{}, sqlstate.New(sqlstate.InvalidDatetimeFormat, "invalid input syntax for type time: \"%s\"", s)
	}
	return Time(RoundMicros(d.c.timeOfDay(), typmod)), nil
}

func parseTimestamp(f *Format, t *Type, s string, typmod int32) (Datum, error) {
	d, err := decodeDateTime(f, t, s)
	if err != nil {
		return Datum{}, err
	}
	switch d.special {
	case kwInfinity:
		return Timestamp(TimestampInfinity), nil
	case kwNegInfinity:
		return Timestamp(TimestampNegInfinity), nil
	case kwEpoch:
		return Timestamp(-PGEpochUnix * MicrosPerSecond), nil
	}
	ts, err := d.c.Timestamp()
	if err == nil && t == TimestampTZType {
		switch {
		case d.zone != nil:
			ts, err = LocalToUTC(ts, d.zone)
		case d.mask&haveZone != 0:
			ts, err = CheckTimestamp(ts - int64(d.offset)*MicrosPerSecond)
		default:
			ts, err = LocalToUTC(ts, f.location())
		}
	}
	if err != nil {
		return Datum{}, sqlstate.New(sqlstate.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", s)
	}
	return Timestamp(RoundMicros(ts, typmod)), nil
}

// RoundMicros rounds a time or timestamp to the decimal places of its typmod.
func RoundMicros(v int64, typmod int32) int64 {
	if typmod < 0 || typmod >= MaxTimePrecision || v == TimestampInfinity || v == TimestampNegInfinity {
		return v
	}
	unit := int64(1)
	for range MaxTimePrecision - typmod {
		unit *= 10
	}
	if v >= 0 {
		return (v + unit/2) / unit * unit
	}
	return -((-v + unit/2) / unit * unit)
}

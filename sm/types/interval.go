package types

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// DaysPerMonth is what a month counts when intervals are compared or divided.
const DaysPerMonth = 30

// span returns an interval's length in microseconds as a 128-bit number, with
// months of 30 and days of 24 hours: what comparison goes by.
func (iv Interval) span() (hi int64, lo uint64) {
	days := int64(iv.Months)*DaysPerMonth + int64(iv.Days)
	neg := days < 0
	abs := uint64(days)
	if neg {
		abs = -abs
	}
	h, l := bits.Mul64(abs, MicrosPerDay)
	if neg {
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	l2, carry := bits.Add64(l, uint64(iv.Micros), 0)
	h2, _ := bits.Add64(h, uint64(iv.Micros>>63), carry)
	return int64(h2), l2
}

// CompareInterval orders intervals by length.
func CompareInterval(a, b Interval) int {
	ah, al := a.span()
	bh, bl := b.span()
	switch {
	case ah < bh || ah == bh && al < bl:
		return -1
	case ah > bh || al > bl:
		return 1
	}
	return 0
}

// IntervalOutOfRange is PostgreSQL's error 22008 for intervals.
func IntervalOutOfRange() error {
	return sqlstate.New(sqlstate.DatetimeFieldOverflow, "interval out of range")
}

var errIntervalOverflow = errors.New("interval field overflow")

// intervalUnit is a unit name's meaning: so many months, days or microseconds.
type intervalUnit struct {
	months, days, micros int64
	field                int32 // bit of the field mask, to refuse a unit twice
}

var intervalUnits = func() map[string]intervalUnit {
	m := map[string]intervalUnit{}
	add := func(u intervalUnit, names string) {
		for n := range strings.FieldsSeq(names) {
			m[n] = u
		}
	}
	add(intervalUnit{months: 12, field: intervalYear}, "y yr yrs year years")
	add(intervalUnit{months: 1, field: intervalMonth}, "mon mons month months")
	add(intervalUnit{days: 1, field: intervalDay}, "d day days")
	add(intervalUnit{days: 7, field: 1 << 24}, "w week weeks")
	add(intervalUnit{micros: MicrosPerHour, field: intervalHour}, "h hr hrs hour hours")
	add(intervalUnit{micros: MicrosPerMinute, field: intervalMinute}, "m min mins minute minutes")
	add(intervalUnit{micros: MicrosPerSecond, field: intervalSecond}, "s sec secs second seconds")
	add(intervalUnit{micros: 1000, field: 1 << 29}, "ms msec msecs msecond mseconds millisecond milliseconds millisecon")
	add(intervalUnit{micros: 1, field: 1 << 28}, "us usec usecs usecond useconds microsecond microseconds microsecon")
	add(intervalUnit{months: 120, field: 1 << 25}, "dec decs decade decades")
	add(intervalUnit{months: 1200, field: 1 << 26}, "c cent century centuries")
	add(intervalUnit{months: 12000, field: 1 << 27}, "mil mils millennia millennium")
	return m
}()

// intervalSum adds fields up with overflow checks.
type intervalSum struct {
	months, days, micros int64
	seen                 int32
}

func (a *intervalSum) addInt(dst *int64, v, unit int64) error {
	p := v * unit
	if unit != 0 && p/unit != v {
		return errIntervalOverflow
	}
	s := *dst + p
	if (s > *dst) != (p > 0) && p != 0 {
		return errIntervalOverflow
	}
	*dst = s
	return nil
}

// add counts whole + fraction units. Fractions of a month become days and
// fractions of a day become time, as in PostgreSQL.
func (a *intervalSum) add(whole int64, fraction float64, u intervalUnit) error {
	if u.field != 0 {
		if a.seen&u.field != 0 {
			return errDateFormat
		}
		a.seen |= u.field
	}
	switch {
	case u.months != 0:
		if err := a.addInt(&a.months, whole, u.months); err != nil {
			return err
		}
		if u.months > 1 {
			return a.addInt(&a.months, int64(math.RoundToEven(fraction*float64(u.months))), 1)
		}
		return a.fractionDays(fraction * DaysPerMonth)
	case u.days != 0:
		if err := a.addInt(&a.days, whole, u.days); err != nil {
			return err
		}
		return a.fractionDays(fraction * float64(u.days))
	}
	if err := a.addInt(&a.micros, whole, u.micros); err != nil {
		return err
	}
	return a.addInt(&a.micros, int64(math.RoundToEven(fraction*float64(u.micros))), 1)
}

func (a *intervalSum) fractionDays(v float64) error {
	whole := math.Trunc(v)
	if err := a.addInt(&a.days, int64(whole), 1); err != nil {
		return err
	}
	return a.addInt(&a.micros, int64(math.RoundToEven((v-whole)*MicrosPerDay)), 1)
}

func (a *intervalSum) interval() (Interval, error) {
	if a.months != int64(int32(a.months)) || a.days != int64(int32(a.days)) {
		return Interval{}, errIntervalOverflow
	}
	return Interval{int32(a.months), int32(a.days), a.micros}, nil
}

func parseInterval(f *Format, s string, typmod int32) (Datum, error) {
	iv, err := decodeInterval(f, s, typmod)
	switch err {
	case nil:
	case errDateFormat:
		return Datum{}, sqlstate.New(sqlstate.InvalidDatetimeFormat, "invalid input syntax for type interval: \"%s\"", s)
	case errIntervalOverflow:
		return Datum{}, sqlstate.New(sqlstate.IntervalFieldOverflow, "interval field value out of range: \"%s\"", s)
	default:
		return Datum{}, err
	}
	return IntervalDatum(IntervalTypmodApply(iv, typmod)), nil
}

func decodeInterval(f *Format, s string, typmod int32) (Interval, error) {
	v := trimSpace(s)
	if strings.HasPrefix(v, "P") {
		return decodeISOInterval(v)
	}
	words, ok := lexDateTime(s)
	if !ok || len(words) == 0 {
		return Interval{}, errDateFormat
	}
	var sum intervalSum
	ago := false
	fields, _ := intervalParts(typmod)
	// In the SQL standard style a leading sign holds for all fields.
	allNegative := f.IntervalStyle == IntervalStyleSQL && strings.HasPrefix(words[0].text, "-") && onlyFirstSigned(words)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch w.class {
		case dtString, dtSpecial:
			if w.text == "ago" && i == len(words)-1 && i > 0 {
				ago = true
				continue
			}
			return Interval{}, errDateFormat
		}
		used, err := sum.word(words, i, fields, allNegative)
		if err != nil {
			return Interval{}, err
		}
		i += used
	}
	if ago {
		sum.months, sum.days, sum.micros = -sum.months, -sum.days, -sum.micros
	}
	return sum.interval()
}

func onlyFirstSigned(words []dtWord) bool {
	for _, w := range words[1:] {
		if w.class == dtZone {
			return false
		}
	}
	return true
}

// word adds the field at words[i] and returns how many further words it used.
func (a *intervalSum) word(words []dtWord, i int, fields int32, allNegative bool) (int, error) {
	text := words[i].text
	negative := text[0] == '-' || allNegative
	text = strings.TrimLeft(text, "+-")
	if strings.Contains(text, ":") {
		return 0, a.clock(text, negative, fields)
	}
	if year, month, ok := strings.Cut(text, "-"); ok {
		return 0, a.yearMonth(year, month, negative)
	}
	digits, fraction, _ := strings.Cut(text, ".")
	whole, err := strconv.ParseInt("0"+digits, 10, 64)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return 0, errIntervalOverflow
		}
		return 0, errDateFormat
	}
	part := 0.0
	if fraction != "" {
		if part, err = strconv.ParseFloat("0."+fraction, 64); err != nil {
			return 0, errDateFormat
		}
	}
	if negative {
		whole, part = -whole, -part
	}
	used := 0
	unit := implicitUnit(words, i, fields)
	if i+1 < len(words) && words[i+1].class == dtString && words[i+1].text != "ago" {
		u, ok := intervalUnits[words[i+1].text]
		if !ok {
			return 0, errDateFormat
		}
		unit, used = u, 1
	}
	return used, a.add(whole, part, unit)
}

// implicitUnit is the unit of a number without one: days before a time, else
// the last field of the type's mask, else seconds.
func implicitUnit(words []dtWord, i int, fields int32) intervalUnit {
	if i+1 < len(words) && strings.Contains(words[i+1].text, ":") {
		return intervalUnits["day"]
	}
	switch {
	case fields == intervalFullRange || fields&intervalSecond != 0:
		return intervalUnits["second"]
	case fields&intervalMinute != 0:
		return intervalUnits["minute"]
	case fields&intervalHour != 0:
		return intervalUnits["hour"]
	case fields&intervalDay != 0:
		return intervalUnits["day"]
	case fields&intervalMonth != 0:
		return intervalUnits["month"]
	case fields&intervalYear != 0:
		return intervalUnits["year"]
	}
	return intervalUnits["second"]
}

// clock reads hh:mm, hh:mm:ss[.f] and, with a fraction or a minute-to-second
// type, mm:ss.
func (a *intervalSum) clock(s string, negative bool, fields int32) error {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return errDateFormat
	}
	last := len(parts) - 1
	head, fraction, hasFraction := strings.Cut(parts[last], ".")
	parts[last] = head
	if len(parts) == 2 && (hasFraction || fields == intervalMinute|intervalSecond) {
		parts = append([]string{"0"}, parts...)
	}
	total := int64(0)
	for i, p := range parts {
		n, err := strconv.ParseInt("0"+p, 10, 64)
		if err != nil || strings.ContainsAny(p, "+-") {
			return errDateFormat
		}
		if i > 0 && n > 59 && !(i == 2 && n == 60) {
			return errIntervalOverflow
		}
		if err := a.addInt(&total, n, [...]int64{MicrosPerHour, MicrosPerMinute, MicrosPerSecond}[i]); err != nil {
			return err
		}
	}
	if fraction != "" {
		micros, ok := fractionMicros(fraction)
		if !ok {
			return errDateFormat
		}
		total += int64(micros)
	}
	if negative {
		total = -total
	}
	if a.seen&(intervalHour|intervalMinute|intervalSecond) != 0 {
		return errDateFormat
	}
	a.seen |= intervalHour | intervalMinute | intervalSecond
	return a.addInt(&a.micros, total, 1)
}

// yearMonth reads the SQL standard's year-month form 1-2.
func (a *intervalSum) yearMonth(year, month string, negative bool) error {
	y, err1 := strconv.ParseInt(year, 10, 32)
	m, err2 := strconv.ParseInt(month, 10, 32)
	if err1 != nil || err2 != nil || m < 0 {
		return errDateFormat
	}
	if m >= 12 {
		return errIntervalOverflow
	}
	total := y*12 + m
	if negative {
		total = -total
	}
	return a.add(total, 0, intervalUnit{months: 1, field: intervalYear | intervalMonth})
}

// decodeISOInterval reads P1Y2M3DT4H5M6.7S, P1W and P0001-02-03T04:05:06.
func decodeISOInterval(s string) (Interval, error) {
	var sum intervalSum
	date, clock, hasClock := strings.Cut(s[1:], "T")
	if date == "" && clock == "" {
		return Interval{}, errDateFormat
	}
	if strings.Contains(strings.TrimLeft(date, "-"), "-") && !strings.ContainsAny(date, "YMWD") || hasClock && strings.Contains(clock, ":") {
		if err := sum.isoAlternative(date, clock); err != nil {
			return Interval{}, err
		}
	} else {
		if err := sum.isoFields(date, map[byte]string{'Y': "year", 'M': "month", 'W': "week", 'D': "day"}); err != nil {
			return Interval{}, err
		}
		if err := sum.isoFields(clock, map[byte]string{'H': "hour", 'M': "minute", 'S': "second"}); err != nil {
			return Interval{}, err
		}
	}
	return sum.interval()
}

func (a *intervalSum) isoFields(s string, units map[byte]string) error {
	for s != "" {
		i := 0
		for i < len(s) && (isDigit(s[i]) || s[i] == '.' || s[i] == '-' || s[i] == '+') {
			i++
		}
		if i == 0 || i == len(s) {
			return errDateFormat
		}
		unit, ok := units[s[i]]
		v, err := strconv.ParseFloat(s[:i], 64)
		if !ok || err != nil {
			return errDateFormat
		}
		if math.Abs(v) > math.MaxInt32 && unit != "second" || math.Abs(v) > 1e15 {
			return errIntervalOverflow
		}
		whole := math.Trunc(v)
		if err := a.add(int64(whole), v-whole, intervalUnits[unit]); err != nil {
			return err
		}
		s = s[i+1:]
	}
	return nil
}

func (a *intervalSum) isoAlternative(date, clock string) error {
	if date != "" {
		parts := strings.Split(date, "-")
		if len(parts) > 3 {
			return errDateFormat
		}
		for i, p := range parts {
			n, err := strconv.ParseInt(p, 10, 32)
			if err != nil {
				return errDateFormat
			}
			if err := a.add(n, 0, intervalUnits[[...]string{"year", "month", "day"}[i]]); err != nil {
				return err
			}
		}
	}
	if clock == "" {
		return nil
	}
	return a.clock(clock, false, intervalFullRange)
}

// IntervalTypmodApply cuts the interval to the fields and decimal places of
// its type, as an assignment does.
func IntervalTypmodApply(iv Interval, typmod int32) Interval {
	if typmod < 0 {
		return iv
	}
	fields, precision := intervalParts(typmod)
	switch {
	case fields == intervalFullRange || fields&intervalSecond != 0:
	case fields&intervalMinute != 0:
		iv.Micros = iv.Micros / MicrosPerMinute * MicrosPerMinute
	case fields&intervalHour != 0:
		iv.Micros = iv.Micros / MicrosPerHour * MicrosPerHour
	case fields&intervalDay != 0:
		iv.Micros = 0
	case fields&intervalMonth != 0:
		iv.Micros, iv.Days = 0, 0
	case fields&intervalYear != 0:
		iv = Interval{Months: iv.Months / 12 * 12}
	}
	if precision <= MaxTimePrecision {
		iv.Micros = RoundMicros(iv.Micros, precision)
	}
	return iv
}

package types

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Which fields of a date have been seen.
const (
	haveYear = 1 << iota
	haveMonth
	haveDay
	haveClock
	haveZone
	haveDOY

	haveDate = haveYear | haveMonth | haveDay
)

var (
	errDateFormat   = errors.New("date format")
	errDateOverflow = errors.New("date overflow")
	errDateOrder    = errors.New("date overflow, perhaps because of the date order")
	errZoneOverflow = errors.New("zone overflow")
)

// dtDecoder gathers the fields of a date/time string. It follows
// PostgreSQL's DecodeDateTime.
type dtDecoder struct {
	f         *Format
	c         Civil
	mask      int
	textMonth bool
	twoDigits bool // the year was written with two digits
	bc        bool
	ampm      int // -1 none, 0 am, 1 pm
	special   dtKeywordKind
	zone      *time.Location // a named zone
	offset    int            // seconds east, when zone is nil
	timeOnly  bool
	doy       int
	isoTime   bool
}

// decodeDateTime reads s. Errors are PostgreSQL's for type t.
func decodeDateTime(f *Format, t *Type, s string) (*dtDecoder, error) {
	d := &dtDecoder{f: f, ampm: -1, timeOnly: t == TimeType}
	err := d.run(s)
	switch err {
	case nil:
		return d, nil
	case errDateFormat:
		return nil, sqlstate.New(sqlstate.InvalidDatetimeFormat, "invalid input syntax for type %s: \"%s\"", dateTypeName(t), s)
	case errDateOverflow:
		return nil, sqlstate.New(sqlstate.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", s)
	case errDateOrder:
		return nil, sqlstate.New(sqlstate.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", s).
			WithHint("Perhaps you need a different \"datestyle\" setting.")
	case errZoneOverflow:
		return nil, sqlstate.New("22009", "time zone displacement out of range: \"%s\"", s)
	}
	return nil, err
}

// dateTypeName is the name PostgreSQL's datetime code gives a type in errors.
func dateTypeName(t *Type) string {
	switch t {
	case TimestampType, TimeType:
		return t.Name
	}
	return t.SQLName
}

func (d *dtDecoder) run(s string) error {
	words, ok := lexDateTime(s)
	if !ok || len(words) == 0 {
		return errDateFormat
	}
	for i, w := range words {
		if err := d.word(w, i, words); err != nil {
			return err
		}
	}
	return d.finish()
}

func (d *dtDecoder) word(w dtWord, i int, words []dtWord) error {
	switch w.class {
	case dtDate:
		return d.dateWord(w.text)
	case dtTime:
		if d.mask&haveClock != 0 {
			return errDateFormat
		}
		return d.clock(w.text)
	case dtZone:
		return d.setOffset(w.text)
	case dtNumber:
		return d.number(w.text)
	}
	return d.keyword(w.text, i, words)
}

func (d *dtDecoder) dateWord(s string) error {
	if d.timeOnly && !isDigit(s[0]) || d.mask&haveDate == haveDate {
		if isDigit(s[0]) {
			// A time without colons and its zone: 040506-08.
			cut := strings.IndexAny(s, "-+")
			if cut < 0 || d.mask&haveClock != 0 {
				return errDateFormat
			}
			if err := d.numberField(s[:cut]); err != nil {
				return err
			}
			return d.setOffset(s[cut:])
		}
		return d.setZone(s)
	}
	return d.date(s)
}

func (d *dtDecoder) setZone(name string) error {
	if d.mask&haveZone != 0 {
		return errDateFormat
	}
	loc, err := LoadLocation(name)
	if err != nil {
		return err
	}
	d.zone = loc
	d.mask |= haveZone
	return nil
}

func (d *dtDecoder) setOffset(s string) error {
	if d.mask&haveZone != 0 {
		return errDateFormat
	}
	sec, ok := parseOffset(s)
	if !ok {
		if strings.Trim(s[1:], "0123456789:") != "" {
			return errDateFormat
		}
		return errZoneOverflow
	}
	d.offset = sec
	d.mask |= haveZone
	return nil
}

// date reads a date with separators, in which a month may be a word.
func (d *dtDecoder) date(s string) error {
	if s[0] == 'j' && len(s) > 1 && strings.Trim(s[1:], "0123456789") == "" {
		// A Julian day.
		n, err := strconv.ParseInt(s[1:], 10, 32)
		if err != nil || d.mask&haveDate != 0 {
			return errDateOverflow
		}
		d.c.Year, d.c.Month, d.c.Day = CivilFromDate(n + MinDate)
		d.mask |= haveDate
		return d.relativeYear()
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '/' || r == '.' || r == '+' || r == '_' || r == ':' })
	if len(parts) > 3 {
		return errDateFormat
	}
	for i, p := range parts {
		if !isAlpha(p[0]) {
			continue
		}
		kw, ok := dateKeywords[p]
		if !ok || kw.kind != kwMonth || d.mask&haveMonth != 0 {
			if i == 0 && strings.ContainsAny(s, "/_") {
				return d.setZone(s)
			}
			return errDateFormat
		}
		d.c.Month = kw.value
		d.mask |= haveMonth
		d.textMonth = true
		parts[i] = ""
	}
	for _, p := range parts {
		if p == "" {
			continue
		}
		if err := d.dateNumber(p); err != nil {
			return err
		}
	}
	if d.mask&haveDate != haveDate && d.mask&haveDOY == 0 {
		return errDateFormat
	}
	return nil
}

// dateNumber decides by what is known so far whether a number is the year,
// the month or the day.
func (d *dtDecoder) dateNumber(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return errDateOverflow
		}
		return errDateFormat
	}
	wide := len(s) >= 3
	seen := d.mask & haveDate
	if len(s) == 3 && seen == haveYear && v >= 1 && v <= 366 {
		d.doy = v
		d.mask |= haveDOY | haveMonth | haveDay
		return nil
	}
	field := haveDay
	switch seen {
	case 0:
		switch {
		case wide || d.f.DateOrder == DateOrderYMD:
			field = haveYear
		case d.f.DateOrder != DateOrderDMY:
			field = haveMonth
		}
	case haveYear, haveDay:
		field = haveMonth
	case haveMonth:
		if d.textMonth && (wide || d.f.DateOrder == DateOrderYMD) {
			field = haveYear
		}
	case haveYear | haveMonth:
		if d.textMonth && wide && d.twoDigits {
			// What was taken for the year was the day.
			d.c.Day = d.c.Year
			d.mask |= haveDay
			field = haveYear
		}
	case haveMonth | haveDay:
		field = haveYear
	case haveDate:
		return d.numberField(s)
	}
	switch field {
	case haveYear:
		d.c.Year, d.twoDigits = v, len(s) <= 2
	case haveMonth:
		d.c.Month = v
	case haveDay:
		d.c.Day = v
	}
	d.mask |= field
	return nil
}

func (d *dtDecoder) number(s string) error {
	dot := strings.IndexByte(s, '.')
	switch {
	case d.isoTime:
		d.isoTime = false
		return d.numberField(s)
	case dot >= 0 && d.mask&haveDate == 0 && !d.timeOnly:
		return d.date(s)
	case dot > 2, len(s) >= 6 && dot < 0 && (d.mask&haveDate == 0 || d.mask&haveClock == 0), d.timeOnly && dot < 0:
		return d.numberField(s)
	case dot >= 0:
		return errDateFormat
	}
	return d.dateNumber(s)
}

// numberField reads a date or time without separators: 19990108, 990108,
// 040506, 0405.
func (d *dtDecoder) numberField(s string) error {
	digits, fraction, hasFraction := strings.Cut(s, ".")
	for i := 0; i < len(digits); i++ {
		if !isDigit(digits[i]) {
			return errDateFormat
		}
	}
	two := func(i int) int { return int(digits[i]-'0')*10 + int(digits[i+1]-'0') }
	n := len(digits)
	if !hasFraction && !d.timeOnly && d.mask&haveDate != haveDate {
		if n < 6 {
			return errDateFormat
		}
		year, err := strconv.Atoi(digits[:n-4])
		if err != nil {
			return errDateOverflow
		}
		d.c.Year, d.c.Month, d.c.Day = year, two(n-4), two(n-2)
		d.twoDigits = n == 6
		d.mask |= haveDate
		return nil
	}
	if d.mask&haveClock != 0 || n != 6 && (n != 4 || hasFraction) {
		return errDateFormat
	}
	d.c.Hour, d.c.Minute = two(0), two(2)
	if n == 6 {
		d.c.Second = two(4)
	}
	d.mask |= haveClock
	return d.fraction(fraction)
}

// fraction sets the microseconds from the digits after the decimal point.
func (d *dtDecoder) fraction(s string) error {
	if s == "" {
		return nil
	}
	micros, ok := fractionMicros(s)
	if !ok {
		return errDateFormat
	}
	d.c.Micro = micros
	return nil
}

// fractionMicros rounds the digits after a decimal point to microseconds.
func fractionMicros(s string) (int, bool) {
	v, err := strconv.ParseFloat("0."+s, 64)
	if err != nil || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	return int(math.RoundToEven(v * 1e6)), true
}

// clock reads hh:mm[:ss[.fraction]].
func (d *dtDecoder) clock(s string) error {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return errDateFormat
	}
	last := len(parts) - 1
	head, fraction, hasFraction := strings.Cut(parts[last], ".")
	if hasFraction && last < 2 {
		return errDateFormat
	}
	parts[last] = head
	var v [3]int
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			if errors.Is(err, strconv.ErrRange) {
				return errDateOverflow
			}
			if p == "" && i == 2 && !hasFraction {
				return errDateFormat
			}
			if p != "" {
				return errDateFormat
			}
		}
		v[i] = int(n)
	}
	d.c.Hour, d.c.Minute, d.c.Second = v[0], v[1], v[2]
	d.mask |= haveClock
	return d.fraction(fraction)
}

func (d *dtDecoder) keyword(s string, i int, words []dtWord) error {
	kw, ok := dateKeywords[s]
	if !ok {
		return d.zoneWord(s)
	}
	switch kw.kind {
	case kwMonth:
		// January 8, 99 has its day first when the day was taken for a month.
		if d.mask&haveMonth != 0 && !d.textMonth && d.mask&haveDay == 0 && d.c.Month >= 1 && d.c.Month <= 31 {
			d.c.Day = d.c.Month
			d.mask |= haveDay
		} else if d.mask&haveMonth != 0 {
			return errDateFormat
		}
		d.c.Month, d.textMonth = kw.value, true
		d.mask |= haveMonth
	case kwAMPM:
		d.ampm = kw.value
	case kwBC:
		d.bc = true
	case kwISOTime:
		if i+1 >= len(words) || d.mask&haveDate != haveDate && !d.timeOnly {
			return errDateFormat
		}
		d.isoTime = words[i+1].class == dtNumber
	case kwNow, kwToday, kwTomorrow, kwYesterday:
		return d.relative(kw.kind)
	case kwEpoch, kwInfinity, kwNegInfinity:
		d.special = kw.kind
	case kwAllballs:
		d.mask |= haveClock | haveZone
	}
	return nil
}

func (d *dtDecoder) zoneWord(s string) error {
	if sec, ok := zoneAbbreviations[s]; ok {
		if d.mask&haveZone != 0 {
			return errDateFormat
		}
		d.offset = sec
		d.mask |= haveZone
		return nil
	}
	if _, ok := zoneIndex()[s]; ok {
		return d.setZone(s)
	}
	return errDateFormat
}

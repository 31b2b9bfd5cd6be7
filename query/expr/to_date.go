package expr

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// dateReader reads a string by a template.
type dateReader struct {
	s        string
	year     int
	century  int
	month    int
	day      int
	doy      int
	hour     int
	minute   int
	second   int
	micro    int
	hour12   bool
	pm, am   bool
	bc       bool
	clock    int // seconds since midnight, -1 for none
	julian   int
	offset   int
	signed   int
	zoned    bool
	isoYear  int
	isoWeek  int
	isoDay   int
	week     int // WW
	hasYear  bool
	hasMonth bool
}

func badTemplateValue(value, field, detail string) error {
	e := sqlstate.New(sqlstate.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", value, field)
	if detail != "" {
		return e.WithDetail("%s", detail)
	}
	return e
}

// patternDigits is how many digits a numeric pattern takes at most when
// another follows it directly.
var patternDigits = map[string]int{"HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "MS": 3, "US": 6, "FF1": 1, "FF2": 2,
	"FF3": 3, "FF4": 4, "FF5": 5, "FF6": 6, "SSSSS": 5, "SSSS": 5, "YYYY": 4, "YYY": 3, "YY": 2, "Y": 1, "IYYY": 4, "IYY": 3, "IY": 2,
	"I": 1, "MM": 2, "DD": 2, "DDD": 3, "IDDD": 3, "D": 1, "ID": 1, "W": 1, "WW": 2, "IW": 2, "CC": 2, "J": 7, "Q": 1, "TZM": 2, "TZH": 2}

func readDate(text, template string) (*dateReader, error) {
	r := &dateReader{s: text, clock: -1, julian: -1}
	nodes := parseDateTemplate(template)
	r.skipSpace()
	for i, n := range nodes {
		if n.pattern == "" {
			r.literal(n.literal)
			continue
		}
		if r.s == "" {
			break
		}
		next := i+1 < len(nodes) && nodes[i+1].pattern != ""
		if err := r.pattern(&n, next); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *dateReader) skipSpace() { r.s = strings.TrimLeft(r.s, " \t\n\r\f\v") }

// literal skips what the template has between patterns: a separator matches
// any separator, other text as many characters.
func (r *dateReader) literal(text string) {
	for _, c := range text {
		r.skipSpace()
		if r.s == "" {
			return
		}
		separator := c < 0x80 && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
		first := r.s[0]
		if separator {
			if !(first >= '0' && first <= '9' || first >= 'a' && first <= 'z' || first >= 'A' && first <= 'Z' || first >= 0x80) {
				r.s = r.s[1:]
			}
			continue
		}
		r.s = r.s[runeIndex(r.s, 1):]
	}
	r.skipSpace()
}

func (r *dateReader) pattern(n *dateNode, next bool) error {
	p := strings.ToUpper(n.pattern)
	r.skipSpace()
	switch p {
	case "MONTH", "MON":
		i, rest, ok := matchName(r.s, types.MonthNames[:], p == "MON")
		if !ok {
			return badTemplateValue(firstWord(r.s), n.pattern, "The given value did not match any of the allowed values for this field.")
		}
		r.month, r.s, r.hasMonth = i+1, rest, true
		return nil
	case "DAY", "DY":
		_, rest, ok := matchName(r.s, types.DayNames[:], p == "DY")
		if !ok {
			return badTemplateValue(firstWord(r.s), n.pattern, "The given value did not match any of the allowed values for this field.")
		}
		r.s = rest
		return nil
	case "RM", "TZ", "OF":
		return unsupported("the template pattern \"%s\" is not supported for input", p)
	case "AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.":
		return r.marker(n.pattern, p)
	case "TZH":
		r.signed = 1
		if strings.HasPrefix(r.s, "-") {
			r.signed = -1
		}
		r.s = strings.TrimLeft(r.s, "+-")
	case "Y,YYY":
		r.s = strings.Replace(r.s, ",", "", 1)
		p = "YYYY"
	}
	v, digits, err := r.number(n.pattern, patternDigits[p], next)
	if err != nil {
		return err
	}
	if n.ordinal != 0 && len(r.s) >= 2 {
		r.s = r.s[2:]
	}
	return r.store(p, v, digits)
}

func (r *dateReader) marker(name, p string) error {
	if len(r.s) < len(p) {
		return badTemplateValue(r.s, name, "The given value did not match any of the allowed values for this field.")
	}
	word := strings.ToUpper(r.s[:len(p)])
	switch strings.ReplaceAll(word, ".", "") {
	case "AM":
		r.am, r.hour12 = true, true
	case "PM":
		r.pm, r.hour12 = true, true
	case "BC":
		r.bc = true
	case "AD":
	default:
		return badTemplateValue(r.s[:len(p)], name, "The given value did not match any of the allowed values for this field.")
	}
	r.s = r.s[len(p):]
	return nil
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t\n"); i >= 0 {
		return s[:i]
	}
	return s
}

func matchName(s string, names []string, short bool) (index int, rest string, ok bool) {
	for i, name := range names {
		if short {
			name = name[:3]
		}
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			return i, s[len(name):], true
		}
	}
	return 0, s, false
}

// maxTemplateDigits bounds a number that no other pattern ends.
const maxTemplateDigits = 9

func (r *dateReader) number(field string, width int, next bool) (v, digits int, err error) {
	limit := maxTemplateDigits
	if next {
		limit = width
	}
	negative := strings.HasPrefix(r.s, "-") && (field == "YYYY" || field == "J")
	if negative {
		r.s = r.s[1:]
	}
	for digits < len(r.s) && digits < limit && r.s[digits] >= '0' && r.s[digits] <= '9' {
		v = v*10 + int(r.s[digits]-'0')
		digits++
	}
	if digits == 0 {
		return 0, 0, badTemplateValue(r.s[:runeIndex(r.s, int64(width))], field, "Value must be an integer.")
	}
	r.s = r.s[digits:]
	if negative {
		v = -v
	}
	return v, digits, nil
}

func (r *dateReader) store(p string, v, digits int) error {
	pow := func(width int) int { // a fraction's digits as microseconds
		for ; digits > width; digits-- {
			v /= 10
		}
		for ; digits < 6; digits++ {
			v *= 10
		}
		return v
	}
	switch p {
	case "HH24":
		r.hour = v
	case "HH", "HH12":
		r.hour, r.hour12 = v, true
	case "MI":
		r.minute = v
	case "SS":
		r.second = v
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		r.micro = pow(6)
	case "SSSS", "SSSSS":
		r.clock = v
	case "YYYY", "YYY", "YY", "Y":
		r.year, r.hasYear = windowYear(v, digits), true
	case "IYYY", "IYY", "IY", "I":
		r.isoYear = windowYear(v, digits)
	case "MM":
		r.month, r.hasMonth = v, true
	case "DD":
		r.day = v
	case "DDD":
		r.doy = v
	case "ID":
		r.isoDay = v
	case "IW":
		r.isoWeek = v
	case "WW":
		r.week = v
	case "CC":
		r.century = v
	case "J":
		r.julian = v
	case "TZH":
		r.offset, r.zoned = r.signed*v*3600, true
	case "TZM":
		r.offset += r.signed * v * 60
	case "IDDD":
		return unsupported("the template pattern \"IDDD\" is not supported for input")
	}
	return nil
}

// windowYear completes a year of fewer than four digits: the year nearest to
// 2020.
func windowYear(v, digits int) int {
	switch {
	case digits >= 4 || v < 0:
		return v
	case v < 70:
		return v + 2000
	case v < 100:
		return v + 1900
	case v < 520:
		return v + 2000
	case v < 1000:
		return v + 1000
	}
	return v
}

// civil puts the fields together.
func (r *dateReader) civil(text string) (types.Civil, error) {
	outOfRange := func() error {
		return sqlstate.New(sqlstate.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", text)
	}
	c := types.Civil{Year: r.year, Month: max(r.month, 1), Day: max(r.day, 1), Hour: r.hour, Minute: r.minute,
		Second: r.second, Micro: r.micro}
	if r.hour12 {
		if r.hour < 1 || r.hour > 12 {
			return c, sqlstate.New(sqlstate.InvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", r.hour).
				WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
		}
		c.Hour = r.hour % 12
		if r.pm {
			c.Hour += 12
		}
	}
	if r.clock >= 0 {
		c.Hour, c.Minute, c.Second = r.clock/3600, r.clock/60%60, r.clock%60
	}
	if r.century != 0 && !r.hasYear {
		c.Year = (r.century-1)*100 + 1
	}
	switch {
	case r.bc && c.Year > 0:
		c.Year = 1 - c.Year
	case c.Year < 0:
		c.Year++ // -44 is 44 BC
	}
	days := int64(0)
	switch {
	case r.julian >= 0:
		days = int64(r.julian) + types.MinDate
	case r.isoYear != 0:
		first := types.DateFromCivil(r.isoYear, 1, 4)
		first -= int64((types.WeekdayOf(first) + 6) % 7)
		days = first + int64(max(r.isoWeek, 1)-1)*7 + int64(max(r.isoDay, 1)-1)
	case r.doy != 0:
		limit := 365
		if types.IsLeap(c.Year) {
			limit++
		}
		if r.doy > limit {
			return c, outOfRange()
		}
		days = types.DateFromCivil(c.Year, 1, 1) + int64(r.doy) - 1
	case r.week != 0 && !r.hasMonth:
		days = types.DateFromCivil(c.Year, 1, 1) + int64(r.week-1)*7
	default:
		if r.month > 12 || r.hasMonth && r.month < 1 || c.Day > types.DaysInMonth(c.Year, min(c.Month, 12)) {
			return c, outOfRange()
		}
		days = types.DateFromCivil(c.Year, c.Month, c.Day)
	}
	c.Year, c.Month, c.Day = types.CivilFromDate(days)
	if c.Hour > 24 || c.Minute > 59 || c.Second > 60 || c.Hour == 24 && (c.Minute > 0 || c.Second > 0) {
		return c, outOfRange()
	}
	return c, nil
}

func toDate(_ *Ctx, a []datum) (datum, error) {
	r, err := readDate(a[0].Str(), a[1].Str())
	if err != nil {
		return null, err
	}
	c, err := r.civil(a[0].Str())
	if err != nil {
		return null, err
	}
	return checkDate(types.DateFromCivil(c.Year, c.Month, c.Day))
}

func toTimestamp(ctx *Ctx, a []datum) (datum, error) {
	r, err := readDate(a[0].Str(), a[1].Str())
	if err != nil {
		return null, err
	}
	c, err := r.civil(a[0].Str())
	if err != nil {
		return null, err
	}
	ts, err := c.Timestamp()
	if err != nil {
		return null, err
	}
	if r.zoned {
		return timestampDatum(types.CheckTimestamp(ts - int64(r.offset)*types.MicrosPerSecond))
	}
	return timestampDatum(types.LocalToUTC(ts, location(ctx)))
}

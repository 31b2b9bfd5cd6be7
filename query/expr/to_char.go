package expr

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// Template patterns of to_char, to_date and to_timestamp, longest first where
// one begins another.
var datePatterns = []string{
	"SSSSS", "SSSS", "IYYY", "MONTH", "Month", "month", "Y,YYY", "YYYY", "A.D.", "a.d.", "B.C.", "b.c.", "A.M.", "a.m.",
	"P.M.", "p.m.", "HH24", "HH12", "IDDD", "IYY", "YYY", "MON", "Mon", "mon", "DAY", "Day", "day", "DDD", "TZH", "TZM",
	"FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH", "MI", "SS", "MS", "US", "AM", "am", "PM", "pm", "IY", "YY", "BC", "bc",
	"AD", "ad", "MM", "DY", "Dy", "dy", "DD", "ID", "WW", "IW", "CC", "RM", "rm", "TZ", "tz", "OF", "I", "Y", "D", "W", "J", "Q",
}

// dateNode is a pattern with its modifiers, or literal text.
type dateNode struct {
	pattern string // in the canonical upper case, but for the case of names
	literal string
	fill    bool // FM: no padding
	ordinal byte // 't' or 'T' for th, TH
}

// parseDateTemplate splits a template. Patterns are matched without regard to
// case, except that the case of names decides that of the output.
func parseDateTemplate(s string) []dateNode {
	var out []dateNode
	literal := func(text string) {
		if n := len(out); n > 0 && out[n-1].pattern == "" {
			out[n-1].literal += text
			return
		}
		out = append(out, dateNode{literal: text})
	}
	fill := false
	for s != "" {
		if s[0] == '"' {
			end := 1
			var text strings.Builder
			for end < len(s) && s[end] != '"' {
				if s[end] == '\\' && end+1 < len(s) {
					end++
				}
				text.WriteByte(s[end])
				end++
			}
			literal(text.String())
			s = s[min(end+1, len(s)):]
			continue
		}
		if len(s) >= 2 {
			switch strings.ToUpper(s[:2]) {
			case "FM":
				fill = true
				s = s[2:]
				continue
			case "FX", "TM":
				s = s[2:]
				continue
			}
		}
		p := matchPattern(s)
		if p == "" {
			if s[0] == '\\' && len(s) > 1 && s[1] == '"' {
				s = s[1:]
			}
			literal(s[:1])
			s = s[1:]
			continue
		}
		n := dateNode{pattern: p, fill: fill}
		fill = false
		s = s[len(p):]
		if len(s) >= 2 && strings.EqualFold(s[:2], "TH") {
			n.ordinal = s[0]
			s = s[2:]
		}
		out = append(out, n)
	}
	return out
}

func matchPattern(s string) string {
	for _, p := range datePatterns {
		if strings.HasPrefix(s, p) {
			return p
		}
	}
	for _, p := range datePatterns {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return p
		}
	}
	return ""
}

func ordinalSuffix(v int64, upperCase bool) string {
	suffix := "th"
	if v/10%10 != 1 {
		switch v % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	if upperCase {
		return strings.ToUpper(suffix)
	}
	return suffix
}

// formatDate is to_char over the fields of a date and time; interval is set
// for intervals, in which hours do not wrap.
func formatDate(c *types.Civil, template string, interval bool) string {
	var out strings.Builder
	for _, n := range parseDateTemplate(template) {
		if n.pattern == "" {
			out.WriteString(n.literal)
			continue
		}
		if text, ok := datePatternText(c, &n); ok {
			out.WriteString(text)
			continue
		}
		v, width := datePatternNumber(c, n.pattern, interval)
		if n.fill {
			width = 0
		}
		out.WriteString(pad(int(v), width))
		if n.ordinal != 0 {
			out.WriteString(ordinalSuffix(absSmall(v), n.ordinal == 'T'))
		}
	}
	return out.String()
}

var romanMonths = [...]string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// datePatternText handles the patterns that print words.
func datePatternText(c *types.Civil, n *dateNode) (string, bool) {
	padded := func(name, pattern string, width int) (string, bool) {
		switch pattern {
		case strings.ToUpper(pattern):
			name = strings.ToUpper(name)
		case strings.ToLower(pattern):
			name = strings.ToLower(name)
		}
		if !n.fill && len(name) < width {
			name += strings.Repeat(" ", width-len(name))
		}
		return name, true
	}
	half := func(dots bool) string {
		out := "AM"
		if c.Hour%24 >= 12 {
			out = "PM"
		}
		if dots {
			out = out[:1] + "." + out[1:] + "."
		}
		return out
	}
	era := func(dots bool) string {
		out := "AD"
		if c.Year <= 0 {
			out = "BC"
		}
		if dots {
			out = out[:1] + "." + out[1:] + "."
		}
		return out
	}
	days := types.DateFromCivil(c.Year, max(c.Month, 1), max(c.Day, 1))
	month := max(c.Month, 1)
	switch p := n.pattern; strings.ToUpper(p) {
	case "MONTH":
		return padded(types.MonthNames[month-1], p, 9)
	case "MON":
		return padded(types.MonthNames[month-1][:3], p, 0)
	case "DAY":
		return padded(types.DayNames[types.WeekdayOf(days)], p, 9)
	case "DY":
		return padded(types.DayNames[types.WeekdayOf(days)][:3], p, 0)
	case "RM":
		return padded(romanMonths[month-1], p, 4)
	case "AM", "PM":
		return padded(half(false), p, 0)
	case "A.M.", "P.M.":
		return padded(half(true), p, 0)
	case "AD", "BC":
		return padded(era(false), p, 0)
	case "A.D.", "B.C.":
		return padded(era(true), p, 0)
	case "TZ":
		return padded(c.Zone, p, 0)
	case "OF", "TZH":
		return offsetText(c.Offset, strings.ToUpper(p) == "OF"), true
	case "Y,YYY":
		y := displayedYear(c.Year)
		return pad(int(y/1000), 1) + "," + pad(int(y%1000), 3), true
	}
	return "", false
}

func offsetText(offset int, minutes bool) string {
	sign := "+"
	if offset < 0 {
		sign, offset = "-", -offset
	}
	out := sign + pad(offset/3600, 2)
	if minutes && offset%3600 != 0 {
		out += ":" + pad(offset/60%60, 2)
	}
	return out
}

func displayedYear(y int) int64 {
	if y <= 0 {
		return int64(1 - y)
	}
	return int64(y)
}

// datePatternNumber returns the value of a numeric pattern and its width, in
// one flat switch.
func datePatternNumber(c *types.Civil, pattern string, interval bool) (v int64, width int) {
	days := types.DateFromCivil(c.Year, max(c.Month, 1), max(c.Day, 1))
	doy := days - types.DateFromCivil(c.Year, 1, 1) + 1
	year := displayedYear(c.Year)
	if interval {
		year = int64(c.Year)
	}
	isoYear, isoWeekNo := isoWeek(days)
	hour12 := int64(c.Hour % 12)
	if hour12 == 0 {
		hour12 = 12
	}
	clock := int64(c.Hour)*3600 + int64(c.Minute)*60 + int64(c.Second)
	switch strings.ToUpper(pattern) {
	case "HH24":
		return int64(c.Hour), 2
	case "HH", "HH12":
		return hour12, 2
	case "MI":
		return int64(c.Minute), 2
	case "SS":
		return int64(c.Second), 2
	case "MS", "FF3":
		return int64(c.Micro / 1000), 3
	case "US", "FF6":
		return int64(c.Micro), 6
	case "FF1":
		return int64(c.Micro / 100000), 1
	case "FF2":
		return int64(c.Micro / 10000), 2
	case "FF4":
		return int64(c.Micro / 100), 4
	case "FF5":
		return int64(c.Micro / 10), 5
	case "SSSS", "SSSSS":
		return clock, 0
	case "YYYY":
		return year, 4
	case "YYY":
		return year % 1000, 3
	case "YY":
		return year % 100, 2
	case "Y":
		return year % 10, 1
	case "IYYY":
		return displayedYear(isoYear), 4
	case "IYY":
		return displayedYear(isoYear) % 1000, 3
	case "IY":
		return displayedYear(isoYear) % 100, 2
	case "I":
		return displayedYear(isoYear) % 10, 1
	case "MM":
		return int64(c.Month), 2
	case "DD":
		return int64(c.Day), 2
	case "DDD":
		return doy, 3
	case "IDDD":
		return int64(isoWeekNo-1)*7 + int64((types.WeekdayOf(days)+6)%7) + 1, 3
	case "D":
		return int64(types.WeekdayOf(days)) + 1, 0
	case "ID":
		return int64((types.WeekdayOf(days)+6)%7) + 1, 0
	case "W":
		return int64(c.Day-1)/7 + 1, 0
	case "WW":
		return (doy-1)/7 + 1, 2
	case "IW":
		return int64(isoWeekNo), 2
	case "CC":
		return eraOf(int64(c.Year), 100), 2
	case "J":
		return days - types.MinDate, 0
	case "Q":
		return int64(max(c.Month, 1)-1)/3 + 1, 0
	}
	return int64(absSmall(int64(c.Offset)) / 60 % 60), 2 // TZM
}

func toCharTimestamp(zoned bool) evalFunc {
	return func(ctx *Ctx, a []datum) (datum, error) {
		ts := a[0].Timestamp()
		if a[1].Str() == "" || !finite(ts) {
			return null, nil
		}
		var c types.Civil
		if zoned {
			c = types.CivilInZone(ts, location(ctx))
		} else {
			c = types.CivilFromTimestamp(ts)
		}
		return types.String(formatDate(&c, a[1].Str(), false)), nil
	}
}

func toCharInterval(_ *Ctx, a []datum) (datum, error) {
	if a[1].Str() == "" {
		return null, nil
	}
	iv := a[0].Interval()
	c := types.Civil{Year: int(iv.Months / 12), Month: int(iv.Months % 12), Day: int(iv.Days),
		Hour: int(iv.Micros / types.MicrosPerHour), Minute: int(iv.Micros / types.MicrosPerMinute % 60),
		Second: int(iv.Micros / types.MicrosPerSecond % 60), Micro: int(iv.Micros % types.MicrosPerSecond)}
	return types.String(formatDate(&c, a[1].Str(), true)), nil
}

var toCharEvals = map[string]evalFunc{
	"to_char(timestamp,text)": toCharTimestamp(false), "to_char(timestamptz,text)": toCharTimestamp(true),
	"to_char(interval,text)": toCharInterval,
	"to_char(numeric,text)":  toCharNumber, "to_char(int4,text)": toCharNumber, "to_char(int8,text)": toCharNumber,
	"to_char(float4,text)": toCharNumber, "to_char(float8,text)": toCharNumber,
	"to_number(text,text)": toNumber,
	"to_date(text,text)":   toDate, "to_timestamp(text,text)": toTimestamp,
}

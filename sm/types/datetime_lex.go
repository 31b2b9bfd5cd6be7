package types

import "strings"

// dtClass is what a word of a date/time string looks like.
type dtClass uint8

const (
	dtNumber  dtClass = iota // digits, perhaps with a decimal point
	dtDate                   // digits or letters with date separators inside
	dtTime                   // digits with colons
	dtString                 // letters
	dtZone                   // a sign and digits
	dtSpecial                // a sign and letters, as in -infinity
)

type dtWord struct {
	class dtClass
	text  string // lower case
}

// maxDateTimeWords bounds the words of a date/time string, as in PostgreSQL.
const maxDateTimeWords = 25

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' }
func isPunct(c byte) bool {
	return c > ' ' && c < 0x7f && !isDigit(c) && !isAlpha(c)
}

// lexDateTime splits a string into words as PostgreSQL's ParseDateTime does;
// ok is false for what cannot be a date, time or interval.
func lexDateTime(s string) (words []dtWord, ok bool) {
	s = strings.ToLower(s)
	at := func(i int) byte {
		if i < len(s) {
			return s[i]
		}
		return 0
	}
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		switch {
		case isSpace(c):
			i++
			continue
		case isDigit(c):
			var class dtClass
			class, i = lexNumeric(s, i, at)
			words = append(words, dtWord{class, s[start:i]})
		case c == '.':
			for i++; isDigit(at(i)); {
				i++
			}
			words = append(words, dtWord{dtNumber, s[start:i]})
		case isAlpha(c):
			var class dtClass
			class, i = lexAlpha(s, i, at)
			words = append(words, dtWord{class, s[start:i]})
		case c == '+' || c == '-':
			for i++; isSpace(at(i)); {
				i++
			}
			sign := string(c)
			start = i
			switch {
			case isDigit(at(i)) || at(i) == '.':
				for isDigit(at(i)) || at(i) == ':' || at(i) == '.' || at(i) == '-' {
					i++
				}
				words = append(words, dtWord{dtZone, sign + s[start:i]})
			case isAlpha(at(i)):
				for isAlpha(at(i)) {
					i++
				}
				words = append(words, dtWord{dtSpecial, sign + s[start:i]})
			default:
				return nil, false
			}
		case isPunct(c):
			i++
			continue
		default:
			return nil, false
		}
		if len(words) > maxDateTimeWords {
			return nil, false
		}
	}
	return words, true
}

func lexNumeric(s string, i int, at func(int) byte) (dtClass, int) {
	for isDigit(at(i)) {
		i++
	}
	switch c := at(i); c {
	case ':':
		for isDigit(at(i)) || at(i) == ':' || at(i) == '.' {
			i++
		}
		return dtTime, i
	case '-', '/', '.':
		delim := c
		i++
		if isDigit(at(i)) {
			class := dtDate
			if delim == '.' {
				class = dtNumber
			}
			for isDigit(at(i)) {
				i++
			}
			if at(i) == delim {
				class = dtDate
				for isDigit(at(i)) || at(i) == delim {
					i++
				}
			}
			return class, i
		}
		for isDigit(at(i)) || isAlpha(at(i)) || at(i) == delim {
			i++
		}
		if delim == '.' && strings.IndexByte(s, '.') == i-1 {
			return dtNumber, i
		}
		return dtDate, i
	}
	return dtNumber, i
}

// lexAlpha reads a word; with a separator, a sign or digits in it, it may be
// a date such as jan-8-1999 or a time zone such as America/New_York.
func lexAlpha(s string, i int, at func(int) byte) (dtClass, int) {
	start := i
	for isAlpha(at(i)) {
		i++
	}
	isDate := false
	switch c := at(i); {
	case c == '-' || c == '/' || c == '.':
		isDate = true
	case c == '+' || isDigit(c):
		if _, known := dateKeywords[s[start:i]]; !known {
			isDate = true
		}
	case c == '_':
		isDate = true
	}
	if !isDate {
		return dtString, i
	}
	for {
		c := at(i)
		if !isDigit(c) && !isAlpha(c) && c != '+' && c != '-' && c != '/' && c != '_' && c != '.' && c != ':' {
			return dtDate, i
		}
		i++
	}
}

// dtKeyword is what a word means in a date or time.
type dtKeyword struct {
	kind  dtKeywordKind
	value int
}

type dtKeywordKind uint8

const (
	kwMonth dtKeywordKind = iota + 1
	kwWeekday
	kwAMPM // 0 am, 1 pm
	kwAD
	kwBC
	kwIgnore
	kwISOTime
	kwNow
	kwToday
	kwTomorrow
	kwYesterday
	kwEpoch
	kwInfinity
	kwNegInfinity
	kwAllballs
)

var dateKeywords = func() map[string]dtKeyword {
	m := map[string]dtKeyword{
		"am": {kwAMPM, 0}, "pm": {kwAMPM, 1}, "ad": {kwAD, 0}, "bc": {kwBC, 0}, "at": {kwIgnore, 0},
		"on": {kwIgnore, 0}, "t": {kwISOTime, 0}, "now": {kwNow, 0}, "today": {kwToday, 0},
		"tomorrow": {kwTomorrow, 0}, "yesterday": {kwYesterday, 0}, "epoch": {kwEpoch, 0},
		"infinity": {kwInfinity, 0}, "+infinity": {kwInfinity, 0}, "-infinity": {kwNegInfinity, 0},
		"allballs": {kwAllballs, 0}, "sept": {kwMonth, 9},
		"tues": {kwWeekday, 2}, "wednes": {kwWeekday, 3}, "weds": {kwWeekday, 3}, "thur": {kwWeekday, 4},
		"thurs": {kwWeekday, 4},
	}
	for i, name := range MonthNames {
		m[strings.ToLower(name)] = dtKeyword{kwMonth, i + 1}
		m[strings.ToLower(name[:3])] = dtKeyword{kwMonth, i + 1}
	}
	for i, name := range DayNames {
		m[strings.ToLower(name)] = dtKeyword{kwWeekday, i}
		m[strings.ToLower(name[:3])] = dtKeyword{kwWeekday, i}
	}
	return m
}()

// MonthNames and DayNames are the English names, January and Sunday first.
var (
	MonthNames = [...]string{"January", "February", "March", "April", "May", "June", "July", "August",
		"September", "October", "November", "December"}
	DayNames = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

package types

import "strconv"

func appendInterval(dst []byte, style IntervalStyle, iv Interval) []byte {
	p := intervalPrinter{dst: dst, iv: iv}
	p.years, p.months = int(iv.Months)/12, int(iv.Months)%12
	t := iv.Micros
	p.hours = t / MicrosPerHour
	t -= p.hours * MicrosPerHour
	p.minutes = int(t / MicrosPerMinute)
	t -= int64(p.minutes) * MicrosPerMinute
	p.seconds = int(t / MicrosPerSecond)
	p.micros = int(t - int64(p.seconds)*MicrosPerSecond)
	switch style {
	case IntervalStyleVerbose:
		p.verbose()
	case IntervalStyleSQL:
		p.sql()
	case IntervalStyleISO8601:
		p.iso()
	default:
		p.postgres()
	}
	return p.dst
}

type intervalPrinter struct {
	dst             []byte
	iv              Interval
	years, months   int
	hours           int64
	minutes         int
	seconds, micros int
}

func (p *intervalPrinter) int(v int64)  { p.dst = strconv.AppendInt(p.dst, v, 10) }
func (p *intervalPrinter) str(s string) { p.dst = append(p.dst, s...) }

// secondsText writes seconds with their fraction and without a sign.
func (p *intervalPrinter) secondsText(width int) {
	p.dst = appendPadded(p.dst, abs(p.seconds), width)
	p.dst = appendFraction(p.dst, abs(p.micros))
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

func abs64(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func (p *intervalPrinter) clock(hourWidth int) {
	h := abs64(p.hours)
	if hourWidth == 2 && h < 10 {
		p.str("0")
	}
	p.dst = strconv.AppendUint(p.dst, h, 10)
	p.dst = appendPadded(append(p.dst, ':'), abs(p.minutes), 2)
	p.str(":")
	p.secondsText(2)
}

// postgres prints 1 year 2 mons -3 days +04:05:06.
func (p *intervalPrinter) postgres() {
	first, negative := true, false
	part := func(v int, unit string) {
		if v == 0 {
			return
		}
		if !first {
			p.str(" ")
			if negative && v > 0 {
				p.str("+")
			}
		}
		p.int(int64(v))
		p.str(" " + unit)
		if v != 1 {
			p.str("s")
		}
		// A positive field after a negative one shows its sign.
		negative = v < 0
		first = false
	}
	part(p.years, "year")
	part(p.months, "mon")
	part(int(p.iv.Days), "day")
	if first || p.iv.Micros != 0 {
		if !first {
			p.str(" ")
		}
		if p.iv.Micros < 0 {
			p.str("-")
		} else if negative {
			p.str("+")
		}
		p.clock(2)
	}
}

// verbose prints @ 1 year 2 mons ago.
func (p *intervalPrinter) verbose() {
	first, ago := true, false
	p.str("@")
	part := func(v int64, unit string) {
		if v == 0 {
			return
		}
		if first {
			ago = v < 0
			v = int64(abs64(v))
		} else if ago {
			v = -v
		}
		p.str(" ")
		p.int(v)
		p.str(" " + unit)
		if v != 1 {
			p.str("s")
		}
		first = false
	}
	part(int64(p.years), "year")
	part(int64(p.months), "mon")
	part(int64(p.iv.Days), "day")
	part(p.hours, "hour")
	part(int64(p.minutes), "min")
	if p.seconds != 0 || p.micros != 0 {
		p.str(" ")
		negative := p.seconds < 0 || p.micros < 0
		if negative {
			if first {
				ago = true
			} else if !ago {
				p.str("-")
			}
		} else if ago && !first {
			p.str("-")
		}
		p.secondsText(1)
		p.str(" sec")
		if abs(p.seconds) != 1 || p.micros != 0 {
			p.str("s")
		}
		first = false
	}
	if first {
		p.str(" 0")
	}
	if ago {
		p.str(" ago")
	}
}

// sql prints the SQL standard's forms: 1-2, 3 4:05:06 or all signed.
func (p *intervalPrinter) sql() {
	negative := p.years < 0 || p.months < 0 || p.iv.Days < 0 || p.iv.Micros < 0
	positive := p.years > 0 || p.months > 0 || p.iv.Days > 0 || p.iv.Micros > 0
	hasDate := p.years != 0 || p.months != 0
	hasDay := p.iv.Days != 0
	hasTime := p.iv.Micros != 0
	standard := !(negative && positive) && !(hasDate && (hasDay || hasTime))
	if !negative && !positive {
		p.str("0")
		return
	}
	if !standard {
		sign := func(n bool) {
			if n {
				p.str("-")
			} else {
				p.str("+")
			}
		}
		sign(p.years < 0 || p.months < 0)
		p.int(int64(abs(p.years)))
		p.str("-")
		p.int(int64(abs(p.months)))
		p.str(" ")
		sign(p.iv.Days < 0)
		p.int(int64(abs64(int64(p.iv.Days))))
		p.str(" ")
		sign(p.iv.Micros < 0)
		p.clock(1)
		return
	}
	if negative {
		p.str("-")
	}
	switch {
	case hasDate:
		p.int(int64(abs(p.years)))
		p.str("-")
		p.int(int64(abs(p.months)))
	case hasDay:
		p.int(int64(abs64(int64(p.iv.Days))))
		p.str(" ")
		p.clock(1)
	default:
		p.clock(1)
	}
}

// iso prints P1Y2M3DT4H5M6S.
func (p *intervalPrinter) iso() {
	if p.iv == (Interval{}) {
		p.str("PT0S")
		return
	}
	part := func(v int64, unit string) {
		if v != 0 {
			p.int(v)
			p.str(unit)
		}
	}
	p.str("P")
	part(int64(p.years), "Y")
	part(int64(p.months), "M")
	part(int64(p.iv.Days), "D")
	if p.iv.Micros != 0 {
		p.str("T")
	}
	part(p.hours, "H")
	part(int64(p.minutes), "M")
	if p.seconds != 0 || p.micros != 0 {
		if p.seconds < 0 || p.micros < 0 {
			p.str("-")
		}
		p.secondsText(1)
		p.str("S")
	}
}

package expr

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// numberTemplate is a parsed template of to_char and to_number for numbers.
type numberTemplate struct {
	nodes              []string // 9 0 . , D G S MI PL SG PR L TH th V EEEE or literal text
	literal            []bool
	pre, post          int // digits before and after the point
	zeroFrom, zeroTo   int // positions of the first and last 0, -1 for none
	fill, point        bool
	sign               string // S, MI, PL, SG, PR or empty
	signFirst          bool
	exponent, multiply bool
	scale              int // digits after V
}

func numberSyntax(format string, args ...any) error {
	return sqlstate.New(sqlstate.SyntaxError, format, args...)
}

var numberPatterns = []string{"EEEE", "MI", "PL", "SG", "PR", "TH", "RN", "rn", "FM", "9", "0", ".", ",", "D", "G", "S", "L", "V", "B"}

func parseNumberTemplate(s string) (*numberTemplate, error) {
	t := &numberTemplate{zeroFrom: -1, zeroTo: -1}
	position := 0
	for s != "" {
		p := ""
		for _, q := range numberPatterns {
			if len(s) >= len(q) && strings.EqualFold(s[:len(q)], q) {
				p = q
				if q == "TH" {
					p = s[:2]
				}
				break
			}
		}
		if s[0] == '"' {
			text, rest, _ := strings.Cut(s[1:], `"`)
			t.nodes, t.literal = append(t.nodes, text), append(t.literal, true)
			s = rest
			continue
		}
		if p == "" {
			t.nodes, t.literal = append(t.nodes, s[:1]), append(t.literal, true)
			s = s[1:]
			continue
		}
		s = s[len(p):]
		if err := t.note(p, &position); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// note records one pattern; position counts the digits so far.
func (t *numberTemplate) note(p string, position *int) error {
	switch p {
	case "FM":
		t.fill = true
		return nil
	case "9", "0":
		if t.sign == "PR" {
			return numberSyntax("\"9\" must be ahead of \"PR\"")
		}
		if p == "0" {
			if t.zeroFrom < 0 && !t.point {
				t.zeroFrom = *position
			}
			t.zeroTo = *position
		}
		switch {
		case t.multiply:
			t.scale++
		case t.point:
			t.post++
		default:
			t.pre++
		}
		*position++
	case ".", "D":
		if t.point {
			return numberSyntax("multiple decimal points")
		}
		if t.multiply {
			return numberSyntax("cannot use \"V\" and decimal point together")
		}
		t.point = true
		p = "."
	case "G":
		p = ","
	case "S", "MI", "PL", "SG", "PR":
		if t.sign != "" && (t.sign == "S" || p == "S" || p == "PR" || t.sign == "PR") {
			return numberSyntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
		}
		t.sign = p
		t.signFirst = *position == 0
	case "V":
		if t.point {
			return numberSyntax("cannot use \"V\" and decimal point together")
		}
		t.multiply = true
	case "EEEE":
		t.exponent = true
	case "RN", "rn":
		return unsupported("the template pattern \"RN\" is not supported")
	}
	t.nodes, t.literal = append(t.nodes, p), append(t.literal, false)
	return nil
}

func toCharNumber(c *Ctx, a []datum) (datum, error) {
	t, err := parseNumberTemplate(a[1].Str())
	if err != nil {
		return null, err
	}
	var d *apd.Decimal
	switch a[0].Kind() {
	case types.KindInt:
		d = types.NewDecimalInt(a[0].Int())
	case types.KindFloat:
		if d, err = types.FloatToDecimal(a[0].Float(), 64); err != nil {
			return null, err
		}
	default:
		d = a[0].Decimal()
	}
	if t.exponent {
		return t.scientific(d)
	}
	return types.String(t.format(d)), nil
}

// scientific is the pattern EEEE.
func (t *numberTemplate) scientific(d *apd.Decimal) (datum, error) {
	if !isFinite(d) {
		return types.String(" " + strings.Repeat("#", t.pre) + "." + strings.Repeat("#", t.post+4)), nil
	}
	exp := 0
	m := &apd.Decimal{Negative: d.Negative}
	if d.Coeff.Sign() != 0 {
		n := int(d.NumDigits())
		exp = n - 1 + int(d.Exponent)
		m.Coeff.Set(&d.Coeff)
		m.Exponent = int32(1 - n)
		m = types.RoundDecimal(m, int32(t.post))
		if m.NumDigits()+int64(m.Exponent) > 1 { // 9.99 became 10.0
			exp++
			m.Exponent--
			m = types.RoundDecimal(m, int32(t.post))
		}
	}
	m = types.RoundDecimal(m, int32(t.post))
	text := string(types.AppendDecimal(nil, m))
	if !d.Negative && !t.fill {
		text = " " + text
	}
	sign := "+"
	if exp < 0 {
		sign, exp = "-", -exp
	}
	return types.String(text + "e" + sign + pad(exp, 2)), nil
}

// format prints a number; a number with too many digits is printed as #.
func (t *numberTemplate) format(d *apd.Decimal) string {
	if t.multiply && isFinite(d) {
		d = &apd.Decimal{Negative: d.Negative, Exponent: d.Exponent + int32(t.scale), Coeff: d.Coeff}
	}
	pre := t.pre
	if t.multiply {
		pre += t.scale
	}
	digits := ""
	negative := d.Negative
	if isFinite(d) {
		r := types.RoundDecimal(d, int32(t.post))
		negative = r.Negative
		digits = string(types.AppendDecimal(nil, numericAbs(r)))
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "0" && t.post > 0 {
		whole = ""
	}
	over := digits == "" || len(whole) > pre
	if over {
		whole, fraction = strings.Repeat("#", pre), strings.Repeat("#", t.post)
	}
	return t.layout(whole, fraction, pre, negative, over)
}

// layout writes digits, signs and separators in the template's order; it is
// one flat switch over the patterns.
func (t *numberTemplate) layout(whole, fraction string, pre int, negative, over bool) string {
	var out strings.Builder
	fillTo := pre - len(whole) // positions before this one are blank or 0
	lastNonZero := len(strings.TrimRight(fraction, "0"))
	zeroAfter := 0 // fraction digits that FM must keep
	if t.zeroTo >= pre {
		zeroAfter = t.zeroTo - pre + 1
	}
	at, afterPoint, signDone := 0, false, false
	lead := func() { // the sign that stands before the first digit
		if signDone {
			return
		}
		signDone = true
		switch t.sign {
		case "", "PL":
			if negative {
				out.WriteByte('-')
			} else if !t.fill {
				out.WriteByte(' ')
			}
		case "S":
			if t.signFirst {
				out.WriteByte(signChar(negative, true))
			}
		case "PR":
			if negative {
				out.WriteByte('<')
			} else if !t.fill {
				out.WriteByte(' ')
			}
		}
	}
	started := func() bool { return at >= fillTo || t.zeroFrom >= 0 && at >= t.zeroFrom }
	for i, n := range t.nodes {
		if t.literal[i] {
			out.WriteString(n)
			continue
		}
		switch n {
		case "9", "0":
			switch {
			case afterPoint:
				k := at - pre
				if !t.fill || k < lastNonZero || k < zeroAfter || over {
					out.WriteByte(fraction[k])
				}
			case at >= fillTo:
				lead()
				out.WriteByte(whole[at-fillTo])
			case started():
				lead()
				out.WriteByte('0')
			case !t.fill:
				out.WriteByte(' ')
			}
			at++
		case ".":
			lead()
			afterPoint = true
			out.WriteByte('.')
		case ",":
			if started() && at > 0 {
				out.WriteByte(',')
			} else if !t.fill {
				out.WriteByte(' ')
			}
		case "L":
			out.WriteByte(' ')
		case "MI", "PL", "SG":
			t.writeSign(&out, n, negative)
		case "TH", "th", "Th", "tH":
			if len(whole) > 0 && !negative && !over {
				v, _ := types.Int8Type.Parse(nil, whole[max(0, len(whole)-2):], types.NoTypmod)
				out.WriteString(ordinalSuffix(v.Int(), n[0] == 'T'))
			}
		}
	}
	lead()
	switch {
	case t.sign == "S" && !t.signFirst:
		out.WriteByte(signChar(negative, true))
	case t.sign == "PR" && negative:
		out.WriteByte('>')
	case t.sign == "PR" && !t.fill:
		out.WriteByte(' ')
	}
	return out.String()
}

func signChar(negative, plus bool) byte {
	switch {
	case negative:
		return '-'
	case plus:
		return '+'
	}
	return ' '
}

func (t *numberTemplate) writeSign(out *strings.Builder, kind string, negative bool) {
	switch {
	case kind == "MI" && negative:
		out.WriteByte('-')
	case kind == "PL" && !negative:
		out.WriteByte('+')
	case kind == "SG":
		out.WriteByte(signChar(negative, true))
	case !t.fill:
		out.WriteByte(' ')
	}
}

// toNumber reads the digits of a string that a template expects.
func toNumber(_ *Ctx, a []datum) (datum, error) {
	t, err := parseNumberTemplate(a[1].Str())
	if err != nil {
		return null, err
	}
	if a[1].Str() == "" {
		return null, nil
	}
	var digits strings.Builder
	negative, point, seen, fraction := false, false, 0, 0
	for _, c := range strings.TrimSpace(a[0].Str()) {
		switch {
		case c >= '0' && c <= '9':
			if point {
				if fraction++; fraction > t.post {
					continue
				}
			} else if seen++; seen > t.pre+t.scale {
				continue
			}
			digits.WriteRune(c)
		case c == '-' || c == '<':
			negative = true
		case c == '.' && t.point && !point:
			point = true
			digits.WriteByte('.')
		}
	}
	text := strings.TrimSuffix(digits.String(), ".")
	if text == "" {
		return null, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type numeric: \"%s\"", " ")
	}
	d, err := types.ParseDecimal(text)
	if err != nil {
		return null, err
	}
	if t.multiply {
		d, err = types.NormalizeDecimal(&apd.Decimal{Exponent: d.Exponent - int32(min(t.scale, math.MaxInt16)), Coeff: d.Coeff})
		if err != nil {
			return null, err
		}
	}
	if negative {
		d = negate(d)
	}
	return types.Decimal(d), nil
}

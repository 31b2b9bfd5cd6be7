package types

import (
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// isSpace is C's isspace in the C locale, which PostgreSQL's input functions
// skip.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimSpace(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// intRange returns the least and greatest value of an integer type.
func intRange(t *Type) (int64, int64) {
	switch t {
	case Int2Type:
		return math.MinInt16, math.MaxInt16
	case Int4Type:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func parseInt(t *Type, s string) (Datum, error) {
	v := trimSpace(s)
	digits := v
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	if digits == "" {
		return Datum{}, invalidSyntax(t, s)
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '9' {
			return Datum{}, invalidSyntax(t, s)
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	lo, hi := intRange(t)
	if err != nil || n < lo || n > hi {
		return Datum{}, outOfRange(t, s)
	}
	return Int(n), nil
}

// parseUnsigned reads oid, xid, cid and xid8. Like PostgreSQL it accepts a
// negative number and takes it modulo 2^32 (oid).
func parseUnsigned(t *Type, s string) (Datum, error) {
	v := trimSpace(s)
	n, err := strconv.ParseInt(v, 10, 64)
	if t == XID8Type {
		u, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return Datum{}, invalidSyntax(t, s)
		}
		return Datum{kind: KindInt, num: u}, nil
	}
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return Datum{}, outOfRange(t, s)
		}
		return Datum{}, invalidSyntax(t, s)
	}
	if n > math.MaxUint32 || n < math.MinInt32 {
		return Datum{}, outOfRange(t, s)
	}
	return Int(int64(uint32(n))), nil
}

func parseReg(f *Format, t *Type, s string) (Datum, error) {
	if s == "-" {
		return Int(0), nil
	}
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			return Int(int64(n)), nil
		}
	}
	if f == nil || f.RegIn == nil {
		if typ, ok := ByName(s); ok && t == RegtypeType {
			return Int(int64(typ.OID)), nil
		}
		return Datum{}, sqlstate.New(sqlstate.FeatureNotSupported, "names are not accepted here for type %s: \"%s\"", t.SQLName, s)
	}
	oid, err := f.RegIn(t, s)
	if err != nil {
		return Datum{}, err
	}
	return Int(int64(oid)), nil
}

func appendReg(dst []byte, f *Format, t *Type, d Datum) []byte {
	oid := OID(d.Int())
	if oid == 0 {
		return append(dst, '-')
	}
	if f.RegOut != nil {
		if name, ok := f.RegOut(t, oid); ok {
			return append(dst, name...)
		}
	}
	if t == RegtypeType {
		if typ, ok := ByOID(oid); ok {
			return append(dst, FormatType(typ, NoTypmod)...)
		}
	}
	return strconv.AppendUint(dst, uint64(oid), 10)
}

// ParseBool reads a boolean as PostgreSQL does: any unambiguous prefix of
// true, false, yes, no, on, off, and 1 and 0.
func ParseBool(s string) (value, ok bool) {
	v := strings.ToLower(trimSpace(s))
	if v == "" {
		return false, false
	}
	switch {
	case strings.HasPrefix("true", v), strings.HasPrefix("yes", v), v == "on", v == "1":
		return true, true
	case strings.HasPrefix("false", v), strings.HasPrefix("no", v), v == "off", v == "of", v == "0":
		return false, true
	}
	return false, false
}

func parseBool(s string) (Datum, error) {
	v, ok := ParseBool(s)
	if !ok {
		return Datum{}, invalidSyntax(BoolType, s)
	}
	return Bool(v), nil
}

func parseFloat(t *Type, s string) (Datum, error) {
	v := trimSpace(s)
	switch strings.ToLower(v) {
	case "nan":
		return Float(math.NaN()), nil
	case "infinity", "+infinity", "inf", "+inf":
		return Float(math.Inf(1)), nil
	case "-infinity", "-inf":
		return Float(math.Inf(-1)), nil
	}
	// Go also takes hexadecimal, underscores and spellings of infinity.
	for i := 0; i < len(v); i++ {
		c := v[i]
		if !(c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-') {
			return Datum{}, invalidSyntax(t, s)
		}
	}
	n, err := strconv.ParseFloat(v, floatBits(t))
	if errors.Is(err, strconv.ErrRange) || err == nil && n == 0 && strings.ContainsAny(mantissa(v), "123456789") {
		return Datum{}, sqlstate.New(sqlstate.NumericValueOutOfRange, "\"%s\" is out of range for type %s", v, t.SQLName)
	}
	if err != nil {
		return Datum{}, invalidSyntax(t, s)
	}
	return Float(n), nil
}

func mantissa(s string) string {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

// AppendFloat prints a float4 (bits 32) or float8 (bits 64) as PostgreSQL
// does with the given extra_float_digits: the shortest text that reads back
// as the same value when it is positive, else that many digits fewer than
// always fit.
func AppendFloat(dst []byte, v float64, bits, extraDigits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	base, limit := 15, 15
	if bits == 32 {
		base, limit = 6, 6
	}
	precision := -1
	if extraDigits <= 0 {
		precision = max(base+extraDigits, 1) - 1
		limit = precision + 1
	}
	var buf [40]byte
	e := strconv.AppendFloat(buf[:0], v, 'e', precision, bits)
	i := strings.IndexByte(string(e), 'e')
	exp, _ := strconv.Atoi(string(e[i+1:]))
	digits := e[:i]
	if extraDigits <= 0 {
		digits = trimFraction(digits) // %g drops trailing zeros
	}
	if exp < -4 || exp >= limit {
		return append(append(dst, digits...), e[i:]...)
	}
	return appendFixed(dst, digits, exp)
}

func trimFraction(d []byte) []byte {
	if !strings.Contains(string(d), ".") {
		return d
	}
	return []byte(strings.TrimSuffix(strings.TrimRight(string(d), "0"), "."))
}

// appendFixed writes d.ddd × 10^exp without an exponent.
func appendFixed(dst, digits []byte, exp int) []byte {
	if digits[0] == '-' {
		dst = append(dst, '-')
		digits = digits[1:]
	}
	only := strings.Replace(string(digits), ".", "", 1)
	switch {
	case exp < 0:
		dst = append(dst, "0."...)
		for range -exp - 1 {
			dst = append(dst, '0')
		}
		return append(dst, only...)
	case exp+1 >= len(only):
		dst = append(dst, only...)
		for range exp + 1 - len(only) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(dst, only[:exp+1]...)
	dst = append(dst, '.')
	return append(dst, only[exp+1:]...)
}

func parseBytea(s string) (Datum, error) {
	if strings.HasPrefix(s, `\x`) {
		return parseByteaHex(s[2:])
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		switch {
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return Datum{}, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type bytea")
		}
	}
	return Bytes(out), nil
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// parseByteaHex allows white space between pairs of digits.
func parseByteaHex(s string) (Datum, error) {
	out := make([]byte, 0, len(s)/2)
	for i := 0; i < len(s); {
		if isSpace(s[i]) {
			i++
			continue
		}
		hi, ok := hexDigit(s[i])
		if !ok {
			return Datum{}, badHexDigit(s[i:])
		}
		if i+1 >= len(s) {
			return Datum{}, sqlstate.New(sqlstate.InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
		}
		lo, ok := hexDigit(s[i+1])
		if !ok {
			return Datum{}, badHexDigit(s[i+1:])
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	return Bytes(out), nil
}

func badHexDigit(s string) error {
	_, n := utf8.DecodeRuneInString(s)
	return sqlstate.New(sqlstate.InvalidParameterValue, "invalid hexadecimal digit: \"%s\"", s[:n])
}

func appendBytea(dst, b []byte, style ByteaOutput) []byte {
	if style == ByteaHex {
		dst = append(dst, `\x`...)
		return hex.AppendEncode(dst, b)
	}
	for _, c := range b {
		switch {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// parseUUID accepts braces and a hyphen after each group of four digits.
func parseUUID(s string) (Datum, error) {
	v := s
	if strings.HasPrefix(v, "{") {
		if !strings.HasSuffix(v, "}") {
			return Datum{}, invalidSyntax(UUIDType, s)
		}
		v = v[1 : len(v)-1]
	}
	var u [16]byte
	for i := range u {
		if len(v) < 2 {
			return Datum{}, invalidSyntax(UUIDType, s)
		}
		hi, ok1 := hexDigit(v[0])
		lo, ok2 := hexDigit(v[1])
		if !ok1 || !ok2 {
			return Datum{}, invalidSyntax(UUIDType, s)
		}
		u[i] = hi<<4 | lo
		v = v[2:]
		if i%2 == 1 && i < 15 {
			v = strings.TrimPrefix(v, "-")
		}
	}
	if v != "" {
		return Datum{}, invalidSyntax(UUIDType, s)
	}
	return UUID(u), nil
}

func appendUUID(dst []byte, u [16]byte) []byte {
	for i, n := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		start := [...]int{0, 4, 6, 8, 10}[i]
		dst = hex.AppendEncode(dst, u[start:n])
	}
	return dst
}

// ParseLSN reads PostgreSQL's X/Y form of a log position.
func ParseLSN(s string) (uint64, bool) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok || len(hi) < 1 || len(hi) > 8 || len(lo) < 1 || len(lo) > 8 {
		return 0, false
	}
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	return h<<32 | l, err1 == nil && err2 == nil
}

func parseLSN(s string) (Datum, error) {
	v, ok := ParseLSN(s)
	if !ok {
		return Datum{}, invalidSyntax(LSNType, s)
	}
	return LSN(v), nil
}

func appendLSN(dst []byte, v uint64) []byte {
	return append(dst, strings.ToUpper(strconv.FormatUint(v>>32, 16)+"/"+strconv.FormatUint(v&math.MaxUint32, 16))...)
}

package expr

import (
	"crypto/md5" // md5() is part of SQL, not used to protect anything
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxStringBytes bounds the result of functions that multiply their input.
const maxStringBytes = 256 << 20

func lengthTooLarge() error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "requested length too large")
}

func negativeLength() error {
	return sqlstate.New(sqlstate.SubstringError, "negative substring length not allowed")
}

// str1 makes a function of one string an implementation.
func str1(f func(string) string) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return types.String(f(a[0].Str())), nil }
}

func strInt(f func(string) int) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(f(a[0].Str()))), nil }
}

func runeCount(s string) int { return utf8.RuneCountInString(s) }

// runeIndex returns the byte offset of the n-th character, or len(s).
func runeIndex(s string, n int64) int {
	if n <= 0 {
		return 0
	}
	if n >= int64(len(s)) {
		return len(s)
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// substr cuts characters start … start+length-1, counted from 1; what lies
// outside the string is ignored.
func substr(s string, start, length int64) (string, error) {
	if length < 0 {
		return "", negativeLength()
	}
	end, ok := addInt(start, length)
	if !ok {
		end = int64(len(s)) + 1
	}
	start = max(start, 1)
	if end <= start {
		return "", nil
	}
	s = s[runeIndex(s, start-1):]
	return s[:runeIndex(s, end-start)], nil
}

func textSubstr(_ *Ctx, a []datum) (datum, error) {
	length := int64(len(a[0].Str())) + absSmall(a[1].Int()) + 1
	if len(a) > 2 {
		length = a[2].Int()
	}
	out, err := substr(a[0].Str(), a[1].Int(), length)
	return types.String(out), err
}

func absSmall(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

func byteaSubstr(_ *Ctx, a []datum) (datum, error) {
	b := a[0].Bytes()
	start, end := a[1].Int(), int64(len(b))+1
	if len(a) > 2 {
		if a[2].Int() < 0 {
			return null, negativeLength()
		}
		end = min(end, start+a[2].Int())
	}
	start = max(start, 1)
	if end <= start {
		return types.Bytes(nil), nil
	}
	return types.Bytes(b[start-1 : end-1]), nil
}

func position(_ *Ctx, a []datum) (datum, error) {
	i := strings.Index(a[0].Str(), a[1].Str())
	if i < 0 {
		return types.Int(0), nil
	}
	return types.Int(int64(runeCount(a[0].Str()[:i])) + 1), nil
}

func padding(left bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		s, n, fill := a[0].Str(), a[1].Int(), " "
		if len(a) > 2 {
			fill = a[2].Str()
		}
		have := int64(runeCount(s))
		if n <= have || fill == "" {
			return types.String(s[:runeIndex(s, n)]), nil
		}
		if n*utf8.UTFMax > maxStringBytes {
			return null, lengthTooLarge()
		}
		need := n - have
		units := int64(runeCount(fill))
		pad := strings.Repeat(fill, int(need/units)) + fill[:runeIndex(fill, need%units)]
		if left {
			return types.String(pad + s), nil
		}
		return types.String(s + pad), nil
	}
}

func trimmer(trim func(s, cutset string) string) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		cutset := " "
		if len(a) > 1 {
			cutset = a[1].Str()
		}
		return types.String(trim(a[0].Str(), cutset)), nil
	}
}

func byteaTrim(left, right bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		b, set := a[0].Bytes(), string(a[1].Bytes())
		for left && len(b) > 0 && strings.IndexByte(set, b[0]) >= 0 {
			b = b[1:]
		}
		for right && len(b) > 0 && strings.IndexByte(set, b[len(b)-1]) >= 0 {
			b = b[:len(b)-1]
		}
		return types.Bytes(b), nil
	}
}

func initcap(s string) string {
	var out strings.Builder
	inWord := false
	for _, r := range s {
		if inWord {
			out.WriteRune(unicode.ToLower(r))
		} else {
			out.WriteRune(unicode.ToUpper(r))
		}
		inWord = unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return out.String()
}

// mapRunes is upper and lower: one character to one, as PostgreSQL's.
func upper(s string) string { return strings.Map(unicode.ToUpper, s) }
func lower(s string) string { return strings.Map(unicode.ToLower, s) }

func reverse(s string) string {
	out := make([]byte, len(s))
	at := len(s)
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		at -= n
		copy(out[at:], s[i:i+n])
		i += n
	}
	return string(out)
}

func translate(_ *Ctx, a []datum) (datum, error) {
	to := []rune(a[2].Str())
	table := map[rune]rune{}
	i := 0
	for _, r := range a[1].Str() {
		if _, dup := table[r]; !dup {
			table[r] = -1
			if i < len(to) {
				table[r] = to[i]
			}
		}
		i++
	}
	return types.String(strings.Map(func(r rune) rune {
		if t, ok := table[r]; ok {
			return t
		}
		return r
	}, a[0].Str())), nil
}

func repeat(_ *Ctx, a []datum) (datum, error) {
	n := max(a[1].Int(), 0)
	if int64(len(a[0].Str()))*n > maxStringBytes {
		return null, lengthTooLarge()
	}
	return types.String(strings.Repeat(a[0].Str(), int(n))), nil
}

func splitPart(_ *Ctx, a []datum) (datum, error) {
	s, sep, n := a[0].Str(), a[1].Str(), a[2].Int()
	if n == 0 {
		return null, sqlstate.New(sqlstate.InvalidParameterValue, "field position must not be zero")
	}
	if sep == "" {
		if n == 1 || n == -1 {
			return a[0], nil
		}
		return types.String(""), nil
	}
	parts := strings.Split(s, sep)
	if n < 0 {
		n += int64(len(parts)) + 1
	}
	if s == "" || n < 1 || n > int64(len(parts)) {
		return types.String(""), nil
	}
	return types.String(parts[n-1]), nil
}

func replace(_ *Ctx, a []datum) (datum, error) {
	s, from, to := a[0].Str(), a[1].Str(), a[2].Str()
	if from == "" {
		return a[0], nil
	}
	if n := strings.Count(s, from); len(s)+n*(len(to)-len(from)) > maxStringBytes {
		return null, lengthTooLarge()
	}
	return types.String(strings.ReplaceAll(s, from, to)), nil
}

func leftRight(right bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		s, n := a[0].Str(), a[1].Int()
		count := int64(runeCount(s))
		if n < 0 {
			n = max(count+n, 0)
		}
		if right {
			return types.String(s[runeIndex(s, count-n):]), nil
		}
		return types.String(s[:runeIndex(s, n)]), nil
	}
}

func chr(_ *Ctx, a []datum) (datum, error) {
	switch n := a[0].Int(); {
	case n < 0:
		return null, sqlstate.New(sqlstate.InvalidParameterValue, "character number must be positive")
	case n == 0:
		return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "null character not permitted")
	case n > unicode.MaxRune:
		return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "requested character too large for encoding: %d", n)
	case !utf8.ValidRune(rune(n)):
		return null, sqlstate.New(sqlstate.ProgramLimitExceeded, "requested character not valid for encoding: %d", n)
	default:
		return types.String(string(rune(n))), nil
	}
}

func ascii(s string) int {
	if s == "" {
		return 0
	}
	r, _ := utf8.DecodeRuneInString(s)
	return int(r)
}

func overlay(_ *Ctx, a []datum) (datum, error) {
	s, by, start := a[0].Str(), a[1].Str(), a[2].Int()
	n := int64(runeCount(by))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if start <= 0 {
		return null, negativeLength()
	}
	head, _ := substr(s, 1, start-1)
	tail := ""
	if next := start + n; next <= int64(len(s)) {
		tail, _ = substr(s, next, int64(len(s))+absSmall(next)+1)
	}
	return types.String(head + by + tail), nil
}

func byteaOverlay(_ *Ctx, a []datum) (datum, error) {
	s, by, start := a[0].Bytes(), a[1].Bytes(), a[2].Int()
	n := int64(len(by))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if start <= 0 {
		return null, negativeLength()
	}
	size := int64(len(s))
	out := append([]byte(nil), s[:min(start-1, size)]...)
	out = append(out, by...)
	if next := min(max(start+n, 1), size+1); next <= size {
		out = append(out, s[next-1:]...)
	}
	return types.Bytes(out), nil
}

func hashText(sum func([]byte) []byte) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		b := []byte(nil)
		if a[0].Kind() == types.KindString {
			b = []byte(a[0].Str())
		} else {
			b = a[0].Bytes()
		}
		return types.String(hex.EncodeToString(sum(b))), nil
	}
}

func hashBytes(sum func([]byte) []byte) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) { return types.Bytes(sum(a[0].Bytes())), nil }
}

func md5Sum(b []byte) []byte { s := md5.Sum(b); return s[:] }

func toHex(width int64) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		v := uint64(a[0].Int())
		if width == 32 {
			v = uint64(uint32(v))
		}
		return types.String(strconv.FormatUint(v, 16)), nil
	}
}

func concatBytes(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].Bytes(), a[1].Bytes()
	return types.Bytes(append(append(make([]byte, 0, len(x)+len(y)), x...), y...)), nil
}

func concatText(_ *Ctx, a []datum) (datum, error) { return types.String(a[0].Str() + a[1].Str()), nil }

func bitCount(_ *Ctx, a []datum) (datum, error) {
	n := 0
	for _, c := range a[0].Bytes() {
		n += bits.OnesCount8(c)
	}
	return types.Int(int64(n)), nil
}

func byteAt(_ *Ctx, a []datum) (datum, error) {
	b, i := a[0].Bytes(), a[1].Int()
	if i < 0 || i >= int64(len(b)) {
		return null, sqlstate.New(sqlstate.ArraySubscriptError, "index %d out of valid range, 0..%d", i, len(b)-1)
	}
	return types.Int(int64(b[i])), nil
}

func setByte(_ *Ctx, a []datum) (datum, error) {
	if _, err := byteAt(nil, a); err != nil {
		return null, err
	}
	out := append([]byte(nil), a[0].Bytes()...)
	out[a[1].Int()] = byte(a[2].Int())
	return types.Bytes(out), nil
}

func bitIndex(b []byte, i int64) error {
	if i < 0 || i >= int64(len(b))*8 {
		return sqlstate.New(sqlstate.ArraySubscriptError, "index %d out of valid range, 0..%d", i, int64(len(b))*8-1)
	}
	return nil
}

func getBit(_ *Ctx, a []datum) (datum, error) {
	b, i := a[0].Bytes(), a[1].Int()
	if err := bitIndex(b, i); err != nil {
		return null, err
	}
	return types.Int(int64(b[i/8] >> (i % 8) & 1)), nil
}

func setBit(_ *Ctx, a []datum) (datum, error) {
	b, i, v := a[0].Bytes(), a[1].Int(), a[2].Int()
	if err := bitIndex(b, i); err != nil {
		return null, err
	}
	if v != 0 && v != 1 {
		return null, sqlstate.New(sqlstate.InvalidParameterValue, "new bit must be 0 or 1")
	}
	out := append([]byte(nil), b...)
	out[i/8] = out[i/8]&^(1<<(i%8)) | byte(v)<<(i%8)
	return types.Bytes(out), nil
}

var stringEvals = map[string]evalFunc{
	"textcat": concatText, "byteacat": concatBytes,
	"nameconcatoid": func(_ *Ctx, a []datum) (datum, error) {
		return types.String(types.TruncateName(a[0].Str() + "_" + itoa(a[1].Int()))), nil
	},
	"length(text)": strInt(runeCount), "char_length(text)": strInt(runeCount), "character_length(text)": strInt(runeCount),
	"textlen":                  strInt(runeCount),
	"length(bpchar)":           strInt(func(s string) int { return runeCount(types.TrimBPChar(s)) }),
	"char_length(bpchar)":      strInt(func(s string) int { return runeCount(types.TrimBPChar(s)) }),
	"character_length(bpchar)": strInt(func(s string) int { return runeCount(types.TrimBPChar(s)) }),
	"length(bytea)":            func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(len(a[0].Bytes()))), nil },
	"octet_length(text)":       strInt(func(s string) int { return len(s) }), "octet_length(bpchar)": strInt(func(s string) int { return len(s) }),
	"octet_length(bytea)": func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(len(a[0].Bytes()))), nil },
	"bit_length(text)":    strInt(func(s string) int { return len(s) * 8 }),
	"bit_length(bytea)":   func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(len(a[0].Bytes())) * 8), nil },
	"bit_count(bytea)":    bitCount,
	"lower(text)":         str1(lower), "upper(text)": str1(upper), "initcap": str1(initcap), "reverse": str1(reverse),
	"substr(text,int4)": textSubstr, "substr(text,int4,int4)": textSubstr,
	"substring(text,int4)": textSubstr, "substring(text,int4,int4)": textSubstr,
	"substr(bytea,int4)": byteaSubstr, "substr(bytea,int4,int4)": byteaSubstr,
	"substring(bytea,int4)": byteaSubstr, "substring(bytea,int4,int4)": byteaSubstr,
	"strpos": position, "position(text,text)": position,
	"position(bytea,bytea)": func(_ *Ctx, a []datum) (datum, error) {
		return types.Int(int64(strings.Index(string(a[0].Bytes()), string(a[1].Bytes())) + 1)), nil
	},
	"lpad": padding(true), "rpad": padding(false),
	"ltrim": trimmer(strings.TrimLeft), "rtrim": trimmer(strings.TrimRight),
	"btrim(text)": trimmer(strings.Trim), "btrim(text,text)": trimmer(strings.Trim),
	"btrim(bytea,bytea)": byteaTrim(true, true), "ltrim(bytea,bytea)": byteaTrim(true, false), "rtrim(bytea,bytea)": byteaTrim(false, true),
	"translate": translate, "repeat": repeat, "split_part": splitPart, "replace": replace,
	"left": leftRight(false), "right": leftRight(true), "chr": chr, "ascii": strInt(ascii),
	"overlay(text,text,int4)": overlay, "overlay(text,text,int4,int4)": overlay,
	"overlay(bytea,bytea,int4)": byteaOverlay, "overlay(bytea,bytea,int4,int4)": byteaOverlay,
	"starts_with": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bool(strings.HasPrefix(a[0].Str(), a[1].Str())), nil
	},
	"md5":          hashText(md5Sum),
	"sha224":       hashBytes(func(b []byte) []byte { s := sha256.Sum224(b); return s[:] }),
	"sha256":       hashBytes(func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }),
	"sha384":       hashBytes(func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }),
	"sha512":       hashBytes(func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }),
	"to_hex(int4)": toHex(32), "to_hex(int8)": toHex(64),
	"get_bit(bytea,int8)": getBit, "set_bit(bytea,int8,int4)": setBit,
	"get_byte": byteAt, "set_byte": setByte,
	"text_larger": pickGreater, "text_smaller": pickLess,
	"convert_from": func(_ *Ctx, a []datum) (datum, error) {
		if err := onlyUTF8(a[1].Str()); err != nil {
			return null, err
		}
		if err := types.CheckUTF8(a[0].Bytes()); err != nil {
			return null, err
		}
		return types.String(string(a[0].Bytes())), nil
	},
	"convert_to": func(_ *Ctx, a []datum) (datum, error) {
		return types.Bytes([]byte(a[0].Str())), onlyUTF8(a[1].Str())
	},
}

func onlyUTF8(encoding string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(encoding)) {
	case "utf8", "unicode":
		return nil
	}
	return unsupported("encoding \"%s\" is not supported", encoding)
}

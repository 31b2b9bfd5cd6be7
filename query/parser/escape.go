package parser

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// plainBytes rewrites the E'…' strings that spell bytes above 0x7F, or a zero
// byte, as \x80 or \200. The grammar takes such a byte for a character; it is a
// byte, and several of them make one character. Everything else is returned as
// it is.
func plainBytes(sql string) (string, error) {
	if strings.IndexByte(sql, '\\') < 0 {
		return sql, nil
	}
	var out strings.Builder
	copied := 0
	s := scanner{sql: sql}
	for s.pos < len(sql) {
		from := s.pos
		if sql[from] != '\'' || !s.escapeString() {
			if err := s.step(); err != nil {
				return "", err
			}
			continue
		}
		s.skipQuoted('\'', true)
		if s.pos < from+2 || !spellsBytes(sql[from+1:s.pos-1]) {
			continue
		}
		text, ok := unescape(sql[from+1 : s.pos-1])
		if !ok {
			continue // the grammar says what is wrong
		}
		if strings.IndexByte(text, 0) >= 0 {
			return "", sqlstate.New(sqlstate.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8": 0x00`)
		}
		if !utf8.ValidString(text) {
			return "", sqlstate.New(sqlstate.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8": 0x%02x`, firstInvalid(text))
		}
		out.WriteString(sql[copied : from-1]) // up to the E
		out.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
		copied = s.pos
	}
	if copied == 0 {
		return sql, nil
	}
	out.WriteString(sql[copied:])
	return out.String(), nil
}

// spellsBytes reports whether a string's body has an escape for a byte that is
// not ASCII, or zero.
func spellsBytes(body string) bool {
	for i := 0; i+1 < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		if b, n := byteEscape(body[i:]); n > 0 {
			if b == 0 || b >= utf8.RuneSelf {
				return true
			}
			i += n - 1
		}
	}
	return false
}

// byteEscape reads what follows the backslash of \x41 or \101; n is 0 when it is
// neither.
func byteEscape(s string) (b byte, n int) {
	digits, base, from := 3, 8, 0
	if s[0] == 'x' {
		digits, base, from = 2, 16, 1
	}
	end := from
	for end < len(s) && end < from+digits && digitBelow(s[end], base) {
		end++
	}
	if end == from {
		return 0, 0
	}
	v, err := strconv.ParseUint(s[from:end], base, 16)
	if err != nil {
		return 0, 0
	}
	return byte(v), end
}

func digitBelow(c byte, base int) bool {
	v, err := strconv.ParseUint(string(c), 16, 8)
	return err == nil && int(v) < base
}

// unescape reads the body of an E'…' string; ok is false where it is wrong.
func unescape(body string) (text string, ok bool) {
	var out []byte
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == '\'' {
			i++ // the second of two
		}
		if c != '\\' || i+1 >= len(body) {
			out = append(out, c)
			continue
		}
		i++
		if b, n := byteEscape(body[i:]); n > 0 {
			out = append(out, b)
			i += n - 1
			continue
		}
		switch body[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u', 'U':
			r, n := unicodeEscape(body[i:])
			if n == 0 {
				return "", false
			}
			out = utf8.AppendRune(out, r)
			i += n - 1
		default:
			out = append(out, body[i])
		}
	}
	return string(out), true
}

// unicodeEscape reads u0041 or U00000041, or two of them that are a surrogate
// pair.
func unicodeEscape(s string) (r rune, n int) {
	read := func(s string) (rune, int) {
		width := 5
		if len(s) > 0 && s[0] == 'U' {
			width = 9
		}
		if len(s) < width {
			return 0, 0
		}
		v, err := strconv.ParseUint(s[1:width], 16, 32)
		if err != nil || v > utf8.MaxRune {
			return 0, 0
		}
		return rune(v), width
	}
	r, n = read(s)
	if n == 0 || !utf16.IsSurrogate(r) {
		return r, n
	}
	if len(s) < n+2 || s[n] != '\\' || (s[n+1] != 'u' && s[n+1] != 'U') {
		return 0, 0
	}
	second, m := read(s[n+1:])
	if pair := utf16.DecodeRune(r, second); m > 0 && pair != utf8.RuneError {
		return pair, n + 1 + m
	}
	return 0, 0
}

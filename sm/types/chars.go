package types

import (
	"strings"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// nameBytes is the longest name, in bytes: PostgreSQL's NAMEDATALEN - 1.
const nameBytes = 63

func parseChars(t *Type, s string, typmod int32) (Datum, error) {
	switch t {
	case NameType:
		return String(TruncateName(s)), nil
	case CharType:
		return String(firstByteChar(s)), nil
	}
	return CharsTypmod(t, s, typmod, false)
}

// TruncateName cuts s to the length of a name without splitting a character.
func TruncateName(s string) string {
	if len(s) <= nameBytes {
		return s
	}
	n := nameBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// firstByteChar keeps what the type "char" holds. PostgreSQL keeps one byte;
// a byte of a longer character would not be valid UTF-8, so the whole first
// character is kept.
func firstByteChar(s string) string {
	if s == "" {
		return s
	}
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// CharsTypmod applies the length of varchar(n) or char(n). Surplus blanks are
// dropped silently; anything else is an error 22001 unless explicit, which
// truncates. A char(n) is padded with blanks.
func CharsTypmod(t *Type, s string, typmod int32, explicit bool) (Datum, error) {
	limit := int(CharLength(typmod))
	if limit < 0 || len(s) <= limit && t == VarcharType {
		return String(s), nil
	}
	n := utf8.RuneCountInString(s)
	if n > limit {
		cut := runeOffset(s, limit)
		if !explicit && strings.Trim(s[cut:], " ") != "" {
			return Datum{}, sqlstate.New(sqlstate.StringDataRightTruncation, "value too long for type %s", FormatType(t, typmod))
		}
		return String(s[:cut]), nil
	}
	if t == BPCharType && n < limit {
		return String(s + strings.Repeat(" ", limit-n)), nil
	}
	return String(s), nil
}

// runeOffset returns the byte offset of the n-th character of s.
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// TrimBPChar returns s without trailing blanks, which do not count when
// values of type bpchar are compared or turned into text.
func TrimBPChar(s string) string { return strings.TrimRight(s, " ") }

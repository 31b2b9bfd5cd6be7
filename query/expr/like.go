package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func likeEscapeAtEnd() error {
	return sqlstate.New(sqlstate.InvalidEscapeSequence, "LIKE pattern must not end with escape character")
}

// likeMatch reports whether s matches a LIKE pattern whose escape character
// is the backslash. It backtracks only to the last %, so that its time is
// bounded by the product of the lengths.
func likeMatch(s, p string) (bool, error) {
	backS, backP := "", ""
	canBack := false
	for {
		if p == "" {
			if s == "" {
				return true, nil
			}
		} else if p[0] == '%' {
			p = p[1:]
			if p == "" {
				return true, nil
			}
			backS, backP, canBack = s, p, true
			continue
		} else if s == "" {
			return false, nil
		} else {
			ok, n, m, err := likeStep(s, p)
			if err != nil {
				return false, err
			}
			if ok {
				s, p = s[n:], p[m:]
				continue
			}
		}
		if !canBack || backS == "" {
			return false, nil
		}
		_, n := utf8.DecodeRuneInString(backS)
		backS = backS[n:]
		s, p = backS, backP
	}
}

// likeStep matches one character: it returns the bytes used of s and of p.
func likeStep(s, p string) (ok bool, n, m int, err error) {
	switch p[0] {
	case '_':
		_, n = utf8.DecodeRuneInString(s)
		return true, n, 1, nil
	case '\\':
		if len(p) == 1 {
			return false, 0, 0, likeEscapeAtEnd()
		}
		return s[0] == p[1], 1, 2, nil
	}
	return s[0] == p[0], 1, 1, nil
}

// like makes the four LIKE operators.
func like(ignoreCase, not bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		s, p := a[0].Str(), a[1].Str()
		if ignoreCase {
			s, p = lower(s), lower(p)
		}
		ok, err := likeMatch(s, p)
		return types.Bool(ok != not), err
	}
}

func byteaLike(not bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		// One byte is one character: widen both to code points.
		ok, err := likeMatch(latin1(a[0].Bytes()), latin1(a[1].Bytes()))
		return types.Bool(ok != not), err
	}
}

func latin1(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String()
}

// likeEscape rewrites a pattern with another escape character to one with the
// backslash, for LIKE … ESCAPE.
func likeEscape(_ *Ctx, a []datum) (datum, error) {
	pattern, escape := a[0].Str(), a[1].Str()
	if escape == `\` {
		return a[0], nil
	}
	if escape == "" {
		return types.String(strings.ReplaceAll(pattern, `\`, `\\`)), nil
	}
	if runeCount(escape) != 1 {
		return null, sqlstate.New(sqlstate.InvalidEscapeSequence, "invalid escape string").
			WithHint("Escape string must be empty or one character.")
	}
	esc, _ := utf8.DecodeRuneInString(escape)
	var out strings.Builder
	after := false
	for _, r := range pattern {
		switch {
		case r == esc && !after:
			out.WriteByte('\\')
			after = true
			continue
		case r == '\\' && !after:
			out.WriteString(`\\`)
		default:
			out.WriteRune(r)
		}
		after = false
	}
	return types.String(out.String()), nil
}

var likeEvals = func() map[string]evalFunc {
	m := map[string]evalFunc{
		"like_escape(text,text)": likeEscape, "bytealike": byteaLike(false), "byteanlike": byteaLike(true),
		"like(bytea,bytea)": byteaLike(false), "notlike(bytea,bytea)": byteaLike(true),
		"like(text,text)": like(false, false), "notlike(text,text)": like(false, true),
		"like(name,text)": like(false, false), "notlike(name,text)": like(false, true),
	}
	for _, t := range []string{"text", "name", "bpchar"} {
		m[t+"like"], m[t+"nlike"] = like(false, false), like(false, true)
		m[t+"iclike"], m[t+"icnlike"] = like(true, false), like(true, true)
	}
	return m
}()

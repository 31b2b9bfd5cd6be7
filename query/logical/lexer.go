package logical

import "strings"

// tokenKind says what a token of a replication command is.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenPosition // X/X
	tokenSymbol   // one character that is nothing else
	tokenBad      // a string or name without an end
)

// token is one token. The text of a name that is not quoted is in lower case.
type token struct {
	kind   tokenKind
	text   string
	quoted bool
}

// keyword is a name as keywords are compared: "" for what cannot be one.
func (t token) keyword() string {
	if t.kind != tokenName || t.quoted {
		return ""
	}
	return strings.ToUpper(t.text)
}

// maxName is how many bytes of a name count, as in PostgreSQL.
const maxName = 63

// lexer cuts a replication command into tokens.
type lexer struct{ rest string }

func (l *lexer) next() token {
	l.rest = strings.TrimLeft(l.rest, " \t\r\n\f\v")
	if l.rest == "" {
		return token{}
	}
	c := l.rest[0]
	switch {
	case c == '\'' || c == '"':
		return l.quoted(c)
	case isHex(c) && l.position() > 0:
		return l.take(tokenPosition, l.position())
	case isDigit(c):
		n := 1
		for n < len(l.rest) && isDigit(l.rest[n]) {
			n++
		}
		return l.take(tokenNumber, n)
	case isNameStart(c):
		n := 1
		for n < len(l.rest) && (isNameStart(l.rest[n]) || isDigit(l.rest[n]) || l.rest[n] == '$') {
			n++
		}
		t := l.take(tokenName, n)
		t.text = lower(t.text)
		if len(t.text) > maxName {
			t.text = t.text[:maxName]
		}
		return t
	}
	return l.take(tokenSymbol, 1)
}

func (l *lexer) take(kind tokenKind, n int) token {
	t := token{kind: kind, text: l.rest[:n]}
	l.rest = l.rest[n:]
	return t
}

// position returns the length of an LSN that the rest begins with, or 0.
func (l *lexer) position() int {
	n := 0
	for n < len(l.rest) && isHex(l.rest[n]) {
		n++
	}
	if n == len(l.rest) || l.rest[n] != '/' {
		return 0
	}
	n++
	low := n
	for n < len(l.rest) && isHex(l.rest[n]) {
		n++
	}
	if n == low {
		return 0
	}
	return n
}

// quoted reads a string or a quoted name, in which a doubled quote stands for one.
func (l *lexer) quoted(quote byte) token {
	t := token{kind: tokenString}
	if quote == '"' {
		t.kind, t.quoted = tokenName, true
	}
	var text strings.Builder
	for i := 1; i < len(l.rest); i++ {
		if l.rest[i] != quote {
			text.WriteByte(l.rest[i])
			continue
		}
		if i+1 < len(l.rest) && l.rest[i+1] == quote {
			text.WriteByte(quote)
			i++
			continue
		}
		l.rest = l.rest[i+1:]
		t.text = text.String()
		if t.quoted && len(t.text) > maxName {
			t.text = t.text[:maxName]
		}
		if t.quoted && t.text == "" {
			t.kind = tokenBad
		}
		return t
	}
	l.rest = ""
	return token{kind: tokenBad}
}

// lower folds ASCII letters, as PostgreSQL folds names.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

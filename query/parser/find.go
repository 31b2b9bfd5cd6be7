package parser

import (
	"strings"
	"unicode/utf8"
)

// The grammar's trees do not say where a node was written. An error that names
// something therefore looks for it in the statement's text: what is found first
// is nearly always what is meant, and a caret below the wrong one of two equal
// names is no harm. Positions are counted in characters from 1; 0 is not found.

// word is a token of a statement, as far as looking for names needs it.
type word struct {
	kind  byte // 'i' identifier, 's' string, 'o' operator, else the character
	text  string
	start int // in bytes
}

// next reads a token, leaving out blanks and comments.
func (s *scanner) next() (word, bool) {
	s.pos = skipBlank(s.sql, s.pos)
	if s.pos >= len(s.sql) {
		return word{}, false
	}
	w := word{start: s.pos}
	c := s.sql[s.pos]
	switch {
	case c == '\'':
		s.skipQuoted('\'', s.escapeString())
		w.kind, w.text = 's', unquote(s.sql[w.start:s.pos], "'")
	case c == '"':
		s.skipQuoted('"', false)
		w.kind, w.text = 'i', unquote(s.sql[w.start:s.pos], `"`)
	case c == '$':
		s.skipDollar()
		w.kind = '$'
	case isIdentStart(c):
		for s.pos < len(s.sql) && isIdentPart(s.sql[s.pos]) {
			s.pos++
		}
		w.kind, w.text = 'i', strings.ToLower(s.sql[w.start:s.pos])
	case strings.IndexByte(operatorChars, c) >= 0:
		for s.pos < len(s.sql) && strings.IndexByte(operatorChars, s.sql[s.pos]) >= 0 {
			s.pos++
		}
		w.kind, w.text = 'o', s.sql[w.start:s.pos]
	default:
		s.pos++
		w.kind = c
	}
	return w, true
}

const operatorChars = "+-*/<>=~!@#%^&|`?"

func unquote(s, quote string) string {
	if len(s) < 2 {
		return s
	}
	return strings.ReplaceAll(s[1:len(s)-1], quote+quote, quote)
}

func position(sql string, at int) int { return utf8.RuneCountInString(sql[:at]) + 1 }

// FindName finds a dotted name; call wants it to be followed by a bracket.
func FindName(sql string, parts []string, call bool) int {
	words := wordsOf(sql)
	for i := range words {
		if words[i].kind != 'i' || (i > 0 && (words[i-1].kind == '.' || words[i-1].text == "as")) {
			continue
		}
		end := matchName(words[i:], parts)
		if end == 0 || (call && (i+end >= len(words) || words[i+end].kind != '(')) {
			continue
		}
		return position(sql, words[i].start)
	}
	return 0
}

// matchName returns how many words a dotted name at the beginning takes.
func matchName(words []word, parts []string) int {
	for k, p := range parts {
		at := 2 * k
		if at >= len(words) || words[at].kind != 'i' || words[at].text != p || (k > 0 && words[at-1].kind != '.') {
			return 0
		}
	}
	return 2*len(parts) - 1
}

// FindField finds a column's name, whatever it is qualified with, and returns
// where the whole name begins.
func FindField(sql, name string) int {
	words := wordsOf(sql)
	for i, w := range words {
		if w.kind != 'i' || w.text != name || (i > 0 && words[i-1].text == "as") {
			continue
		}
		for i >= 2 && words[i-1].kind == '.' && words[i-2].kind == 'i' {
			i -= 2
		}
		return position(sql, words[i].start)
	}
	return 0
}

// FindLiteral finds the string literal with a value, FindOperator an operator,
// if there is only one.
func FindLiteral(sql, value string) int { return findOnly(sql, 's', value) }

// FindOperator is described at FindLiteral.
func FindOperator(sql, op string) int { return findOnly(sql, 'o', op) }

func findOnly(sql string, kind byte, text string) int {
	found := 0
	for _, w := range wordsOf(sql) {
		if w.kind != kind || w.text != text {
			continue
		}
		if found != 0 {
			return 0
		}
		found = position(sql, w.start)
	}
	return found
}

// maxSearched bounds the text that is searched: an error of a megabyte of
// INSERT need not be exact.
const maxSearched = 1 << 20

func wordsOf(sql string) []word {
	if len(sql) > maxSearched {
		return nil
	}
	var out []word
	s := scanner{sql: sql}
	for {
		w, ok := s.next()
		if !ok {
			return out
		}
		out = append(out, w)
	}
}

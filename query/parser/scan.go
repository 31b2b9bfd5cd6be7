package parser

import (
	"strings"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// piece is one statement's text within a query string, by byte positions.
type piece struct {
	start, end int
}

// scanner walks over SQL text once, knowing just enough of its lexical rules to
// tell where statements end and how deep brackets nest. It exists because the
// grammar has no depth limit and reports no statement positions.
type scanner struct {
	sql     string
	pos     int
	depth   int
	pieces  []piece
	start   int
	content bool // something other than blanks and comments since start
	body    routineBody
}

// split cuts sql at its top-level semicolons; statements that are empty are
// left out. It fails when brackets nest deeper than maxNesting.
func split(sql string) ([]piece, error) {
	s := scanner{sql: sql}
	for s.pos < len(sql) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.finish(len(sql))
	return s.pieces, nil
}

func (s *scanner) finish(end int) {
	if s.content {
		s.pieces = append(s.pieces, piece{s.start, end})
	}
	s.start, s.content, s.depth, s.body = end+1, false, 0, routineBody{}
}

func (s *scanner) step() error {
	c := s.sql[s.pos]
	switch {
	case c == ';' && s.depth == 0 && s.body.depth == 0:
		s.finish(s.pos)
		s.pos++
		return nil
	case c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
		s.pos++
		return nil
	case c == '-' && strings.HasPrefix(s.sql[s.pos:], "--"):
		s.pos += lineEnd(s.sql[s.pos:])
		return nil
	case c == '/' && strings.HasPrefix(s.sql[s.pos:], "/*"):
		s.skipComment()
		return nil
	}
	s.content = true
	switch {
	case c == '(' || c == '[':
		s.depth++
		if s.depth > maxNesting {
			return tooDeep()
		}
	case c == ')' || c == ']':
		if s.depth > 0 {
			s.depth--
		}
	case c == '\'':
		s.skipQuoted('\'', s.escapeString())
		return nil
	case c == '"':
		s.skipQuoted('"', false)
		return nil
	case c == '$':
		s.skipDollar()
		return nil
	case isIdentStart(c):
		start := s.pos
		for s.pos < len(s.sql) && isIdentPart(s.sql[s.pos]) {
			s.pos++
		}
		if s.depth == 0 {
			s.body.word(s.sql[start:s.pos])
		}
		return nil
	}
	s.pos++
	return nil
}

// escapeString reports whether the quote at pos belongs to an E'…' string,
// where a backslash escapes the quote.
func (s *scanner) escapeString() bool {
	if s.pos == 0 || (s.sql[s.pos-1] != 'e' && s.sql[s.pos-1] != 'E') {
		return false
	}
	return s.pos == 1 || !isIdentPart(s.sql[s.pos-2])
}

func (s *scanner) skipQuoted(q byte, backslash bool) {
	for s.pos++; s.pos < len(s.sql); s.pos++ {
		switch c := s.sql[s.pos]; {
		case c == '\\' && backslash:
			s.pos++
		case c == q:
			s.pos++
			if s.pos < len(s.sql) && s.sql[s.pos] == q {
				continue
			}
			return
		}
	}
	s.pos = len(s.sql)
}

func (s *scanner) skipDollar() {
	rest := s.sql[s.pos+1:]
	i := 0
	for i < len(rest) && isIdentPart(rest[i]) && rest[i] != '$' {
		i++
	}
	if i >= len(rest) || rest[i] != '$' || (i > 0 && rest[0] >= '0' && rest[0] <= '9') {
		s.pos++
		return
	}
	tag := s.sql[s.pos : s.pos+i+2]
	end := strings.Index(s.sql[s.pos+len(tag):], tag)
	if end < 0 {
		s.pos = len(s.sql)
		return
	}
	s.pos += end + 2*len(tag)
}

func (s *scanner) skipComment() {
	depth := 0
	for s.pos < len(s.sql) {
		switch {
		case strings.HasPrefix(s.sql[s.pos:], "/*"):
			depth++
			s.pos += 2
		case strings.HasPrefix(s.sql[s.pos:], "*/"):
			depth--
			s.pos += 2
			if depth == 0 {
				return
			}
		default:
			s.pos++
		}
	}
	// An unterminated comment is the grammar's to report.
	s.content = true
}

func lineEnd(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

func isIdentStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isIdentPart(c byte) bool { return isIdentStart(c) || c == '$' || c >= '0' && c <= '9' }

func tooDeep() *sqlstate.Error {
	return sqlstate.New(sqlstate.StatementTooComplex, "stack depth limit exceeded").
		WithHint("Statements may nest at most %d levels deep.", maxNesting)
}

// checkText refuses what no PostgreSQL server encoded in UTF-8 takes.
func checkText(sql string) error {
	if len(sql) > MaxStatementBytes {
		return sqlstate.New(sqlstate.ProgramLimitExceeded, "statement of %d bytes is too large", len(sql)).
			WithHint("A query string may have at most %d bytes; use COPY for bulk data.", MaxStatementBytes)
	}
	if strings.IndexByte(sql, 0) >= 0 {
		return sqlstate.New(sqlstate.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8": 0x00`)
	}
	if !utf8.ValidString(sql) {
		return sqlstate.New(sqlstate.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8": 0x%02x`, firstInvalid(sql))
	}
	return nil
}

func firstInvalid(s string) byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return s[i]
		}
		i += n
	}
	return 0
}

package parser

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	multigres "github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Limits on what is handed to the grammar.
const (
	// MaxStatementBytes is the longest query string; it must fit into a log
	// entry beside its parameters.
	MaxStatementBytes = 15 << 20

	// maxNesting is the deepest nesting of brackets. Every recursive walk over
	// a tree relies on it, together with plan's own limit on operator chains.
	maxNesting = 1000

	// bigStatementBytes: a syntax tree takes up to a few hundred bytes for each
	// byte of text, so only one statement above this size is parsed at a time.
	bigStatementBytes = 1 << 20
)

var bigStatement sync.Mutex

// Statement is one parsed statement. Exactly one of AST and Wait is set.
type Statement struct {
	AST  ast.Stmt
	Wait *WaitStmt
	// Assert: AST is the query that an ASSERT stands for; its result is of no
	// interest.
	Assert bool

	// Text is the statement's own text, without the semicolon.
	Text string
	// Offset is where Text begins in the query string, in characters.
	Offset int
}

// Parse cuts a query string into statements and parses each. All of it is
// parsed before anything is returned, so a syntax error anywhere means that
// nothing is executed. Errors are *sqlstate.Error with a position.
func Parse(sql string) ([]Statement, error) {
	if err := checkText(sql); err != nil {
		return nil, err
	}
	pieces, err := split(sql)
	if err != nil {
		return nil, err
	}
	if len(sql) > bigStatementBytes {
		bigStatement.Lock()
		defer bigStatement.Unlock()
	}
	out := make([]Statement, 0, len(pieces))
	counted, chars := 0, 0 // counted bytes are chars characters
	for _, p := range pieces {
		chars += utf8.RuneCountInString(sql[counted:p.start])
		counted = p.start
		st, err := parseOne(sql, p, chars)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// parseOne parses the piece p of sql, which begins offset characters into it.
func parseOne(sql string, p piece, offset int) (Statement, error) {
	text := sql[p.start:p.end]
	st := Statement{Text: strings.TrimSpace(text), Offset: offset}
	wait, err := parseWait(text)
	if err != nil {
		return st, sqlstate.As(err).WithPosition(st.Offset + 1)
	}
	if wait != nil {
		st.Wait = wait
		return st, nil
	}
	if st.AST, err = parseAssert(text); err != nil {
		return st, sqlstate.As(err).WithPosition(st.Offset + 1)
	}
	if st.Assert = st.AST != nil; st.Assert {
		return st, nil
	}
	text = plainAlter(text)
	plain, err := plainBytes(text)
	if err != nil {
		return st, err
	}
	trees, err := multigres.ParseSQL(plain)
	if err != nil && plain != text {
		_, err = multigres.ParseSQL(text) // for the position
	}
	if err != nil {
		return st, syntaxError(sql, p, err)
	}
	if len(trees) != 1 {
		return st, sqlstate.New(sqlstate.SyntaxError, "syntax error").WithPosition(st.Offset + 1)
	}
	st.AST = trees[0]
	return st, nil
}

var parsePosition = regexp.MustCompile(`at position (\d+)`)

// syntaxError makes PostgreSQL's message of the grammar's, which says only how
// far it had read: to the end of the offending token.
func syntaxError(sql string, p piece, err error) error {
	msg := err.Error()
	m := parsePosition.FindStringSubmatch(msg)
	if m == nil || !strings.Contains(msg, "syntax error") {
		if m != nil {
			msg = strings.TrimSpace(strings.TrimPrefix(msg[strings.Index(msg, m[0])+len(m[0]):], ":"))
		}
		return sqlstate.New(sqlstate.SyntaxError, "%s", msg).WithPosition(utf8.RuneCountInString(sql[:p.start]) + 1)
	}
	text := sql[p.start:p.end]
	read := readUntil(text, m[1])
	start, end, found := tokenAt(text, read)
	if !found || read > len(text) {
		return sqlstate.New(sqlstate.SyntaxError, "syntax error at end of input").
			WithPosition(utf8.RuneCountInString(sql[:p.end]) + 1)
	}
	return sqlstate.New(sqlstate.SyntaxError, "syntax error at or near \"%s\"", text[start:end]).
		WithPosition(utf8.RuneCountInString(sql[:p.start+start]) + 1)
}

// readUntil returns how far the grammar had read. A position at the very end
// may mean the last token or the end of input; with a blank appended the two
// differ, and the end of input comes out as more than len(text).
func readUntil(text, position string) int {
	read, _ := strconv.Atoi(position)
	if read < len(text) {
		return read
	}
	_, err := multigres.ParseSQL(text + "\n")
	if err == nil {
		return read
	}
	if m := parsePosition.FindStringSubmatch(err.Error()); m != nil {
		read, _ = strconv.Atoi(m[1])
	}
	return read
}

// tokenAt finds the token whose end is the last at or before read bytes.
func tokenAt(text string, read int) (start, end int, found bool) {
	lx := multigres.NewLexer(text)
	prev, last := 0, -1
	for {
		tok := lx.NextToken()
		if tok == nil || tok.Type == multigres.EOF || tok.Type == multigres.INVALID {
			break
		}
		after := lx.GetPosition()
		if after <= prev {
			break
		}
		if after > read && last >= 0 {
			break
		}
		start, end, last = skipBlank(text, prev), after, after
		found = true
		prev = after
	}
	return start, end, found && start < end
}

func skipBlank(text string, from int) int {
	for from < len(text) {
		switch {
		case strings.IndexByte(" \t\r\n\f\v", text[from]) >= 0:
			from++
		case strings.HasPrefix(text[from:], "--"):
			from += lineEnd(text[from:])
		case strings.HasPrefix(text[from:], "/*"):
			s := scanner{sql: text, pos: from}
			s.skipComment()
			from = s.pos
		default:
			return from
		}
	}
	return from
}

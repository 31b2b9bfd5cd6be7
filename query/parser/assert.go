package parser

import (
	"regexp"

	multigres "github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// ASSERT condition [, message] is a statement of our own: the query
// SELECT tidemark.assert(condition, message), whose result nobody wants.
var assertStart = regexp.MustCompile(`(?is)^\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*assert\b`)

const assertCall = "SELECT tidemark.assert("

// parseAssert recognises an ASSERT; nil and no error mean that text is something
// else.
func parseAssert(text string) (ast.Stmt, error) {
	if !mayBegin(text, 'a') {
		return nil, nil
	}
	loc := assertStart.FindStringIndex(text)
	if loc == nil {
		return nil, nil
	}
	plain, err := plainBytes(text[loc[1]:])
	if err != nil {
		return nil, err
	}
	trees, err := multigres.ParseSQL(assertCall + plain + "\n)")
	if err != nil || len(trees) != 1 || !isAssert(trees[0]) {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in ASSERT").WithHint("Write ASSERT condition [, 'message'].")
	}
	return trees[0], nil
}

// isAssert reports whether a tree is one call and nothing around it: brackets in
// the condition may have closed the call too early.
func isAssert(n ast.Stmt) bool {
	s, ok := n.(*ast.SelectStmt)
	if !ok || s.TargetList == nil || len(s.TargetList.Items) != 1 || s.Op != ast.SETOP_NONE || s.FromClause != nil || s.WhereClause != nil ||
		s.GroupClause != nil || s.HavingClause != nil || s.SortClause != nil || s.LimitCount != nil || s.LimitOffset != nil ||
		s.LockingClause != nil || s.WindowClause != nil || s.IntoClause != nil {
		return false
	}
	t, ok := s.TargetList.Items[0].(*ast.ResTarget)
	if !ok || t.Name != "" {
		return false
	}
	call, ok := t.Val.(*ast.FuncCall)
	return ok && call.Funcname != nil && len(call.Funcname.Items) == 2
}

// mayBegin reports whether the first word of text may begin with a letter (given
// in lower case); it is a quick look before a regular expression.
func mayBegin(text string, letter byte) bool {
	for i := range len(text) {
		switch c := text[i]; c {
		case ' ', '\n', '\t', '\r', '\f', '\v':
		case '/', '-':
			return true // a comment, perhaps
		default:
			return c|0x20 == letter
		}
	}
	return false
}

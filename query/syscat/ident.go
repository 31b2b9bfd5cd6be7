package syscat

import (
	_ "embed" // the key words that need quotes
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// keywordData are PostgreSQL's key words other than the unreserved ones.
//
//go:embed data/keywords.txt
var keywordData string

var keywords = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(keywordData) {
		m[w] = true
	}
	return m
})

// quoteIdent quotes a name where SQL needs it, as quote_ident() does.
func quoteIdent(name string) string {
	plain := name != "" && !(name[0] >= '0' && name[0] <= '9')
	for i := 0; i < len(name) && plain; i++ {
		c := name[i]
		plain = c >= 'a' && c <= 'z' || c == '_' || c >= '0' && c <= '9'
	}
	if plain && !keywords()[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteLiteral writes a string constant, as quote_literal() does.
func quoteLiteral(s string) string {
	if strings.Contains(s, `\`) {
		return `E'` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `'`, `''`) + `'`
	}
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

func quoteIdents(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteIdent(n)
	}
	return strings.Join(out, ", ")
}

func invalidName() error { return sqlstate.New(sqlstate.InvalidName, "invalid name syntax") }

// parseName splits a name with dots into its parts: quotes keep the case and
// may hold dots, everything else is folded to lower case.
func parseName(s string) ([]string, error) {
	var parts []string
	for {
		s = strings.TrimLeft(s, " \t\n\r\f\v")
		part, rest, ok := cutPart(s)
		if !ok {
			return nil, invalidName()
		}
		parts = append(parts, part)
		s = strings.TrimLeft(rest, " \t\n\r\f\v")
		if s == "" {
			return parts, nil
		}
		if s[0] != '.' {
			return nil, invalidName()
		}
		s = s[1:]
	}
}

// cutPart takes one part of a name off the front of s.
func cutPart(s string) (part, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ". \t\n\r\f\v\"")
		if i < 0 {
			i = len(s)
		}
		return strings.ToLower(s[:i]), s[i:], i > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:], b.Len() > 0
	}
	return "", "", false
}

// qualified splits a name into a schema, which may be "", and a name. A third
// part in front must be the database.
func (ci *CatalogInfo) qualified(s string) (schema, name string, err error) {
	parts, err := parseName(s)
	if err != nil {
		return "", "", err
	}
	switch len(parts) {
	case 1:
		return "", parts[0], nil
	case 2:
		return parts[0], parts[1], nil
	case 3:
		if parts[0] == ci.database {
			return parts[1], parts[2], nil
		}
		return "", "", sqlstate.New(sqlstate.FeatureNotSupported, "cross-database references are not implemented: %s", strings.Join(parts, "."))
	}
	return "", "", sqlstate.New(sqlstate.SyntaxError, "improper qualified name (too many dotted names): %s", strings.Join(parts, "."))
}

// bareCall reports whether an expression is nothing but a function call, and of
// which function: such an expression needs no parentheses in an index.
func bareCall(expr string) (function string, ok bool) {
	open := strings.IndexByte(expr, '(')
	if open <= 0 || !strings.HasSuffix(expr, ")") {
		return "", false
	}
	parts, err := parseName(expr[:open])
	if err != nil || closing(expr, open) != len(expr)-1 {
		return "", false
	}
	return parts[len(parts)-1], true
}

// closing finds the parenthesis that closes the one at open; -1 when none does.
// Quoted text is skipped.
func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return -1
			}
			i += end + 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// unwrap takes away the parentheses around a whole expression.
func unwrap(expr string) string {
	for len(expr) > 1 && expr[0] == '(' && closing(expr, 0) == len(expr)-1 {
		expr = strings.TrimSpace(expr[1 : len(expr)-1])
	}
	return expr
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

package syscat

import "strings"

// prettyExpr prints an expression in canonical SQL, which has all parentheses,
// with those only that PostgreSQL keeps when it is asked to print nicely.
func prettyExpr(expr string) string {
	g := &group{items: parseItems(tokens(expr), new(int))}
	return g.print(nil)
}

// group is a sequence of tokens and of groups in parentheses.
type group struct {
	items []item
	call  bool // the parentheses are those of a call, or of a keyword's operand
}

type item struct {
	text  string // with the space before it, unless it is a group
	group *group
	space string
}

// tokens cuts an expression into words, literals, operators, and brackets; each
// keeps the space before it.
func tokens(s string) []item {
	var out []item
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && (s[i] == ' ' || s[i] == '\n') {
			i++
		}
		space := s[start:i]
		if i == len(s) {
			break
		}
		end := i + 1
		switch c := s[i]; {
		case c == '\'' || c == '"':
			end = quoteEnd(s, i)
		case isWord(c):
			for end < len(s) && (isWord(s[end]) || s[end] == '.') {
				end++
			}
			if end < len(s) && s[end] == '\'' && end == i+1 {
				end = quoteEnd(s, end) // E'…'
			}
		case strings.HasPrefix(s[i:], "::"):
			end = i + 2
		case strings.IndexByte("()[],", c) < 0:
			for end < len(s) && strings.IndexByte("+-*/<>=~!@#%^&|`?", s[end]) >= 0 {
				end++
			}
		}
		out = append(out, item{text: s[i:end], space: space})
		i = end
	}
	return out
}

// quoteEnd is the position behind the quoted text that begins at i.
func quoteEnd(s string, i int) int {
	quote := s[i]
	escapes := i > 0 && s[i-1] == 'E'
	for i++; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// parseItems makes groups of the parentheses from position *at on.
func parseItems(list []item, at *int) []item {
	var out []item
	for *at < len(list) {
		t := list[*at]
		*at++
		switch t.text {
		case ")":
			return out
		case "(":
			call := false
			if n := len(out); n > 0 && out[n-1].group == nil {
				last := out[n-1].text
				call = isWord(last[0]) && !operandWords[last] || last[0] == '"' || last == "ANY" || last == "ALL"
			}
			out = append(out, item{space: t.space, group: &group{parseItems(list, at), call}})
		default:
			out = append(out, t)
		}
	}
	return out
}

// operandWords are the words that an operand in parentheses may follow.
var operandWords = map[string]bool{"AND": true, "OR": true, "NOT": true, "IS": true, "FROM": true, "CASE": true, "WHEN": true,
	"THEN": true, "ELSE": true}

// The kinds of groups, by what holds their parts together.
const (
	kindAtom = iota
	kindAnd
	kindOr
	kindNot
	kindOperator
)

// kind looks at the parts of a group.
func (g *group) kind() (kind int, operator string) {
	for i, it := range g.items {
		switch {
		case it.group != nil:
		case it.text == "AND" && !strings.HasSuffix(it.space, "\n"):
			return kindAnd, ""
		case it.text == "OR":
			return kindOr, ""
		case it.text == "NOT" && i == 0:
			return kindNot, ""
		case it.text == "CASE":
			return kindAtom, ""
		case it.text == "IS":
			return kindOperator, "IS"
		case it.text != "::" && strings.IndexByte("+-*/<>=~!@#%^&|`?", it.text[0]) >= 0:
			return kindOperator, it.text
		}
	}
	return kindAtom, ""
}

func (g *group) print(parent *group) string {
	var b strings.Builder
	for i, it := range g.items {
		b.WriteString(it.space)
		switch {
		case it.group == nil:
			b.WriteString(it.text)
		case it.group.call || !it.group.bare(g, i, parent == nil && len(g.items) == 1):
			b.WriteString("(" + it.group.print(g) + ")")
		default:
			b.WriteString(it.group.print(g))
		}
	}
	return b.String()
}

// bare reports whether a group at a position of another needs no parentheses;
// whole says that it is all there is.
func (g *group) bare(parent *group, at int, whole bool) bool {
	kind, operator := g.kind()
	if whole {
		return true
	}
	if at+1 < len(parent.items) && parent.items[at+1].text == "::" {
		return kind == kindAtom
	}
	if g.array() {
		return false
	}
	around, aroundOp := parent.kind()
	switch {
	case kind == kindAtom:
		return true
	case around == kindAtom: // an argument, an element, or a part of CASE
		return true
	case around == kindAnd || around == kindOr:
		return kind != kindOr || around == kindOr
	case around == kindNot:
		return kind == kindOperator
	case kind == kindOperator:
		high := strings.Contains("*/%", operator)
		if !high && !strings.Contains("+-", operator) || !strings.Contains("+-*/%", aroundOp) || len(g.items) < 3 {
			return false
		}
		return high && !strings.Contains("*/%", aroundOp) || high == strings.Contains("*/%", aroundOp) && at == 0
	}
	return false
}

// array reports whether a group is a comparison with ANY or ALL of an array,
// which keeps its parentheses.
func (g *group) array() bool {
	for i, it := range g.items {
		if it.group != nil && it.group.call && i > 0 && (g.items[i-1].text == "ANY" || g.items[i-1].text == "ALL") {
			return true
		}
	}
	return false
}

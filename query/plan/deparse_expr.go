package plan

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/types"
)

// deparseExpr prints a bound expression as PostgreSQL's ruleutils do, with all
// parentheses: what a descriptor keeps. ok is false for an expression that has
// no such form.
func deparseExpr(e Expr) (text string, ok bool) {
	p := &printer{}
	text = p.expr(e)
	return text, !p.failed
}

// printer prints bound expressions.
type printer struct{ failed bool }

func (p *printer) fail() string {
	p.failed = true
	return ""
}

func (p *printer) list(es []Expr) string {
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = p.expr(e)
	}
	return strings.Join(out, ", ")
}

func (p *printer) expr(e Expr) string {
	switch e := e.(type) {
	case *Const:
		return p.constant(e)
	case *ColRef:
		return columnText(e.Name)
	case *Call:
		return p.call(e)
	case *Cast:
		return p.cast(e.Arg, types.FormatType(e.Type(), e.Typmod()))
	case *Fit:
		return p.cast(e.Arg, types.FormatType(e.Type(), e.Typmod()))
	case *Logic:
		return p.logic(e)
	case *IsNull:
		if e.Not {
			return "(" + p.expr(e.Arg) + " IS NOT NULL)"
		}
		return "(" + p.expr(e.Arg) + " IS NULL)"
	case *BoolTest:
		return "(" + p.expr(e.Arg) + " IS " + notWord(e.Not) + boolWord(e.Want) + ")"
	case *Distinct:
		return "(" + p.expr(e.Left) + " IS " + notWord(e.Not) + "DISTINCT FROM " + p.expr(e.Right) + ")"
	case *Case:
		return p.caseExpr(e)
	case *Coalesce:
		return "COALESCE(" + p.list(e.Args) + ")"
	case *MinMax:
		if e.Greatest {
			return "GREATEST(" + p.list(e.Args) + ")"
		}
		return "LEAST(" + p.list(e.Args) + ")"
	}
	return p.rest(e)
}

// columnText prints a column's name so that it is read as one.
func columnText(name string) string {
	return ast.NewColumnRef(ast.NewString(name)).SqlString()
}

func notWord(not bool) string {
	if not {
		return "NOT "
	}
	return ""
}

func boolWord(d types.Datum) string {
	switch {
	case d.IsNull():
		return "UNKNOWN"
	case d.Bool():
		return "TRUE"
	}
	return "FALSE"
}

func (p *printer) rest(e Expr) string {
	switch e := e.(type) {
	case *CaseArg, *ElemArg:
		return p.fail() // printed by what holds it
	case *NullIf:
		if c, ok := e.Equal.(*Call); ok && len(c.Args) == 2 {
			return "NULLIF(" + p.expr(e.Left) + ", " + p.expr(c.Args[1]) + ")"
		}
	case *ArrayExpr:
		if len(e.Elems) > 0 {
			return "ARRAY[" + p.list(e.Elems) + "]"
		}
	case *RowExpr:
		return "ROW(" + p.list(e.Fields) + ")"
	case *Subscript:
		return p.subscript(e)
	case *InList:
		return p.inList(e)
	case *AnyAll:
		if c, ok := e.Test.(*Call); ok && c.Op != "" {
			word := "ANY"
			if e.All {
				word = "ALL"
			}
			return "(" + p.expr(e.Left) + " " + c.Op + " " + word + " (" + p.expr(e.Array) + "))"
		}
	}
	return p.fail()
}

// cast prints a conversion, with the operand in parentheses unless it is an
// array or literal that reads well without.
func (p *printer) cast(arg Expr, to string) string {
	return "(" + p.expr(arg) + ")::" + to
}

func (p *printer) constant(k *Const) string {
	if k.Value.IsNull() {
		if k.Type() == types.UnknownType {
			return "NULL"
		}
		return "NULL::" + types.FormatType(k.Type(), k.Typmod())
	}
	text := k.Type().Text(types.DefaultFormat(), k.Value)
	digits := text != "" && strings.Trim(text, "0123456789") == ""
	decimal := !digits && text != "" && strings.Trim(text, "0123456789.") == "" && text[0] != '.'
	switch k.Type() {
	case types.BoolType:
		if k.Value.Bool() {
			return "true"
		}
		return "false"
	case types.Int4Type:
		if digits {
			return text
		}
	case types.NumericType:
		if decimal {
			return text
		}
		if digits {
			return "(" + text + ")::numeric"
		}
	case types.Float8Type:
		if digits || decimal {
			return "(" + text + ")::double precision"
		}
	}
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		quoted = "E'" + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "'", "''") + "'"
	}
	return quoted + "::" + types.FormatType(k.Type(), types.NoTypmod)
}

func (p *printer) call(c *Call) string {
	switch {
	case c.Func.Variadic && c.Op == "":
		return p.fail() // how many arguments were written is not known any more
	case c.Op != "" && len(c.Args) == 2:
		return "(" + p.expr(c.Args[0]) + " " + c.Op + " " + p.expr(c.Args[1]) + ")"
	case c.Op != "" && len(c.Args) == 1:
		return "(" + c.Op + " " + p.expr(c.Args[0]) + ")"
	case keywordFunctions[c.Func.Name]:
		return quoteIdent(c.Func.Name) + "(" + p.list(c.Args) + ")"
	}
	return quoteName(c.Func.Name) + "(" + p.list(c.Args) + ")"
}

// keywordFunctions are functions whose names the grammar knows as something
// else when they are not quoted.
var keywordFunctions = map[string]bool{
	"current_schema": true, "current_user": true, "extract": true, "normalize": true, "overlay": true, "position": true,
	"session_user": true, "substring": true, "trim": true, "user": true, "left": true, "right": true, "like": true, "overlaps": true,
	"char": true, "bit": true, "time": true, "timestamp": true, "interval": true, "numeric": true, "varchar": true,
}

func (p *printer) logic(e *Logic) string {
	if e.Op == Not {
		return "(NOT " + p.expr(e.Args[0]) + ")"
	}
	word := " AND "
	if e.Op == Or {
		word = " OR "
	}
	parts := make([]string, len(e.Args))
	for i, a := range e.Args {
		parts[i] = p.expr(a)
	}
	return "(" + strings.Join(parts, word) + ")"
}

func (p *printer) caseExpr(e *Case) string {
	var b strings.Builder
	b.WriteString("\nCASE")
	if e.Arg != nil {
		b.WriteString(" " + p.expr(e.Arg))
	}
	for _, w := range e.Whens {
		cond := ""
		if c, ok := w.Cond.(*Call); ok && e.Arg != nil && c.Op == "=" && len(c.Args) == 2 {
			cond = p.expr(c.Args[1])
		} else if e.Arg == nil {
			cond = p.expr(w.Cond)
		} else {
			return p.fail()
		}
		b.WriteString("\n    WHEN " + cond + " THEN " + p.expr(w.Result))
	}
	els := "NULL::" + types.FormatType(e.Type(), e.Typmod())
	if e.Else != nil {
		els = p.expr(e.Else)
	}
	b.WriteString("\n    ELSE " + els + "\nEND")
	return b.String()
}

func (p *printer) subscript(e *Subscript) string {
	out := p.expr(e.Arg)
	if _, plain := e.Arg.(*ColRef); !plain {
		out = "(" + out + ")"
	}
	for i, lo := range e.Lower {
		out += "["
		if lo != nil {
			out += p.expr(lo)
		}
		if e.Slice {
			out += ":"
			if i < len(e.Upper) && e.Upper[i] != nil {
				out += p.expr(e.Upper[i])
			}
		}
		out += "]"
	}
	return out
}

func (p *printer) inList(e *InList) string {
	var elems []string
	for _, v := range e.Values {
		elems = append(elems, p.constant(&Const{ofType(e.Arg.Type()), v}))
	}
	if e.HasNull {
		elems = append(elems, "NULL::"+types.FormatType(e.Arg.Type(), types.NoTypmod))
	}
	op := " = ANY "
	if e.Not {
		op = " <> ALL "
	}
	return "(" + p.expr(e.Arg) + op + "(ARRAY[" + strings.Join(elems, ", ") + "]))"
}

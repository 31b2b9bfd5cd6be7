package plan

import (
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// expr prints an expression for people; it is not meant to be parsed again.
func (x *explainer) expr(e Expr) string {
	switch e := e.(type) {
	case nil:
		return ""
	case *Const:
		return literalText(e)
	case *Param:
		return fmt.Sprintf("$%d", e.Index+1)
	case *ColRef:
		return e.Name
	case *Call:
		return x.callText(e)
	case *Cast:
		if e.Explicit {
			return fmt.Sprintf("(%s)::%s", x.expr(e.Arg), e.Type())
		}
		return x.expr(e.Arg)
	case *Fit:
		return fmt.Sprintf("(%s)::%s", x.expr(e.Arg), types.FormatType(e.Type(), e.Typmod()))
	case *Logic:
		if e.Op == Not {
			return "(NOT " + x.expr(e.Args[0]) + ")"
		}
		word := " AND "
		if e.Op == Or {
			word = " OR "
		}
		var parts []string
		for _, a := range e.Args {
			parts = append(parts, x.expr(a))
		}
		return "(" + strings.Join(parts, word) + ")"
	case *IsNull:
		if e.Not {
			return "(" + x.expr(e.Arg) + " IS NOT NULL)"
		}
		return "(" + x.expr(e.Arg) + " IS NULL)"
	case *InList:
		return fmt.Sprintf("(%s = ANY ('{...}'))", x.expr(e.Arg))
	case *AnyAll:
		return fmt.Sprintf("(%s = ANY (%s))", x.expr(e.Left), x.expr(e.Array))
	case *Subquery:
		return "(SubPlan)"
	}
	return x.exprRest(e)
}

func (x *explainer) exprRest(e Expr) string {
	switch e := e.(type) {
	case *Case:
		return "CASE ... END"
	case *Coalesce:
		return "COALESCE(" + x.list(e.Args) + ")"
	case *MinMax:
		if e.Greatest {
			return "GREATEST(" + x.list(e.Args) + ")"
		}
		return "LEAST(" + x.list(e.Args) + ")"
	case *BoolTest:
		return "(" + x.expr(e.Arg) + " IS ...)"
	case *Distinct:
		word := " IS DISTINCT FROM "
		if e.Not {
			word = " IS NOT DISTINCT FROM "
		}
		return "(" + x.expr(e.Left) + word + x.expr(e.Right) + ")"
	case *NullIf:
		return "NULLIF(" + x.expr(e.Left) + ", ...)"
	case *ArrayExpr:
		return "ARRAY[" + x.list(e.Elems) + "]"
	case *RowExpr:
		return "ROW(" + x.list(e.Fields) + ")"
	case *Subscript:
		return x.expr(e.Arg) + "[...]"
	case *Field:
		return x.expr(e.Arg) + ".f" + fmt.Sprint(e.Index+1)
	}
	return "?"
}

func literalText(k *Const) string {
	if k.Value.IsNull() {
		return "NULL::" + k.Type().String()
	}
	text := k.Type().Text(types.DefaultFormat(), k.Value)
	switch k.Value.Kind() {
	case types.KindInt, types.KindBool:
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'::" + k.Type().String()
}

func (x *explainer) callText(c *Call) string {
	if c.Op != "" && len(c.Args) == 2 {
		return "(" + x.expr(c.Args[0]) + " " + c.Op + " " + x.expr(c.Args[1]) + ")"
	}
	if c.Op != "" && len(c.Args) == 1 {
		return "(" + c.Op + " " + x.expr(c.Args[0]) + ")"
	}
	return c.Func.Name + "(" + x.list(c.Args) + ")"
}

package plan

import (
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// items returns a list's nodes; a nil list has none.
func items(l *ast.NodeList) []ast.Node {
	if l == nil {
		return nil
	}
	return l.Items
}

// names returns a list of strings, such as a qualified name's parts.
func names(l *ast.NodeList) []string {
	var out []string
	for _, n := range items(l) {
		if s, ok := n.(*ast.String); ok {
			out = append(out, s.SVal)
		}
	}
	return out
}

// typeName resolves a type as it is written.
func typeName(tn *ast.TypeName) (*types.Type, int32, error) {
	parts := names(tn.Names)
	if len(parts) == 0 {
		return nil, 0, sqlstate.New(sqlstate.UndefinedObject, "type name is empty")
	}
	if tn.Setof || tn.PctType {
		return nil, 0, unsupported("a type written %s", strings.Join(parts, "."))
	}
	t, ok := types.ByName(parts[len(parts)-1])
	if !ok || len(parts) > 2 || (len(parts) == 2 && parts[0] != "pg_catalog") {
		return nil, 0, sqlstate.New(sqlstate.UndefinedObject, "type \"%s\" does not exist", strings.Join(parts, "."))
	}
	mods, err := typmods(tn.Typmods)
	if err != nil {
		return nil, 0, err
	}
	mod := types.NoTypmod
	if len(mods) > 0 {
		if mod, err = types.MakeTypmod(t, mods); err != nil {
			return nil, 0, err
		}
	} else if t == types.BPCharType && parts[len(parts)-1] == "bpchar" && len(parts) == 2 {
		mod = types.NoTypmod
	}
	if len(items(tn.ArrayBounds)) > 0 {
		if t.Array == nil {
			return nil, 0, sqlstate.New(sqlstate.UndefinedObject, "could not find array type for data type %s", t)
		}
		t = t.Array
	}
	return t, mod, nil
}

func typmods(l *ast.NodeList) ([]int32, error) {
	var out []int32
	for _, n := range items(l) {
		if c, ok := n.(*ast.A_Const); ok {
			n, ok = c.Val.(ast.Node)
			if !ok {
				return nil, sqlstate.New(sqlstate.SyntaxError, "type modifiers must be simple constants or identifiers")
			}
		}
		switch v := n.(type) {
		case *ast.Integer:
			out = append(out, int32(v.IVal))
		case *ast.Float:
			i, err := strconv.ParseInt(v.FVal, 10, 32)
			if err != nil {
				return nil, sqlstate.New(sqlstate.InvalidParameterValue, "invalid type modifier: %s", v.FVal)
			}
			out = append(out, int32(i))
		case *ast.A_Expr: // a negative numeric scale
			inner, ok := v.Rexpr.(*ast.A_Const)
			if i, isInt := constInt(inner); ok && isInt && v.Lexpr == nil {
				out = append(out, -int32(i))
				continue
			}
			return nil, sqlstate.New(sqlstate.SyntaxError, "type modifiers must be simple constants or identifiers")
		default:
			return nil, sqlstate.New(sqlstate.SyntaxError, "type modifiers must be simple constants or identifiers")
		}
	}
	return out, nil
}

func constInt(c *ast.A_Const) (int, bool) {
	if c == nil {
		return 0, false
	}
	i, ok := c.Val.(*ast.Integer)
	if !ok {
		return 0, false
	}
	return i.IVal, true
}

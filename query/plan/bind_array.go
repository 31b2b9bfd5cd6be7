package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxDimensions is PostgreSQL's limit on the dimensions of an array.
const maxDimensions = 6

func (b *binder) arrayExpr(n *ast.ArrayExpr, s *scope) (Expr, error) {
	if len(items(n.Elements)) == 0 {
		return nil, sqlstate.New(sqlstate.IndeterminateDatatype, "cannot determine type of empty array").
			WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
	}
	return b.typedArray(n, nil, types.NoTypmod, s)
}

// typedArray binds ARRAY[…], of type t where that is known from a cast.
func (b *binder) typedArray(n *ast.ArrayExpr, t *types.Type, mod int32, s *scope) (Expr, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	a := &ArrayExpr{}
	var elems []Expr
	for _, el := range items(n.Elements) {
		var e Expr
		var err error
		if inner, ok := el.(*ast.ArrayExpr); ok {
			a.Nested = true
			e, err = b.typedArray(inner, t, mod, s)
		} else {
			e, err = b.expr(el, s)
		}
		if err != nil {
			return nil, err
		}
		elems = append(elems, e)
	}
	if t == nil {
		unified, err := b.unify(elems, "ARRAY")
		if err != nil {
			return nil, err
		}
		elems, t = unified, unified[0].Type()
		if t.Elem == nil {
			if t.Array == nil {
				return nil, sqlstate.New(sqlstate.UndefinedObject, "could not find array type for data type %s", t)
			}
			t = t.Array
		} else {
			a.Nested = true
		}
	} else if !a.Nested {
		for i := range elems {
			var err error
			if elems[i].Type() == t {
				a.Nested = true
				continue
			}
			if elems[i], err = b.coerce(elems[i], t.Elem, mod, expr.Explicit); err != nil {
				return nil, err
			}
		}
	}
	a.typed, a.Elems = ofType(t), elems
	return a, nil
}

func (b *binder) indirection(n *ast.A_Indirection, s *scope) (Expr, error) {
	e, err := b.expr(n.Arg, s)
	if err != nil {
		return nil, err
	}
	return b.indirect(e, items(n.Indirection), s)
}

// indirect applies subscripts and field selections.
func (b *binder) indirect(e Expr, steps []ast.Node, s *scope) (Expr, error) {
	for len(steps) > 0 {
		switch step := steps[0].(type) {
		case *ast.String:
			var err error
			if e, err = b.field(e, step.SVal); err != nil {
				return nil, err
			}
			steps = steps[1:]
		case *ast.A_Indices:
			k := 0
			for k < len(steps) {
				if _, ok := steps[k].(*ast.A_Indices); !ok {
					break
				}
				k++
			}
			var err error
			if e, err = b.subscripts(e, steps[:k], s); err != nil {
				return nil, err
			}
			steps = steps[k:]
		default:
			return nil, unsupported("row expansion via \"*\" here")
		}
	}
	return e, nil
}

func (b *binder) subscripts(e Expr, steps []ast.Node, s *scope) (Expr, error) {
	sub := &Subscript{Arg: e}
	t := e.Type()
	index := types.Int4Type
	switch {
	case t == types.JSONBType:
		sub.OfJSON = true
		sub.typed = ofType(types.JSONBType)
		index = types.TextType
	case t.Elem != nil:
		sub.typed = typed{t.Elem, e.Typmod()}
	default:
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", t)
	}
	var err error
	if sub.Lower, sub.Upper, sub.Slice, err = b.indexes(steps, index, s); err != nil {
		return nil, err
	}
	if sub.Slice && sub.OfJSON {
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "jsonb subscript does not support slices")
	}
	if sub.Slice {
		sub.typed = typed{t, e.Typmod()}
	}
	return sub, nil
}

// indexes binds a run of subscripts. If one of them is a slice, all are: [n]
// means [1:n] then.
func (b *binder) indexes(steps []ast.Node, t *types.Type, s *scope) (lower, upper []Expr, slice bool, err error) {
	if len(steps) > maxDimensions && t == types.Int4Type {
		return nil, nil, false, sqlstate.New(sqlstate.ProgramLimitExceeded,
			"number of array dimensions (%d) exceeds the maximum allowed (%d)", len(steps), maxDimensions)
	}
	for _, st := range steps {
		slice = slice || st.(*ast.A_Indices).IsSlice
	}
	for _, st := range steps {
		ix := st.(*ast.A_Indices)
		lo, err := b.subscript(ix.Lidx, t, s)
		if err != nil {
			return nil, nil, false, err
		}
		hi, err := b.subscript(ix.Uidx, t, s)
		if err != nil {
			return nil, nil, false, err
		}
		switch {
		case !slice:
			lo, hi = hi, nil
		case !ix.IsSlice:
			lo = &Const{ofType(types.Int4Type), types.Int(1)}
		}
		lower, upper = append(lower, lo), append(upper, hi)
	}
	return lower, upper, slice, nil
}

// assignElement binds SET column[…] = value on top of what the column has been
// set to so far.
func (b *binder) assignElement(old Expr, column string, t *types.Type, mod int32, steps []ast.Node, value Expr, s *scope) (Expr, error) {
	for _, st := range steps {
		if _, ok := st.(*ast.A_Indices); !ok {
			return nil, unsupported("assignment to a field")
		}
	}
	if t.Elem == nil || t.IsVector() {
		if t == types.JSONBType {
			return nil, unsupported("assignment to an element of a jsonb value")
		}
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", t)
	}
	a := &Assign{typed: typed{t, mod}, Arg: old}
	var err error
	if a.Lower, a.Upper, a.Slice, err = b.indexes(steps, types.Int4Type, s); err != nil {
		return nil, err
	}
	want := t.Elem
	if a.Slice {
		want = t
	}
	if value.Type() != types.UnknownType && value.Type() != want {
		if _, ok := expr.FindCast(value.Type(), want, expr.Assignment); !ok {
			return nil, sqlstate.New(sqlstate.DatatypeMismatch, "subscripted assignment to \"%s\" requires type %s but expression is of type %s",
				column, want, value.Type()).WithHint("You will need to rewrite or cast the expression.")
		}
	}
	if a.Value, err = b.coerce(value, want, mod, expr.Assignment); err != nil {
		return nil, err
	}
	return a, nil
}

func (b *binder) subscript(n ast.Node, t *types.Type, s *scope) (Expr, error) {
	if n == nil {
		return nil, nil
	}
	e, err := b.expr(n, s)
	if err != nil {
		return nil, err
	}
	if t == types.TextType {
		return b.coerce(e, t, types.NoTypmod, expr.Explicit)
	}
	return b.coerce(e, t, types.NoTypmod, expr.Assignment)
}

// field selects a named field of a row value.
func (b *binder) field(e Expr, name string) (Expr, error) {
	row, ok := e.(*RowExpr)
	if !ok {
		return nil, sqlstate.New(sqlstate.UndefinedColumn, "could not identify column \"%s\" in record data type", name)
	}
	for i, f := range row.Names {
		if f == name {
			return row.Fields[i], nil
		}
	}
	return nil, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" not found in data type record", name)
}

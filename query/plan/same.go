package plan

import (
	"reflect"
	"slices"

	"github.com/tidemark-db/tidemark/sm/types"
)

// sameExpr reports whether two bound expressions are the same computation.
func sameExpr(a, c Expr) bool {
	if a == nil || c == nil {
		return a == nil && c == nil
	}
	if a == c {
		return true
	}
	if reflect.TypeOf(a) != reflect.TypeOf(c) || a.Type() != c.Type() || a.Typmod() != c.Typmod() || !sameNode(a, c) {
		return false
	}
	ca, cc := children(a), children(c)
	return slices.EqualFunc(ca, cc, sameExpr)
}

// sameNode compares what is not in the children; a and c have the same type.
func sameNode(a, c Expr) bool {
	switch a := a.(type) {
	case *Const:
		return sameDatum(a.Value, c.(*Const).Value)
	case *Param:
		return a.Index == c.(*Param).Index
	case *ColRef:
		return a.ID == c.(*ColRef).ID
	case *Call:
		// A polymorphic function is instantiated anew for each call.
		f, g := a.Func, c.(*Call).Func
		return f == g || (f.OID == g.OID && f.OID != 0 && f.Name == g.Name)
	case *Cast:
		return a.Explicit == c.(*Cast).Explicit
	case *Fit:
		return a.Explicit == c.(*Fit).Explicit
	case *Logic:
		return a.Op == c.(*Logic).Op
	case *IsNull:
		return a.Not == c.(*IsNull).Not
	case *BoolTest:
		o := c.(*BoolTest)
		return a.Not == o.Not && sameDatum(a.Want, o.Want)
	case *Distinct:
		return a.Not == c.(*Distinct).Not
	case *MinMax:
		return a.Greatest == c.(*MinMax).Greatest
	case *ArrayExpr:
		return a.Nested == c.(*ArrayExpr).Nested
	case *Field:
		return a.Index == c.(*Field).Index
	case *Subscript:
		return a.Slice == c.(*Subscript).Slice
	case *Assign:
		return a.Slice == c.(*Assign).Slice
	case *InList:
		o := c.(*InList)
		return a.Not == o.Not && a.HasNull == o.HasNull && slices.EqualFunc(a.Values, o.Values, sameDatum)
	case *AnyAll:
		return a.All == c.(*AnyAll).All
	case *Subquery, *groupingCall:
		return false
	}
	return true
}

func sameDatum(a, c types.Datum) bool {
	if a.IsNull() || c.IsNull() {
		return a.IsNull() && c.IsNull()
	}
	return a.Kind() == c.Kind() && types.Equal(a, c)
}

func sameAgg(a, c *Agg) bool {
	return a.Func.Aggregate == c.Func.Aggregate && a.Func.Ret == c.Func.Ret && a.Distinct == c.Distinct && sameExpr(a.Filter, c.Filter) &&
		slices.EqualFunc(a.Args, c.Args, sameExpr) &&
		slices.EqualFunc(a.Order, c.Order, func(x, y SortKey) bool {
			return x.Desc == y.Desc && x.NullsFirst == y.NullsFirst && sameExpr(x.Expr, y.Expr)
		})
}

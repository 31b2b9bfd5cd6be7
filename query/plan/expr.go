package plan

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/types"
)

// ColID names a column of some relational node, uniquely within a statement.
// Expressions refer to columns by ColID; where a column sits in a row is
// decided when the plan is compiled.
type ColID int32

// Expr is a bound expression: every name is resolved and every type is known.
type Expr interface {
	Type() *types.Type
	Typmod() int32
}

// typed is embedded by the expressions that carry their type.
type typed struct {
	typ *types.Type
	mod int32
}

func (t typed) Type() *types.Type { return t.typ }
func (t typed) Typmod() int32     { return t.mod }

func ofType(t *types.Type) typed { return typed{t, types.NoTypmod} }

type boolean struct{}

func (boolean) Type() *types.Type { return types.BoolType }
func (boolean) Typmod() int32     { return types.NoTypmod }

// Const is a literal.
type Const struct {
	typed
	Value types.Datum
}

// Param is $Index+1.
type Param struct {
	typed
	Index int
}

// ColRef is a column of an input, or of an outer query's input.
type ColRef struct {
	typed
	ID   ColID
	Name string
}

// Call calls a function or an operator.
type Call struct {
	typed
	Func *expr.Func
	Args []Expr
	Op   string // the operator's name, when it was written as one
}

// Cast converts Arg at run time.
type Cast struct {
	typed
	Arg      Expr
	Cast     *expr.Cast
	Explicit bool
}

// Fit applies a type modifier: varchar(3), numeric(10,2).
type Fit struct {
	typed
	Arg      Expr
	Explicit bool
}

// LogicOp is AND, OR or NOT.
type LogicOp uint8

// The logical operators.
const (
	And LogicOp = iota
	Or
	Not
)

// Logic is three-valued logic.
type Logic struct {
	boolean
	Op   LogicOp
	Args []Expr
}

// IsNull is IS [NOT] NULL. For row values it looks at every field.
type IsNull struct {
	boolean
	Arg Expr
	Not bool
}

// BoolTest is IS [NOT] TRUE, FALSE or UNKNOWN (Want is NULL then).
type BoolTest struct {
	boolean
	Arg  Expr
	Want types.Datum
	Not  bool
}

// Distinct is IS [NOT] DISTINCT FROM.
type Distinct struct {
	boolean
	Left, Right Expr
	Equal       *expr.Func
	Not         bool
}

// Case is CASE. In the simple form Arg is set and conditions refer to its value
// by CaseArg.
type Case struct {
	typed
	Arg   Expr
	Whens []When
	Else  Expr // nil means NULL
}

// When is one branch of a Case.
type When struct{ Cond, Result Expr }

// CaseArg is the value of the innermost Case's Arg.
type CaseArg struct{ typed }

// Coalesce is the first of Args that is not NULL.
type Coalesce struct {
	typed
	Args []Expr
}

// NullIf is NULL when Left equals Right, else Left.
type NullIf struct {
	typed
	Left  Expr
	Equal Expr // compares CaseArg, which holds Left's value
}

// MinMax is GREATEST or LEAST.
type MinMax struct {
	typed
	Greatest bool
	Args     []Expr
}

// ArrayExpr is ARRAY[…].
type ArrayExpr struct {
	typed
	Elems []Expr
	// Nested: the elements are arrays themselves and become a new dimension.
	Nested bool
}

// RowExpr is ROW(…).
type RowExpr struct {
	typed
	Fields []Expr
	Names  []string
}

// Field selects one field of a row value.
type Field struct {
	typed
	Arg   Expr
	Index int
}

// Subscript is a[i] or a[lo:hi] of an array, or j['key'] of a jsonb.
type Subscript struct {
	typed
	Arg    Expr
	Lower  []Expr // the index; for slices the lower bound or nil
	Upper  []Expr // slices only
	Slice  bool
	OfJSON bool
}

// Assign is Arg, an array, with one element or a slice replaced by Value.
type Assign struct {
	typed
	Arg   Expr
	Lower []Expr // the index; for slices the lower bound or nil
	Upper []Expr // slices only
	Slice bool
	Value Expr
}

// InList is Arg [NOT] IN (constants). It is chosen over a chain of OR when the
// list's values are all constants of one type, so that it can be hashed.
type InList struct {
	boolean
	Arg     Expr
	Values  []types.Datum
	HasNull bool
	Not     bool
}

// AnyAll is Left op ANY|ALL (array).
type AnyAll struct {
	boolean
	All   bool
	Left  Expr // bound as CaseArg's counterpart: see Test
	Array Expr
	// Test compares CaseArg (Left's value) with ElemArg (one element).
	Test Expr
}

// ElemArg is the element AnyAll or a subquery comparison is looking at.
type ElemArg struct{ typed }

// SubKind says what a subquery in an expression yields.
type SubKind uint8

// The kinds of subqueries.
const (
	SubScalar SubKind = iota
	SubExists
	SubAny // Left op ANY (subquery), IN
	SubAll
	SubArray
)

// Subquery is a subquery used as an expression.
type Subquery struct {
	typed
	Kind SubKind
	Plan Node
	// Out are the plan's visible columns.
	Out []ColID
	// Left and Test belong to SubAny and SubAll: Test compares Left (as a
	// RowExpr or scalar through CaseArg) with the row, whose columns it refers
	// to by Out.
	Left Expr
	Test Expr
	// Hashable: Test is plain equality of one column, and the subquery does
	// not depend on the outer row, so it may be kept as a set.
	Hashable bool
	// Exists: a SubAny that was EXISTS, which is never NULL.
	Exists bool
	// Correlated: the subquery refers to columns outside itself.
	Correlated bool
}

// Walk calls f for e and everything below it, not descending into subqueries'
// plans, until f returns false.
func Walk(e Expr, f func(Expr) bool) bool {
	if e == nil {
		return true
	}
	if !f(e) {
		return false
	}
	for _, c := range children(e) {
		if !Walk(c, f) {
			return false
		}
	}
	return true
}

func children(e Expr) []Expr {
	switch e := e.(type) {
	case *Call:
		return e.Args
	case *Cast:
		return []Expr{e.Arg}
	case *Fit:
		return []Expr{e.Arg}
	case *Logic:
		return e.Args
	case *IsNull:
		return []Expr{e.Arg}
	case *BoolTest:
		return []Expr{e.Arg}
	case *Distinct:
		return []Expr{e.Left, e.Right}
	case *Case:
		out := []Expr{e.Arg, e.Else}
		for _, w := range e.Whens {
			out = append(out, w.Cond, w.Result)
		}
		return out
	case *Coalesce:
		return e.Args
	case *NullIf:
		return []Expr{e.Left, e.Equal}
	case *MinMax:
		return e.Args
	case *ArrayExpr:
		return e.Elems
	case *RowExpr:
		return e.Fields
	case *Field:
		return []Expr{e.Arg}
	case *Subscript:
		return append(append([]Expr{e.Arg}, e.Lower...), e.Upper...)
	case *Assign:
		return append(append([]Expr{e.Arg, e.Value}, e.Lower...), e.Upper...)
	case *InList:
		return []Expr{e.Arg}
	case *AnyAll:
		return []Expr{e.Left, e.Array, e.Test}
	case *Subquery:
		return []Expr{e.Left, e.Test}
	}
	return nil
}

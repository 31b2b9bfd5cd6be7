package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// minHashedList is from how many constants on an IN list is kept as a set.
const minHashedList = 3

// operator binds the expressions written with an operator or like one.
func (b *binder) operator(n *ast.A_Expr, s *scope) (Expr, error) {
	parts := names(n.Name)
	op := ""
	if len(parts) > 0 {
		op = parts[len(parts)-1]
	}
	switch n.Kind {
	case ast.AEXPR_OP, ast.AEXPR_LIKE, ast.AEXPR_ILIKE, ast.AEXPR_SIMILAR:
		return b.plainOp(n, op, s)
	case ast.AEXPR_OP_ANY, ast.AEXPR_OP_ALL:
		return b.anyAll(n, op, s)
	case ast.AEXPR_DISTINCT, ast.AEXPR_NOT_DISTINCT:
		return b.distinct(n, s)
	case ast.AEXPR_NULLIF:
		return b.nullIf(n, s)
	case ast.AEXPR_IN:
		return b.inList(n, op == "<>", s)
	case ast.AEXPR_BETWEEN, ast.AEXPR_NOT_BETWEEN, ast.AEXPR_BETWEEN_SYM, ast.AEXPR_NOT_BETWEEN_SYM:
		return b.between(n, s)
	}
	return nil, unsupported("this operator expression")
}

func (b *binder) plainOp(n *ast.A_Expr, op string, s *scope) (Expr, error) {
	if n.Lexpr == nil {
		// -9223372036854775808 is one literal, not the negation of one too large.
		if k, ok := n.Rexpr.(*ast.A_Const); ok && op == "-" {
			if e, done := b.negative(k); done {
				return e, nil
			}
		}
		right, err := b.expr(n.Rexpr, s)
		if err != nil {
			return nil, err
		}
		return b.opCall(op, nil, right)
	}
	left, err := b.expr(n.Lexpr, s)
	if err != nil {
		return nil, err
	}
	right, err := b.expr(n.Rexpr, s)
	if err != nil {
		return nil, err
	}
	lrow, lok := left.(*RowExpr)
	rrow, rok := right.(*RowExpr)
	if lok && rok {
		return b.rowCompare(op, lrow, rrow)
	}
	return b.opCall(op, left, right)
}

func (b *binder) negative(k *ast.A_Const) (Expr, bool) {
	if k.Isnull {
		return nil, false
	}
	switch v := k.Val.(type) {
	case *ast.Integer:
		if v.IVal == 1<<31 {
			return &Const{ofType(types.Int4Type), types.Int(-(1 << 31))}, true
		}
	case *ast.Float:
		if v.FVal == "9223372036854775808" {
			return &Const{ofType(types.Int8Type), types.Int(-(1 << 63))}, true
		}
		if v.FVal == "2147483648" {
			return &Const{ofType(types.Int4Type), types.Int(-(1 << 31))}, true
		}
	}
	return nil, false
}

// opCall resolves an operator and converts its operands. Left is nil for a
// prefix operator.
func (b *binder) opCall(op string, left, right Expr) (Expr, error) {
	var lt *types.Type
	args := []Expr{right}
	if left != nil {
		lt = left.Type()
		args = []Expr{left, right}
	}
	r, err := expr.ResolveOperator(op, lt, right.Type())
	if err != nil {
		return nil, b.at(err, func(sql string) int { return parser.FindOperator(sql, op) })
	}
	e, err := b.resolved(r, args)
	if err != nil {
		return nil, err
	}
	if c, ok := e.(*Call); ok {
		c.Op = op
	}
	return e, nil
}

// resolved makes a call of a function whose overload has been chosen.
func (b *binder) resolved(r *expr.Resolved, args []Expr) (Expr, error) {
	out := make([]Expr, len(args))
	for i, a := range args {
		t := a.Type()
		if i < len(r.Args) {
			t = r.Args[i]
		}
		c, err := b.coerce(a, t, types.NoTypmod, expr.Implicit)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	if b.env.Write && r.Func.ReadOnlyOnly {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "function %s is not supported in a statement that writes", r.Func.Name).
			WithDetail("Its result may differ between replicas. Compute it in a SELECT first and pass the value.")
	}
	if r.Func.ReadOnlyOnly && b.unportable == "" {
		b.unportable = r.Func.Name
	}
	if r.Func.Volatility == expr.Volatile {
		b.volatile = true
	}
	return b.fold(&Call{typed: ofType(r.Ret), Func: r.Func, Args: out}), nil
}

// fold computes a call of an immutable function on constants. A call that fails
// stays, to fail if and when it is reached.
func (b *binder) fold(c *Call) Expr {
	if c.Func.Volatility != expr.Immutable || c.Func.Eval == nil || len(c.Args) == 0 {
		return c
	}
	vals := make([]types.Datum, len(c.Args))
	for i, a := range c.Args {
		k, ok := a.(*Const)
		if !ok {
			return c
		}
		vals[i] = k.Value
		if k.Value.IsNull() && c.Func.Strict {
			return &Const{c.typed, types.NullDatum}
		}
	}
	v, err := c.Func.Eval(b.env.Ctx, vals)
	if err != nil {
		return c
	}
	return &Const{c.typed, v}
}

// rowCompare compares two row constructors field by field.
func (b *binder) rowCompare(op string, l, r *RowExpr) (Expr, error) {
	if len(l.Fields) != len(r.Fields) {
		return nil, sqlstate.New(sqlstate.SyntaxError, "unequal number of entries in row expressions")
	}
	switch op {
	case "=", "<>":
		logic := &Logic{Op: And}
		if op == "<>" {
			logic.Op = Or
		}
		for i := range l.Fields {
			e, err := b.opCall(op, l.Fields[i], r.Fields[i])
			if err != nil {
				return nil, err
			}
			logic.Args = append(logic.Args, e)
		}
		return logic, nil
	case "<", "<=", ">", ">=":
		return b.rowOrder(op, l.Fields, r.Fields)
	}
	return nil, unsupported("operator %s on row values", op)
}

// rowOrder is (a, b) < (c, d): a < c OR (a = c AND b < d).
func (b *binder) rowOrder(op string, l, r []Expr) (Expr, error) {
	if len(l) == 1 {
		return b.opCall(op, l[0], r[0])
	}
	first, err := b.opCall(op[:1], l[0], r[0])
	if err != nil {
		return nil, err
	}
	same, err := b.opCall("=", l[0], r[0])
	if err != nil {
		return nil, err
	}
	rest, err := b.rowOrder(op, l[1:], r[1:])
	if err != nil {
		return nil, err
	}
	return &Logic{Op: Or, Args: []Expr{first, &Logic{Op: And, Args: []Expr{same, rest}}}}, nil
}

func (b *binder) anyAll(n *ast.A_Expr, op string, s *scope) (Expr, error) {
	left, err := b.expr(n.Lexpr, s)
	if err != nil {
		return nil, err
	}
	array, err := b.expr(n.Rexpr, s)
	if err != nil {
		return nil, err
	}
	if array.Type() == types.UnknownType {
		t := left.Type()
		if t == types.UnknownType {
			t = types.TextType
		}
		if t.Array == nil {
			return nil, sqlstate.New(sqlstate.UndefinedObject, "could not find array type for data type %s", t)
		}
		if array, err = b.coerce(array, t.Array, types.NoTypmod, expr.Implicit); err != nil {
			return nil, err
		}
	}
	elem := array.Type().Elem
	if elem == nil {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "op ANY/ALL (array) requires array on right side")
	}
	if left.Type() == types.UnknownType {
		if left, err = b.coerce(left, elem, types.NoTypmod, expr.Implicit); err != nil {
			return nil, err
		}
	}
	test, err := b.opCall(op, &CaseArg{ofType(left.Type())}, &ElemArg{ofType(elem)})
	if err != nil {
		return nil, err
	}
	if test.Type() != types.BoolType {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "op ANY/ALL (array) requires operator to yield boolean")
	}
	return &AnyAll{All: n.Kind == ast.AEXPR_OP_ALL, Left: left, Array: array, Test: test}, nil
}

func (b *binder) distinct(n *ast.A_Expr, s *scope) (Expr, error) {
	es, err := b.exprs([]ast.Node{n.Lexpr, n.Rexpr}, s)
	if err != nil {
		return nil, err
	}
	eq, err := b.opCall("=", es[0], es[1])
	if err != nil {
		return nil, err
	}
	not := n.Kind == ast.AEXPR_NOT_DISTINCT
	if c, ok := eq.(*Call); ok && len(c.Args) == 2 {
		return &Distinct{Left: c.Args[0], Right: c.Args[1], Equal: c.Func, Not: not}, nil
	}
	// Constants were folded, or rows compared: say it with what is there.
	both := &Logic{Op: And, Args: []Expr{&IsNull{Arg: b.resolveUnknown(es[0])}, &IsNull{Arg: b.resolveUnknown(es[1])}}}
	same := &Logic{Op: Or, Args: []Expr{&BoolTest{Arg: eq, Want: types.Bool(true)}, both}}
	if not {
		return same, nil
	}
	return &Logic{Op: Not, Args: []Expr{same}}, nil
}

func (b *binder) nullIf(n *ast.A_Expr, s *scope) (Expr, error) {
	es, err := b.exprs([]ast.Node{n.Lexpr, n.Rexpr}, s)
	if err != nil {
		return nil, err
	}
	left := es[0]
	if left.Type() == types.UnknownType {
		t := es[1].Type()
		if t == types.UnknownType {
			t = types.TextType
		}
		if left, err = b.coerce(left, t, types.NoTypmod, expr.Implicit); err != nil {
			return nil, err
		}
	}
	eq, err := b.opCall("=", &CaseArg{ofType(left.Type())}, es[1])
	if err != nil {
		return nil, err
	}
	return &NullIf{typed{left.Type(), left.Typmod()}, left, eq}, nil
}

func (b *binder) between(n *ast.A_Expr, s *scope) (Expr, error) {
	bounds, ok := n.Rexpr.(*ast.NodeList)
	if !ok || len(bounds.Items) != 2 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in BETWEEN")
	}
	es, err := b.exprs([]ast.Node{n.Lexpr, bounds.Items[0], bounds.Items[1]}, s)
	if err != nil {
		return nil, err
	}
	within := func(lo, hi Expr) (Expr, error) {
		ge, err := b.opCall(">=", es[0], lo)
		if err != nil {
			return nil, err
		}
		le, err := b.opCall("<=", es[0], hi)
		if err != nil {
			return nil, err
		}
		return &Logic{Op: And, Args: []Expr{ge, le}}, nil
	}
	out, err := within(es[1], es[2])
	if err != nil {
		return nil, err
	}
	if n.Kind == ast.AEXPR_BETWEEN_SYM || n.Kind == ast.AEXPR_NOT_BETWEEN_SYM {
		swapped, err := within(es[2], es[1])
		if err != nil {
			return nil, err
		}
		out = &Logic{Op: Or, Args: []Expr{out, swapped}}
	}
	if n.Kind == ast.AEXPR_NOT_BETWEEN || n.Kind == ast.AEXPR_NOT_BETWEEN_SYM {
		out = &Logic{Op: Not, Args: []Expr{out}}
	}
	return out, nil
}

// inList binds x [NOT] IN (a, b, …).
func (b *binder) inList(n *ast.A_Expr, not bool, s *scope) (Expr, error) {
	list, ok := n.Rexpr.(*ast.NodeList)
	if !ok {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in IN")
	}
	left, err := b.expr(n.Lexpr, s)
	if err != nil {
		return nil, err
	}
	values, err := b.exprs(list.Items, s)
	if err != nil {
		return nil, err
	}
	if in := b.hashedList(left, values, not); in != nil {
		return in, nil
	}
	out := &Logic{Op: Or}
	op := "="
	if not {
		out.Op, op = And, "<>"
	}
	for _, v := range values {
		var e Expr
		lrow, lok := left.(*RowExpr)
		rrow, rok := v.(*RowExpr)
		if lok && rok {
			e, err = b.rowCompare(op, lrow, rrow)
		} else {
			e, err = b.opCall(op, left, v)
		}
		if err != nil {
			return nil, err
		}
		out.Args = append(out.Args, e)
	}
	if len(out.Args) == 1 {
		return out.Args[0], nil
	}
	return out, nil
}

// hashedList makes an InList where every value is a constant that becomes
// left's own type; nil where that is not so.
func (b *binder) hashedList(left Expr, values []Expr, not bool) Expr {
	t := left.Type()
	least := minHashedList
	if b.keepLists {
		least = 2
	}
	if len(values) < least || t == types.UnknownType || t == types.BPCharType || t == types.RecordType {
		return nil
	}
	in := &InList{Arg: left, Not: not}
	for _, v := range values {
		k, ok := v.(*Const)
		if !ok {
			return nil
		}
		if k.typ != t {
			if k.typ != types.UnknownType && (k.typ.Kind != types.KindInt || t.Kind != types.KindInt) {
				return nil
			}
			c, err := b.coerce(k, t, types.NoTypmod, expr.Implicit)
			if err != nil {
				// int8 constants are compared with an int4 column as they are.
				if k.typ.Kind != types.KindInt || k.Value.IsNull() {
					return nil
				}
				c = k
			}
			if k, ok = c.(*Const); !ok {
				return nil
			}
		}
		if k.Value.IsNull() {
			in.HasNull = true
			continue
		}
		in.Values = append(in.Values, k.Value)
	}
	return in
}

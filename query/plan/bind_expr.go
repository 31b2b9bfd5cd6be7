package plan

import (
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// expr binds an expression.
func (b *binder) expr(n ast.Node, s *scope) (Expr, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	switch n := n.(type) {
	case *ast.A_Const:
		return b.constant(n)
	case *ast.ColumnRef:
		return b.columnRef(n, s)
	case *ast.ParamRef:
		return b.param(n)
	case *ast.A_Expr:
		return b.operator(n, s)
	case *ast.BoolExpr:
		return b.boolExpr(n, s)
	case *ast.FuncCall:
		return b.call(n, s)
	case *ast.TypeCast:
		return b.typeCast(n, s)
	case *ast.ParenExpr:
		return b.expr(n.Expr, s)
	case *ast.String:
		return &Const{ofType(types.UnknownType), types.String(n.SVal)}, nil
	case *ast.SubLink:
		return b.subLink(n, s)
	}
	return b.exprMore(n, s)
}

// exprMore has the rarer expressions.
func (b *binder) exprMore(n ast.Node, s *scope) (Expr, error) {
	switch n := n.(type) {
	case *ast.CaseExpr:
		return b.caseExpr(n, s)
	case *ast.CoalesceExpr:
		return b.coalesce(n, s)
	case *ast.NullTest:
		return b.nullTest(n, s)
	case *ast.BooleanTest:
		return b.boolTest(n, s)
	case *ast.MinMaxExpr:
		return b.minMax(n, s)
	case *ast.SQLValueFunction:
		return b.sqlValue(n)
	case *ast.ArrayExpr:
		return b.arrayExpr(n, s)
	case *ast.RowExpr:
		return b.rowExpr(n, s)
	case *ast.A_Indirection:
		return b.indirection(n, s)
	case *ast.CollateClause:
		return b.collate(n, s)
	case *ast.GroupingFunc:
		return b.groupingFunc(n, s)
	case *ast.SetToDefault:
		return nil, sqlstate.New(sqlstate.SyntaxError, "DEFAULT is not allowed in this context")
	case *ast.NodeList:
		return b.rowOf(n.Items, s)
	case nil:
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error")
	}
	return nil, unsupported("this expression (%T)", n)
}

func (b *binder) constant(n *ast.A_Const) (Expr, error) {
	if n.Isnull || n.Val == nil {
		return &Const{ofType(types.UnknownType), types.NullDatum}, nil
	}
	switch v := n.Val.(type) {
	case *ast.Integer:
		if v.IVal > 1<<31-1 {
			return &Const{ofType(types.Int8Type), types.Int(int64(v.IVal))}, nil
		}
		return &Const{ofType(types.Int4Type), types.Int(int64(v.IVal))}, nil
	case *ast.Float:
		if i, err := strconv.ParseInt(strings.ReplaceAll(v.FVal, "_", ""), 10, 64); err == nil {
			return &Const{ofType(types.Int8Type), types.Int(i)}, nil
		}
		d, err := types.NumericType.Parse(b.env.Ctx.Format, v.FVal, types.NoTypmod)
		if err != nil {
			return nil, err
		}
		return &Const{ofType(types.NumericType), d}, nil
	case *ast.Boolean:
		return &Const{ofType(types.BoolType), types.Bool(v.BoolVal)}, nil
	case *ast.String:
		return &Const{ofType(types.UnknownType), types.String(v.SVal)}, nil
	case *ast.BitString:
		return nil, unsupported("the bit string literal %s", v.BSVal)
	}
	return nil, unsupported("a literal of this kind (%T)", n.Val)
}

func (b *binder) param(n *ast.ParamRef) (Expr, error) {
	if n.Number < 1 || n.Number > maxParams {
		return nil, sqlstate.New(sqlstate.UndefinedParameter, "there is no parameter $%d", n.Number)
	}
	for len(b.params) < n.Number {
		b.params = append(b.params, nil)
	}
	t := b.params[n.Number-1]
	if t == nil {
		t = types.UnknownType
	}
	return &Param{ofType(t), n.Number - 1}, nil
}

func (b *binder) columnRef(n *ast.ColumnRef, s *scope) (Expr, error) {
	var parts []string
	var rest []ast.Node
	for i, f := range items(n.Fields) {
		str, ok := f.(*ast.String)
		if !ok {
			rest = items(n.Fields)[i:]
			break
		}
		parts = append(parts, str.SVal)
	}
	if isStar(n) && len(rest) == 1 && len(parts) > 0 {
		return b.rowOfRelation(n, s)
	}
	e, err := b.nameRef(parts, s)
	if err != nil {
		if i := b.env.Routine.param(parts); i >= 0 {
			return b.param(&ast.ParamRef{Number: i + 1})
		}
		if oid := s.tableOID(parts); oid != 0 {
			return &Const{ofType(types.OIDType), types.Int(int64(oid))}, nil
		}
		return nil, b.atName(err, parts...)
	}
	if len(rest) > 0 {
		return b.indirect(e, rest, s)
	}
	return e, nil
}

// rowOfRelation is t.* where one value is wanted: the whole row.
func (b *binder) rowOfRelation(n *ast.ColumnRef, s *scope) (Expr, error) {
	cols, err := b.starColumns(n, s)
	if err != nil {
		return nil, b.atName(err, names(n.Fields)...)
	}
	return b.wholeRow(&relation{cols: cols}), nil
}

// nameRef resolves a dotted name: a column, a whole relation, or a field of
// a row-valued column.
func (b *binder) nameRef(parts []string, s *scope) (Expr, error) {
	switch len(parts) {
	case 1:
		c, err := b.column(s, "", "", parts[0])
		if err == nil {
			return c, nil
		}
		for sc := s; sc != nil; sc = sc.parent {
			if r := sc.relation("", parts[0]); r != nil {
				return b.relationValue(r), nil
			}
		}
		return nil, err
	case 2:
		c, err := b.column(s, "", parts[0], parts[1])
		if err == nil {
			return c, nil
		}
		if base, baseErr := b.column(s, "", "", parts[0]); baseErr == nil && base.Type() == types.RecordType {
			return b.field(base, parts[1])
		}
		return nil, err
	case 3:
		return b.column(s, parts[0], parts[1], parts[2])
	case 4:
		return b.column(s, parts[1], parts[2], parts[3])
	}
	return nil, sqlstate.New(sqlstate.SyntaxError, "improper qualified name (too many dotted names): %s", strings.Join(parts, "."))
}

// relationValue is what a relation's bare name means: its row, or its only
// column when it is a function that yields scalars.
func (b *binder) relationValue(r *relation) Expr {
	if len(r.cols) == 1 && r.table == 0 && r.cols[0].name == r.name {
		return b.ref(r.cols[0].id)
	}
	return b.wholeRow(r)
}

func (b *binder) boolExpr(n *ast.BoolExpr, s *scope) (Expr, error) {
	op := map[ast.BoolExprType]LogicOp{ast.AND_EXPR: And, ast.OR_EXPR: Or, ast.NOT_EXPR: Not}[n.Boolop]
	name := [...]string{"AND", "OR", "NOT"}[op]
	l := &Logic{Op: op}
	for _, a := range items(n.Args) {
		e, err := b.boolean(a, s, "argument of "+name)
		if err != nil {
			return nil, err
		}
		if inner, ok := e.(*Logic); ok && inner.Op == op && op != Not {
			l.Args = append(l.Args, inner.Args...)
			continue
		}
		l.Args = append(l.Args, e)
	}
	return l, nil
}

// boolean binds a condition.
func (b *binder) boolean(n ast.Node, s *scope, what string) (Expr, error) {
	e, err := b.expr(n, s)
	if err != nil {
		return nil, err
	}
	return b.toBoolean(e, what)
}

func (b *binder) toBoolean(e Expr, what string) (Expr, error) {
	if e.Type() == types.BoolType {
		return e, nil
	}
	if e.Type() == types.UnknownType {
		return b.coerce(e, types.BoolType, types.NoTypmod, expr.Implicit)
	}
	if c, ok := expr.FindCast(e.Type(), types.BoolType, expr.Implicit); ok {
		return b.cast(e, c, types.BoolType, types.NoTypmod, false)
	}
	return nil, sqlstate.New(sqlstate.DatatypeMismatch, "%s must be type boolean, not type %s", what, e.Type())
}

func (b *binder) typeCast(n *ast.TypeCast, s *scope) (Expr, error) {
	t, mod, err := typeName(n.TypeName)
	if err != nil {
		return nil, b.atName(err, names(n.TypeName.Names)...)
	}
	if arr, ok := n.Arg.(*ast.ArrayExpr); ok && t.Elem != nil {
		return b.typedArray(arr, t, mod, s)
	}
	e, err := b.expr(n.Arg, s)
	if err != nil {
		return nil, err
	}
	return b.coerce(e, t, mod, expr.Explicit)
}

func (b *binder) nullTest(n *ast.NullTest, s *scope) (Expr, error) {
	e, err := b.expr(n.Arg, s)
	if err != nil {
		return nil, err
	}
	return &IsNull{Arg: b.resolveUnknown(e), Not: n.Nulltesttype == ast.IS_NOT_NULL}, nil
}

func (b *binder) boolTest(n *ast.BooleanTest, s *scope) (Expr, error) {
	e, err := b.boolean(n.Arg, s, "argument of IS")
	if err != nil {
		return nil, err
	}
	t := &BoolTest{Arg: e}
	switch n.Booltesttype {
	case ast.IS_TRUE, ast.IS_NOT_TRUE:
		t.Want = types.Bool(true)
	case ast.IS_FALSE, ast.IS_NOT_FALSE:
		t.Want = types.Bool(false)
	}
	t.Not = n.Booltesttype == ast.IS_NOT_TRUE || n.Booltesttype == ast.IS_NOT_FALSE || n.Booltesttype == ast.IS_NOT_UNKNOWN
	return t, nil
}

func (b *binder) caseExpr(n *ast.CaseExpr, s *scope) (Expr, error) {
	c := &Case{}
	if n.Arg != nil {
		arg, err := b.expr(n.Arg, s)
		if err != nil {
			return nil, err
		}
		c.Arg = b.resolveUnknown(arg)
	}
	var results []Expr
	for _, w := range items(n.Args) {
		when, err := b.caseWhen(w.(*ast.CaseWhen), c.Arg, s)
		if err != nil {
			return nil, err
		}
		c.Whens = append(c.Whens, when)
		results = append(results, when.Result)
	}
	var els Expr = &Const{typed: ofType(types.UnknownType)}
	if n.Defresult != nil {
		e, err := b.expr(n.Defresult, s)
		if err != nil {
			return nil, err
		}
		els = e
	}
	// PostgreSQL looks at ELSE first when it chooses the result type.
	all, err := b.unify(append([]Expr{els}, results...), "CASE")
	if err != nil {
		return nil, err
	}
	c.Else = all[0]
	for i := range c.Whens {
		c.Whens[i].Result = all[i+1]
	}
	c.typed = typed{all[0].Type(), commonTypmod(all)}
	return c, nil
}

func (b *binder) caseWhen(w *ast.CaseWhen, arg Expr, s *scope) (When, error) {
	var when When
	var err error
	if arg == nil {
		when.Cond, err = b.boolean(w.Expr, s, "argument of CASE/WHEN")
	} else {
		var value Expr
		if value, err = b.expr(w.Expr, s); err == nil {
			when.Cond, err = b.opCall("=", &CaseArg{typed{arg.Type(), arg.Typmod()}}, value)
		}
	}
	if err != nil {
		return when, err
	}
	when.Result, err = b.expr(w.Result, s)
	return when, err
}

func (b *binder) exprs(ns []ast.Node, s *scope) ([]Expr, error) {
	out := make([]Expr, 0, len(ns))
	for _, n := range ns {
		e, err := b.expr(n, s)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (b *binder) coalesce(n *ast.CoalesceExpr, s *scope) (Expr, error) {
	args, err := b.exprs(items(n.Args), s)
	if err != nil {
		return nil, err
	}
	if args, err = b.unify(args, "COALESCE"); err != nil {
		return nil, err
	}
	return &Coalesce{typed{args[0].Type(), commonTypmod(args)}, args}, nil
}

func (b *binder) minMax(n *ast.MinMaxExpr, s *scope) (Expr, error) {
	name := "LEAST"
	if n.Op == ast.IS_GREATEST {
		name = "GREATEST"
	}
	args, err := b.exprs(items(n.Args), s)
	if err != nil {
		return nil, err
	}
	if args, err = b.unify(args, name); err != nil {
		return nil, err
	}
	return &MinMax{typed{args[0].Type(), commonTypmod(args)}, n.Op == ast.IS_GREATEST, args}, nil
}

func (b *binder) rowExpr(n *ast.RowExpr, s *scope) (Expr, error) {
	return b.rowOf(items(n.Args), s)
}

func (b *binder) rowOf(ns []ast.Node, s *scope) (Expr, error) {
	row := &RowExpr{typed: ofType(types.RecordType)}
	for _, n := range ns {
		if ref, ok := n.(*ast.ColumnRef); ok && isStar(ref) {
			cols, err := b.starColumns(ref, s)
			if err != nil {
				return nil, err
			}
			for _, c := range cols {
				row.Fields = append(row.Fields, b.ref(c.id))
				row.Names = append(row.Names, "f"+strconv.Itoa(len(row.Fields)))
			}
			continue
		}
		e, err := b.expr(n, s)
		if err != nil {
			return nil, err
		}
		row.Fields = append(row.Fields, b.resolveUnknown(e))
		row.Names = append(row.Names, "f"+strconv.Itoa(len(row.Fields)))
	}
	return row, nil
}

func (b *binder) collate(n *ast.CollateClause, s *scope) (Expr, error) {
	parts := names(n.Collname)
	if len(parts) > 0 {
		switch name := parts[len(parts)-1]; name {
		case "C", "POSIX", "default", "ucs_basic", "C.UTF-8", "C.utf8":
			return b.expr(n.Arg, s)
		}
	}
	return nil, sqlstate.New(sqlstate.UndefinedObject, "collation \"%s\" for encoding \"UTF8\" does not exist", strings.Join(parts, "."))
}

// sqlValueFunctions are the functions behind CURRENT_DATE and its like.
func (b *binder) sqlValue(n *ast.SQLValueFunction) (Expr, error) {
	mod := int32(types.NoTypmod)
	if n.TypeMod >= 0 {
		mod = int32(n.TypeMod)
	}
	now := func(t *types.Type) (Expr, error) {
		e, err := b.funcCall("now", nil)
		if err != nil {
			return nil, err
		}
		return b.coerce(e, t, mod, expr.Explicit)
	}
	switch n.Op {
	case ast.SVFOP_CURRENT_DATE:
		return now(types.DateType)
	case ast.SVFOP_CURRENT_TIMESTAMP, ast.SVFOP_CURRENT_TIMESTAMP_N:
		return now(types.TimestampTZType)
	case ast.SVFOP_LOCALTIMESTAMP, ast.SVFOP_LOCALTIMESTAMP_N:
		return now(types.TimestampType)
	case ast.SVFOP_LOCALTIME, ast.SVFOP_LOCALTIME_N:
		return now(types.TimeType)
	case ast.SVFOP_CURRENT_ROLE, ast.SVFOP_CURRENT_USER, ast.SVFOP_USER:
		return b.funcCall("current_user", nil)
	case ast.SVFOP_SESSION_USER:
		return b.funcCall("session_user", nil)
	case ast.SVFOP_CURRENT_CATALOG:
		return b.funcCall("current_database", nil)
	case ast.SVFOP_CURRENT_SCHEMA:
		return b.funcCall("current_schema", nil)
	}
	return nil, unsupported("time with time zone")
}

package plan

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// writingFuncs change something: they draw from or set a sequence, make the
// transaction known by a number, acknowledge something with it, or put a message
// into the log.
var writingFuncs = map[string]bool{"nextval": true, "setval": true, "txid_current": true, "pg_current_xact_id": true,
	expr.AckName: true, "pg_logical_emit_message": true}

// call binds a function call, an aggregate or a cast written as a call.
func (b *binder) call(n *ast.FuncCall, s *scope) (Expr, error) {
	parts := names(n.Funcname)
	if len(parts) == 0 {
		return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error")
	}
	name := parts[len(parts)-1]
	if len(parts) > 1 && !b.isProcedure(parts, nil) && parts[0] != "pg_catalog" && parts[0] != "tidemark" && parts[0] != "information_schema" {
		return nil, sqlstate.New(sqlstate.UndefinedFunction, "function %s does not exist", strings.Join(parts, "."))
	}
	if len(parts) > 1 && parts[0] == expr.OwnSchema {
		name = parts[0] + "." + name
		b.locking = b.locking || name == expr.AssertName
	}
	if n.Over != nil {
		return nil, unsupported("a window function (OVER)")
	}
	if n.AggWithinGroup {
		return nil, unsupported("an ordered-set aggregate (WITHIN GROUP)")
	}
	if expr.IsAggregate(name) {
		return b.aggregate(n, name, s)
	}
	if n.AggStar || n.AggDistinct || n.AggOrder != nil && len(n.AggOrder.Items) > 0 || n.AggFilter != nil {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "%s is not an aggregate function", name)
	}
	args, err := b.arguments(name, items(n.Args), s)
	if err != nil {
		return nil, err
	}
	if t, ok := castByCall(name, args); ok {
		return b.coerce(args[0], t, types.NoTypmod, expr.Explicit)
	}
	e, err := b.funcCallVariadic(name, args, n.FuncVariadic)
	if err != nil {
		if b.isProcedure(parts, args) {
			err = sqlstate.New(sqlstate.WrongObjectType, "%s(%s) is a procedure", name, argTypes(args, nil)).
				WithHint("To call a procedure, use CALL.")
		}
		return nil, b.atCall(err, names(n.Funcname)...)
	}
	if c, ok := e.(*Call); ok && c.Func.Set != nil && !s.setsAllowed() {
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "set-returning functions are not allowed in %s", s.place())
	}
	return e, nil
}

func (s *scope) setsAllowed() bool { return s != nil && s.srf }

func (s *scope) place() string {
	if s == nil || s.clause == "" {
		return "this context"
	}
	return s.clause
}

// castByCall recognises a type name used as a function of one argument, as in
// text(1) or float8('1').
func castByCall(name string, args []Expr) (*types.Type, bool) {
	if len(args) != 1 || len(expr.FuncsByName(name)) > 0 {
		return nil, false
	}
	t, ok := types.ByName(name)
	return t, ok && !t.Pseudo
}

func (b *binder) funcCall(name string, args []Expr) (Expr, error) {
	return b.funcCallVariadic(name, args, false)
}

func (b *binder) funcCallVariadic(name string, args []Expr, variadic bool) (Expr, error) {
	ts := make([]*types.Type, len(args))
	for i, a := range args {
		ts[i] = a.Type()
	}
	r, err := expr.ResolveFunc(name, ts, variadic)
	if err != nil {
		return nil, err
	}
	if writingFuncs[name] {
		b.writer, b.volatile = name, true
	}
	if name == expr.SubscribeName {
		b.subscriptions++
	}
	return b.resolved(r, args)
}

// aggCollector gathers the aggregates of one query level.
type aggCollector struct {
	aggs []Agg
	out  []ColID
	// groupings are GROUPING() calls, resolved once the grouping is known.
	groupings []*groupingCall
}

// groupingCall stands for GROUPING(…) until the grouping columns are known.
type groupingCall struct {
	typed
	args []Expr
	done Expr
}

func (b *binder) aggregate(n *ast.FuncCall, name string, s *scope) (Expr, error) {
	if s == nil {
		return nil, sqlstate.New(sqlstate.GroupingError, "aggregate functions are not allowed in %s", s.place())
	}
	outside := s.inAgg
	s.inAgg = true
	defer func() { s.inAgg = outside }()
	args, err := b.exprs(items(n.Args), s)
	if err != nil {
		return nil, err
	}
	var agg Agg
	if n.AggFilter != nil {
		if agg.Filter, err = b.boolean(n.AggFilter, s, "argument of FILTER"); err != nil {
			return nil, err
		}
	}
	for _, o := range items(n.AggOrder) {
		sb := o.(*ast.SortBy)
		if err := checkUsing(sb); err != nil {
			return nil, err
		}
		e, err := b.expr(sb.Node, s)
		if err != nil {
			return nil, err
		}
		agg.Order = append(agg.Order, sortKey(b.resolveUnknown(e), sb))
	}
	level, nested := aggregateLevel(s, append(append([]Expr{agg.Filter}, args...), keyExprs(agg.Order)...))
	if level.aggs == nil {
		return nil, sqlstate.New(sqlstate.GroupingError, "aggregate functions are not allowed in %s", level.place())
	}
	if nested || level.inAgg && (level != s || outside) {
		return nil, sqlstate.New(sqlstate.GroupingError, "aggregate function calls cannot be nested")
	}
	if !n.AggStar && len(args) == 0 && name == "count" {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "count(*) must be used to call a parameterless aggregate function")
	}
	ts := make([]*types.Type, len(args))
	for i, a := range args {
		ts[i] = a.Type()
	}
	r, err := expr.ResolveAggregate(name, ts)
	if err != nil {
		return nil, err
	}
	agg.Func, agg.Distinct = r, n.AggDistinct
	for i, a := range args {
		t := a.Type()
		if i < len(r.Args) {
			t = r.Args[i]
		}
		if a, err = b.coerce(a, t, types.NoTypmod, expr.Implicit); err != nil {
			return nil, err
		}
		agg.Args = append(agg.Args, b.resolveUnknown(a))
	}
	for _, k := range agg.Order {
		if agg.Distinct && !containsExpr(args, k.Expr) {
			return nil, sqlstate.New(sqlstate.InvalidColumnReference, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
		}
	}
	return b.collectAgg(level.aggs, agg, name), nil
}

func keyExprs(keys []SortKey) []Expr {
	var out []Expr
	eachKey(keys, func(e Expr) { out = append(out, e) })
	return out
}

// aggregateLevel is the query that an aggregate belongs to: the innermost one
// whose columns its arguments refer to, which may be one around it. nested says
// that they refer to another aggregate of that query.
func aggregateLevel(s *scope, args []Expr) (level *scope, nested bool) {
	refs := colSet{}
	for _, a := range args {
		exprRefs(a, func(id ColID) { refs[id] = true })
	}
	for sc := s; sc != nil && len(refs) > 0; sc = sc.parent {
		if sc.aggs != nil && containsID(sc.aggs.out, refs) {
			return sc, true
		}
		for _, it := range sc.items {
			for _, r := range append([]*relation{{cols: it.star}}, it.rels...) {
				for _, c := range append(append([]relCol{}, r.cols...), r.hidden...) {
					if refs[c.id] {
						return sc, false
					}
				}
			}
		}
	}
	return s, false
}

func containsID(ids []ColID, s colSet) bool {
	for _, id := range ids {
		if s[id] {
			return true
		}
	}
	return false
}

// collectAgg adds an aggregate, sharing one that is there already.
func (b *binder) collectAgg(c *aggCollector, agg Agg, name string) Expr {
	for i := range c.aggs {
		if sameAgg(&c.aggs[i], &agg) {
			return b.ref(c.out[i])
		}
	}
	id := b.newColumn(Column{Name: name, Type: agg.Func.Ret, Typmod: types.NoTypmod})
	c.aggs = append(c.aggs, agg)
	c.out = append(c.out, id)
	return b.ref(id)
}

func (b *binder) groupingFunc(n *ast.GroupingFunc, s *scope) (Expr, error) {
	if s == nil || s.aggs == nil {
		return nil, sqlstate.New(sqlstate.GroupingError, "grouping operations are not allowed in %s", s.place())
	}
	args, err := b.exprs(items(n.Args), s)
	if err != nil {
		return nil, err
	}
	g := &groupingCall{typed: ofType(types.Int4Type), args: args}
	s.aggs.groupings = append(s.aggs.groupings, g)
	return g, nil
}

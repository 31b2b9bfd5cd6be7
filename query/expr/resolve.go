package expr

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// candidate is a function or operator under consideration with its parameter
// list brought to the length of the call.
type candidate struct {
	args     []*types.Type
	fn       *Func
	agg      *Aggregate
	op       *Operator
	variadic bool // the last parameter was expanded
}

// matchExact reports whether the candidate takes exactly the given types.
func (c *candidate) matchExact(args []*types.Type) bool { return slices.Equal(c.args, args) }

// matchImplicit reports whether every argument can be coerced implicitly.
func (c *candidate) matchImplicit(args []*types.Type) bool {
	for i, a := range args {
		if !canCoerce(a, c.args[i], Implicit) {
			return false
		}
	}
	_, ok1 := solveExact(c.args, args)
	_, ok2 := solveCompatible(c.args, args)
	return ok1 && ok2
}

// selectCandidate applies PostgreSQL's rules to candidates that all accept
// the arguments (func_select_candidate in parse_func.c). It returns nil when
// the call is ambiguous.
func selectCandidate(args []*types.Type, list []*candidate) *candidate {
	if len(list) == 1 {
		return list[0]
	}
	unknowns := 0
	for _, a := range args {
		if a == types.UnknownType {
			unknowns++
		}
	}
	// Most exact matches on known arguments.
	list = keepBest(list, func(c *candidate) int {
		n := 0
		for i, a := range args {
			if a != types.UnknownType && c.args[i] == a {
				n++
			}
		}
		return n
	})
	if len(list) == 1 {
		return list[0]
	}
	// Most exact or preferred matches, where a coercion is needed.
	list = keepBest(list, func(c *candidate) int {
		n := 0
		for i, a := range args {
			if a != types.UnknownType && (c.args[i] == a || isPreferred(a.Category, c.args[i])) {
				n++
			}
		}
		return n
	})
	if len(list) == 1 {
		return list[0]
	}
	if unknowns == 0 {
		return nil
	}
	if picked := resolveUnknowns(args, list); len(picked) == 1 {
		return picked[0]
	} else if len(picked) > 1 {
		list = picked
	}
	return assumeSameType(args, list, unknowns)
}

func isPreferred(category types.Category, t *types.Type) bool {
	return t.Category == category && t.Preferred
}

func keepBest(list []*candidate, score func(*candidate) int) []*candidate {
	best := -1
	var out []*candidate
	for _, c := range list {
		switch n := score(c); {
		case n > best:
			best = n
			out = []*candidate{c}
		case n == best:
			out = append(out, c)
		}
	}
	return out
}

// resolveUnknowns decides a type category for each unknown argument and drops
// the candidates that do not accept it.
func resolveUnknowns(args []*types.Type, list []*candidate) []*candidate {
	category := make([]types.Category, len(args))
	preferred := make([]bool, len(args))
	for i, a := range args {
		if a != types.UnknownType {
			continue
		}
		category[i], preferred[i] = list[0].args[i].Category, list[0].args[i].Preferred
		conflict := false
		for _, c := range list[1:] {
			t := c.args[i]
			switch {
			case t.Category == category[i]:
				preferred[i] = preferred[i] || t.Preferred
			case t.Category == types.CategoryString:
				category[i], preferred[i], conflict = t.Category, t.Preferred, false
			case category[i] != types.CategoryString:
				conflict = true
			}
		}
		if conflict && category[i] != types.CategoryString {
			return nil
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool {
		for i, a := range args {
			if a != types.UnknownType {
				continue
			}
			if c.args[i].Category != category[i] || preferred[i] && !c.args[i].Preferred {
				return true
			}
		}
		return false
	})
}

// assumeSameType is the last resort: unknown arguments are taken to be of the
// type that all known ones share.
func assumeSameType(args []*types.Type, list []*candidate, unknowns int) *candidate {
	if unknowns == len(args) {
		return nil
	}
	var known *types.Type
	for _, a := range args {
		if a == types.UnknownType {
			continue
		}
		if known != nil && known != a {
			return nil
		}
		known = a
	}
	same := make([]*types.Type, len(args))
	for i := range same {
		same[i] = known
	}
	var found *candidate
	for _, c := range list {
		if !c.matchImplicit(same) {
			continue
		}
		if found != nil {
			return nil
		}
		found = c
	}
	return found
}

// expandArgs brings a function's parameters to the length of a call; ok is
// false when it cannot take that many.
func expandArgs(params []*types.Type, isVariadic bool, n int, asArray bool) (args []*types.Type, expanded, ok bool) {
	if len(params) == n && (!isVariadic || asArray) {
		return params, false, true
	}
	if !isVariadic || asArray || n < len(params) {
		return nil, false, false
	}
	last := params[len(params)-1]
	switch last {
	case types.AnyArrayType:
		last = types.AnyElementType
	case types.AnyCompatibleArrayType:
		last = types.AnyCompatibleType
	default:
		if last.Elem != nil {
			last = last.Elem
		}
	}
	args = append([]*types.Type(nil), params[:len(params)-1]...)
	for len(args) < n {
		args = append(args, last)
	}
	return args, true, true
}

// pick resolves a call among candidates of the right number of arguments;
// ambiguous is set when several fit equally well.
func pick(args []*types.Type, list []*candidate) (found *candidate, ambiguous bool) {
	for _, c := range list {
		if c.matchExact(args) && !c.variadic {
			return c, false
		}
	}
	for _, c := range list {
		if c.matchExact(args) {
			return c, false
		}
	}
	fit := slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool { return !c.matchImplicit(args) })
	if len(fit) == 0 {
		return nil, false
	}
	// A function that takes the arguments without expansion hides one with the
	// same types that needs it.
	fit = slices.DeleteFunc(fit, func(c *candidate) bool {
		return c.variadic && slices.ContainsFunc(fit, func(o *candidate) bool { return !o.variadic && slices.Equal(o.args, c.args) })
	})
	c := selectCandidate(args, fit)
	return c, c == nil
}

// SelectSignature chooses among lists of parameter types, each as long as args,
// as ResolveFunc does among functions: -1 when none fits.
func SelectSignature(args []*types.Type, lists [][]*types.Type) (best int, ambiguous bool) {
	list := make([]*candidate, len(lists))
	for i, l := range lists {
		list[i] = &candidate{args: l}
	}
	c, ambiguous := pick(args, list)
	return slices.Index(list, c), ambiguous
}

// ResolveFunc finds the function that a call means. args are the types of the
// arguments (types.UnknownType for untyped literals); variadic is set for a
// call with the keyword VARIADIC. Errors: 42883, 42725, 0A000 for a function
// PostgreSQL has and we have not.
func ResolveFunc(name string, args []*types.Type, variadic bool) (*Resolved, error) {
	var list []*candidate
	for _, f := range lib.funcByName[name] {
		if params, expanded, ok := expandArgs(f.Args, f.Variadic, len(args), variadic); ok {
			list = append(list, &candidate{args: params, fn: f, variadic: expanded})
		}
	}
	if len(args) == 1 && !variadic && !slices.ContainsFunc(list, func(c *candidate) bool { return c.matchExact(args) }) {
		if t, ok := FuncCast(name, args[0]); ok {
			return castCall(name, args[0], t), nil
		}
	}
	c, ambiguous := pick(args, list)
	if ambiguous {
		return nil, sqlstate.New(sqlstate.AmbiguousFunction, "function %s(%s) is not unique", name, sqlNames(args)).
			WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
	}
	if c == nil {
		return nil, UndefinedFunction(name, args)
	}
	return c.resolved(args)
}

// UndefinedFunction is the error 42883 for a call that no function fits.
func UndefinedFunction(name string, args []*types.Type) error {
	return sqlstate.New(sqlstate.UndefinedFunction, "function %s(%s) does not exist", name, sqlNames(args)).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// resolved solves polymorphism and binds the function to the actual types.
func (c *candidate) resolved(args []*types.Type) (*Resolved, error) {
	f := c.fn
	if !f.Implemented() {
		return nil, unsupported("function %s(%s) is not supported", f.Name, sqlNames(f.Args))
	}
	params, ret, ok := solvePolymorphic(c.args, args, f.Ret)
	if !ok {
		return nil, sqlstate.New(sqlstate.DatatypeMismatch, "could not determine polymorphic type because input has type unknown")
	}
	out := &Resolved{Func: f, Ret: ret, VariadicCall: c.variadic, Operator: c.op}
	out.Args = make([]*types.Type, len(params))
	for i, p := range params {
		out.Args[i] = p
		if p == types.AnyType {
			out.Args[i] = args[i] // "any" takes what comes, literals included
		}
	}
	actual := *f
	actual.Ret = ret
	b := &binding{args: out.Args, ret: ret}
	if f.bind != nil {
		actual.Eval = f.bind(b)
	}
	if f.bindSet != nil {
		actual.Set = f.bindSet(b)
	}
	if len(f.OutTypes) > 0 {
		actual.OutTypes = slices.Clone(f.OutTypes)
		for i, t := range f.OutTypes {
			if isPolymorphic(t) {
				_, actual.OutTypes[i], _ = solvePolymorphic(c.args, args, t)
			}
		}
	}
	out.Func = &actual
	if last := len(f.Args) - 1; f.Variadic && f.Args[last] != types.AnyType && c.variadic {
		packVariadic(&actual, last, out.Args[len(out.Args)-1])
	} else if f.Variadic && f.Args[last] == types.AnyType && !c.variadic {
		unpackVariadic(&actual, f, b)
	}
	return out, nil
}

// packVariadic makes the arguments from position n on into one array.
func packVariadic(f *Func, n int, elem *types.Type) {
	strict := f.Strict
	f.Strict = false
	pack := func(args []datum) ([]datum, bool) {
		for _, a := range args[:n] {
			if strict && a.IsNull() {
				return nil, false
			}
		}
		packed := append([]datum(nil), args[:n]...)
		return append(packed, types.ArrayDatum(types.NewArray(elem, append([]datum(nil), args[n:]...)))), true
	}
	if eval := f.Eval; eval != nil {
		f.Eval = func(c *Ctx, args []datum) (datum, error) {
			packed, ok := pack(args)
			if !ok {
				return null, nil
			}
			return eval(c, packed)
		}
	}
	if set := f.Set; set != nil {
		f.Set = func(c *Ctx, args []datum) (RowIter, error) {
			packed, ok := pack(args)
			if !ok {
				return &sliceIter{}, nil
			}
			return set(c, packed)
		}
	}
}

// unpackVariadic makes a call f(…, VARIADIC array) of a function over "any".
func unpackVariadic(actual, f *Func, b *binding) {
	last := len(b.args) - 1
	elem := b.args[last].Elem
	actual.Eval = func(c *Ctx, args []datum) (datum, error) {
		if args[last].IsNull() {
			return null, nil
		}
		flat := append([]datum(nil), args[:last]...)
		ts := slices.Clone(b.args[:last])
		if args[last].Kind() != types.KindArray {
			return null, sqlstate.New(sqlstate.InvalidParameterValue, "VARIADIC argument must be an array")
		}
		for _, e := range args[last].Array().Elems {
			flat, ts = append(flat, e), append(ts, elem)
		}
		if f.bind != nil {
			return f.bind(&binding{args: ts, ret: b.ret})(c, flat)
		}
		return f.Eval(c, flat)
	}
}

// ResolveOperator finds the operator that an expression means; left is nil for
// a prefix operator. Errors: 42883, 42725, 0A000.
func ResolveOperator(op string, left, right *types.Type) (*Resolved, error) {
	if op == "!=" {
		op = "<>"
	}
	args := []*types.Type{left, right}
	if left == nil {
		args = args[1:]
	}
	var list []*candidate
	for _, o := range lib.operByName[op] {
		if (o.Left == nil) != (left == nil) {
			continue
		}
		c := &candidate{args: []*types.Type{o.Left, o.Right}, op: o, fn: o.Func}
		if left == nil {
			c.args = c.args[1:]
		}
		list = append(list, c)
	}
	c, ambiguous := pickOperator(args, list)
	if ambiguous {
		return nil, sqlstate.New(sqlstate.AmbiguousFunction, "operator is not unique: %s", operatorText(op, left, right)).
			WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
	}
	if c == nil {
		e := sqlstate.New(sqlstate.UndefinedFunction, "operator does not exist: %s", operatorText(op, left, right))
		if left == nil {
			return nil, e.WithHint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
		}
		return nil, e.WithHint("No operator matches the given name and argument types. You might need to add explicit type casts.")
	}
	if !c.fn.Implemented() {
		return nil, unsupported("operator %s is not supported", operatorText(op, c.op.Left, c.op.Right))
	}
	return c.resolved(args)
}

func operatorText(op string, left, right *types.Type) string {
	if left == nil {
		return op + " " + right.SQLName
	}
	return left.SQLName + " " + op + " " + right.SQLName
}

// pickOperator adds the rule of binary operators: one unknown operand is
// first taken to be of the other's type.
func pickOperator(args []*types.Type, list []*candidate) (*candidate, bool) {
	if len(args) == 2 {
		same := slices.Clone(args)
		if same[0] == types.UnknownType {
			same[0] = same[1]
		} else if same[1] == types.UnknownType {
			same[1] = same[0]
		}
		for _, c := range list {
			if c.matchExact(same) {
				return c, false
			}
		}
	}
	return pick(args, list)
}

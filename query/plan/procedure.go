package plan

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Routine is the procedure whose body a statement is part of: names that are no
// columns may be those of its parameters, which are the statement's own.
type Routine struct {
	ID     catalog.ID
	Name   string
	Params []string
}

// RoutineOf describes a procedure to the statements of its body.
func RoutineOf(p *catalog.Procedure) *Routine {
	r := &Routine{ID: p.ID, Name: p.Name}
	for i := range p.Params {
		r.Params = append(r.Params, p.Params[i].Name)
	}
	return r
}

// param finds the parameter that a dotted name means; -1 for none.
func (r *Routine) param(parts []string) int {
	switch {
	case r == nil || len(parts) == 0 || len(parts) > 2, len(parts) == 2 && parts[0] != r.Name, parts[len(parts)-1] == "":
		return -1
	}
	return slices.Index(r.Params, parts[len(parts)-1])
}

// CallProcedure is CALL.
type CallProcedure struct {
	Procedure *catalog.Procedure
	Args      []Expr // one for each parameter
}

const callClause = "CALL arguments"

// callArg is one argument of CALL.
type callArg struct {
	name  string // "" for a positional one
	value Expr
}

// argTypes prints the types of arguments as messages have them.
func argTypes(args []Expr, names []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a.Type().String()
		if i < len(names) && names[i] != "" {
			out[i] = names[i] + " => " + out[i]
		}
	}
	return strings.Join(out, ", ")
}

// proceduresNamed finds the procedures that a name may mean: along the search
// path, those of one schema hiding what has the same parameters in a later one.
func (b *binder) proceduresNamed(parts []string) ([]*catalog.Procedure, error) {
	name, path := parts[len(parts)-1], b.env.SearchPath
	if len(parts) > 1 {
		path = parts[len(parts)-2 : len(parts)-1]
		if b.env.Catalog.SchemaByName(path[0]) == nil {
			return nil, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", path[0])
		}
	}
	var out []*catalog.Procedure
	for _, schema := range path {
		s := b.env.Catalog.SchemaByName(schema)
		if s == nil {
			continue
		}
		for _, p := range b.env.Catalog.Procedures(catalog.Name{Schema: s.ID, Name: name}) {
			hidden := func(o *catalog.Procedure) bool { return slices.Equal(o.ParamTypes(), p.ParamTypes()) }
			if !slices.ContainsFunc(out, hidden) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// isProcedure reports whether a call that is no function's names a procedure;
// args are nil when any will do.
func (b *binder) isProcedure(parts []string, args []Expr) bool {
	list, err := b.proceduresNamed(parts)
	if err != nil || args == nil {
		return err == nil && len(list) > 0
	}
	_, _, ambiguous := chooseProcedure(list, positional(args))
	found, _, _ := chooseProcedure(list, positional(args))
	return found != nil || ambiguous
}

func positional(args []Expr) []callArg {
	out := make([]callArg, len(args))
	for i, a := range args {
		out[i].value = a
	}
	return out
}

// arrange lays arguments out by a procedure's parameters: at[i] is the parameter
// that argument i is for; ok is false when they do not fit.
func arrange(p *catalog.Procedure, args []callArg) (at []int, ok bool) {
	if len(args) > len(p.Params) {
		return nil, false
	}
	given := make([]bool, len(p.Params))
	for i, a := range args {
		n := i
		if a.name != "" {
			n = slices.IndexFunc(p.Params, func(x catalog.Param) bool { return x.Name == a.name })
		}
		if n < 0 || given[n] {
			return nil, false
		}
		given[n] = true
		at = append(at, n)
	}
	for n := range p.Params {
		if !given[n] && p.Params[n].Default == "" {
			return nil, false
		}
	}
	return at, true
}

// chooseProcedure picks the procedure that fits a call best, and says which
// parameters its arguments are for.
func chooseProcedure(list []*catalog.Procedure, args []callArg) (found *catalog.Procedure, at []int, ambiguous bool) {
	ts := make([]*types.Type, len(args))
	for i, a := range args {
		ts[i] = a.value.Type()
	}
	var fit []*catalog.Procedure
	var ats [][]int
	var lists [][]*types.Type
	for _, p := range list {
		at, ok := arrange(p, args)
		if !ok {
			continue
		}
		params := make([]*types.Type, len(args))
		for i, n := range at {
			params[i], _ = types.ByOID(p.Params[n].Type)
		}
		fit, ats, lists = append(fit, p), append(ats, at), append(lists, params)
	}
	best, ambiguous := expr.SelectSignature(ts, lists)
	if best < 0 {
		return nil, nil, ambiguous
	}
	return fit[best], ats[best], false
}

// callStmt binds CALL.
func (b *binder) callStmt(n *ast.CallStmt) (*Statement, error) {
	fn := n.Funccall
	parts := names(fn.Funcname)
	name := strings.Join(parts, ".")
	list, err := b.proceduresNamed(parts)
	if err != nil {
		return nil, b.atCall(err, parts...)
	}
	args, err := b.callArgs(fn)
	if err != nil {
		return nil, err
	}
	p, at, ambiguous := chooseProcedure(list, args)
	if p == nil {
		values, labels := make([]Expr, len(args)), make([]string, len(args))
		for i, a := range args {
			values[i], labels[i] = a.value, a.name
		}
		return nil, b.atCall(noProcedure(parts, name, values, labels, ambiguous), parts...)
	}
	c := &CallProcedure{Procedure: p, Args: make([]Expr, len(p.Params))}
	for i, a := range args {
		t, _ := types.ByOID(p.Params[at[i]].Type)
		if c.Args[at[i]], err = b.coerce(a.value, t, types.NoTypmod, expr.Implicit); err != nil {
			return nil, err
		}
	}
	for i := range c.Args {
		if c.Args[i] != nil {
			continue
		}
		t, _ := types.ByOID(p.Params[i].Type)
		e, err := b.storedExpr(p.Params[i].Default, &scope{clause: "DEFAULT expressions"})
		if err != nil {
			return nil, err
		}
		if c.Args[i], err = b.coerce(e, t, types.NoTypmod, expr.Assignment); err != nil {
			return nil, err
		}
	}
	return &Statement{Tag: "CALL", Call: c}, b.bodiesFrom(p)
}

// callArgs binds the arguments of CALL.
func (b *binder) callArgs(fn *ast.FuncCall) ([]callArg, error) {
	if fn.FuncVariadic || fn.AggStar || fn.AggDistinct || fn.Over != nil {
		return nil, unsupported("this form of CALL")
	}
	var out []callArg
	s := &scope{clause: callClause}
	for _, it := range items(fn.Args) {
		var a callArg
		if named, ok := it.(*ast.NamedArgExpr); ok {
			a.name, it = named.Name, named.Arg
			if slices.ContainsFunc(out, func(o callArg) bool { return o.name == a.name }) {
				return nil, sqlstate.New(sqlstate.SyntaxError, "argument name \"%s\" used more than once", a.name)
			}
		} else if len(out) > 0 && out[len(out)-1].name != "" {
			return nil, sqlstate.New(sqlstate.SyntaxError, "positional argument cannot follow named argument")
		}
		var err error
		if a.value, err = b.expr(it, s); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func noProcedure(parts []string, name string, args []Expr, labels []string, ambiguous bool) error {
	call := name + "(" + argTypes(args, labels) + ")"
	if ambiguous {
		return sqlstate.New(sqlstate.AmbiguousFunction, "procedure %s is not unique", call).
			WithHint("Could not choose a best candidate procedure. You might need to add explicit type casts.")
	}
	if len(parts) == 1 || parts[0] == "pg_catalog" {
		ts := make([]*types.Type, len(args))
		for i, a := range args {
			ts[i] = a.Type()
		}
		if _, err := expr.ResolveFunc(parts[len(parts)-1], ts, false); err == nil {
			return sqlstate.New(sqlstate.WrongObjectType, "%s is not a procedure", call).WithHint("To call a function, use SELECT.")
		}
	}
	return sqlstate.New(sqlstate.UndefinedFunction, "procedure %s does not exist", call).
		WithHint("No procedure matches the given name and argument types. You might need to add explicit type casts.")
}

// bodySet are procedures to be looked at, each once.
type bodySet struct {
	seen  map[catalog.ID]bool
	queue []*catalog.Procedure
}

func (s *bodySet) add(p *catalog.Procedure) {
	if !s.seen[p.ID] {
		s.seen[p.ID] = true
		s.queue = append(s.queue, p)
	}
}

// bodiesFrom binds the statements of a procedure that is called, and of those
// that it calls, for what they look at and depend on: CALL looks at and depends
// on the same. Within a body it only notes what is called, so that however
// procedures call each other, each is looked at once and nothing nests.
func (b *binder) bodiesFrom(p *catalog.Procedure) error {
	if b.env.bodies != nil {
		b.env.bodies.add(p)
		return nil
	}
	set := &bodySet{seen: map[catalog.ID]bool{}}
	set.add(p)
	for len(set.queue) > 0 {
		next := set.queue[0]
		set.queue = set.queue[1:]
		env := BodyEnv(b.env, next)
		env.bodies = set
		if err := b.body(env, next); err != nil {
			return err
		}
	}
	return nil
}

// body binds the statements of one procedure.
func (b *binder) body(env Env, p *catalog.Procedure) error {
	for _, text := range p.Body {
		q, err := bodyQuery(text)
		if err != nil {
			return err
		}
		st, err := q.Bind(env)
		if err != nil {
			return bodyError(err)
		}
		for _, id := range st.Reads {
			b.read(id)
		}
		b.allTables, b.local = b.allTables || st.AllTables, b.local || st.Local
		b.volatile = b.volatile || st.Volatile
		if b.writer == "" {
			b.writer = st.Writer
		}
		b.uncacheable = b.uncacheable || st.Uncacheable
		if b.unportable == "" {
			b.unportable = st.Unportable
		}
	}
	return nil
}

// bodyError takes the position off an error in a procedure's body: it does not
// count from the beginning of the statement that the client has sent.
func bodyError(err error) error {
	e := *sqlstate.As(err)
	e.Position = 0
	return &e
}

// BodyEnv is the environment of a statement of p's body.
func BodyEnv(env Env, p *catalog.Procedure) Env {
	env.Routine, env.Write, env.Params = RoutineOf(p), true, nil
	env.bodies = &bodySet{seen: map[catalog.ID]bool{}}
	for _, oid := range p.ParamTypes() {
		t, _ := types.ByOID(oid)
		env.Params = append(env.Params, t)
	}
	if p.Atomic {
		env.SearchPath = p.SearchPath
	}
	return env
}

package exec

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func (d *ddl) createProcedure(s *plan.CreateProcedure) error {
	schema, err := d.schemaFor(s.Name)
	if err != nil {
		return err
	}
	p := &catalog.Procedure{Schema: schema.ID, Name: s.Name.Name, Owner: d.rt.User, Params: s.Params, Body: s.Body,
		Source: s.Source, Atomic: s.Atomic}
	if s.Atomic {
		p.SearchPath = slices.Clone(d.rt.SearchPath)
	}
	if old := d.sameProcedure(schema.ID, p); old != nil {
		if err := replaceable(s, old); err != nil {
			return err
		}
		p.ID, p.Owner, p.Comment = old.ID, old.Owner, old.Comment
	} else {
		p.ID = d.rt.Txn.NewID()
	}
	d.rt.Txn.PutDescriptor(p)
	return d.checkBody(p)
}

// sameProcedure finds the procedure with the name and the parameter types of p.
func (d *ddl) sameProcedure(schema catalog.ID, p *catalog.Procedure) *catalog.Procedure {
	for _, o := range d.cat().Procedures(catalog.Name{Schema: schema, Name: p.Name}) {
		if slices.Equal(o.ParamTypes(), p.ParamTypes()) {
			return o
		}
	}
	return nil
}

// replaceable checks that a procedure may be replaced: calls by name, or that
// leave an argument out, must go on to mean what they do.
func replaceable(s *plan.CreateProcedure, old *catalog.Procedure) error {
	if !s.Replace {
		return sqlstate.New(sqlstate.DuplicateFunction, "function \"%s\" already exists with same argument types", old.Name)
	}
	hint := "Use DROP PROCEDURE " + signature(old.Name, old.ParamTypes(), ",") + " first."
	for i, was := range old.Params {
		is := s.Params[i]
		if was.Name != "" && was.Name != is.Name {
			return sqlstate.New(sqlstate.InvalidFunctionDefinition, "cannot change name of input parameter \"%s\"", was.Name).WithHint("%s", hint)
		}
		if was.Default != "" && is.Default == "" {
			return sqlstate.New(sqlstate.InvalidFunctionDefinition, "cannot remove parameter defaults from existing function").WithHint("%s", hint)
		}
	}
	return nil
}

// signature prints a procedure as name(type, type).
func signature(name string, params []types.OID, separator string) string {
	list := make([]string, len(params))
	for i, oid := range params {
		t, _ := types.ByOID(oid)
		list[i] = t.String()
	}
	return name + "(" + strings.Join(list, separator) + ")"
}

// checkBody binds the statements of a body, so that mistakes show when it is
// defined. The procedure itself is there already: it may call itself.
func (d *ddl) checkBody(p *catalog.Procedure) error {
	env := plan.BodyEnv(d.env(), p)
	for _, text := range p.Body {
		q, err := plan.ParseQuery(text)
		if err != nil {
			return err
		}
		if _, err := q.Bind(env); err != nil {
			e := *sqlstate.As(err)
			e.Position = 0 // it counts from the beginning of the body's statement
			return &e
		}
	}
	return nil
}

// procedure finds the procedure that a definition names; nil when there is none.
func (d *ddl) procedure(n plan.RoutineName) (*catalog.Procedure, error) {
	path := d.rt.SearchPath
	if n.Name.Schema != "" {
		path = []string{n.Name.Schema}
		if d.cat().SchemaByName(n.Name.Schema) == nil {
			return nil, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", n.Name.Schema)
		}
	}
	want := make([]types.OID, len(n.Args))
	for i, t := range n.Args {
		want[i] = t.OID
	}
	var found []*catalog.Procedure
	for _, name := range path {
		schema := d.cat().SchemaByName(name)
		if schema == nil {
			continue
		}
		for _, p := range d.cat().Procedures(catalog.Name{Schema: schema.ID, Name: n.Name.Name}) {
			if n.Any {
				found = append(found, p)
			} else if slices.Equal(p.ParamTypes(), want) {
				return p, nil
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, sqlstate.New(sqlstate.AmbiguousFunction, "procedure name \"%s\" is not unique", n.Name.Name).
		WithHint("Specify the argument list to select the procedure unambiguously.")
}

func noProcedure(n plan.RoutineName) error {
	if n.Any {
		return sqlstate.New(sqlstate.UndefinedFunction, "could not find a procedure named \"%s\"", qualified(n.Name))
	}
	return sqlstate.New(sqlstate.UndefinedFunction, "procedure %s does not exist", routineText(n))
}

func qualified(n plan.Name) string {
	if n.Schema != "" {
		return n.Schema + "." + n.Name
	}
	return n.Name
}

func routineText(n plan.RoutineName) string {
	oids := make([]types.OID, len(n.Args))
	for i, t := range n.Args {
		oids[i] = t.OID
	}
	return signature(qualified(n.Name), oids, ", ")
}

func (d *ddl) dropProcedure(s *plan.DropProcedure) error {
	for _, n := range s.Names {
		p, err := d.procedure(n)
		if err != nil && !(s.IfExists && sqlstate.CodeOf(err) == sqlstate.InvalidSchemaName) {
			return err
		}
		switch {
		case p != nil:
			d.rt.Txn.DeleteDescriptor(p.ID)
		case s.IfExists:
			d.rt.notice("procedure %s does not exist, skipping", routineText(n))
		default:
			return noProcedure(n)
		}
	}
	return nil
}

func (d *ddl) alterProcedure(s *plan.AlterProcedure) error {
	p, err := d.procedure(s.Name)
	if err != nil {
		return err
	}
	if p == nil {
		return noProcedure(s.Name)
	}
	n := *p
	if s.Owner != "" {
		n.Owner = s.Owner
	} else if n.Name = s.New; d.sameProcedure(p.Schema, &n) != nil {
		return sqlstate.New(sqlstate.DuplicateFunction, "function %s already exists in schema \"%s\"",
			signature(n.Name, n.ParamTypes(), ", "), d.schemaNamed(p.Schema))
	}
	d.rt.Txn.PutDescriptor(&n)
	return nil
}

func (d *ddl) schemaNamed(id catalog.ID) string {
	if s, ok := d.descriptor(id).(*catalog.Schema); ok {
		return s.Name
	}
	return ""
}

package exec

import (
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func (d *ddl) createPublication(s *plan.CreatePublication) error {
	if d.cat().Publication(s.Name) != nil {
		return publicationExists(s.Name)
	}
	p := &catalog.Publication{ID: d.rt.Txn.NewID(), Name: s.Name, Owner: d.rt.User, AllTables: s.AllTables,
		Insert: true, Update: true, Delete: true, Truncate: true}
	applyOptions(p, s.Options)
	if err := d.addObjects(p, &s.Objects); err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(p)
	return nil
}

func publicationExists(name string) error {
	return sqlstate.New(sqlstate.DuplicateObject, "publication \"%s\" already exists", name)
}

// publicationNamed finds a publication that must exist.
func (d *ddl) publicationNamed(name string) (*catalog.Publication, error) {
	if p := d.cat().Publication(name); p != nil {
		return p, nil
	}
	return nil, sqlstate.New(sqlstate.UndefinedObject, "publication \"%s\" does not exist", name)
}

func applyOptions(p *catalog.Publication, o plan.PublicationOptions) {
	if a := o.Publish; a != nil {
		p.Insert, p.Update, p.Delete, p.Truncate = a.Insert, a.Update, a.Delete, a.Truncate
	}
	if o.ViaRoot != nil {
		p.ViaRoot = *o.ViaRoot
	}
}

func clonePublication(p *catalog.Publication) *catalog.Publication {
	n := *p
	n.Tables = slices.Clone(p.Tables)
	n.Schemas = slices.Clone(p.Schemas)
	return &n
}

func (d *ddl) setPublication(s *plan.SetPublication) error {
	p, err := d.publicationNamed(s.Name)
	if err != nil {
		return err
	}
	n := clonePublication(p)
	switch {
	case s.New != "":
		if d.cat().Publication(s.New) != nil {
			return publicationExists(s.New)
		}
		n.Name = s.New
	case s.Own:
		if n.Owner = s.Owner; n.Owner == "" {
			n.Owner = d.rt.User
		}
	default:
		applyOptions(n, s.Options)
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func (d *ddl) dropPublication(s *plan.DropPublication) error {
	var ids []catalog.ID
	for _, name := range s.Names {
		p, err := d.publicationNamed(name)
		switch {
		case err == nil:
			ids = append(ids, p.ID)
		case s.IfExists:
			d.rt.notice("publication \"%s\" does not exist, skipping", name)
		default:
			return err
		}
	}
	for _, id := range ids {
		d.rt.Txn.DeleteDescriptor(id)
	}
	return nil
}

func (d *ddl) alterPublication(s *plan.AlterPublication) error {
	p, err := d.publicationNamed(s.Name)
	if err != nil {
		return err
	}
	n := clonePublication(p)
	if s.Action == plan.DropObjects {
		err = d.dropObjects(n, &s.Objects)
	} else {
		if s.Action == plan.SetObjects && !p.AllTables {
			n.Tables, n.Schemas = nil, nil
		}
		if err = d.addObjects(n, &s.Objects); err == nil && s.Action == plan.SetObjects {
			keepMembers(n, p)
		}
	}
	if err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// keepMembers gives what a publication had before, and has again, its ID back.
func keepMembers(n, before *catalog.Publication) {
	for i := range n.Tables {
		t := &n.Tables[i]
		if old := before.Member(t.Table); old != nil && old.Filter == t.Filter && slices.Equal(old.Columns, t.Columns) {
			t.ID = old.ID
		}
	}
	for i := range n.Schemas {
		for _, old := range before.Schemas {
			if old.Schema == n.Schemas[i].Schema {
				n.Schemas[i].ID = old.ID
			}
		}
	}
}

// notForAll refuses to change the objects of a publication of all tables.
func notForAll(p *catalog.Publication, schemas, tables bool) error {
	what := "Tables"
	if schemas {
		what = "Schemas"
	}
	if !p.AllTables || !schemas && !tables {
		return nil
	}
	return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "publication \"%s\" is defined as FOR ALL TABLES", p.Name).
		WithDetail("%s cannot be added to or dropped from FOR ALL TABLES publications.", what)
}

// publishedObjects are tables and schemas that a publication is to have or to lose.
type publishedObjects struct {
	schemas []*catalog.Schema
	tables  []*catalog.Table
	specs   []*plan.PublicationTableSpec // by table
}

// publishedObjects finds what is to be added to p or dropped from it.
func (d *ddl) publishedObjects(p *catalog.Publication, o *plan.PublicationObjects) (found publishedObjects, err error) {
	if found.schemas, err = d.publishedSchemas(o.Schemas); err != nil {
		return found, err
	}
	if err := notForAll(p, len(found.schemas) > 0, len(o.Tables) > 0); err != nil {
		return found, err
	}
	found.specs, found.tables, err = d.publishedTables(o.Tables)
	return found, err
}

// addObjects adds tables and schemas to a publication that is not in the catalog
// as it is.
func (d *ddl) addObjects(p *catalog.Publication, o *plan.PublicationObjects) error {
	found, err := d.publishedObjects(p, o)
	if err != nil {
		return err
	}
	before := len(p.Tables)
	for i, t := range found.tables {
		if err := d.addTable(p, t, found.specs[i], before, len(p.Schemas)+len(found.schemas) > 0); err != nil {
			return err
		}
	}
	return d.addSchemas(p, found.schemas, before)
}

// publishedTables finds the tables of a list, each once.
func (d *ddl) publishedTables(list []plan.PublicationTableSpec) (specs []*plan.PublicationTableSpec, tables []*catalog.Table, err error) {
	for i := range list {
		s := &list[i]
		t, err := d.publishable(s.Table)
		if err != nil {
			return nil, nil, err
		}
		at := slices.Index(tables, t)
		switch {
		case at < 0:
			specs, tables = append(specs, s), append(tables, t)
		case s.Filtered() || specs[at].Filtered():
			return nil, nil, sqlstate.New(sqlstate.DuplicateObject, "conflicting or redundant WHERE clauses for table \"%s\"", t.Name)
		case s.Columns != nil || specs[at].Columns != nil:
			return nil, nil, sqlstate.New(sqlstate.DuplicateObject, "conflicting or redundant column lists for table \"%s\"", t.Name)
		}
	}
	return specs, tables, nil
}

// publishable finds a relation that a publication is to have.
func (d *ddl) publishable(n plan.Name) (*catalog.Table, error) {
	id, err := d.resolve(n)
	if sqlstate.CodeOf(err) == sqlstate.InsufficientPrivilege {
		return nil, notPublishable(n.Name, "system tables")
	}
	if err != nil {
		return nil, err
	}
	if t := d.cat().Table(id); t != nil {
		return t, nil
	}
	if t, _ := d.cat().IndexTable(id); t != nil {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is an index", n.Name)
	}
	if d.cat().Sequence(id) != nil {
		return nil, notPublishable(n.Name, "sequences")
	}
	if n.Schema == "" && syscat.Lookup("pg_catalog", n.Name) != nil {
		return nil, notPublishable(n.Name, "system tables")
	}
	return nil, undefined(n)
}

func notPublishable(name, kind string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "cannot add relation \"%s\" to publication", name).
		WithDetail("This operation is not supported for %s.", kind)
}

// addTable adds one table; before is how many the publication had already.
func (d *ddl) addTable(p *catalog.Publication, t *catalog.Table, s *plan.PublicationTableSpec, before int, withSchemas bool) error {
	m := catalog.PublicationTable{ID: d.rt.Txn.NewID(), Table: t.ID}
	var err error
	if s.Filtered() {
		if m.Filter, m.FilterColumns, err = plan.BindFilter(d.env(), s, t); err != nil {
			return err
		}
	}
	if s.Columns != nil && withSchemas {
		return sqlstate.New(sqlstate.InvalidParameterValue, "cannot use column list for relation \"%s.%s\" in publication \"%s\"", schemaName(d.rt, t), t.Name, p.Name).
			WithDetail("Column lists cannot be specified in publications containing FOR TABLES IN SCHEMA elements.")
	}
	if slices.ContainsFunc(p.Tables[:before], func(o catalog.PublicationTable) bool { return o.Table == t.ID }) {
		return sqlstate.New(sqlstate.DuplicateObject, "relation \"%s\" is already member of publication \"%s\"", t.Name, p.Name)
	}
	if m.Columns, err = publishedColumns(t, s.Columns); err != nil {
		return err
	}
	p.Tables = append(p.Tables, m)
	return nil
}

// publishedColumns reads a column list; nil stays nil.
func publishedColumns(t *catalog.Table, names []string) ([]catalog.ColumnNum, error) {
	var out []catalog.ColumnNum
	for _, name := range names {
		if plan.IsSystemColumn(name) && t.ColumnByName(name) == nil {
			return nil, sqlstate.New(sqlstate.InvalidColumnReference, "cannot use system column \"%s\" in publication column list", name)
		}
		c, err := columnOf(t, name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, c.Num) {
			return nil, sqlstate.New(sqlstate.DuplicateObject, "duplicate column \"%s\" in publication column list", name)
		}
		out = append(out, c.Num)
	}
	slices.Sort(out)
	return out, nil
}

// publishedSchemas finds the schemas of a list, each once.
func (d *ddl) publishedSchemas(list []string) ([]*catalog.Schema, error) {
	var out []*catalog.Schema
	for _, name := range list {
		s := d.cat().SchemaByName(name)
		if name == "" {
			if s = d.currentSchema(); s == nil {
				return nil, sqlstate.New(sqlstate.InvalidSchemaName, "no schema has been selected for CURRENT_SCHEMA")
			}
		}
		if s == nil {
			return nil, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", name)
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// currentSchema is the first of the search path that is there, or nil.
func (d *ddl) currentSchema() *catalog.Schema {
	for _, name := range d.rt.SearchPath {
		if s := d.cat().SchemaByName(name); s != nil {
			return s
		}
	}
	return nil
}

// addSchemas adds schemas to a publication which had so many tables before.
func (d *ddl) addSchemas(p *catalog.Publication, schemas []*catalog.Schema, before int) error {
	listed := slices.ContainsFunc(p.Tables[:before], func(t catalog.PublicationTable) bool { return t.Columns != nil })
	if len(schemas) > 0 && listed {
		return sqlstate.New(sqlstate.InvalidParameterValue, "cannot add schema to publication \"%s\"", p.Name).
			WithDetail("Schemas cannot be added if any tables that specify a column list are already part of the publication.")
	}
	for _, s := range schemas {
		if p.HasSchema(s.ID) {
			return sqlstate.New(sqlstate.DuplicateObject, "schema \"%s\" is already member of publication \"%s\"", s.Name, p.Name)
		}
		if s.ID < catalog.FirstUserID && s.ID != catalog.PublicID {
			return sqlstate.New(sqlstate.InvalidParameterValue, "cannot add schema \"%s\" to publication", s.Name).
				WithDetail("This operation is not supported for system schemas.")
		}
		p.Schemas = append(p.Schemas, catalog.PublicationSchema{ID: d.rt.Txn.NewID(), Schema: s.ID})
	}
	return nil
}

// dropObjects takes tables and schemas out of a publication.
func (d *ddl) dropObjects(p *catalog.Publication, o *plan.PublicationObjects) error {
	found, err := d.publishedObjects(p, o)
	if err != nil {
		return err
	}
	for i, t := range found.tables {
		switch {
		case found.specs[i].Columns != nil:
			return sqlstate.New(sqlstate.SyntaxError, "column list must not be specified in ALTER PUBLICATION ... DROP")
		case p.Member(t.ID) == nil:
			return sqlstate.New(sqlstate.UndefinedObject, "relation \"%s\" is not part of the publication", t.Name)
		case found.specs[i].Filtered():
			return sqlstate.New(sqlstate.SyntaxError, "cannot use a WHERE clause when removing a table from a publication")
		}
		p.Tables = slices.DeleteFunc(p.Tables, func(m catalog.PublicationTable) bool { return m.Table == t.ID })
	}
	for _, s := range found.schemas {
		if !p.HasSchema(s.ID) {
			return sqlstate.New(sqlstate.UndefinedObject, "tables from schema \"%s\" are not part of the publication", s.Name)
		}
		p.Schemas = slices.DeleteFunc(p.Schemas, func(m catalog.PublicationSchema) bool { return m.Schema == s.ID })
	}
	return nil
}

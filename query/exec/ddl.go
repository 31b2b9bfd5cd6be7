package exec

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// maxNameBytes is PostgreSQL's limit on identifiers.
const maxNameBytes = 63

// ddl is one run of a DDL statement.
type ddl struct {
	rt *Runtime
}

// runDDL executes a definition and returns the number of rows its tag shows.
func runDDL(rt *Runtime, st *plan.Statement, _ Sink) (int64, error) {
	d := &ddl{rt}
	switch s := st.DDL.(type) {
	case *plan.CreateTable:
		return d.createTable(s)
	case *plan.CreateIndex:
		return 0, d.createIndex(s)
	case *plan.CreateSchema:
		return 0, d.createSchema(s)
	case *plan.CreateSequence:
		return 0, d.createSequence(s)
	case *plan.AlterSequence:
		return 0, d.alterSequence(s)
	case *plan.Drop:
		return 0, d.drop(s)
	case *plan.Truncate:
		return 0, d.truncate(s)
	case *plan.Rename:
		return 0, d.rename(s)
	case *plan.Comment:
		return 0, d.comment(s)
	case *plan.AlterTable:
		return 0, d.alterTable(s)
	case *plan.CreateProcedure:
		return 0, d.createProcedure(s)
	case *plan.DropProcedure:
		return 0, d.dropProcedure(s)
	case *plan.AlterProcedure:
		return 0, d.alterProcedure(s)
	}
	return 0, d.publication(st.DDL)
}

// publication executes a definition about publications.
func (d *ddl) publication(s plan.DDL) error {
	switch s := s.(type) {
	case *plan.CreatePublication:
		return d.createPublication(s)
	case *plan.AlterPublication:
		return d.alterPublication(s)
	case *plan.SetPublication:
		return d.setPublication(s)
	case *plan.DropPublication:
		return d.dropPublication(s)
	}
	return fmt.Errorf("exec: no code for %T", s)
}

func (d *ddl) cat() *catalog.Catalog { return d.rt.Txn.Catalog() }

// schemaFor finds the schema in which an object is to be created.
func (d *ddl) schemaFor(n plan.Name) (*catalog.Schema, error) {
	if n.Schema != "" {
		s := d.cat().SchemaByName(n.Schema)
		if s == nil {
			return nil, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
		}
		return s, system(s)
	}
	for _, name := range d.rt.SearchPath {
		if s := d.cat().SchemaByName(name); s != nil && name != "pg_catalog" {
			return s, system(s)
		}
	}
	return nil, sqlstate.New(sqlstate.InvalidSchemaName, "no schema has been selected to create in")
}

// system refuses schemas that users may not create in.
func system(s *catalog.Schema) error {
	if s.ID < catalog.FirstUserID && s.ID != catalog.PublicID {
		return sqlstate.New(sqlstate.InsufficientPrivilege, "permission denied to create objects in schema \"%s\"", s.Name)
	}
	return nil
}

// free checks that a relation name is not taken.
func (d *ddl) free(schema catalog.ID, name string) error {
	if d.taken(schema, name) {
		return sqlstate.New(sqlstate.DuplicateTable, "relation \"%s\" already exists", name)
	}
	return nil
}

func (d *ddl) taken(schema catalog.ID, name string) bool {
	return d.cat().Relation(catalog.Name{Schema: schema, Name: name}) != 0
}

// resolve finds a relation by name along the search path; 0 means none.
func (d *ddl) resolve(n plan.Name) (catalog.ID, error) {
	path := d.rt.SearchPath
	if n.Schema != "" {
		path = []string{n.Schema}
		if d.cat().SchemaByName(n.Schema) == nil {
			return 0, sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
		}
	}
	for _, schema := range path {
		s := d.cat().SchemaByName(schema)
		if s == nil {
			continue
		}
		if id := d.cat().Relation(catalog.Name{Schema: s.ID, Name: n.Name}); id != 0 {
			return id, nil
		}
		if v := syscat.Lookup(schema, n.Name); v != nil {
			return 0, sqlstate.New(sqlstate.InsufficientPrivilege, "permission denied: \"%s\" is a system catalog", n.Name)
		}
	}
	return 0, nil
}

// table finds a table that must exist.
func (d *ddl) table(n plan.Name) (*catalog.Table, error) {
	id, err := d.resolve(n)
	if err != nil {
		return nil, err
	}
	if t := d.cat().Table(id); t != nil {
		return t, nil
	}
	if id != 0 {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a table", n.Name)
	}
	return nil, undefined(n)
}

func undefined(n plan.Name) error {
	name := n.Name
	if n.Schema != "" {
		name = n.Schema + "." + name
	}
	return sqlstate.New(sqlstate.UndefinedTable, "relation \"%s\" does not exist", name)
}

// freeName makes an object name of parts as PostgreSQL does: table_column_suffix,
// shortened to fit, with a number when it is taken.
func (d *ddl) freeName(schema catalog.ID, used map[string]bool, table, column, suffix string) string {
	return madeName(table, column, suffix, func(name string) bool { return d.taken(schema, name) || used[name] })
}

// madeName is the first of the names table_column_suffix, table_column_suffix1, …
// that is not taken.
func madeName(table, column, suffix string, taken func(string) bool) string {
	for n := 0; ; n++ {
		end := "_" + suffix
		if n > 0 {
			end += strconv.Itoa(n)
		}
		t, c := table, column
		for {
			length := len(t) + len(end)
			if c != "" {
				length += len(c) + 1
			}
			if length <= maxNameBytes {
				break
			}
			if len(t) >= len(c) {
				t = types.TruncateName(t)[:min(len(t)-1, maxNameBytes)]
			} else {
				c = c[:len(c)-1]
			}
		}
		name := t + end
		if c != "" {
			name = t + "_" + c + end
		}
		if !taken(name) {
			return name
		}
	}
}

func (d *ddl) createSchema(s *plan.CreateSchema) error {
	if d.cat().SchemaByName(s.Name) != nil {
		if s.IfNotExists {
			d.rt.notice("schema \"%s\" already exists, skipping", s.Name)
			return nil
		}
		return sqlstate.New(sqlstate.DuplicateSchema, "schema \"%s\" already exists", s.Name)
	}
	d.rt.Txn.PutDescriptor(&catalog.Schema{ID: d.rt.Txn.NewID(), Name: s.Name, Owner: d.rt.User})
	return nil
}

func (d *ddl) rename(s *plan.Rename) error {
	if s.Kind == plan.SchemaObject {
		return d.renameSchema(s)
	}
	id, err := d.resolve(s.Name)
	if err != nil {
		return err
	}
	if id == 0 {
		if s.IfExists {
			d.rt.notice("relation \"%s\" does not exist, skipping", s.Name.Name)
			return nil
		}
		return undefined(s.Name)
	}
	if s.Kind == plan.ColumnObject || s.Kind == plan.ConstraintObject {
		t := d.cat().Table(id)
		if t == nil {
			return sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a table", s.Name.Name)
		}
		return d.renamePart(t, s)
	}
	if t, i := d.cat().IndexTable(id); t != nil {
		return d.renameIndex(t, i, s.New)
	}
	switch o := d.descriptor(id).(type) {
	case *catalog.Table:
		if err := d.free(o.Schema, s.New); err != nil {
			return err
		}
		n := *o
		n.Name = s.New
		d.rt.Txn.PutDescriptor(&n)
	case *catalog.Sequence:
		if err := d.free(o.Schema, s.New); err != nil {
			return err
		}
		n := *o
		n.Name = s.New
		d.rt.Txn.PutDescriptor(&n)
	}
	return nil
}

func (d *ddl) descriptor(id catalog.ID) catalog.Descriptor {
	o, _ := d.cat().ByID(id)
	return o
}

func (d *ddl) renameSchema(s *plan.Rename) error {
	old := d.cat().SchemaByName(s.Name.Name)
	if old == nil {
		return sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", s.Name.Name)
	}
	if d.cat().SchemaByName(s.New) != nil {
		return sqlstate.New(sqlstate.DuplicateSchema, "schema \"%s\" already exists", s.New)
	}
	if err := system(old); err != nil {
		return err
	}
	n := *old
	n.Name = s.New
	d.rt.Txn.PutDescriptor(&n)
	return nil
}

func (d *ddl) renameIndex(t *catalog.Table, i int, name string) error {
	if err := d.free(t.Schema, name); err != nil {
		return err
	}
	n := cloneTable(t)
	n.Indexes[i].Name = name
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func (d *ddl) renamePart(t *catalog.Table, s *plan.Rename) error {
	if s.Kind == plan.ConstraintObject {
		return d.renameConstraint(t, s.Old, s.New)
	}
	c, err := columnOf(t, s.Old)
	if err != nil {
		return err
	}
	if t.ColumnByName(s.New) != nil {
		return sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists", s.New, t.Name)
	}
	n := cloneTable(t)
	n.Columns[c.Num-1].Name = s.New
	for i := range n.Checks {
		k := &n.Checks[i]
		if slices.Contains(k.Columns, c.Num) {
			if k.Expr, err = plan.RenameInCheck(d.env(), k.Expr, t, n); err != nil {
				return err
			}
		}
	}
	if err := d.renameInFilters(t, n, c.Num); err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func columnOf(t *catalog.Table, name string) (*catalog.Column, error) {
	if c := t.ColumnByName(name); c != nil {
		return c, nil
	}
	return nil, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, t.Name)
}

// cloneTable copies a descriptor so that it may be changed.
func cloneTable(t *catalog.Table) *catalog.Table {
	n := *t
	n.Columns = append([]catalog.Column(nil), t.Columns...)
	n.Indexes = append([]catalog.Index(nil), t.Indexes...)
	n.Checks = append([]catalog.Check(nil), t.Checks...)
	n.ForeignKeys = append([]catalog.ForeignKey(nil), t.ForeignKeys...)
	n.Options = append([]string(nil), t.Options...)
	return &n
}

func (d *ddl) comment(s *plan.Comment) error {
	if s.Kind == plan.SchemaObject {
		return unsupported("COMMENT ON SCHEMA")
	}
	if s.Kind == plan.PublicationObject {
		p, err := d.publicationNamed(s.Name.Name)
		if err != nil {
			return err
		}
		n := clonePublication(p)
		n.Comment = s.Text
		d.rt.Txn.PutDescriptor(n)
		return nil
	}
	id, err := d.resolve(s.Name)
	if err != nil {
		return err
	}
	if id == 0 {
		return undefined(s.Name)
	}
	if t, i := d.cat().IndexTable(id); t != nil {
		n := cloneTable(t)
		n.Indexes[i].Comment = s.Text
		d.rt.Txn.PutDescriptor(n)
		return nil
	}
	switch o := d.descriptor(id).(type) {
	case *catalog.Table:
		if s.Kind == plan.ConstraintObject {
			return d.commentConstraint(o, s.Sub, s.Text)
		}
		n := cloneTable(o)
		if s.Kind == plan.ColumnObject {
			c, err := columnOf(o, s.Sub)
			if err != nil {
				return err
			}
			n.Columns[c.Num-1].Comment = s.Text
		} else {
			n.Comment = s.Text
		}
		d.rt.Txn.PutDescriptor(n)
	case *catalog.Sequence:
		n := *o
		n.Comment = s.Text
		d.rt.Txn.PutDescriptor(&n)
	}
	return nil
}

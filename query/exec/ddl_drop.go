package exec

import (
	"fmt"
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func (d *ddl) drop(s *plan.Drop) error {
	if s.Kind == plan.TableObject {
		return d.dropTablesNamed(s)
	}
	for _, n := range s.Names {
		var err error
		if s.Kind == plan.SchemaObject {
			err = d.dropSchema(n, s)
		} else {
			err = d.dropRelation(n, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropTablesNamed is DROP TABLE.
func (d *ddl) dropTablesNamed(s *plan.Drop) error {
	var tables []*catalog.Table
	for _, n := range s.Names {
		id, err := d.lookUpDrop(n, s)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		t := d.cat().Table(id)
		if t == nil {
			return wrongKind(n.Name, s.Kind)
		}
		if !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
	}
	return d.dropTables(tables, s.Cascade)
}

// lookUpDrop finds what DROP names; 0 when it is not there and need not be.
func (d *ddl) lookUpDrop(n plan.Name, s *plan.Drop) (catalog.ID, error) {
	id, err := d.resolve(n)
	if err != nil && !(s.IfExists && sqlstate.CodeOf(err) == sqlstate.InvalidSchemaName) {
		return 0, err
	}
	if id != 0 {
		return id, nil
	}
	if s.IfExists {
		d.rt.notice("%s \"%s\" does not exist, skipping", s.Kind, n.Name)
		return 0, nil
	}
	code := sqlstate.UndefinedTable
	if s.Kind == plan.IndexObject {
		code = sqlstate.UndefinedObject
	}
	return 0, sqlstate.New(code, "%s \"%s\" does not exist", s.Kind, n.Name)
}

func (d *ddl) dropRelation(n plan.Name, s *plan.Drop) error {
	id, err := d.lookUpDrop(n, s)
	if err != nil || id == 0 {
		return err
	}
	if t, i := d.cat().IndexTable(id); t != nil {
		if s.Kind != plan.IndexObject {
			return wrongKind(n.Name, s.Kind)
		}
		if t.Indexes[i].Constraint != 0 {
			return sqlstate.New(sqlstate.DependentObjectsStillExist,
				"cannot drop index %s because constraint %s on table %s requires it", n.Name, n.Name, t.Name).
				WithHint("You can drop constraint %s on table %s instead.", n.Name, t.Name)
		}
		if err := d.release(d.referencesTo(t, t.Indexes[i].ID), "index "+n.Name, "index "+n.Name, s.Cascade); err != nil {
			return err
		}
		return d.removeIndex(d.cat().Table(t.ID), i)
	}
	switch o := d.descriptor(id).(type) {
	case *catalog.Table:
		return wrongKind(n.Name, s.Kind)
	case *catalog.Sequence:
		if s.Kind != plan.SequenceObject {
			return wrongKind(n.Name, s.Kind)
		}
		return d.dropSequence(o, s.Cascade)
	}
	return nil
}

func wrongKind(name string, want plan.ObjectKind) error {
	article := "a"
	if want == plan.IndexObject {
		article = "an"
	}
	return sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not %s %s", name, article, want)
}

// dropTable drops a table with the sequences it owns.
func (d *ddl) dropTable(t *catalog.Table) {
	for _, o := range d.cat().All() {
		if q, ok := o.(*catalog.Sequence); ok && q.OwnedByTable == t.ID {
			d.rt.Txn.DeleteDescriptor(q.ID)
		}
	}
	d.unpublish(t.ID)
	d.rt.Txn.DeleteDescriptor(t.ID)
}

func (d *ddl) dropSequence(q *catalog.Sequence, cascade bool) error {
	for _, o := range d.cat().All() {
		t, ok := o.(*catalog.Table)
		if !ok {
			continue
		}
		for i := range t.Columns {
			c := &t.Columns[i]
			if c.Sequence != q.ID {
				continue
			}
			if !cascade || c.Identity != 0 {
				return sqlstate.New(sqlstate.DependentObjectsStillExist,
					"cannot drop sequence %s because other objects depend on it", q.Name).
					WithDetail("default value for column %s of table %s depends on sequence %s", c.Name, t.Name, q.Name).
					WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
			}
			n := cloneTable(t)
			n.Columns[i].Sequence, n.Columns[i].Default = 0, ""
			d.rt.Txn.PutDescriptor(n)
		}
	}
	d.rt.Txn.DeleteDescriptor(q.ID)
	return nil
}

func (d *ddl) dropSchema(n plan.Name, s *plan.Drop) error {
	schema := d.cat().SchemaByName(n.Name)
	if schema == nil {
		if s.IfExists {
			d.rt.notice("schema \"%s\" does not exist, skipping", n.Name)
			return nil
		}
		return sqlstate.New(sqlstate.InvalidSchemaName, "schema \"%s\" does not exist", n.Name)
	}
	if schema.ID < catalog.FirstUserID {
		return sqlstate.New(sqlstate.DependentObjectsStillExist,
			"cannot drop schema %s because it is required by the database system", n.Name)
	}
	var tables []*catalog.Table
	var sequences []*catalog.Sequence
	var procedures []*catalog.Procedure
	detail := ""
	for _, o := range d.cat().All() {
		switch o := o.(type) {
		case *catalog.Table:
			if o.Schema == schema.ID {
				tables = append(tables, o)
				detail += fmt.Sprintf("table %s.%s depends on schema %s\n", n.Name, o.Name, n.Name)
			}
		case *catalog.Sequence:
			if o.Schema == schema.ID {
				sequences = append(sequences, o)
				detail += fmt.Sprintf("sequence %s.%s depends on schema %s\n", n.Name, o.Name, n.Name)
			}
		}
	}
	for _, o := range d.cat().All() {
		if p, ok := o.(*catalog.Procedure); ok && p.Schema == schema.ID {
			procedures = append(procedures, p)
			detail += fmt.Sprintf("function %s depends on schema %s\n", signature(n.Name+"."+p.Name, p.ParamTypes(), ","), n.Name)
		}
	}
	if detail != "" && !s.Cascade {
		return sqlstate.New(sqlstate.DependentObjectsStillExist, "cannot drop schema %s because other objects depend on it", n.Name).
			WithDetail("%s", detail[:len(detail)-1]).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	if err := d.dropTables(tables, true); err != nil {
		return err
	}
	for _, q := range sequences {
		if d.cat().Sequence(q.ID) != nil {
			if err := d.dropSequence(q, true); err != nil {
				return err
			}
		}
	}
	for _, p := range procedures {
		d.rt.Txn.DeleteDescriptor(p.ID)
	}
	d.unpublish(schema.ID)
	d.rt.Txn.DeleteDescriptor(schema.ID)
	return nil
}

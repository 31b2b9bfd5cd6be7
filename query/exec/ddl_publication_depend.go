package exec

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// publishing are the publications that name a table and for which match holds, in
// the order in which they were made.
func (d *ddl) publishing(table catalog.ID, match func(*catalog.PublicationTable) bool) []*catalog.Publication {
	var out []*catalog.Publication
	for _, p := range d.cat().Publications() {
		if m := p.Member(table); m != nil && match(m) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *catalog.Publication) int { return int(a.ID) - int(b.ID) })
	return out
}

// membership is a table in a publication as messages have it.
func (d *ddl) membership(t *catalog.Table, p *catalog.Publication) string {
	return "publication of table " + d.shown(t) + " in publication " + p.Name
}

// unpublish takes tables and schemas that are to be dropped out of all
// publications that name them.
func (d *ddl) unpublish(ids ...catalog.ID) {
	gone := func(id catalog.ID) bool { return slices.Contains(ids, id) }
	for _, p := range d.cat().Publications() {
		n := clonePublication(p)
		n.Tables = slices.DeleteFunc(n.Tables, func(m catalog.PublicationTable) bool { return gone(m.Table) })
		n.Schemas = slices.DeleteFunc(n.Schemas, func(m catalog.PublicationSchema) bool { return gone(m.Schema) })
		if len(n.Tables) != len(p.Tables) || len(n.Schemas) != len(p.Schemas) {
			d.rt.Txn.PutDescriptor(n)
		}
	}
}

// usesPublished reports whether a publication lists a column or has it in its row
// filter.
func usesPublished(num catalog.ColumnNum) func(*catalog.PublicationTable) bool {
	return func(m *catalog.PublicationTable) bool {
		return slices.Contains(m.Columns, num) || slices.Contains(m.FilterColumns, num)
	}
}

// unpublishColumn drops a table from the publications that need one of its
// columns, which is to be dropped; without CASCADE it fails if there are any.
func (d *ddl) unpublishColumn(t *catalog.Table, num catalog.ColumnNum, cascade bool) error {
	pubs := d.publishing(t.ID, usesPublished(num))
	if len(pubs) == 0 {
		return nil
	}
	column := "column " + t.Columns[num-1].Name + " of table " + d.shown(t)
	var lines []string
	for _, p := range pubs {
		if cascade {
			lines = append(lines, "drop cascades to "+d.membership(t, p))
		} else {
			lines = append(lines, d.membership(t, p)+" depends on "+column)
		}
	}
	if !cascade {
		return sqlstate.New(sqlstate.DependentObjectsStillExist, "cannot drop %s because other objects depend on it", column).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	if len(lines) == 1 {
		d.rt.notice("%s", lines[0])
	} else {
		d.rt.noticeDetail(strings.Join(lines, "\n"), "drop cascades to %d other objects", len(lines))
	}
	for _, p := range pubs {
		n := clonePublication(p)
		n.Tables = slices.DeleteFunc(n.Tables, func(m catalog.PublicationTable) bool { return m.Table == t.ID })
		d.rt.Txn.PutDescriptor(n)
	}
	return nil
}

// retypable refuses to change the type of a column that a publication needs.
func (d *ddl) retypable(t *catalog.Table, c *catalog.Column) error {
	pubs := d.publishing(t.ID, usesPublished(c.Num))
	if len(pubs) == 0 {
		return nil
	}
	return sqlstate.New(sqlstate.FeatureNotSupported, "cannot alter type of a column used by a publication WHERE clause").
		WithDetail("%s depends on column \"%s\"", d.membership(t, pubs[0]), c.Name)
}

// renameInFilters gives the row filters of a table the new name of a column: n is
// the table with it.
func (d *ddl) renameInFilters(t, n *catalog.Table, num catalog.ColumnNum) error {
	inFilter := func(m *catalog.PublicationTable) bool { return slices.Contains(m.FilterColumns, num) }
	for _, p := range d.publishing(t.ID, inFilter) {
		np := clonePublication(p)
		m := np.Member(t.ID)
		var err error
		if m.Filter, err = plan.RenameInCheck(d.env(), m.Filter, t, n); err != nil {
			return err
		}
		d.rt.Txn.PutDescriptor(np)
	}
	return nil
}

// setReplicaIdentity is REPLICA IDENTITY.
func (d *ddl) setReplicaIdentity(t *catalog.Table, a *plan.SetReplicaIdentity) error {
	n := cloneTable(t)
	n.ReplicaIdentity, n.ReplicaIndex = a.Identity, 0
	if a.Identity == catalog.IdentityIndex {
		ix, err := d.identityIndex(t, a.Index)
		if err != nil {
			return err
		}
		n.ReplicaIndex = ix.ID
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// identityIndex finds an index of t that may tell its rows apart.
func (d *ddl) identityIndex(t *catalog.Table, name string) (*catalog.Index, error) {
	id := d.cat().Relation(catalog.Name{Schema: t.Schema, Name: name})
	if id == 0 {
		return nil, sqlstate.New(sqlstate.UndefinedObject, "index \"%s\" for table \"%s\" does not exist", name, t.Name)
	}
	i := slices.IndexFunc(t.Indexes, func(ix catalog.Index) bool { return ix.ID == id })
	if i < 0 {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not an index for table \"%s\"", name, t.Name)
	}
	ix := &t.Indexes[i]
	if !ix.Unique && !ix.Primary {
		return nil, sqlstate.New(sqlstate.WrongObjectType, "cannot use non-unique index \"%s\" as replica identity", name)
	}
	if slices.ContainsFunc(ix.Columns, func(c catalog.IndexColumn) bool { return c.Column == 0 }) {
		return nil, unsupportedIdentity("expression", name)
	}
	if ix.Predicate != "" {
		return nil, unsupportedIdentity("partial", name)
	}
	for _, k := range ix.Columns {
		if c := &t.Columns[k.Column-1]; !c.NotNull {
			return nil, sqlstate.New(sqlstate.WrongObjectType, "index \"%s\" cannot be used as replica identity because column \"%s\" is nullable", name, c.Name)
		}
	}
	return ix, nil
}

func unsupportedIdentity(kind, name string) error {
	return sqlstate.New(sqlstate.FeatureNotSupported, "cannot use %s index \"%s\" as replica identity", kind, name)
}

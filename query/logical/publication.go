package logical

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Set is what a consumer of some publications gets, as the catalog is at one
// offset. It is for one goroutine at a time.
type Set struct {
	tables map[catalog.ID]*Published
}

// Published says which changes of a table are published.
type Published struct {
	Table *catalog.Table
	// Columns are those that are published, in the order of the table.
	Columns                          []catalog.ColumnNum
	Insert, Update, Delete, Truncate bool
	// Filter is what inserted rows must match; nil means all. Publications may
	// differ in the operations that they publish, and with them in the rows:
	// FilterOf says it for each operation.
	Filter         *Filter
	update, delete *Filter
}

// FilterOf is the filter of an operation's rows; nil means all.
func (p *Published) FilterOf(op sm.Op) *Filter {
	switch op {
	case sm.OpInsert:
		return p.Filter
	case sm.OpUpdate:
		return p.update
	case sm.OpDelete:
		return p.delete
	}
	return nil
}

// Resolve finds out what publications select; their names may be given more than
// once. Errors: 42704 for one that does not exist, 0A000 for a table of which two
// publish different columns.
func Resolve(c *catalog.Catalog, publications []string) (*Set, error) {
	var pubs []*catalog.Publication
	for _, name := range publications {
		p := c.Publication(name)
		if p == nil {
			return nil, sqlstate.New(sqlstate.UndefinedObject, "publication \"%s\" does not exist", name)
		}
		if !slices.Contains(pubs, p) {
			pubs = append(pubs, p)
		}
	}
	s := &Set{tables: map[catalog.ID]*Published{}}
	for _, d := range c.All() {
		t, ok := d.(*catalog.Table)
		if !ok {
			continue
		}
		p, err := publish(c, t, pubs)
		if err != nil {
			return nil, err
		}
		if p != nil {
			s.tables[t.ID] = p
		}
	}
	return s, nil
}

// Table says what is published of a table; nil for nothing.
func (s *Set) Table(id catalog.ID) *Published { return s.tables[id] }

// publish adds up what publications say of a table; nil when none has it.
func publish(c *catalog.Catalog, t *catalog.Table, pubs []*catalog.Publication) (*Published, error) {
	var out *Published
	var insert, update, remove filterSum
	for _, p := range pubs {
		member, ok := p.Publishes(t)
		if !ok {
			continue
		}
		columns := columnsOf(t, member)
		switch {
		case out == nil:
			out = &Published{Table: t, Columns: columns}
		case !slices.Equal(out.Columns, columns):
			return nil, sqlstate.New(sqlstate.FeatureNotSupported, "cannot use different column lists for table \"%s.%s\" in different publications",
				schemaOf(c, t), t.Name)
		}
		out.Insert, out.Update = out.Insert || p.Insert, out.Update || p.Update
		out.Delete, out.Truncate = out.Delete || p.Delete, out.Truncate || p.Truncate
		insert.add(p.Insert, member)
		update.add(p.Update, member)
		remove.add(p.Delete, member)
	}
	if out == nil {
		return nil, nil
	}
	var err error
	if out.Filter, err = insert.compile(c, t); err != nil {
		return nil, err
	}
	if out.update, err = update.compile(c, t); err != nil {
		return nil, err
	}
	out.delete, err = remove.compile(c, t)
	return out, err
}

// columnsOf are the columns of a table that a publication has.
func columnsOf(t *catalog.Table, member *catalog.PublicationTable) []catalog.ColumnNum {
	var out []catalog.ColumnNum
	for i := range t.Columns {
		c := &t.Columns[i]
		if !c.Dropped && (member == nil || member.Columns == nil || slices.Contains(member.Columns, c.Num)) {
			out = append(out, c.Num)
		}
	}
	return out
}

func schemaOf(c *catalog.Catalog, t *catalog.Table) string {
	d, _ := c.ByID(t.Schema)
	if s, ok := d.(*catalog.Schema); ok {
		return s.Name
	}
	return ""
}

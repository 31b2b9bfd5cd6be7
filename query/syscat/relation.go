package syscat

import (
	"iter"
	"strconv"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The kinds of relations, as pg_class has them.
const (
	kindTable    = 'r'
	kindIndex    = 'i'
	kindSequence = 'S'
	kindView     = 'v'
)

// relation is anything that has a row in pg_class.
type relation struct {
	id, schema           catalog.ID
	name, owner, comment string
	kind                 byte

	table    *catalog.Table // of a table, and of an index the table it is on
	index    *catalog.Index
	sequence *catalog.Sequence
	view     *catalog.View
	virtual  *Table
}

// attribute is one column of a relation.
type attribute struct {
	num        int16
	name       string
	typ        types.OID
	typmod     int32
	notNull    bool
	hasDefault bool
	identity   byte
	dropped    bool
	column     *catalog.Column // of a table or view
}

func tableRelation(t *catalog.Table) relation {
	return relation{id: t.ID, schema: t.Schema, name: t.Name, owner: t.Owner, comment: t.Comment, kind: kindTable, table: t}
}

func indexRelation(t *catalog.Table, ix *catalog.Index) relation {
	return relation{id: ix.ID, schema: t.Schema, name: ix.Name, owner: t.Owner, comment: ix.Comment, kind: kindIndex, table: t, index: ix}
}

func virtualRelation(t *Table) relation {
	r := relation{id: t.ID, schema: schemaID(t.Schema), name: t.Name, owner: superuser, kind: kindTable, virtual: t}
	if t.View {
		r.kind = kindView
	}
	return r
}

// described returns the relation of a descriptor; ok is false for a schema.
func described(d catalog.Descriptor) (r relation, ok bool) {
	switch d := d.(type) {
	case *catalog.Table:
		return tableRelation(d), true
	case *catalog.Sequence:
		return relation{id: d.ID, schema: d.Schema, name: d.Name, owner: d.Owner, comment: d.Comment, kind: kindSequence, sequence: d}, true
	case *catalog.View:
		return relation{id: d.ID, schema: d.Schema, name: d.Name, owner: d.Owner, comment: d.Comment, kind: kindView, view: d}, true
	}
	return relation{}, false
}

// relationByID finds a relation of any kind.
func relationByID(c *catalog.Catalog, id catalog.ID) (relation, bool) {
	if t := ByID(id); t != nil {
		return virtualRelation(t), true
	}
	if d, ok := c.ByID(id); ok {
		return described(d)
	}
	if t, i := c.IndexTable(id); t != nil && i >= 0 {
		return indexRelation(t, &t.Indexes[i]), true
	}
	return relation{}, false
}

// storedRelations yields the relations users have made that a range includes.
func storedRelations(c *catalog.Catalog, r idRange) iter.Seq[relation] {
	return func(yield func(relation) bool) {
		if id, ok := r.one(); ok {
			if rel, found := relationByID(c, id); found && rel.virtual == nil {
				yield(rel)
			}
			return
		}
		for _, d := range c.All() {
			rel, ok := described(d)
			if !ok {
				continue
			}
			if r.has(rel.id) && !yield(rel) {
				return
			}
			if rel.table == nil {
				continue
			}
			for i := range rel.table.Indexes {
				ix := indexRelation(rel.table, &rel.table.Indexes[i])
				if r.has(ix.id) && !yield(ix) {
					return
				}
			}
		}
	}
}

// storedTables yields the tables users have made that a range includes.
func storedTables(c *catalog.Catalog, r idRange) iter.Seq[*catalog.Table] {
	return func(yield func(*catalog.Table) bool) {
		for rel := range storedRelations(c, r) {
			if rel.kind == kindTable && !yield(rel.table) {
				return
			}
		}
	}
}

// attributes returns the relation's columns, dropped ones included.
func (r *relation) attributes() []attribute {
	switch {
	case r.index != nil:
		return indexAttributes(r.table, r.index)
	case r.table != nil:
		return columnAttributes(r.table.Columns)
	case r.view != nil:
		return columnAttributes(r.view.Columns)
	case r.sequence != nil:
		return virtualAttributes(sequenceColumns)
	}
	return virtualAttributes(r.virtual.Columns)
}

func columnAttributes(cols []catalog.Column) []attribute {
	out := make([]attribute, len(cols))
	for i := range cols {
		c := &cols[i]
		out[i] = attribute{num: int16(c.Num), name: c.Name, typ: c.Type, typmod: c.Typmod, notNull: c.NotNull,
			hasDefault: hasDefault(c), identity: c.Identity, dropped: c.Dropped, column: c}
		if c.Dropped {
			// As PostgreSQL renames them, so that the name may be used again.
			out[i].name = "........pg.dropped." + strconv.Itoa(int(c.Num)) + "........"
		}
	}
	return out
}

func virtualAttributes(cols []Column) []attribute {
	out := make([]attribute, len(cols))
	for i, c := range cols {
		out[i] = attribute{num: int16(i + 1), name: c.Name, typ: c.Type.OID, typmod: types.NoTypmod, notNull: c.NotNull}
	}
	return out
}

// indexAttributes names the columns of an index as PostgreSQL does: after the
// table's columns, or after the function of an expression.
func indexAttributes(t *catalog.Table, ix *catalog.Index) []attribute {
	var out []attribute
	taken := map[string]bool{}
	add := func(a attribute) {
		base := a.name
		for i := 1; taken[a.name]; i++ {
			a.name = base + strconv.Itoa(i)
		}
		taken[a.name] = true
		a.num = int16(len(out) + 1)
		out = append(out, a)
	}
	plain := func(n catalog.ColumnNum) attribute {
		c := &t.Columns[n-1]
		return attribute{name: c.Name, typ: c.Type, typmod: c.Typmod}
	}
	for _, k := range ix.Columns {
		if k.Column != 0 {
			add(plain(k.Column))
			continue
		}
		name := "expr"
		if f, ok := bareCall(k.Expr); ok {
			name = f
		}
		add(attribute{name: name, typ: k.Type, typmod: types.NoTypmod})
	}
	for _, n := range ix.Include {
		add(plain(n))
	}
	return out
}

// sequenceDefault is what package plan stores as the default of a serial
// column, whose sequence is named by Column.Sequence.
const sequenceDefault = "nextval()"

// hasDefault reports whether a column has a row in pg_attrdef. An identity
// column has none.
func hasDefault(c *catalog.Column) bool { return c.Default != "" && c.Identity == 0 && !c.Dropped }

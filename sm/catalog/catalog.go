package catalog

import (
	"cmp"
	"slices"
)

// Name is a schema-qualified object name within one schema's namespace of
// relations (tables, indexes, sequences and views share one).
type Name struct {
	Schema ID
	Name   string
}

// Catalog is a consistent set of descriptors. It is immutable once published;
// Edit returns a copy that may be changed. Descriptors inside are never
// modified: a change replaces them.
type Catalog struct {
	version Version
	draft   uint64
	byID    map[ID]Descriptor
	schemas map[string]*Schema
	names   map[Name]ID // relations; an index maps to its table's ID through indexes
	indexes map[ID]ID   // index -> table
	// referrers has, for each table that foreign keys refer to, the tables that
	// have them, in order of ID. The slices are never modified.
	referrers map[ID][]ID
	// procedures are by name, those of one name in order of ID. The slices are
	// never modified.
	procedures map[Name][]ID

	// publications are in order of name. The slice is never modified.
	publications []*Publication
}

// New returns a catalog that holds only the schemas every database has.
func New() *Catalog {
	c := &Catalog{
		byID:    map[ID]Descriptor{},
		schemas: map[string]*Schema{},
		names:   map[Name]ID{},
		indexes: map[ID]ID{},

		referrers:  map[ID][]ID{},
		procedures: map[Name][]ID{},
	}
	for _, s := range []*Schema{
		{ID: PgCatalogID, Name: "pg_catalog", Owner: "postgres"},
		{ID: PublicID, Name: "public", Owner: "postgres"},
		{ID: InformationSchemaID, Name: "information_schema", Owner: "postgres"},
		{ID: TidemarkSchemaID, Name: "tidemark", Owner: "postgres"},
	} {
		c.Put(s)
	}
	return c
}

// Edit returns a copy that Put and Delete may change.
func (c *Catalog) Edit() *Catalog {
	n := &Catalog{
		version: c.version,
		draft:   c.draft + 1,
		byID:    make(map[ID]Descriptor, len(c.byID)+1),
		schemas: make(map[string]*Schema, len(c.schemas)+1),
		names:   make(map[Name]ID, len(c.names)+1),
		indexes: make(map[ID]ID, len(c.indexes)+1),

		referrers:  make(map[ID][]ID, len(c.referrers)+1),
		procedures: make(map[Name][]ID, len(c.procedures)+1),

		publications: c.publications,
	}
	for k, v := range c.procedures {
		n.procedures[k] = v
	}
	for k, v := range c.referrers {
		n.referrers[k] = v
	}
	for k, v := range c.byID {
		n.byID[k] = v
	}
	for k, v := range c.schemas {
		n.schemas[k] = v
	}
	for k, v := range c.names {
		n.names[k] = v
	}
	for k, v := range c.indexes {
		n.indexes[k] = v
	}
	return n
}

// Publish marks c as the committed state at version v.
func (c *Catalog) Publish(v Version) { c.version, c.draft = v, 0 }

// Version returns the committed version c is, or is a draft over.
func (c *Catalog) Version() Version { return c.version }

// Draft counts the uncommitted changes made over Version; 0 means none.
func (c *Catalog) Draft() uint64 { return c.draft }

// SetDraft gives the draft c a number of the caller's choice. A transaction that
// rolls back to a savepoint goes on from an older draft; counting on its own, it
// keeps two different drafts from having one number.
func (c *Catalog) SetDraft(n uint64) { c.draft = n }

// Put adds a descriptor or replaces the one with its ID.
func (c *Catalog) Put(d Descriptor) {
	c.Delete(d.DescriptorID())
	c.byID[d.DescriptorID()] = d
	switch d := d.(type) {
	case *Schema:
		c.schemas[d.Name] = d
	case *Table:
		c.names[Name{d.Schema, d.Name}] = d.ID
		for i := range d.Indexes {
			c.names[Name{d.Schema, d.Indexes[i].Name}] = d.Indexes[i].ID
			c.indexes[d.Indexes[i].ID] = d.ID
		}
		c.refer(d)
	case *Sequence:
		c.names[Name{d.Schema, d.Name}] = d.ID
	case *View:
		c.names[Name{d.Schema, d.Name}] = d.ID
	case *Procedure:
		c.addProcedure(d)
	case *Publication:
		c.addPublication(d)
	}
}

// Delete removes a descriptor; one that is not there is no error.
func (c *Catalog) Delete(id ID) {
	old, ok := c.byID[id]
	if !ok {
		return
	}
	delete(c.byID, id)
	switch d := old.(type) {
	case *Schema:
		delete(c.schemas, d.Name)
	case *Table:
		delete(c.names, Name{d.Schema, d.Name})
		for i := range d.Indexes {
			delete(c.names, Name{d.Schema, d.Indexes[i].Name})
			delete(c.indexes, d.Indexes[i].ID)
		}
		c.unrefer(d)
	case *Sequence:
		delete(c.names, Name{d.Schema, d.Name})
	case *View:
		delete(c.names, Name{d.Schema, d.Name})
	case *Procedure:
		c.removeProcedure(d)
	case *Publication:
		c.removePublication(d)
	}
}

// ByID returns the descriptor with that ID. An index's ID finds nothing here;
// see IndexTable.
func (c *Catalog) ByID(id ID) (Descriptor, bool) {
	d, ok := c.byID[id]
	return d, ok
}

// Table returns the table with that ID, or nil.
func (c *Catalog) Table(id ID) *Table {
	t, _ := c.byID[id].(*Table)
	return t
}

// Sequence returns the sequence with that ID, or nil.
func (c *Catalog) Sequence(id ID) *Sequence {
	s, _ := c.byID[id].(*Sequence)
	return s
}

// SchemaByName returns the schema of that name, or nil.
func (c *Catalog) SchemaByName(name string) *Schema { return c.schemas[name] }

// Relation finds a table, sequence, view or index by name: the ID found is the
// index's own for an index. Zero means there is none.
func (c *Catalog) Relation(n Name) ID { return c.names[n] }

// IndexTable returns the table and the position among its Indexes of the index
// with that ID; nil when there is none.
func (c *Catalog) IndexTable(index ID) (*Table, int) {
	t := c.Table(c.indexes[index])
	if t == nil {
		return nil, 0
	}
	i := slices.IndexFunc(t.Indexes, func(x Index) bool { return x.ID == index })
	return t, i
}

// All returns every descriptor in order of ID.
func (c *Catalog) All() []Descriptor {
	out := make([]Descriptor, 0, len(c.byID))
	for _, d := range c.byID {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Descriptor) int { return cmp.Compare(a.DescriptorID(), b.DescriptorID()) })
	return out
}

// PrimaryKey returns the primary key of t, or nil.
func (t *Table) PrimaryKey() *Index {
	for i := range t.Indexes {
		if t.Indexes[i].Primary {
			return &t.Indexes[i]
		}
	}
	return nil
}

// ColumnByName returns the live column of that name, or nil.
func (t *Table) ColumnByName(name string) *Column {
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Name == name && !c.Dropped {
			return c
		}
	}
	return nil
}

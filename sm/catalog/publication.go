package catalog

import (
	"cmp"
	"slices"
)

// Publication says which changes of which tables a consumer gets.
type Publication struct {
	ID    ID
	Name  string
	Owner string
	// AllTables publishes every table there is and will be; Tables and Schemas are
	// empty then.
	AllTables bool
	// Tables in the order in which they were added.
	Tables []PublicationTable
	// Schemas are those whose tables are published, in the order in which they
	// were added.
	Schemas []PublicationSchema
	// The operations that are published.
	Insert, Update, Delete, Truncate bool
	// ViaRoot is publish_via_partition_root.
	ViaRoot bool
	Comment string
}

// PublicationTable is a table that a publication names.
type PublicationTable struct {
	// ID is that of the table's membership: the OID in pg_publication_rel.
	ID    ID
	Table ID
	// Columns are those that are published, in ascending order; nil means all.
	Columns []ColumnNum
	// Filter is the condition in canonical SQL that rows must meet, or "".
	Filter string
	// FilterColumns are those that Filter refers to, in the order it does.
	FilterColumns []ColumnNum
}

// PublicationSchema is a schema that a publication names.
type PublicationSchema struct {
	// ID is that of the schema's membership: the OID in pg_publication_namespace.
	ID     ID
	Schema ID
}

// DescriptorID implements Descriptor.
func (p *Publication) DescriptorID() ID { return p.ID }

// DescriptorKind implements Descriptor.
func (p *Publication) DescriptorKind() Kind { return KindPublication }

// Publication returns the publication of that name, or nil.
func (c *Catalog) Publication(name string) *Publication {
	i, found := c.findPublication(name)
	if !found {
		return nil
	}
	return c.publications[i]
}

// Publications returns the publications in order of name. The slice is not to be
// modified.
func (c *Catalog) Publications() []*Publication { return c.publications }

func (c *Catalog) findPublication(name string) (int, bool) {
	return slices.BinarySearchFunc(c.publications, name, func(p *Publication, name string) int { return cmp.Compare(p.Name, name) })
}

// addPublication and removePublication keep publications by name. The slice may
// be shared with the catalog that this one is a copy of, so that it is replaced.
func (c *Catalog) addPublication(p *Publication) {
	i, _ := c.findPublication(p.Name)
	c.publications = slices.Insert(slices.Clone(c.publications), i, p)
}

func (c *Catalog) removePublication(p *Publication) {
	c.publications = slices.DeleteFunc(slices.Clone(c.publications), func(o *Publication) bool { return o.ID == p.ID })
}

// Member returns the entry of a table that the publication names, or nil.
func (p *Publication) Member(table ID) *PublicationTable {
	for i := range p.Tables {
		if p.Tables[i].Table == table {
			return &p.Tables[i]
		}
	}
	return nil
}

// HasSchema reports whether the publication names a schema.
func (p *Publication) HasSchema(schema ID) bool {
	return slices.ContainsFunc(p.Schemas, func(s PublicationSchema) bool { return s.Schema == schema })
}

// Publishes reports whether changes of t are published. What the entry of the
// table says counts only if the table is not published as a whole; member is nil
// otherwise.
func (p *Publication) Publishes(t *Table) (member *PublicationTable, ok bool) {
	if p.AllTables || p.HasSchema(t.Schema) {
		return nil, true
	}
	member = p.Member(t.ID)
	return member, member != nil
}

// ReplicaIdentity is which columns of an old row tell a consumer what row was
// updated or deleted: pg_class's relreplident.
type ReplicaIdentity byte

// The replica identities. The zero value means IdentityDefault.
const (
	IdentityDefault ReplicaIdentity = 'd' // the primary key
	IdentityNothing ReplicaIdentity = 'n'
	IdentityFull    ReplicaIdentity = 'f' // all columns
	IdentityIndex   ReplicaIdentity = 'i' // those of a unique index
)

// Identity is the table's replica identity.
func (t *Table) Identity() ReplicaIdentity {
	if t.ReplicaIdentity == 0 {
		return IdentityDefault
	}
	return t.ReplicaIdentity
}

// IdentityIndex is the index whose columns are the table's replica identity; nil
// when there is none, also if that is because all columns are.
func (t *Table) IdentityIndex() *Index {
	switch t.Identity() {
	case IdentityDefault:
		return t.PrimaryKey()
	case IdentityIndex:
		for i := range t.Indexes {
			if t.Indexes[i].ID == t.ReplicaIndex {
				return &t.Indexes[i]
			}
		}
	}
	return nil
}

// IdentityColumns are the columns of an old row that consumers get to see.
func (t *Table) IdentityColumns() []ColumnNum {
	var out []ColumnNum
	if t.Identity() == IdentityFull {
		for i := range t.Columns {
			if !t.Columns[i].Dropped {
				out = append(out, t.Columns[i].Num)
			}
		}
		return out
	}
	if ix := t.IdentityIndex(); ix != nil {
		for _, c := range ix.Columns {
			out = append(out, c.Column)
		}
	}
	return out
}

package catalog

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/types"
)

// ID names a schema object. It is also its PostgreSQL OID, unique over all
// kinds of objects of a database and never reused.
type ID uint32

// FirstUserID is the first ID given to an object a user makes; PostgreSQL's
// system objects are below it.
const FirstUserID ID = 16384

// The schemas every database has, with PostgreSQL's OIDs.
const (
	PgCatalogID         ID = 11
	PublicID            ID = 2200
	InformationSchemaID ID = 13000
	TidemarkSchemaID    ID = 13001
)

// Descriptor is one schema object.
type Descriptor interface {
	DescriptorID() ID
	DescriptorKind() Kind
}

// Kind of descriptor. Numbers are stored.
type Kind uint8

// The kinds of descriptors.
const (
	KindSchema   Kind = 1
	KindTable    Kind = 2
	KindSequence Kind = 3
	KindView     Kind = 4

	KindProcedure Kind = 5

	KindPublication Kind = 6
)

// Schema is a namespace.
type Schema struct {
	ID    ID
	Name  string
	Owner string
}

// ColumnNum is a column's position among all columns the table ever had, from
// 1: PostgreSQL's attnum. It is never reused, and the stored row has its value
// at index ColumnNum-1.
type ColumnNum int16

// Table is a table with its columns, indexes and constraints.
type Table struct {
	ID     ID
	Schema ID
	Name   string
	Owner  string

	// Columns by ColumnNum, dropped ones included: Columns[i].Num == i+1.
	Columns []Column

	// Indexes in order of creation. The primary key, where there is one, is
	// Indexes[i] with Primary set; it is how the rows themselves are keyed.
	Indexes []Index

	Checks      []Check
	ForeignKeys []ForeignKey

	// Storage is the key space the rows are in. TRUNCATE, and a change of the
	// primary key, give the table a new one.
	Storage StorageID

	Options []string // reloptions, as given
	Comment string

	// ReplicaIdentity is 0 where none was ever chosen; see Identity. ReplicaIndex
	// is the index of IdentityIndex, or 0.
	ReplicaIdentity ReplicaIdentity
	ReplicaIndex    ID
}

// StorageID names a key space of rows or index entries.
type StorageID uint32

// Column is one column of a table.
type Column struct {
	Num     ColumnNum
	Name    string
	Type    types.OID
	Typmod  int32
	NotNull bool
	Dropped bool

	// Default is an expression in canonical SQL, or "".
	Default string
	// Identity is 'a' (always), 'd' (by default) or 0.
	Identity byte
	// Sequence is the sequence owned by a serial or identity column, or 0.
	Sequence ID
	// Missing is what rows stored before the column was added have: the stored
	// form of one datum (types.AppendDatum), or nil for NULL.
	Missing []byte
	Comment string
}

// Index is a secondary index, a unique constraint or the primary key.
type Index struct {
	ID      ID
	Name    string
	Storage StorageID // for the primary key: the table's own
	Primary bool
	Unique  bool
	// Constraint is the OID of the constraint it implements, or 0.
	Constraint ID
	// NullsNotDistinct treats NULLs as equal in a unique index.
	NullsNotDistinct bool
	Columns          []IndexColumn
	Include          []ColumnNum
	// Predicate of a partial index in canonical SQL, or "".
	Predicate string
	Comment   string
	// ConstraintComment is the comment of the constraint.
	ConstraintComment string
}

// IndexColumn is one key column of an index.
type IndexColumn struct {
	Column     ColumnNum // 0 for an expression
	Expr       string    // canonical SQL of an expression column
	Type       types.OID // the type of the key
	Descending bool
	NullsFirst bool
}

// Check is a CHECK constraint.
type Check struct {
	ID   ID
	Name string
	Expr string // canonical SQL
	// Columns are those that the expression refers to, in the order it does.
	Columns   []ColumnNum
	NoInherit bool
	NotValid  bool // rows from before the constraint have not been looked at
	Comment   string
}

// ForeignKey is a FOREIGN KEY constraint of the table that has it.
type ForeignKey struct {
	ID                ID
	Name              string
	Columns           []ColumnNum
	Target            ID
	TargetColumns     []ColumnNum
	TargetIndex       ID
	OnDelete          byte // pg_constraint's letters: a r c n d
	OnUpdate          byte
	Match             byte // s or f
	Deferrable        bool
	InitiallyDeferred bool
	// DeleteSet are the columns that ON DELETE SET NULL or SET DEFAULT sets; none
	// means all of Columns.
	DeleteSet []ColumnNum
	NotValid  bool // rows from before the constraint have not been looked at
	Comment   string
}

// Sequence is a sequence generator; its current value is row data, not part
// of the descriptor.
type Sequence struct {
	ID        ID
	Schema    ID
	Name      string
	Owner     string
	Type      types.OID
	Start     int64
	Increment int64
	Min, Max  int64
	Cache     int64
	Cycle     bool
	// OwnedBy is the table and column that own it, or 0.
	OwnedByTable  ID
	OwnedByColumn ColumnNum
	Comment       string
}

// View is a named query.
type View struct {
	ID      ID
	Schema  ID
	Name    string
	Owner   string
	Query   string // canonical SQL
	Columns []Column
	Comment string
}

// DescriptorID implements Descriptor.
func (s *Schema) DescriptorID() ID { return s.ID }

// DescriptorID implements Descriptor.
func (t *Table) DescriptorID() ID { return t.ID }

// DescriptorID implements Descriptor.
func (s *Sequence) DescriptorID() ID { return s.ID }

// DescriptorID implements Descriptor.
func (v *View) DescriptorID() ID { return v.ID }

// DescriptorKind implements Descriptor.
func (s *Schema) DescriptorKind() Kind { return KindSchema }

// DescriptorKind implements Descriptor.
func (t *Table) DescriptorKind() Kind { return KindTable }

// DescriptorKind implements Descriptor.
func (s *Sequence) DescriptorKind() Kind { return KindSequence }

// DescriptorKind implements Descriptor.
func (v *View) DescriptorKind() Kind { return KindView }

// Version identifies a state of the catalog: the commit offset of the last
// transaction that changed it. Within a transaction that is changing it, the
// Draft counter of the Catalog tells its states apart.
type Version = log.Offset

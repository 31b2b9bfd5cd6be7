package plan

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Statement is a bound statement, ready to be compiled. One of Root, Insert,
// Update, Delete, DDL, SetConstraints and Call is set.
type Statement struct {
	Root   Node
	Insert *Insert
	Update *Update
	Delete *Delete
	DDL    DDL

	// SetConstraints is SET CONSTRAINTS.
	SetConstraints *SetConstraints

	// Call is CALL.
	Call *CallProcedure

	// Guards are of the tables that Insert, Update or Delete change, its own first;
	// none when there is no foreign key to look at.
	Guards []*Guard

	// Unidentified is the error of a statement that updates or deletes rows of a
	// published table without a sufficient replica identity. It is raised when the
	// statement runs, whether or not there are such rows.
	Unidentified error

	// Cols are the result columns (of a query or of RETURNING), Out where they
	// are among Root's.
	Cols []ResultColumn
	Out  []ColID

	// Columns describes every ColID; index 0 is unused.
	Columns []Column

	// Params are the parameter types, inferred where they were not declared.
	Params []*types.Type

	// Tag is the command tag without its count; it is SELECT for queries.
	Tag string

	// Silent: it is a query whose rows nobody is shown.
	Silent bool

	// Ordered: the query has an ORDER BY, so the order of its rows means
	// something.
	Ordered bool

	// Reads are the tables whose rows the statement looks at; AllTables when
	// that cannot be said.
	Reads     []catalog.ID
	AllTables bool

	// Locking: a query has FOR UPDATE or FOR SHARE, or asserts something, so that
	// it is validated at every isolation level. RowLock names the former.
	Locking bool
	RowLock string

	// Local: it looks at what a node, or the log, says of itself, which cannot be
	// validated.
	Local bool

	// Volatile: running it twice on the same state may answer differently
	// (random(), nextval(), …). Writer names a function in it that changes
	// something (nextval, …), so that a query has to go through the log.
	Volatile bool
	Writer   string

	// Subscribes: it calls tidemark.subscribe(), and so looks at no table.
	Subscribes bool

	// Unportable names a function that it calls and whose answer may differ between machines,
	// so it cannot be run again when a transaction is validated.
	Unportable string

	// Uncacheable plans hold something of their moment: 'now'::timestamptz.
	Uncacheable bool
}

// ReadOnly reports whether the statement changes nothing.
func (s *Statement) ReadOnly() bool { return s.Root != nil && s.Writer == "" }

// ResultColumn is one column of a result.
type ResultColumn struct {
	Name   string
	Type   *types.Type
	Typmod int32
	Table  catalog.ID
	Num    catalog.ColumnNum
}

// Insert puts the rows of Source into Table.
type Insert struct {
	Table *catalog.Table
	// Source yields one column for each of Targets.
	Source  Node
	From    []ColID
	Targets []catalog.ColumnNum
	// Defaults has the expression for each column that is not a target, by
	// position; nil is NULL.
	Defaults []Expr
	// Checks must not be false for a new row.
	Checks    []TableCheck
	Conflict  *Conflict
	Row       []ColID // the new row, for Checks, Returning
	Returning *Returning
	// Draws: the query of Source draws from sequences.
	Draws bool
}

// TableCheck is a CHECK constraint bound to the columns of the new row.
type TableCheck struct {
	Name string
	Cond Expr
}

// Conflict is ON CONFLICT.
type Conflict struct {
	// Indexes are the arbiters; all unique ones when none was named.
	Indexes []*catalog.Index
	// Update is nil for DO NOTHING.
	Update *ConflictUpdate
}

// ConflictUpdate is DO UPDATE: Sets and Where refer to the existing row by
// Existing and to the proposed one by Excluded.
type ConflictUpdate struct {
	Existing []ColID
	Excluded []ColID
	Sets     []Set
	Where    Expr
}

// Set assigns to one column.
type Set struct {
	Column catalog.ColumnNum
	Value  Expr
}

// Update changes rows. Source yields the old row (Old, in column order, then
// Handle) and whatever Sets refer to.
type Update struct {
	Table     *catalog.Table
	Source    Node
	Old       []ColID
	Handle    []ColID
	Sets      []Set
	Checks    []TableCheck
	Row       []ColID // the new row
	Returning *Returning
}

// Delete removes rows; Returning refers to Old.
type Delete struct {
	Table     *catalog.Table
	Source    Node
	Old       []ColID
	Handle    []ColID
	Returning *Returning
}

// Returning computes the result of a data-modifying statement. Besides the row
// it may refer to the other columns of Source.
type Returning struct {
	Exprs []Expr
}

// DDL is a statement that changes the catalog; exec has one function for each.
type DDL interface{ ddl() }

// Name is a possibly qualified object name as it was written.
type Name struct{ Schema, Name string }

// ColumnSpec is a column of CREATE TABLE or ADD COLUMN.
type ColumnSpec struct {
	Name     string
	Type     *types.Type
	Typmod   int32
	NotNull  bool
	Default  string
	Serial   bool          // smallserial, serial, bigserial
	Identity byte          // 'a', 'd' or 0
	Options  *SequenceSpec // of an identity column's sequence
}

// IndexSpec is an index, a unique constraint or a primary key.
type IndexSpec struct {
	Name             string
	Primary          bool
	Unique           bool
	Constraint       bool
	NullsNotDistinct bool
	Columns          []IndexColumnSpec
	Include          []string
	IfNotExists      bool
	Using            string // an index that is there and becomes the constraint's
}

// IndexColumnSpec is one key column.
type IndexColumnSpec struct {
	Column     string
	Desc       bool
	NullsFirst bool
}

// SequenceSpec has the options of a sequence; nil means not given.
type SequenceSpec struct {
	Type                              *types.Type
	Start, Increment, Min, Max, Cache *int64
	NoMin, NoMax                      bool
	Restart                           bool
	RestartWith                       *int64
	Cycle                             *bool
	OwnedBy                           *OwnedBy
}

// OwnedBy is OWNED BY; an empty Table means NONE.
type OwnedBy struct {
	Table  Name
	Column string
}

// CreateTable is CREATE TABLE, and CREATE TABLE AS with Query set.
type CreateTable struct {
	Name        Name
	IfNotExists bool
	Columns     []ColumnSpec
	Indexes     []IndexSpec
	Checks      []CheckSpec
	ForeignKeys []ForeignKeySpec
	Options     []string
	Query       *Statement
	NoData      bool
}

// CreateIndex is CREATE INDEX.
type CreateIndex struct {
	Table Name
	Index IndexSpec
}

// CreateSchema is CREATE SCHEMA.
type CreateSchema struct {
	Name        string
	IfNotExists bool
}

// CreateSequence is CREATE SEQUENCE.
type CreateSequence struct {
	Name        Name
	IfNotExists bool
	Spec        SequenceSpec
}

// AlterSequence is ALTER SEQUENCE.
type AlterSequence struct {
	Name     Name
	IfExists bool
	Spec     SequenceSpec
}

// ObjectKind is what DROP, ALTER … RENAME and COMMENT name.
type ObjectKind string

// The kinds of objects, as messages spell them.
const (
	TableObject      ObjectKind = "table"
	IndexObject      ObjectKind = "index"
	SequenceObject   ObjectKind = "sequence"
	ViewObject       ObjectKind = "view"
	SchemaObject     ObjectKind = "schema"
	ColumnObject     ObjectKind = "column"
	ConstraintObject ObjectKind = "constraint"

	PublicationObject ObjectKind = "publication"
)

// Drop is DROP of one or more objects.
type Drop struct {
	Kind     ObjectKind
	Names    []Name
	IfExists bool
	Cascade  bool
}

// Truncate is TRUNCATE.
type Truncate struct {
	Tables          []Name
	RestartIdentity bool
	Cascade         bool
}

// Rename is ALTER … RENAME.
type Rename struct {
	Kind     ObjectKind
	On       ObjectKind // for columns and constraints: of what
	Name     Name
	Old, New string // Old for columns and constraints
	IfExists bool
}

// Comment is COMMENT ON; Text is nil to remove it.
type Comment struct {
	Kind ObjectKind
	Name Name
	Sub  string // the column or constraint
	Text string
}

// AlterTable is ALTER TABLE with its actions in order.
type AlterTable struct {
	Name     Name
	IfExists bool
	Kind     ObjectKind
	Actions  []AlterAction
}

// AlterAction is one action of ALTER TABLE.
type AlterAction interface{ alterAction() }

// The actions of ALTER TABLE.
type (
	// AddColumn adds a column, with the constraints written on it.
	AddColumn struct {
		Column      ColumnSpec
		Indexes     []IndexSpec
		Checks      []CheckSpec
		ForeignKeys []ForeignKeySpec
		IfNotExists bool
	}
	// DropColumn drops a column.
	DropColumn struct {
		Name     string
		IfExists bool
		Cascade  bool
	}
	// SetDefault sets or (with "") drops a default.
	SetDefault struct{ Column, Default string }
	// SetNotNull sets or drops NOT NULL.
	SetNotNull struct {
		Column  string
		NotNull bool
	}
	// AlterType changes a column's type.
	AlterType struct {
		Column string
		Type   *types.Type
		Typmod int32
		Using  string
	}
	// AddIndexConstraint adds a primary key or unique constraint.
	AddIndexConstraint struct{ Index IndexSpec }
	// AddCheck adds a CHECK constraint.
	AddCheck struct{ Check CheckSpec }
	// AddForeignKey adds a foreign key.
	AddForeignKey struct{ Key ForeignKeySpec }
	// ValidateConstraint looks at the rows that NOT VALID has left out.
	ValidateConstraint struct{ Name string }
	// AlterConstraint changes when a foreign key is checked.
	AlterConstraint struct {
		Name                          string
		Deferrable, InitiallyDeferred bool
	}
	// DropConstraint drops a constraint by name.
	DropConstraint struct {
		Name     string
		IfExists bool
		Cascade  bool
	}
	// AddIdentity makes a column an identity column.
	AddIdentity struct {
		Column  string
		Kind    byte
		Options *SequenceSpec
	}
	// DropIdentity makes it an ordinary one again.
	DropIdentity struct {
		Column   string
		IfExists bool
	}
	// ChangeOwner is OWNER TO.
	ChangeOwner struct{ Role string }
	// SetReplicaIdentity is REPLICA IDENTITY; Index is for USING INDEX.
	SetReplicaIdentity struct {
		Identity catalog.ReplicaIdentity
		Index    string
	}
	// SetOptions is SET (…): accepted and kept.
	SetOptions struct{ Options []string }
)

// SetConstraints is SET CONSTRAINTS; no names mean ALL.
type SetConstraints struct {
	Names    []Name
	Deferred bool
}

func (*AddColumn) alterAction()          {}
func (*DropColumn) alterAction()         {}
func (*SetDefault) alterAction()         {}
func (*SetNotNull) alterAction()         {}
func (*AlterType) alterAction()          {}
func (*AddIndexConstraint) alterAction() {}
func (*AddCheck) alterAction()           {}
func (*AddForeignKey) alterAction()      {}
func (*ValidateConstraint) alterAction() {}
func (*AlterConstraint) alterAction()    {}
func (*DropConstraint) alterAction()     {}
func (*AddIdentity) alterAction()        {}
func (*DropIdentity) alterAction()       {}
func (*ChangeOwner) alterAction()        {}
func (*SetOptions) alterAction()         {}
func (*SetReplicaIdentity) alterAction() {}

func (*CreateTable) ddl()    {}
func (*CreateIndex) ddl()    {}
func (*CreateSchema) ddl()   {}
func (*CreateSequence) ddl() {}
func (*AlterSequence) ddl()  {}
func (*Drop) ddl()           {}
func (*Truncate) ddl()       {}
func (*Rename) ddl()         {}
func (*Comment) ddl()        {}
func (*AlterTable) ddl()     {}

package exec

import (
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func (d *ddl) createTable(s *plan.CreateTable) (int64, error) {
	schema, err := d.schemaFor(s.Name)
	if err != nil {
		return 0, err
	}
	if d.taken(schema.ID, s.Name.Name) {
		if s.IfNotExists {
			d.rt.notice("relation \"%s\" already exists, skipping", s.Name.Name)
			return 0, nil
		}
		return 0, d.free(schema.ID, s.Name.Name)
	}
	t := &catalog.Table{ID: d.rt.Txn.NewID(), Schema: schema.ID, Name: s.Name.Name, Owner: d.rt.User,
		Storage: d.rt.Txn.NewStorage(), Options: s.Options}
	for i := range s.Columns {
		if err := d.addColumn(t, &s.Columns[i]); err != nil {
			return 0, err
		}
	}
	for i := range s.Indexes {
		if _, err := d.addIndex(t, &s.Indexes[i]); err != nil {
			return 0, err
		}
	}
	if err := d.newChecks(t, s.Checks); err != nil {
		return 0, err
	}
	d.rt.Txn.PutDescriptor(t)
	if err := d.newForeignKeys(t.ID, s.ForeignKeys); err != nil {
		return 0, err
	}
	if s.Query == nil || s.NoData {
		return 0, nil
	}
	return d.fill(t, s.Query)
}

// fill puts the rows of CREATE TABLE AS into a new table.
func (d *ddl) fill(t *catalog.Table, q *plan.Statement) (int64, error) {
	p := Compile(q)
	return p.Run(d.rt, func(row []types.Datum) error {
		fresh := make([]types.Datum, len(t.Columns))
		copy(fresh, row)
		return d.rt.Txn.Insert(t, fresh)
	})
}

// addColumn adds a column to a table being made or changed, with its sequence.
func (d *ddl) addColumn(t *catalog.Table, s *plan.ColumnSpec) error {
	if t.ColumnByName(s.Name) != nil {
		return sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" specified more than once", s.Name)
	}
	for _, name := range systemColumns {
		if s.Name == name {
			return sqlstate.New(sqlstate.DuplicateColumn, "column name \"%s\" conflicts with a system column name", s.Name)
		}
	}
	c := catalog.Column{Num: catalog.ColumnNum(len(t.Columns) + 1), Name: s.Name, Type: s.Type.OID, Typmod: s.Typmod,
		NotNull: s.NotNull, Default: s.Default, Identity: s.Identity}
	if s.Serial || s.Identity != 0 {
		spec := s.Options
		if spec == nil {
			spec = &plan.SequenceSpec{}
		}
		seq, err := d.newSequence(t.Schema, d.freeName(t.Schema, nil, t.Name, s.Name, "seq"), spec, s.Type)
		if err != nil {
			return err
		}
		seq.OwnedByTable, seq.OwnedByColumn = t.ID, c.Num
		d.rt.Txn.PutDescriptor(seq)
		c.Sequence = seq.ID
		if s.Serial {
			c.Default = plan.SequenceDefault
		}
	}
	t.Columns = append(t.Columns, c)
	return nil
}

// systemColumns are names that PostgreSQL reserves in every table.
var systemColumns = []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

// addIndex adds an index to a descriptor, without filling it.
func (d *ddl) addIndex(t *catalog.Table, s *plan.IndexSpec) (*catalog.Index, error) {
	ix := catalog.Index{ID: d.rt.Txn.NewID(), Name: s.Name, Primary: s.Primary, Unique: s.Unique || s.Primary,
		NullsNotDistinct: s.NullsNotDistinct}
	if s.Primary {
		if t.PrimaryKey() != nil {
			return nil, sqlstate.New(sqlstate.InvalidTableDefinition, "multiple primary keys for table \"%s\" are not allowed", t.Name)
		}
		ix.Storage = t.Storage
	} else {
		ix.Storage = d.rt.Txn.NewStorage()
	}
	if s.Constraint {
		ix.Constraint = d.rt.Txn.NewID()
	}
	first := ""
	for _, k := range s.Columns {
		if err := d.addIndexColumn(t, &ix, k); err != nil {
			return nil, err
		}
		if first != "" {
			first += "_"
		}
		first += k.Column
	}
	for _, name := range s.Include {
		c, err := columnOf(t, name)
		if err != nil {
			return nil, err
		}
		ix.Include = append(ix.Include, c.Num)
	}
	if err := d.nameIndex(t, &ix, first); err != nil {
		return nil, err
	}
	t.Indexes = append(t.Indexes, ix)
	return &t.Indexes[len(t.Indexes)-1], nil
}

func (d *ddl) addIndexColumn(t *catalog.Table, ix *catalog.Index, k plan.IndexColumnSpec) error {
	c := t.ColumnByName(k.Column)
	if c == nil {
		if ix.Constraint != 0 {
			return sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" named in key does not exist", k.Column)
		}
		return sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" does not exist", k.Column)
	}
	for _, have := range ix.Columns {
		if have.Column == c.Num && ix.Constraint != 0 {
			kind := "unique"
			if ix.Primary {
				kind = "primary key"
			}
			return sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" appears twice in %s constraint", k.Column, kind)
		}
	}
	typ, _ := types.ByOID(c.Type)
	if typ.Kind == types.KindString && typ == types.JSONType || typ.Elem == types.JSONType {
		return sqlstate.New(sqlstate.UndefinedObject, "data type %s has no default operator class for access method \"btree\"", typ).
			WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
	}
	if ix.Primary {
		c.NotNull = true
	}
	ix.Columns = append(ix.Columns, catalog.IndexColumn{Column: c.Num, Type: c.Type, Descending: k.Desc, NullsFirst: k.NullsFirst})
	return nil
}

func (d *ddl) nameIndex(t *catalog.Table, ix *catalog.Index, columns string) error {
	used := map[string]bool{t.Name: true}
	for i := range t.Indexes {
		used[t.Indexes[i].Name] = true
	}
	switch {
	case ix.Name != "":
		if used[ix.Name] {
			return sqlstate.New(sqlstate.DuplicateTable, "relation \"%s\" already exists", ix.Name)
		}
		return d.free(t.Schema, ix.Name)
	case ix.Primary:
		ix.Name = d.freeName(t.Schema, used, t.Name, "", "pkey")
	case ix.Constraint != 0:
		ix.Name = d.freeName(t.Schema, used, t.Name, columns, "key")
	default:
		ix.Name = d.freeName(t.Schema, used, t.Name, columns, "idx")
	}
	return nil
}

func (d *ddl) createIndex(s *plan.CreateIndex) error {
	t, err := d.table(s.Table)
	if err != nil {
		return err
	}
	if s.Index.Name != "" && s.Index.IfNotExists && d.taken(t.Schema, s.Index.Name) {
		d.rt.notice("relation \"%s\" already exists, skipping", s.Index.Name)
		return nil
	}
	n := cloneTable(t)
	ix, err := d.addIndex(n, &s.Index)
	if err != nil {
		return err
	}
	return d.build(n, ix)
}

// build fills a new index and publishes the table that has it.
func (d *ddl) build(t *catalog.Table, ix *catalog.Index) error {
	if err := d.rt.Txn.BuildIndex(t, ix); err != nil {
		e := writeError(d.rt, err)
		if sqlstate.CodeOf(e) == sqlstate.UniqueViolation {
			u := *sqlstate.As(e)
			u.Message = "could not create unique index \"" + ix.Name + "\""
			if n := len(u.Detail); n > len(" already exists.") {
				u.Detail = u.Detail[:n-len(" already exists.")] + " is duplicated."
			}
			return &u
		}
		return e
	}
	d.rt.Txn.PutDescriptor(t)
	return nil
}

// addPrimaryKey gives a table a primary key: its rows are keyed anew.
func (d *ddl) addPrimaryKey(t *catalog.Table, s *plan.IndexSpec) (*catalog.Table, error) {
	n := cloneTable(t)
	n.Storage = d.rt.Txn.NewStorage()
	for i := range n.Indexes {
		n.Indexes[i].Storage = d.rt.Txn.NewStorage()
	}
	ix, err := d.addIndex(n, s)
	if err != nil {
		return nil, err
	}
	if err := d.refuseNulls(t, ix); err != nil {
		return nil, err
	}
	if err := d.rt.Txn.Rekey(t, n); err != nil {
		e := writeError(d.rt, err)
		if sqlstate.CodeOf(e) == sqlstate.UniqueViolation {
			u := *sqlstate.As(e)
			u.Message = "could not create unique index \"" + ix.Name + "\""
			return nil, &u
		}
		return nil, e
	}
	d.rt.Txn.PutDescriptor(n)
	return n, nil
}

// refuseNulls fails when a column of a new key holds a NULL.
func (d *ddl) refuseNulls(t *catalog.Table, ix *catalog.Index) error {
	for _, kc := range ix.Columns {
		if err := d.noNulls(t, kc.Column); err != nil {
			return err
		}
	}
	return nil
}

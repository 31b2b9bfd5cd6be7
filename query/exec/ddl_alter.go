package exec

import (
	"fmt"
	"slices"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func (d *ddl) alterTable(s *plan.AlterTable) error {
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
	if t := d.cat().Table(id); t == nil {
		return d.alterOther(id, s)
	}
	if err := d.idle(d.cat().Table(id), "ALTER TABLE"); err != nil {
		return err
	}
	for _, a := range s.Actions {
		if err := d.alter(d.cat().Table(id), a); err != nil {
			return err
		}
	}
	return nil
}

// alterOther applies to sequences and indexes what ALTER TABLE may do to them.
func (d *ddl) alterOther(id catalog.ID, s *plan.AlterTable) error {
	for _, a := range s.Actions {
		owner, ok := a.(*plan.ChangeOwner)
		q := d.cat().Sequence(id)
		if !ok || q == nil {
			return sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a table", s.Name.Name)
		}
		n := *q
		n.Owner = owner.Role
		d.rt.Txn.PutDescriptor(&n)
	}
	return nil
}

func (d *ddl) alter(t *catalog.Table, a plan.AlterAction) error {
	switch a := a.(type) {
	case *plan.AddColumn:
		return d.alterAddColumn(t, a)
	case *plan.DropColumn:
		return d.dropColumn(t, a)
	case *plan.SetDefault:
		return d.setDefault(t, a)
	case *plan.SetNotNull:
		return d.setNotNull(t, a)
	case *plan.AlterType:
		return d.alterType(t, a)
	case *plan.AddIndexConstraint:
		return d.addConstraint(t, &a.Index)
	case *plan.AddCheck:
		return d.alterAddCheck(t, &a.Check)
	case *plan.AddForeignKey:
		return d.alterAddForeignKey(t, &a.Key)
	case *plan.ValidateConstraint:
		return d.validateConstraint(t, a.Name)
	case *plan.AlterConstraint:
		return d.alterConstraint(t, a)
	case *plan.DropConstraint:
		return d.dropConstraint(t, a)
	}
	return d.alterMore(t, a)
}

func (d *ddl) alterMore(t *catalog.Table, a plan.AlterAction) error {
	switch a := a.(type) {
	case *plan.AddIdentity:
		return d.addIdentity(t, a)
	case *plan.DropIdentity:
		return d.dropIdentity(t, a)
	case *plan.ChangeOwner:
		n := cloneTable(t)
		n.Owner = a.Role
		d.rt.Txn.PutDescriptor(n)
		return nil
	case *plan.SetReplicaIdentity:
		return d.setReplicaIdentity(t, a)
	case *plan.SetOptions:
		n := cloneTable(t)
		n.Options = append(n.Options, a.Options...)
		d.rt.Txn.PutDescriptor(n)
		return nil
	}
	return fmt.Errorf("exec: no code for %T", a)
}

func (d *ddl) addConstraint(t *catalog.Table, s *plan.IndexSpec) error {
	if s.Using != "" {
		return d.useIndex(t, s)
	}
	if s.Primary {
		_, err := d.addPrimaryKey(t, s)
		return err
	}
	n := cloneTable(t)
	ix, err := d.addIndex(n, s)
	if err != nil {
		return err
	}
	return d.build(n, ix)
}

// alterAddColumn adds a column. Rows that are there get its default by what the
// descriptor says of missing values, when that is the same for all; a volatile
// default is computed row by row.
func (d *ddl) alterAddColumn(t *catalog.Table, a *plan.AddColumn) error {
	if t.ColumnByName(a.Column.Name) != nil {
		if a.IfNotExists {
			d.rt.notice("column \"%s\" of relation \"%s\" already exists, skipping", a.Column.Name, t.Name)
			return nil
		}
		return sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists", a.Column.Name, t.Name)
	}
	n := cloneTable(t)
	if err := d.addColumn(n, &a.Column); err != nil {
		return err
	}
	c := &n.Columns[len(n.Columns)-1]
	empty, err := d.isEmpty(t)
	if err != nil {
		return err
	}
	var program *Program
	if c.Default != "" || c.Sequence != 0 {
		if program, err = d.defaultProgram(c); err != nil {
			return err
		}
	}
	perRow := program != nil && program.Statement.Volatile
	if program != nil && !perRow {
		v, err := d.evaluate(program)
		if err != nil {
			return err
		}
		if !v.IsNull() {
			c.Missing = types.AppendDatum(nil, v)
		}
	}
	if c.NotNull && !empty && c.Missing == nil && !perRow {
		e := sqlstate.New(sqlstate.NotNullViolation, "column \"%s\" of relation \"%s\" contains null values", c.Name, t.Name)
		e.Table, e.Column = t.Name, c.Name
		return e
	}
	d.rt.Txn.PutDescriptor(n)
	if perRow && !empty {
		if err := d.fillColumn(n, int(c.Num)-1, program); err != nil {
			return err
		}
	}
	for i := range a.Indexes {
		if err := d.addConstraint(d.cat().Table(t.ID), &a.Indexes[i]); err != nil {
			return err
		}
	}
	return d.columnConstraints(t.ID, a)
}

// columnConstraints adds the constraints that were written on a new column.
func (d *ddl) columnConstraints(id catalog.ID, a *plan.AddColumn) error {
	for i := range a.Checks {
		if err := d.alterAddCheck(d.cat().Table(id), &a.Checks[i]); err != nil {
			return err
		}
	}
	for i := range a.ForeignKeys {
		if err := d.alterAddForeignKey(d.cat().Table(id), &a.ForeignKeys[i]); err != nil {
			return err
		}
	}
	return nil
}

// defaultProgram compiles a column's default.
func (d *ddl) defaultProgram(c *catalog.Column) (*Program, error) {
	typ, _ := types.ByOID(c.Type)
	text := c.Default
	if c.Sequence != 0 {
		text = fmt.Sprintf("nextval(%d::regclass)", c.Sequence)
	}
	st, err := plan.DefaultOf(d.env(), text, c.Name, plan.ResultColumn{Name: c.Name, Type: typ, Typmod: c.Typmod})
	if err != nil {
		return nil, err
	}
	return Compile(st), nil
}

func (d *ddl) env() plan.Env {
	return plan.Env{Catalog: d.cat(), SearchPath: d.rt.SearchPath, Ctx: d.rt.Expr, Write: true}
}

// evaluate runs a program that yields one value.
func (d *ddl) evaluate(p *Program) (types.Datum, error) {
	var out types.Datum
	_, err := p.Run(d.rt, func(row []types.Datum) error {
		out = row[0]
		return nil
	})
	return out, err
}

// fillColumn computes a column for every row there is.
func (d *ddl) fillColumn(t *catalog.Table, pos int, p *Program) error {
	it := d.rt.Txn.Scan(sm.ScanOptions{Table: t})
	defer it.Close()
	for it.Next() {
		old := it.Row().Clone()
		fresh := append([]types.Datum(nil), old.Values...)
		var err error
		if fresh[pos], err = d.evaluate(p); err != nil {
			return err
		}
		if err := d.rt.Txn.Update(t, old, fresh); err != nil {
			return err
		}
	}
	return it.Err()
}

func (d *ddl) isEmpty(t *catalog.Table) (bool, error) {
	it := d.rt.Txn.Scan(sm.ScanOptions{Table: t, Want: []int{}})
	defer it.Close()
	return !it.Next(), it.Err()
}

func (d *ddl) dropColumn(t *catalog.Table, a *plan.DropColumn) error {
	c := t.ColumnByName(a.Name)
	if c == nil && a.IfExists {
		d.rt.notice("column \"%s\" of relation \"%s\" does not exist, skipping", a.Name, t.Name)
		return nil
	}
	if _, err := columnOf(t, a.Name); err != nil {
		return err
	}
	t, err := d.releaseColumn(t, c.Num, a.Cascade)
	if err != nil {
		return err
	}
	if err := d.unpublishColumn(t, c.Num, a.Cascade); err != nil {
		return err
	}
	n := cloneTable(t)
	rekey := false
	n.Indexes = n.Indexes[:0]
	for _, ix := range t.Indexes {
		if !usesColumn(&ix, c.Num) {
			n.Indexes = append(n.Indexes, ix)
		} else if ix.Primary {
			rekey = true
		}
	}
	col := &n.Columns[c.Num-1]
	if col.Sequence != 0 {
		d.rt.Txn.DeleteDescriptor(col.Sequence)
	}
	*col = catalog.Column{Num: col.Num, Name: fmt.Sprintf("........pg.dropped.%d........", col.Num), Type: col.Type,
		Typmod: col.Typmod, Dropped: true}
	if rekey {
		return d.rekey(t, n)
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func usesColumn(ix *catalog.Index, num catalog.ColumnNum) bool {
	for _, k := range ix.Columns {
		if k.Column == num {
			return true
		}
	}
	for _, k := range ix.Include {
		if k == num {
			return true
		}
	}
	return false
}

// rekey moves the rows of t to new storage under n's key.
func (d *ddl) rekey(t, n *catalog.Table) error {
	n.Storage = d.rt.Txn.NewStorage()
	for i := range n.Indexes {
		n.Indexes[i].Storage = d.rt.Txn.NewStorage()
		if n.Indexes[i].Primary {
			n.Indexes[i].Storage = n.Storage
		}
	}
	if err := d.rt.Txn.Rekey(t, n); err != nil {
		return writeError(d.rt, err)
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func (d *ddl) setDefault(t *catalog.Table, a *plan.SetDefault) error {
	c, err := columnOf(t, a.Column)
	if err != nil {
		return err
	}
	n := cloneTable(t)
	col := &n.Columns[c.Num-1]
	if col.Identity != 0 {
		return sqlstate.New(sqlstate.SyntaxError, "column \"%s\" of relation \"%s\" is an identity column", c.Name, t.Name)
	}
	col.Default = a.Default
	if a.Default != "" {
		// Check that it fits the column.
		probe := *col
		probe.Sequence = 0
		if _, err := d.defaultProgram(&probe); err != nil {
			return err
		}
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func (d *ddl) setNotNull(t *catalog.Table, a *plan.SetNotNull) error {
	c, err := columnOf(t, a.Column)
	if err != nil {
		return err
	}
	if !a.NotNull {
		if pk := t.PrimaryKey(); pk != nil && usesColumn(pk, c.Num) {
			return sqlstate.New(sqlstate.InvalidTableDefinition, "column \"%s\" is in a primary key", c.Name)
		}
		if c.Identity != 0 {
			return sqlstate.New(sqlstate.SyntaxError, "column \"%s\" of relation \"%s\" is an identity column", c.Name, t.Name)
		}
		if t.IdentityIndex() != nil && slices.Contains(t.IdentityColumns(), c.Num) {
			return sqlstate.New(sqlstate.InvalidTableDefinition, "column \"%s\" is in index used as replica identity", c.Name)
		}
	} else if err := d.noNulls(t, c.Num); err != nil {
		return err
	}
	n := cloneTable(t)
	n.Columns[c.Num-1].NotNull = a.NotNull
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// noNulls fails when a column holds a NULL.
func (d *ddl) noNulls(t *catalog.Table, num catalog.ColumnNum) error {
	pos := int(num) - 1
	it := d.rt.Txn.Scan(sm.ScanOptions{Table: t, Want: []int{pos}})
	defer it.Close()
	for it.Next() {
		if it.Row().Values[pos].IsNull() {
			e := sqlstate.New(sqlstate.NotNullViolation, "column \"%s\" of relation \"%s\" contains null values", t.Columns[pos].Name, t.Name)
			e.Table, e.Column = t.Name, t.Columns[pos].Name
			return e
		}
	}
	return it.Err()
}

// alterType changes a column's type where the stored values stay what they are:
// a longer varchar, varchar to text. Rewriting the rows is not supported yet.
func (d *ddl) alterType(t *catalog.Table, a *plan.AlterType) error {
	c, err := columnOf(t, a.Column)
	if err != nil {
		return err
	}
	old, _ := types.ByOID(c.Type)
	character := func(x *types.Type) bool { return x == types.TextType || x == types.VarcharType }
	wider := a.Typmod == types.NoTypmod || (c.Typmod != types.NoTypmod && a.Typmod >= c.Typmod)
	same := old == a.Type && a.Typmod == c.Typmod
	if err := d.retypable(t, c); err != nil {
		return err
	}
	if a.Using != "" || !(same || (character(old) && character(a.Type) && wider)) {
		return unsupported("ALTER COLUMN ... TYPE that rewrites the table")
	}
	n := cloneTable(t)
	n.Columns[c.Num-1].Type, n.Columns[c.Num-1].Typmod = a.Type.OID, a.Typmod
	for i := range n.Indexes {
		n.Indexes[i].Columns = append([]catalog.IndexColumn(nil), n.Indexes[i].Columns...)
		for j := range n.Indexes[i].Columns {
			if n.Indexes[i].Columns[j].Column == c.Num {
				n.Indexes[i].Columns[j].Type = a.Type.OID
			}
		}
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// removeIndex drops one index of a table. Without its primary key a table's
// rows are keyed by a hidden number.
func (d *ddl) removeIndex(t *catalog.Table, i int) error {
	n := cloneTable(t)
	primary := t.Indexes[i].Primary
	n.Indexes = append(n.Indexes[:i], n.Indexes[i+1:]...)
	if primary {
		return d.rekey(t, n)
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

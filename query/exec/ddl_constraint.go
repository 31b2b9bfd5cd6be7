package exec

import (
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// constraintTaken reports whether a schema has a constraint of that name; t is a
// table that is being made or changed, as far as that has come.
func (d *ddl) constraintTaken(t *catalog.Table, name string) bool {
	same := func(k namedConstraint) bool { return k.name == name }
	if slices.ContainsFunc(constraintNames(t), same) {
		return true
	}
	for _, o := range d.cat().All() {
		if x, ok := o.(*catalog.Table); ok && x.ID != t.ID && x.Schema == t.Schema && slices.ContainsFunc(constraintNames(x), same) {
			return true
		}
	}
	return false
}

// nameConstraint checks the name that a constraint of t was given, or makes one.
func (d *ddl) nameConstraint(t *catalog.Table, given, columns, suffix string) (string, error) {
	if given == "" {
		return madeName(t.Name, columns, suffix, func(name string) bool { return d.constraintTaken(t, name) }), nil
	}
	for _, k := range constraintNames(t) {
		if k.name == given {
			return "", sqlstate.New(sqlstate.DuplicateObject, "constraint \"%s\" for relation \"%s\" already exists", given, t.Name)
		}
	}
	return given, nil
}

// addCheck adds a CHECK constraint to a descriptor. A name made for it has the
// column in it when there is one only.
func (d *ddl) addCheck(t *catalog.Table, s *plan.CheckSpec) (*catalog.Check, error) {
	c, err := plan.BindCheck(d.env(), s, t)
	if err != nil {
		return nil, err
	}
	column := ""
	if len(c.Columns) == 1 {
		column = t.Columns[c.Columns[0]-1].Name
	}
	if c.Name, err = d.nameConstraint(t, s.Name, column, "check"); err != nil {
		return nil, err
	}
	c.ID = d.rt.Txn.NewID()
	t.Checks = append(t.Checks, c)
	return &t.Checks[len(t.Checks)-1], nil
}

// newChecks adds the CHECK constraints of a table that is being made. All its
// rows are yet to come, so that nothing is left unvalidated.
func (d *ddl) newChecks(t *catalog.Table, specs []plan.CheckSpec) error {
	for i := range specs {
		for _, c := range t.Checks {
			if c.Name == specs[i].Name {
				return sqlstate.New(sqlstate.DuplicateObject, "check constraint \"%s\" already exists", c.Name)
			}
		}
		c, err := d.addCheck(t, &specs[i])
		if err != nil {
			return err
		}
		c.NotValid = false
	}
	return nil
}

// alterAddCheck is ADD CONSTRAINT … CHECK.
func (d *ddl) alterAddCheck(t *catalog.Table, s *plan.CheckSpec) error {
	n := cloneTable(t)
	c, err := d.addCheck(n, s)
	if err != nil {
		return err
	}
	d.rt.Txn.PutDescriptor(n)
	if c.NotValid {
		return nil
	}
	return d.validateCheck(n, c)
}

// validateCheck looks at all rows of a table.
func (d *ddl) validateCheck(t *catalog.Table, c *catalog.Check) error {
	g, err := plan.BindRow(d.env(), t, c.Name)
	if err != nil {
		return err
	}
	compiled := (&compiler{ctes: map[*plan.CTE]*compiledCTE{}}).checks(g.Checks, tableLayout(t, g.Row, 0, &layout{}))
	f := &frame{rt: d.rt, outer: &frame{rt: d.rt}}
	return d.eachRow(t, func(row []types.Datum) error {
		f.row = row
		for _, k := range compiled {
			v, err := k.cond(f)
			if err != nil {
				return err
			}
			if !v.IsNull() && !v.Bool() {
				e := sqlstate.New(sqlstate.CheckViolation, "check constraint \"%s\" of relation \"%s\" is violated by some row", c.Name, t.Name)
				e.Table, e.Constraint, e.Schema = t.Name, c.Name, schemaName(d.rt, t)
				return e
			}
		}
		return nil
	})
}

// eachRow calls f for every row of a table, which is valid during the call.
func (d *ddl) eachRow(t *catalog.Table, f func([]types.Datum) error) error {
	it := d.rt.Txn.Scan(sm.ScanOptions{Table: t})
	defer it.Close()
	for it.Next() {
		if err := d.rt.tick(); err != nil {
			return err
		}
		if err := f(it.Row().Values); err != nil {
			return err
		}
	}
	return it.Err()
}

// newForeignKeys adds the foreign keys of a table that has just been made.
func (d *ddl) newForeignKeys(id catalog.ID, specs []plan.ForeignKeySpec) error {
	for i := range specs {
		spec := specs[i]
		spec.NotValid = false
		if err := d.alterAddForeignKey(d.cat().Table(id), &spec); err != nil {
			return err
		}
	}
	return nil
}

// alterAddForeignKey is ADD CONSTRAINT … FOREIGN KEY.
func (d *ddl) alterAddForeignKey(t *catalog.Table, s *plan.ForeignKeySpec) error {
	target, err := d.target(s.Target)
	if err != nil {
		return err
	}
	k := catalog.ForeignKey{Target: target.ID, OnDelete: s.OnDelete, OnUpdate: s.OnUpdate, Match: s.Match,
		Deferrable: s.Deferrable, InitiallyDeferred: s.InitiallyDeferred, NotValid: s.NotValid}
	if k.Columns, err = referenceColumns(t, s.Columns); err != nil {
		return err
	}
	if k.DeleteSet, err = referenceColumns(t, s.DeleteSet); err != nil {
		return err
	}
	for i, n := range k.DeleteSet {
		if !slices.Contains(k.Columns, n) {
			return sqlstate.New(sqlstate.InvalidColumnReference, "column \"%s\" referenced in ON DELETE SET action must be part of foreign key", s.DeleteSet[i])
		}
	}
	if err := findTargetKey(&k, target, s.TargetColumns); err != nil {
		return err
	}
	if len(k.Columns) != len(k.TargetColumns) {
		return sqlstate.New(sqlstate.InvalidForeignKey, "number of referencing and referenced columns for foreign key disagree")
	}
	if k.Name, err = d.nameConstraint(t, s.Name, strings.Join(s.Columns, "_"), "fkey"); err != nil {
		return err
	}
	if err := comparable(t, target, &k); err != nil {
		return err
	}
	k.ID = d.rt.Txn.NewID()
	n := cloneTable(t)
	n.ForeignKeys = append(n.ForeignKeys, k)
	d.rt.Txn.PutDescriptor(n)
	if k.NotValid {
		return nil
	}
	return d.validateForeignKey(d.cat().Table(t.ID), k.ID)
}

// target finds the table that a foreign key refers to.
func (d *ddl) target(n plan.Name) (*catalog.Table, error) {
	id, err := d.resolve(n)
	if err != nil {
		return nil, err
	}
	if id == 0 {
		return nil, undefined(n)
	}
	if t := d.cat().Table(id); t != nil {
		return t, nil
	}
	return nil, sqlstate.New(sqlstate.WrongObjectType, "referenced relation \"%s\" is not a table", n.Name)
}

func referenceColumns(t *catalog.Table, names []string) ([]catalog.ColumnNum, error) {
	var out []catalog.ColumnNum
	for _, name := range names {
		c := t.ColumnByName(name)
		if c == nil {
			return nil, sqlstate.New(sqlstate.UndefinedColumn, "column \"%s\" referenced in foreign key constraint does not exist", name)
		}
		out = append(out, c.Num)
	}
	return out, nil
}

// findTargetKey finds the unique index that a foreign key refers to: the primary
// key when no columns are named.
func findTargetKey(k *catalog.ForeignKey, target *catalog.Table, names []string) error {
	if len(names) == 0 {
		pk := target.PrimaryKey()
		if pk == nil {
			return sqlstate.New(sqlstate.UndefinedObject, "there is no primary key for referenced table \"%s\"", target.Name)
		}
		k.TargetIndex, k.TargetColumns = pk.ID, indexColumns(pk)
		return nil
	}
	var err error
	if k.TargetColumns, err = referenceColumns(target, names); err != nil {
		return err
	}
	want := slices.Clone(k.TargetColumns)
	slices.Sort(want)
	if len(slices.Compact(slices.Clone(want))) != len(want) {
		return sqlstate.New(sqlstate.InvalidForeignKey, "foreign key referenced-columns list must not contain duplicates")
	}
	for i := range target.Indexes {
		ix := &target.Indexes[i]
		have := indexColumns(ix)
		slices.Sort(have)
		if ix.Unique && ix.Predicate == "" && slices.Equal(have, want) {
			k.TargetIndex = ix.ID
			return nil
		}
	}
	return sqlstate.New(sqlstate.InvalidForeignKey, "there is no unique constraint matching given keys for referenced table \"%s\"", target.Name)
}

func indexColumns(ix *catalog.Index) []catalog.ColumnNum {
	out := make([]catalog.ColumnNum, len(ix.Columns))
	for i := range ix.Columns {
		out[i] = ix.Columns[i].Column
	}
	return out
}

// comparable checks that the columns of a foreign key can be compared with those
// it refers to.
func comparable(t, target *catalog.Table, k *catalog.ForeignKey) error {
	for i, n := range k.Columns {
		own, other := columnType(t, n), columnType(target, k.TargetColumns[i])
		if _, _, ok := keyCasts(own, other); ok {
			continue
		}
		if own.Kind == other.Kind || own.Category == types.CategoryDateTime && other.Category == types.CategoryDateTime {
			return unsupported("a foreign key of type " + own.String() + " that refers to type " + other.String())
		}
		return sqlstate.New(sqlstate.DatatypeMismatch, "foreign key constraint \"%s\" cannot be implemented", k.Name).
			WithDetail("Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.",
				t.Columns[n-1].Name, target.Columns[k.TargetColumns[i]-1].Name, own, other)
	}
	return nil
}

// validateForeignKey looks at all rows of a table.
func (d *ddl) validateForeignKey(t *catalog.Table, id catalog.ID) error {
	r, err := findReference(d.cat(), t.ID, id)
	if err != nil || r == nil {
		return err
	}
	return d.eachRow(t, func(row []types.Datum) error {
		key := keyOf(row, r.key.Columns)
		n := nulls(key)
		switch {
		case n == len(key), n > 0 && r.key.Match != catalog.MatchFull:
			return nil
		case n > 0:
			return r.missing(d.rt, key)
		}
		if ok, err := r.satisfied(d.rt, key); err != nil || ok {
			return err
		}
		return r.missing(d.rt, key)
	})
}

// findConstraint finds a constraint by name; nil when there is none.
func findConstraint(t *catalog.Table, name string) *namedConstraint {
	for _, k := range constraintNames(t) {
		if k.name == name {
			return &k
		}
	}
	return nil
}

func noConstraint(t *catalog.Table, name string) error {
	return sqlstate.New(sqlstate.UndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", name, t.Name)
}

// validateConstraint is VALIDATE CONSTRAINT.
func (d *ddl) validateConstraint(t *catalog.Table, name string) error {
	k := findConstraint(t, name)
	if k == nil {
		return noConstraint(t, name)
	}
	n := cloneTable(t)
	switch {
	case k.check >= 0:
		if err := d.validateCheck(t, &t.Checks[k.check]); err != nil {
			return err
		}
		n.Checks[k.check].NotValid = false
	case k.foreign != nil:
		if err := d.validateForeignKey(t, k.foreign.ID); err != nil {
			return err
		}
		foreignKeyOf(n, k.foreign.ID).NotValid = false
	default:
		return sqlstate.New(sqlstate.WrongObjectType, "constraint \"%s\" of relation \"%s\" is not a foreign key or check constraint", name, t.Name)
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

func foreignKeyOf(t *catalog.Table, id catalog.ID) *catalog.ForeignKey {
	i := slices.IndexFunc(t.ForeignKeys, func(k catalog.ForeignKey) bool { return k.ID == id })
	return &t.ForeignKeys[i]
}

// alterConstraint is ALTER CONSTRAINT … DEFERRABLE.
func (d *ddl) alterConstraint(t *catalog.Table, a *plan.AlterConstraint) error {
	k := findConstraint(t, a.Name)
	if k == nil {
		return noConstraint(t, a.Name)
	}
	if k.foreign == nil {
		return sqlstate.New(sqlstate.WrongObjectType, "constraint \"%s\" of relation \"%s\" is not a foreign key constraint", a.Name, t.Name)
	}
	n := cloneTable(t)
	changed := foreignKeyOf(n, k.foreign.ID)
	changed.Deferrable, changed.InitiallyDeferred = a.Deferrable, a.InitiallyDeferred
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// dropConstraint is DROP CONSTRAINT.
func (d *ddl) dropConstraint(t *catalog.Table, a *plan.DropConstraint) error {
	k := findConstraint(t, a.Name)
	if k == nil {
		if a.IfExists {
			d.rt.notice("constraint \"%s\" of relation \"%s\" does not exist, skipping", a.Name, t.Name)
			return nil
		}
		return noConstraint(t, a.Name)
	}
	if k.index >= 0 {
		what := "constraint " + k.name + " on table " + d.shown(t)
		if err := d.release(d.referencesTo(t, t.Indexes[k.index].ID), what, "index "+k.name, a.Cascade); err != nil {
			return err
		}
		return d.removeIndex(d.cat().Table(t.ID), k.index)
	}
	n := cloneTable(t)
	if k.check >= 0 {
		n.Checks = slices.Delete(n.Checks, k.check, k.check+1)
	} else {
		n.ForeignKeys = slices.DeleteFunc(n.ForeignKeys, func(x catalog.ForeignKey) bool { return x.ID == k.foreign.ID })
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// renameConstraint is RENAME CONSTRAINT; an index is renamed with its own.
func (d *ddl) renameConstraint(t *catalog.Table, old, name string) error {
	k := findConstraint(t, old)
	if k == nil {
		return sqlstate.New(sqlstate.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", old, t.Name)
	}
	if k.index >= 0 {
		return d.renameIndex(t, k.index, name)
	}
	if _, err := d.nameConstraint(t, name, "", ""); err != nil {
		return err
	}
	n := cloneTable(t)
	if k.check >= 0 {
		n.Checks[k.check].Name = name
	} else {
		foreignKeyOf(n, k.foreign.ID).Name = name
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// commentConstraint is COMMENT ON CONSTRAINT.
func (d *ddl) commentConstraint(t *catalog.Table, name, text string) error {
	k := findConstraint(t, name)
	if k == nil {
		return sqlstate.New(sqlstate.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", name, t.Name)
	}
	n := cloneTable(t)
	switch {
	case k.index >= 0:
		n.Indexes[k.index].ConstraintComment = text
	case k.check >= 0:
		n.Checks[k.check].Comment = text
	default:
		foreignKeyOf(n, k.foreign.ID).Comment = text
	}
	d.rt.Txn.PutDescriptor(n)
	return nil
}

// useIndex makes a unique index that is there a constraint's. A primary key is
// made anew, because the rows themselves are kept by it.
func (d *ddl) useIndex(t *catalog.Table, s *plan.IndexSpec) error {
	i := slices.IndexFunc(t.Indexes, func(ix catalog.Index) bool { return ix.Name == s.Using })
	if i < 0 {
		return sqlstate.New(sqlstate.UndefinedObject, "index \"%s\" does not exist", s.Using)
	}
	ix := &t.Indexes[i]
	switch {
	case ix.Constraint != 0:
		return sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "index \"%s\" is already associated with a constraint", s.Using)
	case !ix.Unique:
		return sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a unique index", s.Using)
	}
	for at, c := range ix.Columns {
		if c.Descending || c.NullsFirst {
			return sqlstate.New(sqlstate.WrongObjectType, "index \"%s\" column number %d does not have default sorting behavior", s.Using, at+1).
				WithDetail("Cannot create a primary key or unique constraint using such an index.")
		}
	}
	name := s.Name
	if name == "" {
		name = s.Using
	}
	if name != s.Using {
		d.rt.notice("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"", s.Using, name)
		if err := d.free(t.Schema, name); err != nil {
			return err
		}
	}
	n := cloneTable(t)
	if !s.Primary {
		n.Indexes[i].Name, n.Indexes[i].Constraint = name, d.rt.Txn.NewID()
		d.rt.Txn.PutDescriptor(n)
		return nil
	}
	if len(d.referencesTo(t, ix.ID)) > 0 {
		return unsupported("PRIMARY KEY USING INDEX of an index that foreign keys refer to")
	}
	spec := &plan.IndexSpec{Name: name, Primary: true, Unique: true, Constraint: true}
	for _, c := range ix.Columns {
		spec.Columns = append(spec.Columns, plan.IndexColumnSpec{Column: t.Columns[c.Column-1].Name})
	}
	if err := d.removeIndex(t, i); err != nil {
		return err
	}
	_, err := d.addPrimaryKey(d.cat().Table(t.ID), spec)
	return err
}

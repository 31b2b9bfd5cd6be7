package exec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// shown is a table's name as messages have it: with its schema unless it is
// found without.
func (d *ddl) shown(t *catalog.Table) string {
	if id, err := d.resolve(plan.Name{Name: t.Name}); err == nil && id == t.ID {
		return t.Name
	}
	return schemaName(d.rt, t) + "." + t.Name
}

// dependent is a foreign key that needs something which is to be dropped.
type dependent struct {
	catalog.Reference
	needs string // what, in words; "" for what release was told
}

// referencesTo are the foreign keys that refer to an index of t.
func (d *ddl) referencesTo(t *catalog.Table, index catalog.ID) []dependent {
	var out []dependent
	for _, ref := range d.cat().References(t.ID) {
		if ref.Key.TargetIndex == index {
			out = append(out, dependent{Reference: ref})
		}
	}
	return out
}

// release drops the foreign keys that need what is to be dropped, with a notice,
// or fails unless CASCADE was said. needs is what they depend on, in words.
func (d *ddl) release(deps []dependent, what, needs string, cascade bool) error {
	if len(deps) == 0 {
		return nil
	}
	var lines []string
	for _, dep := range deps {
		on := needs
		if dep.needs != "" {
			on = dep.needs
		}
		line := fmt.Sprintf("constraint %s on table %s", dep.Key.Name, d.shown(dep.Table))
		if cascade {
			line = "drop cascades to " + line
		} else {
			line += " depends on " + on
		}
		lines = append(lines, line)
	}
	if !cascade {
		return sqlstate.New(sqlstate.DependentObjectsStillExist, "cannot drop %s because other objects depend on it", what).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	if len(lines) == 1 {
		d.rt.notice("%s", lines[0])
	} else {
		d.rt.noticeDetail(strings.Join(lines, "\n"), "drop cascades to %d other objects", len(lines))
	}
	for _, dep := range deps {
		d.forget(dep.Reference)
	}
	return nil
}

// forget drops a foreign key.
func (d *ddl) forget(ref catalog.Reference) {
	t := d.cat().Table(ref.Table.ID)
	if t == nil {
		return
	}
	n := cloneTable(t)
	n.ForeignKeys = slices.DeleteFunc(n.ForeignKeys, func(k catalog.ForeignKey) bool { return k.ID == ref.Key.ID })
	d.rt.Txn.PutDescriptor(n)
}

// dropTables drops tables together: foreign keys among them are in nobody's way.
func (d *ddl) dropTables(tables []*catalog.Table, cascade bool) error {
	gone := func(id catalog.ID) bool {
		return slices.ContainsFunc(tables, func(t *catalog.Table) bool { return t.ID == id })
	}
	var deps []dependent
	for _, t := range tables {
		if err := d.idle(t, "DROP TABLE"); err != nil {
			return err
		}
		for _, ref := range d.cat().References(t.ID) {
			if !gone(ref.Table.ID) {
				deps = append(deps, dependent{ref, "table " + d.shown(t)})
			}
		}
	}
	if len(deps) > 0 {
		what := "table " + d.shown(deps[0].Target)
		if len(tables) > 1 {
			what = "desired object(s)"
		}
		err := d.release(deps, what, "", cascade)
		if err != nil && len(tables) > 1 {
			e := *sqlstate.As(err)
			e.Message = "cannot drop desired object(s) because other objects depend on them"
			return &e
		}
		if err != nil {
			return err
		}
	}
	for _, t := range tables {
		d.dropTable(d.cat().Table(t.ID))
	}
	return nil
}

// idle refuses to change a table whose rows have checks left for the end of the
// transaction.
func (d *ddl) idle(t *catalog.Table, command string) error {
	if !d.rt.Constraints.pending(t.ID) {
		return nil
	}
	return sqlstate.New(sqlstate.ObjectInUse, "cannot %s \"%s\" because it has pending trigger events", command, t.Name)
}

// releaseColumn drops what depends on a column: constraints of the table itself
// go without being asked, those of others with CASCADE only.
func (d *ddl) releaseColumn(t *catalog.Table, num catalog.ColumnNum, cascade bool) (*catalog.Table, error) {
	n := cloneTable(t)
	n.Checks = slices.DeleteFunc(n.Checks, func(c catalog.Check) bool { return slices.Contains(c.Columns, num) })
	n.ForeignKeys = slices.DeleteFunc(n.ForeignKeys, func(k catalog.ForeignKey) bool { return slices.Contains(k.Columns, num) })
	if len(n.Checks) != len(t.Checks) || len(n.ForeignKeys) != len(t.ForeignKeys) {
		d.rt.Txn.PutDescriptor(n)
	}
	column := "column " + t.Columns[num-1].Name + " of table " + d.shown(t)
	var deps []dependent
	for _, ref := range d.cat().References(t.ID) {
		i := slices.IndexFunc(t.Indexes, func(ix catalog.Index) bool { return ix.ID == ref.Key.TargetIndex })
		if slices.Contains(ref.Key.TargetColumns, num) || i >= 0 && usesColumn(&t.Indexes[i], num) {
			deps = append(deps, dependent{Reference: ref})
		}
	}
	err := d.release(deps, column, column, cascade)
	return d.cat().Table(t.ID), err
}

// truncate empties tables, and with CASCADE those that refer to them.
func (d *ddl) truncate(s *plan.Truncate) error {
	var tables []*catalog.Table
	listed := map[catalog.ID]bool{}
	for _, n := range s.Tables {
		t, err := d.table(n)
		if err != nil {
			return err
		}
		if !listed[t.ID] {
			listed[t.ID] = true
			tables = append(tables, t)
		}
	}
	for i := 0; i < len(tables); i++ { // it grows
		for _, ref := range d.cat().References(tables[i].ID) {
			if listed[ref.Table.ID] {
				continue
			}
			if !s.Cascade {
				return sqlstate.New(sqlstate.FeatureNotSupported, "cannot truncate a table referenced in a foreign key constraint").
					WithDetail("Table \"%s\" references \"%s\".", ref.Table.Name, ref.Target.Name).
					WithHint("Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.", ref.Table.Name)
			}
			d.rt.notice("truncate cascades to table \"%s\"", ref.Table.Name)
			listed[ref.Table.ID] = true
			tables = append(tables, ref.Table)
		}
	}
	for _, t := range tables {
		if err := d.truncateOne(t, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *ddl) truncateOne(t *catalog.Table, s *plan.Truncate) error {
	if err := d.idle(t, "TRUNCATE"); err != nil {
		return err
	}
	var how sm.Truncation
	if d.rt.Announces {
		how = sm.Truncation{Cascade: s.Cascade, RestartIdentity: s.RestartIdentity}
	}
	if err := d.rt.Txn.Truncate(t, how); err != nil {
		return err
	}
	if !s.RestartIdentity {
		return nil
	}
	for i := range t.Columns {
		if seq := d.cat().Sequence(t.Columns[i].Sequence); seq != nil {
			if err := d.rt.Txn.SequenceSet(seq, seq.Start, false); err != nil {
				return err
			}
		}
	}
	return nil
}

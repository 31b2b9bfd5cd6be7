package syscat

import (
	"fmt"
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// eachConstraint calls f for every constraint.
func eachConstraint(c *Context, f func(constraint) bool) {
	for t := range storedTables(c.Catalog, everyID) {
		for _, k := range constraintsOf(t) {
			if !f(k) {
				return
			}
		}
	}
}

// eachNotNull calls f for every NOT NULL column of a table users have made,
// which information_schema takes for a CHECK constraint.
func eachNotNull(c *Context, f func(t *catalog.Table, col *catalog.Column, name string) bool) {
	for t := range storedTables(c.Catalog, everyID) {
		for i := range t.Columns {
			col := &t.Columns[i]
			if col.NotNull && !col.Dropped && !f(t, col, fmt.Sprintf("%d_%d_%d_not_null", t.Schema, t.ID, col.Num)) {
				return
			}
		}
	}
}

var constraintTypes = map[byte]string{
	constraintPrimary: "PRIMARY KEY", constraintUnique: "UNIQUE", constraintCheck: "CHECK", constraintForeign: "FOREIGN KEY",
}

func tableConstraintRows(c *Context, _ idRange, w *writer) error {
	begin := func(t *catalog.Table, name, kind string) {
		w.begin()
		setQualified(c, w, "constraint", t.Schema, name)
		setQualified(c, w, "table", t.Schema, t.Name)
		w.set("constraint_type", str(kind))
		w.set("is_deferrable", yes(false))
		w.set("initially_deferred", yes(false))
		w.set("enforced", yes(true))
	}
	eachConstraint(c, func(k constraint) bool {
		begin(k.table, k.name, constraintTypes[k.kind])
		if k.kind == constraintUnique {
			w.set("nulls_distinct", yes(!k.index.NullsNotDistinct))
		}
		if f := k.foreign; f != nil {
			w.set("is_deferrable", yes(f.Deferrable))
			w.set("initially_deferred", yes(f.InitiallyDeferred))
		}
		return w.end()
	})
	eachNotNull(c, func(t *catalog.Table, _ *catalog.Column, name string) bool {
		begin(t, name, "CHECK")
		return w.end()
	})
	return nil
}

func checkConstraintRows(c *Context, _ idRange, w *writer) error {
	send := func(t *catalog.Table, name, clause string) bool {
		w.begin()
		setQualified(c, w, "constraint", t.Schema, name)
		w.set("check_clause", str(clause))
		return w.end()
	}
	eachConstraint(c, func(k constraint) bool {
		return k.check == nil || send(k.table, k.name, "("+k.check.Expr+")")
	})
	eachNotNull(c, func(t *catalog.Table, col *catalog.Column, name string) bool {
		return send(t, name, col.Name+" IS NOT NULL")
	})
	return nil
}

func keyColumnRows(c *Context, _ idRange, w *writer) error {
	eachConstraint(c, func(k constraint) bool {
		if k.check != nil {
			return true
		}
		for i, n := range k.columns() {
			w.begin()
			setQualified(c, w, "constraint", k.table.Schema, k.name)
			setQualified(c, w, "table", k.table.Schema, k.table.Name)
			w.set("column_name", str(k.table.Columns[n-1].Name))
			w.set("ordinal_position", num(i+1))
			if k.foreign != nil {
				w.set("position_in_unique_constraint", positionInTarget(c.Catalog, k.foreign, i))
			}
			if !w.end() {
				return false
			}
		}
		return true
	})
	return nil
}

// positionInTarget is where the column that column i of a foreign key refers to
// stands in the key it refers to.
func positionInTarget(cat *catalog.Catalog, f *catalog.ForeignKey, i int) types.Datum {
	t, at := cat.IndexTable(f.TargetIndex)
	if t == nil || at < 0 {
		return types.NullDatum
	}
	p := slices.Index(keyColumns(&t.Indexes[at]), f.TargetColumns[i])
	if p < 0 {
		return types.NullDatum
	}
	return num(p + 1)
}

// constraintColumnRows lists the columns that constraints use: those of a
// foreign key are the ones it refers to.
func constraintColumnRows(c *Context, _ idRange, w *writer) error {
	eachConstraint(c, func(k constraint) bool {
		t, columns := k.table, k.columns()
		if k.foreign != nil {
			t, columns = c.Catalog.Table(k.foreign.Target), k.foreign.TargetColumns
		}
		if t == nil {
			return true
		}
		for _, n := range columns {
			w.begin()
			setQualified(c, w, "table", t.Schema, t.Name)
			w.set("column_name", str(t.Columns[n-1].Name))
			setQualified(c, w, "constraint", k.table.Schema, k.name)
			if !w.end() {
				return false
			}
		}
		return true
	})
	return nil
}

func constraintTableRows(c *Context, _ idRange, w *writer) error {
	eachConstraint(c, func(k constraint) bool {
		t := k.table
		if k.foreign != nil {
			t = c.Catalog.Table(k.foreign.Target)
		}
		if k.check != nil || t == nil {
			return true
		}
		w.begin()
		setQualified(c, w, "table", t.Schema, t.Name)
		setQualified(c, w, "constraint", k.table.Schema, k.name)
		return w.end()
	})
	return nil
}

var matchOptions = map[byte]string{'f': "FULL", 'p': "PARTIAL", 's': "NONE"}

// foreignActions are what ON DELETE and ON UPDATE do, by pg_constraint's
// letters.
var foreignActions = map[byte]string{'a': "NO ACTION", 'r': "RESTRICT", 'c': "CASCADE", 'n': "SET NULL", 'd': "SET DEFAULT"}

func referentialRows(c *Context, _ idRange, w *writer) error {
	eachConstraint(c, func(k constraint) bool {
		f := k.foreign
		if f == nil {
			return true
		}
		w.begin()
		setQualified(c, w, "constraint", k.table.Schema, k.name)
		if t, i := c.Catalog.IndexTable(f.TargetIndex); t != nil && i >= 0 && t.Indexes[i].Constraint != 0 {
			setQualified(c, w, "unique_constraint", t.Schema, t.Indexes[i].Name)
		}
		w.set("match_option", str(matchOptions[f.Match]))
		w.set("update_rule", str(foreignActions[f.OnUpdate]))
		w.set("delete_rule", str(foreignActions[f.OnDelete]))
		return w.end()
	})
	return nil
}

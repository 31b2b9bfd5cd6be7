package syscat

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The kinds of constraints, as pg_constraint has them.
const (
	constraintPrimary = 'p'
	constraintUnique  = 'u'
	constraintCheck   = 'c'
	constraintForeign = 'f'
)

// constraint is one constraint of a table. NOT NULL is none in PostgreSQL 15.
type constraint struct {
	id      catalog.ID
	name    string
	kind    byte
	table   *catalog.Table
	index   *catalog.Index
	check   *catalog.Check
	foreign *catalog.ForeignKey
}

// constraintsOf lists a table's constraints: keys, checks, foreign keys.
func constraintsOf(t *catalog.Table) []constraint {
	var out []constraint
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		if ix.Constraint == 0 {
			continue
		}
		kind := byte(constraintUnique)
		if ix.Primary {
			kind = constraintPrimary
		}
		out = append(out, constraint{id: ix.Constraint, name: ix.Name, kind: kind, table: t, index: ix})
	}
	for i := range t.Checks {
		c := &t.Checks[i]
		out = append(out, constraint{id: c.ID, name: c.Name, kind: constraintCheck, table: t, check: c})
	}
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		out = append(out, constraint{id: f.ID, name: f.Name, kind: constraintForeign, table: t, foreign: f})
	}
	return out
}

// constraintByID finds a constraint.
func (ci *CatalogInfo) constraintByID(id catalog.ID) (constraint, bool) {
	if ci.constraints == nil {
		ci.constraints = map[catalog.ID]constraint{}
		for t := range storedTables(ci.catalog, everyID) {
			for _, k := range constraintsOf(t) {
				ci.constraints[k.id] = k
			}
		}
	}
	k, ok := ci.constraints[id]
	return k, ok
}

// columns are the columns that the constraint is about.
func (k *constraint) columns() []catalog.ColumnNum {
	switch {
	case k.foreign != nil:
		return k.foreign.Columns
	case k.index != nil:
		return keyColumns(k.index)
	}
	return k.check.Columns
}

// notValid reports whether rows from before the constraint may violate it.
func (k *constraint) notValid() bool {
	return k.check != nil && k.check.NotValid || k.foreign != nil && k.foreign.NotValid
}

func (k *constraint) comment() string {
	switch {
	case k.index != nil:
		return k.index.ConstraintComment
	case k.check != nil:
		return k.check.Comment
	}
	return k.foreign.Comment
}

func keyColumns(ix *catalog.Index) []catalog.ColumnNum {
	out := make([]catalog.ColumnNum, len(ix.Columns))
	for i, c := range ix.Columns {
		out[i] = c.Column
	}
	return out
}

func constraintRows(c *Context, r idRange, w *writer) error {
	for t := range storedTables(c.Catalog, r) {
		for _, k := range constraintsOf(t) {
			w.begin()
			k.set(c, w)
			if !w.end() {
				return nil
			}
		}
	}
	return nil
}

func (k *constraint) set(c *Context, w *writer) {
	w.set("oid", num(k.id))
	w.set("conname", str(k.name))
	w.set("connamespace", num(k.table.Schema))
	w.set("contype", char(k.kind))
	w.set("convalidated", types.Bool(!k.notValid()))
	w.set("conrelid", num(k.table.ID))
	w.set("conislocal", types.Bool(true))
	w.set("connoinherit", types.Bool(k.kind != constraintCheck || k.check.NoInherit))
	for _, col := range []string{"confupdtype", "confdeltype", "confmatchtype"} {
		w.set(col, char(' '))
	}
	if cols := k.columns(); len(cols) > 0 {
		w.set("conkey", numArray(types.Int2Type, cols))
	}
	switch {
	case k.index != nil:
		w.set("conindid", num(k.index.ID))
	case k.check != nil:
		w.set("conbin", str(k.check.Expr))
	default:
		k.setForeign(c, w)
	}
}

func (k *constraint) setForeign(c *Context, w *writer) {
	f := k.foreign
	w.set("condeferrable", types.Bool(f.Deferrable))
	w.set("condeferred", types.Bool(f.InitiallyDeferred))
	w.set("conindid", num(f.TargetIndex))
	w.set("confrelid", num(f.Target))
	w.set("confupdtype", char(f.OnUpdate))
	w.set("confdeltype", char(f.OnDelete))
	w.set("confmatchtype", char(f.Match))
	w.set("confkey", numArray(types.Int2Type, f.TargetColumns))
	if len(f.DeleteSet) > 0 {
		w.set("confdelsetcols", numArray(types.Int2Type, f.DeleteSet))
	}
	target := c.Catalog.Table(f.Target)
	if target == nil {
		return
	}
	var pf, pp, ff []types.OID
	for i, n := range f.Columns {
		own, other := columnByNum(k.table, n), columnByNum(target, f.TargetColumns[i])
		if own == nil || other == nil {
			return
		}
		pf = append(pf, equalityOf(other.Type, own.Type))
		pp = append(pp, equalityOf(other.Type, other.Type))
		ff = append(ff, equalityOf(own.Type, own.Type))
	}
	w.set("conpfeqop", numArray(types.OIDType, pf))
	w.set("conppeqop", numArray(types.OIDType, pp))
	w.set("conffeqop", numArray(types.OIDType, ff))
}

// equalityOf finds the operator that compares two types for equality.
func equalityOf(a, b types.OID) types.OID {
	left, _ := types.ByOID(a)
	right, _ := types.ByOID(b)
	if left == nil || right == nil {
		return 0
	}
	op, err := expr.ResolveOperator("=", left, right)
	if err != nil {
		return 0
	}
	return op.Operator.OID
}

package syscat

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

var staticClasses = &staticRows{build: func(w *writer) {
	for _, t := range All() {
		rel := virtualRelation(t)
		setClass(w, &rel)
		w.end()
	}
}}

func classRows(c *Context, r idRange, w *writer) error {
	if !staticClasses.send(w, r) {
		return nil
	}
	targets := foreignKeyTargets(c.Catalog)
	for rel := range storedRelations(c.Catalog, r) {
		setClass(w, &rel)
		if rel.kind == kindTable {
			// psql asks for foreign keys only where there are triggers.
			w.set("relhastriggers", types.Bool(targets[rel.id] || len(rel.table.ForeignKeys) > 0))
		}
		if !w.end() {
			break
		}
	}
	return nil
}

// foreignKeyTargets finds the tables that foreign keys refer to.
func foreignKeyTargets(c *catalog.Catalog) map[catalog.ID]bool {
	m := map[catalog.ID]bool{}
	for t := range storedTables(c, everyID) {
		for i := range t.ForeignKeys {
			m[t.ForeignKeys[i].Target] = true
		}
	}
	return m
}

// setClass sets the columns of pg_class for a relation.
func setClass(w *writer, r *relation) {
	w.begin()
	w.set("oid", num(r.id))
	w.set("relname", str(r.name))
	w.set("relnamespace", num(r.schema))
	w.set("relowner", num(ownerID(r.owner)))
	if r.kind != kindView {
		w.set("relfilenode", num(r.id))
	}
	w.set("relpersistence", char('p'))
	w.set("relkind", char(r.kind))
	w.set("relnatts", num(len(r.attributes())))
	w.set("relispopulated", types.Bool(true))
	w.set("relreplident", char('n'))
	// No table has been analyzed: nothing keeps statistics yet.
	w.set("reltuples", types.Float(-1))
	switch {
	case r.kind == kindIndex:
		w.set("relam", num(btreeMethod))
	case r.kind == kindTable:
		w.set("relam", num(heapMethod))
		if r.virtual == nil {
			w.set("relreplident", char(byte(r.table.Identity())))
		}
	case r.kind == kindView:
		w.set("relhasrules", types.Bool(true))
	}
	if r.kind == kindTable && r.table != nil {
		w.set("relhasindex", types.Bool(len(r.table.Indexes) > 0))
		w.set("relchecks", num(len(r.table.Checks)))
		if len(r.table.Options) > 0 {
			w.set("reloptions", textArray(types.TextType, r.table.Options))
		}
	}
}

var staticAttributes = &staticRows{build: func(w *writer) {
	for _, t := range All() {
		rel := virtualRelation(t)
		setAttributes(w, &rel)
	}
}}

func attributeRows(c *Context, r idRange, w *writer) error {
	if !staticAttributes.send(w, r) {
		return nil
	}
	for rel := range storedRelations(c.Catalog, r) {
		if !setAttributes(w, &rel) {
			break
		}
	}
	return nil
}

// setAttributes hands out the rows of pg_attribute for a relation.
func setAttributes(w *writer, r *relation) bool {
	for _, a := range r.attributes() {
		w.begin()
		w.set("attrelid", num(r.id))
		w.set("attname", str(a.name))
		w.set("attnum", num(a.num))
		w.set("attcacheoff", num(-1))
		w.set("atttypmod", num(a.typmod))
		w.set("attislocal", types.Bool(true))
		w.set("attisdropped", types.Bool(a.dropped))
		t, ok := types.ByOID(a.typ)
		if ok {
			f := factOf(a.typ)
			w.set("attlen", num(t.Len))
			w.set("attbyval", types.Bool(f.byValue))
			w.set("attalign", char(f.align))
			w.set("attstorage", char(f.storage))
		}
		if ok && !a.dropped {
			setLiveAttribute(w, &a, t)
		}
		if !w.end() {
			return false
		}
	}
	return true
}

// statisticsTarget is attstattarget's value for "the default".
const statisticsTarget = -1

func setLiveAttribute(w *writer, a *attribute, t *types.Type) {
	w.set("atttypid", num(a.typ))
	w.set("attstattarget", num(statisticsTarget))
	if t.Elem != nil && !t.IsVector() {
		w.set("attndims", num(1))
	}
	w.set("attcollation", num(factOf(a.typ).collation))
	w.set("attnotnull", types.Bool(a.notNull))
	w.set("atthasdef", types.Bool(a.hasDefault))
	w.set("attidentity", char(a.identity))
	if a.column == nil || a.column.Missing == nil {
		return
	}
	if d, _, err := types.DecodeDatum(a.column.Missing); err == nil && !d.IsNull() {
		w.set("atthasmissing", types.Bool(true))
		w.set("attmissingval", types.ArrayDatum(types.NewArray(t, []types.Datum{d})))
	}
}

// attrdefID is the OID of a column's default. Descriptors give it none, so it is
// made of the table's and the column's number: above all OIDs that are given
// out, and unique for the first million and more of tables.
func attrdefID(t catalog.ID, col catalog.ColumnNum) catalog.ID {
	const columnsMax = 1600 // of a table
	return catalog.ID((uint64(t)*columnsMax+uint64(col))%(1<<31) | 1<<31)
}

func attrdefRows(c *Context, r idRange, w *writer) error {
	for t := range storedTables(c.Catalog, r) {
		for i := range t.Columns {
			col := &t.Columns[i]
			if !hasDefault(col) {
				continue
			}
			if !w.send(num(attrdefID(t.ID, col.Num)), num(t.ID), num(col.Num), str(c.info().defaultText(col))) {
				return nil
			}
		}
	}
	return nil
}

func namespaceRows(c *Context, _ idRange, w *writer) error {
	for _, d := range c.Catalog.All() {
		s, ok := d.(*catalog.Schema)
		if !ok {
			continue
		}
		w.begin()
		w.set("oid", num(s.ID))
		w.set("nspname", str(s.Name))
		w.set("nspowner", num(ownerID(s.Owner)))
		if !w.end() {
			break
		}
	}
	return nil
}

func sequenceRows(c *Context, r idRange, w *writer) error {
	for rel := range storedRelations(c.Catalog, r) {
		s := rel.sequence
		if s == nil {
			continue
		}
		if !w.send(num(s.ID), num(s.Type), num(s.Start), num(s.Increment), num(s.Max), num(s.Min), num(s.Cache), types.Bool(s.Cycle)) {
			break
		}
	}
	return nil
}

// rewriteRows are the rules that make views views.
func rewriteRows(c *Context, _ idRange, w *writer) error {
	for rel := range storedRelations(c.Catalog, everyID) {
		if rel.kind != kindView {
			continue
		}
		w.begin()
		w.set("oid", num(rel.id))
		w.set("rulename", str("_RETURN"))
		w.set("ev_class", num(rel.id))
		w.set("ev_type", char('1'))
		w.set("ev_enabled", char('O'))
		w.set("is_instead", types.Bool(true))
		if !w.end() {
			break
		}
	}
	return nil
}

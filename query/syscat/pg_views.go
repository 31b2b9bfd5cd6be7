package syscat

import (
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

func tablesRows(c *Context, _ idRange, w *writer) error {
	targets := foreignKeyTargets(c.Catalog)
	send := func(r relation) bool {
		w.begin()
		w.set("schemaname", str(c.info().schemaName(r.schema)))
		w.set("tablename", str(r.name))
		w.set("tableowner", str(r.owner))
		w.set("hasindexes", types.Bool(r.table != nil && len(r.table.Indexes) > 0))
		w.set("hasrules", types.Bool(false))
		w.set("hastriggers", types.Bool(r.table != nil && (targets[r.id] || len(r.table.ForeignKeys) > 0)))
		w.set("rowsecurity", types.Bool(false))
		return w.end()
	}
	for _, t := range All() {
		if !t.View && !send(virtualRelation(t)) {
			return nil
		}
	}
	for t := range storedTables(c.Catalog, everyID) {
		if !send(tableRelation(t)) {
			break
		}
	}
	return nil
}

func indexesRows(c *Context, _ idRange, w *writer) error {
	for rel := range storedRelations(c.Catalog, everyID) {
		if rel.index == nil {
			continue
		}
		w.begin()
		w.set("schemaname", str(c.info().schemaName(rel.schema)))
		w.set("tablename", str(rel.table.Name))
		w.set("indexname", str(rel.name))
		w.set("indexdef", str(c.info().indexDef(rel.table, rel.index, false)))
		if !w.end() {
			break
		}
	}
	return nil
}

func viewsRows(c *Context, _ idRange, w *writer) error {
	send := func(r relation, definition types.Datum) bool {
		return w.send(str(c.info().schemaName(r.schema)), str(r.name), str(r.owner), definition)
	}
	for _, t := range All() {
		if t.View && !send(virtualRelation(t), types.NullDatum) {
			return nil
		}
	}
	for rel := range storedRelations(c.Catalog, everyID) {
		if rel.view != nil && !send(rel, str(rel.view.Query)) {
			break
		}
	}
	return nil
}

func sequencesRows(c *Context, _ idRange, w *writer) error {
	return c.withTxn(w.t, func(txn *sm.Txn) error {
		for rel := range storedRelations(c.Catalog, everyID) {
			s := rel.sequence
			if s == nil {
				continue
			}
			last, called, err := txn.SequenceState(s)
			if err != nil {
				return err
			}
			value := types.NullDatum
			if called {
				value = num(last)
			}
			if !w.send(str(c.info().schemaName(s.Schema)), str(s.Name), str(rel.owner), num(s.Type), num(s.Start), num(s.Min), num(s.Max),
				num(s.Increment), types.Bool(s.Cycle), num(s.Cache), value) {
				return nil
			}
		}
		return nil
	})
}

// sequenceColumns are those of a sequence read as a table.
var sequenceColumns = []Column{
	{Name: "last_value", Type: types.Int8Type, NotNull: true},
	{Name: "log_cnt", Type: types.Int8Type, NotNull: true},
	{Name: "is_called", Type: types.BoolType, NotNull: true},
}

// SequenceTable returns a sequence as a relation of one row: its last value,
// and whether that has been taken. log_cnt, which counts values PostgreSQL has
// logged ahead, is always 0.
func SequenceTable(s *catalog.Sequence) *Table {
	t := &Table{ID: s.ID, Name: s.Name, Columns: sequenceColumns, Pushed: -1}
	t.prepare()
	t.Rows = func(c *Context, _ Range, emit func([]types.Datum) bool) error {
		return c.withTxn(t, func(txn *sm.Txn) error {
			last, called, err := txn.SequenceState(s)
			if err == nil {
				newWriter(t, emit).send(num(last), num(0), types.Bool(called))
			}
			return err
		})
	}
	return t
}

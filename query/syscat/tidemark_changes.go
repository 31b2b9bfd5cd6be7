package syscat

import (
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// changeColumns are those of tidemark.changes: one row for each row changed, table
// truncated or message emitted, in the order of the log.
//
// seq counts the changes of a transaction from 1. key has the primary key's
// columns as they were before the change (as they are after it, for an insert);
// it is NULL for a table without a primary key. before and after have all
// columns; values are what to_jsonb() makes of them. A truncate has none of the
// three. The schema is that of the transaction's commit; table_name is NULL
// where the table had been dropped by then. The last three are a message's.
var changeColumns = []Column{
	{Name: "lsn", Type: types.LSNType},
	{Name: "commit_lsn", Type: types.LSNType},
	{Name: "seq", Type: types.Int4Type},
	{Name: "log_time", Type: types.TimestampTZType},
	{Name: "schema_name", Type: types.TextType},
	{Name: "table_name", Type: types.TextType},
	{Name: "op", Type: types.TextType},
	{Name: "key", Type: types.JSONBType},
	{Name: "before", Type: types.JSONBType},
	{Name: "after", Type: types.JSONBType},
	{Name: "prefix", Type: types.TextType},
	{Name: "content", Type: types.ByteaType},
	{Name: "transactional", Type: types.BoolType},
}

func changeRows(c *Context, r offsetRange, w *writer) error {
	it := c.View.Changes(r.after)
	defer it.Close()
	enc := &changeEncoder{view: c.View, ctx: expr.Ctx{Format: c.Session.Formatter()}}
	var commit log.Offset
	seq := int64(0)
	for it.Next() {
		ch := it.Change()
		if ch.Offset > r.last {
			return nil
		}
		h, err := it.Txn()
		if err != nil {
			return err
		}
		if h.Commit != commit {
			commit = h.Commit
			if seq, err = changesBefore(c.View, h.Start, ch.Offset); err != nil {
				return err
			}
		}
		seq++
		w.begin()
		w.set("lsn", lsn(ch.Offset))
		w.set("commit_lsn", lsn(h.Commit))
		w.set("seq", num(seq))
		w.set("log_time", types.Timestamp(h.Time))
		if err := enc.set(w, ch, &h); err != nil {
			return fmt.Errorf("change at %s: %w", ch.Offset, err)
		}
		if !w.end() {
			return nil
		}
	}
	return it.Err()
}

// changesBefore counts the changes of a transaction before one of them. Only
// who begins to read in the middle of a transaction pays for it.
func changesBefore(v *sm.View, start, at log.Offset) (n int64, err error) {
	if start == at {
		return 0, nil
	}
	it := v.Changes(start - 1)
	defer it.Close()
	for it.Next() && it.Change().Offset < at {
		n++
	}
	return n, it.Err()
}

// changeEncoder turns stored rows into jsonb with the catalog of their time.
type changeEncoder struct {
	view *sm.View
	ctx  expr.Ctx

	commit  log.Offset // what catalog belongs to
	catalog *catalog.Catalog
	tables  map[catalog.ID]*tableEncoder // of catalog
}

// tableEncoder encodes the rows of one table as it was at one time.
type tableEncoder struct {
	table  *catalog.Table
	schema string
	toJSON []func(*expr.Ctx, []types.Datum) (types.Datum, error) // by column; nil for dropped ones
	live   []catalog.ColumnNum                                   // the columns that are not dropped
	row    []types.Datum
}

var opNames = map[sm.Op]string{sm.OpInsert: "insert", sm.OpUpdate: "update", sm.OpDelete: "delete", sm.OpTruncate: "truncate",
	sm.OpMessage: "message"}

func (e *changeEncoder) set(w *writer, ch *sm.Change, h *sm.TxnHeader) error {
	w.set("op", str(opNames[ch.Op]))
	if ch.Op == sm.OpMessage {
		w.set("prefix", str(ch.Prefix))
		w.set("content", types.Bytes(ch.Content))
		w.set("transactional", types.Bool(ch.Transactional))
		return nil
	}
	t, err := e.tableOf(ch.Table, h)
	if err != nil || t == nil {
		return err
	}
	w.set("schema_name", str(t.schema))
	w.set("table_name", str(t.table.Name))
	for _, side := range []struct {
		column string
		stored []byte
		key    bool
	}{{"before", ch.Before, true}, {"after", ch.After, ch.Before == nil}} {
		if side.stored == nil {
			continue
		}
		if err := sm.DecodeStored(t.table, side.stored, nil, t.row); err != nil {
			return err
		}
		whole, err := t.object(&e.ctx, t.live)
		if err != nil {
			return err
		}
		w.set(side.column, whole)
		if pk := t.table.PrimaryKey(); side.key && pk != nil {
			key, err := t.object(&e.ctx, keyColumns(pk))
			if err != nil {
				return err
			}
			w.set("key", key)
		}
	}
	return nil
}

// tableOf returns the encoder of a table as it was when the transaction
// committed, or else before it; nil when it was there at neither time.
func (e *changeEncoder) tableOf(id catalog.ID, h *sm.TxnHeader) (*tableEncoder, error) {
	if e.catalog == nil || e.commit != h.Commit {
		cat, err := e.view.CatalogAt(h.Commit)
		if err != nil {
			return nil, err
		}
		if cat != e.catalog {
			e.tables = map[catalog.ID]*tableEncoder{}
		}
		e.commit, e.catalog = h.Commit, cat
	}
	if t, ok := e.tables[id]; ok {
		return t, nil
	}
	cat, table := e.catalog, e.catalog.Table(id)
	if table == nil {
		before, err := e.view.CatalogAt(h.Prev)
		if err != nil {
			return nil, err
		}
		cat, table = before, before.Table(id)
	}
	if table == nil {
		e.tables[id] = nil
		return nil, nil
	}
	t, err := newTableEncoder(cat, table)
	e.tables[id] = t
	return t, err
}

func newTableEncoder(cat *catalog.Catalog, table *catalog.Table) (*tableEncoder, error) {
	t := &tableEncoder{table: table, row: make([]types.Datum, len(table.Columns))}
	if d, ok := cat.ByID(table.Schema); ok {
		if s, ok := d.(*catalog.Schema); ok {
			t.schema = s.Name
		}
	}
	t.toJSON = make([]func(*expr.Ctx, []types.Datum) (types.Datum, error), len(table.Columns))
	for i := range table.Columns {
		col := &table.Columns[i]
		if col.Dropped {
			continue
		}
		typ, ok := types.ByOID(col.Type)
		if !ok {
			return nil, sqlstate.New(sqlstate.DataCorrupted, "column \"%s\" has an unknown type %d", col.Name, col.Type)
		}
		f, err := expr.ResolveFunc("to_jsonb", []*types.Type{typ}, false)
		if err != nil {
			return nil, err
		}
		t.toJSON[i] = f.Func.Eval
		t.live = append(t.live, col.Num)
	}
	return t, nil
}

// object makes a jsonb object of some columns of t.row.
func (t *tableEncoder) object(ctx *expr.Ctx, columns []catalog.ColumnNum) (types.Datum, error) {
	fields := make([]types.JSONField, 0, len(columns))
	for _, n := range columns {
		value := &types.JSON{Kind: types.JSONNull}
		if d := t.row[n-1]; !d.IsNull() {
			j, err := t.toJSON[n-1](ctx, []types.Datum{d})
			if err != nil {
				return types.NullDatum, err
			}
			value = j.JSONB()
		}
		fields = append(fields, types.JSONField{Key: t.table.Columns[n-1].Name, Value: value})
	}
	return types.JSONB(types.NewJSONObject(fields)), nil
}

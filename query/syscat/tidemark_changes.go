package syscat

import (
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// changeColumns are those of tidemark.changes.
var changeColumns = func() []Column {
	var out []Column
	for _, c := range expr.ChangeColumns {
		out = append(out, Column{Name: c.Name, Type: c.Type})
	}
	return out
}()

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

func (e *changeEncoder) set(w *writer, ch *sm.Change, h *sm.TxnHeader) error {
	w.set("op", str(OpName(ch.Op)))
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
		whole, err := t.json.Object(&e.ctx, t.row, t.json.Live)
		if err != nil {
			return err
		}
		w.set(side.column, whole)
		if pk := t.table.PrimaryKey(); side.key && pk != nil {
			key, err := t.json.Object(&e.ctx, t.row, keyColumns(pk))
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

// tableEncoder encodes the rows of one table as it was at one time.
type tableEncoder struct {
	table  *catalog.Table
	schema string
	json   *TableJSON
	row    []types.Datum
}

func newTableEncoder(cat *catalog.Catalog, table *catalog.Table) (*tableEncoder, error) {
	t := &tableEncoder{table: table, row: make([]types.Datum, len(table.Columns))}
	if d, ok := cat.ByID(table.Schema); ok {
		if s, ok := d.(*catalog.Schema); ok {
			t.schema = s.Name
		}
	}
	var err error
	t.json, err = NewTableJSON(table)
	return t, err
}

package logical

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Selection says which changes a consumer with a plain driver wants; the zero value
// is all of them.
type Selection struct {
	// Schema and Table are of the table as it was called when the transaction
	// committed; empty for any.
	Schema, Table string
	// Publications are those one of which must publish the change. One that did not
	// exist at the time has published nothing.
	Publications []string
}

// SelectTable sets the table, which may be written schema.table.
func (s *Selection) SelectTable(name string) {
	s.Schema, s.Table = "", name
	if schema, table, ok := strings.Cut(name, "."); ok {
		s.Schema, s.Table = schema, table
	}
}

// all reports whether everything is wanted, messages too.
func (s *Selection) all() bool { return s.Table == "" && len(s.Publications) == 0 }

// changeRows makes ChangeRows of what a ChangeReader comes to.
type changeRows struct {
	Selection
	ctx    expr.Ctx
	tables tables
	set    *Set
	byID   map[catalog.ID]*shownTable // of the catalog in tables; nil for what is not wanted
	seq    int64
	row    ChangeRow
}

// shownTable is a table as it was at one time, and what is shown of it.
type shownTable struct {
	relation
	json    *syscat.TableJSON
	columns []catalog.ColumnNum
	primary []catalog.ColumnNum // those of the primary key, if all are shown
}

func newChangeRows(s Selection, f *types.Format) *changeRows {
	return &changeRows{Selection: s, ctx: expr.Ctx{Format: f}}
}

// begin is to be called where a transaction begins.
func (m *changeRows) begin() { m.seq = 0 }

// of returns the row of the change that r has come to, valid until the next call;
// nil if it is not wanted.
func (m *changeRows) of(r *ChangeReader) (*ChangeRow, error) {
	c, h := r.Change(), r.Header()
	m.seq++
	m.row = ChangeRow{LSN: c.Offset, Commit: h.Commit, Seq: m.seq, Time: h.Time, Op: syscat.OpName(c.Op)}
	if c.Op == sm.OpMessage {
		if !m.all() {
			return nil, nil
		}
		m.row.Message, m.row.Prefix, m.row.Content, m.row.Transactional = true, c.Prefix, c.Content, c.Transactional
		return &m.row, nil
	}
	t, gone, err := m.table(r, c.Table)
	switch {
	case err != nil || t == nil && !gone:
		return nil, err
	case gone:
		return &m.row, nil
	}
	m.row.Named, m.row.Schema, m.row.Table = true, t.schema, t.desc.Name
	wanted, err := m.fill(t, c)
	if err != nil {
		return nil, fmt.Errorf("change at %s: %w", c.Offset, err)
	}
	if !wanted {
		return nil, nil
	}
	return &m.row, nil
}

// fill puts what the change has done to a row of the table into m.row, and reports
// whether that is wanted.
func (m *changeRows) fill(t *shownTable, c *sm.Change) (wanted bool, err error) {
	op := c.Op
	if p := t.published; p != nil {
		switch {
		case op == sm.OpInsert && p.Insert, op == sm.OpUpdate && p.Update, op == sm.OpDelete && p.Delete, op == sm.OpTruncate && p.Truncate:
		default:
			return false, nil
		}
	}
	if op == sm.OpTruncate {
		return true, nil
	}
	if err := t.decode(c); err != nil {
		return false, err
	}
	if t.published != nil {
		if op, err = t.filter(op); err != nil || op == 0 {
			return false, err
		}
		m.row.Op = syscat.OpName(op)
	}
	named := t.before
	if op == sm.OpInsert {
		named = t.after
	}
	if op != sm.OpInsert {
		if m.row.Before, err = t.json.Object(&m.ctx, t.before, t.columns); err != nil {
			return false, err
		}
	}
	if op != sm.OpDelete {
		if m.row.After, err = t.json.Object(&m.ctx, t.after, t.columns); err != nil {
			return false, err
		}
	}
	if t.primary != nil {
		m.row.Key, err = t.json.Object(&m.ctx, named, t.primary)
	}
	return true, err
}

// table returns a table as it was when the transaction committed, or before if the
// transaction has dropped it; nil if its changes are not wanted. gone says that they
// are, and that the table was there at neither time.
func (m *changeRows) table(r *ChangeReader, id catalog.ID) (t *shownTable, gone bool, err error) {
	cat, err := r.Catalog()
	if err != nil {
		return nil, false, err
	}
	if m.tables.use(cat) || m.byID == nil {
		m.byID = map[catalog.ID]*shownTable{}
		if m.set, err = m.resolve(cat); err != nil {
			return nil, false, err
		}
	}
	if t, seen := m.byID[id]; seen {
		return t, t == nil && m.all() && m.tables.byID[id] == nil, nil
	}
	plain, err := m.tables.of(r, id)
	if err != nil {
		return nil, false, err
	}
	if plain != nil {
		if t, err = m.show(r, plain); err != nil {
			return nil, false, err
		}
	}
	m.byID[id] = t
	return t, plain == nil && m.all(), nil
}

// resolve finds out what the publications select that there are in a catalog; nil
// when none were asked for.
func (m *changeRows) resolve(c *catalog.Catalog) (*Set, error) {
	if len(m.Publications) == 0 {
		return nil, nil
	}
	there := slices.DeleteFunc(slices.Clone(m.Publications), func(name string) bool { return c.Publication(name) == nil })
	return Resolve(c, there)
}

// show returns what is shown of a table; nil for nothing.
func (m *changeRows) show(r *ChangeReader, plain *table) (*shownTable, error) {
	if m.Table != "" && m.Table != plain.desc.Name || m.Schema != "" && m.Schema != plain.schema {
		return nil, nil
	}
	t := &shownTable{relation: relation{table: plain}}
	var err error
	if t.json, err = syscat.NewTableJSON(plain.desc); err != nil {
		return nil, err
	}
	t.columns = t.json.Live
	if len(m.Publications) > 0 {
		if t.published, err = m.published(r, plain.desc.ID); err != nil || t.published == nil {
			return nil, err
		}
		t.columns = t.published.Columns
	}
	if pk := plain.desc.PrimaryKey(); pk != nil {
		for i := range pk.Columns {
			t.primary = append(t.primary, pk.Columns[i].Column)
		}
		if slices.ContainsFunc(t.primary, func(n catalog.ColumnNum) bool { return !slices.Contains(t.columns, n) }) {
			t.primary = nil
		}
	}
	return t, nil
}

// published is how a table is published, or was before the transaction that has
// dropped it.
func (m *changeRows) published(r *ChangeReader, id catalog.ID) (*Published, error) {
	if m.tables.catalog.Table(id) != nil {
		return m.set.Table(id), nil
	}
	before, err := r.CatalogBefore()
	if err != nil {
		return nil, err
	}
	set, err := m.resolve(before)
	if err != nil {
		return nil, err
	}
	return set.Table(id), nil
}

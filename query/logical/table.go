package logical

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// table decodes the rows of one table as it was at one time. The rows it decodes
// share its slices.
type table struct {
	desc     *catalog.Table
	schema   string
	types    []*types.Type // by column position; nil for dropped columns
	live     []int         // the positions of the columns that are not dropped
	key      []int         // the positions of the replica identity's columns
	full     bool          // the replica identity is the whole row
	identity byte          // as pg_class.relreplident has it

	rows          *sm.StoredRows
	before, after []types.Datum
}

func newTable(c *catalog.Catalog, t *catalog.Table) (*table, error) {
	n := len(t.Columns)
	out := &table{desc: t, types: make([]*types.Type, n), before: make([]types.Datum, n), after: make([]types.Datum, n)}
	if d, ok := c.ByID(t.Schema); ok {
		if s, ok := d.(*catalog.Schema); ok {
			out.schema = s.Name
		}
	}
	for i := range t.Columns {
		col := &t.Columns[i]
		if col.Dropped {
			continue
		}
		typ, ok := types.ByOID(col.Type)
		if !ok {
			return nil, sqlstate.New(sqlstate.DataCorrupted, "column \"%s\" has an unknown type %d", col.Name, col.Type)
		}
		out.types[i] = typ
		out.live = append(out.live, i)
	}
	want := out.live
	if len(want) == n {
		want = nil
	}
	var err error
	if out.rows, err = sm.NewStoredRows(t, want); err != nil {
		return nil, err
	}
	out.identify()
	return out, nil
}

// identify finds the columns that name a row to whoever has a copy of the table.
func (t *table) identify() {
	t.identity, t.full = byte(t.desc.Identity()), t.desc.Identity() == catalog.IdentityFull
	for _, c := range t.desc.IdentityColumns() {
		t.key = append(t.key, int(c)-1)
	}
	slices.Sort(t.key)
}

// decode decodes the rows of a change into t.before and t.after, as far as it has
// them.
func (t *table) decode(c *sm.Change) error {
	if c.Before != nil {
		if err := t.rows.Decode(c.Before, t.before); err != nil {
			return err
		}
	}
	if c.After == nil {
		return nil
	}
	return t.rows.Decode(c.After, t.after)
}

// identityChanged reports whether an update has changed what names the row.
func (t *table) identityChanged() bool {
	for _, i := range t.key {
		b, a := t.before[i], t.after[i]
		if b.IsNull() || a.IsNull() {
			if b.IsNull() != a.IsNull() {
				return true
			}
			continue
		}
		if !types.Equal(b, a) {
			return true
		}
	}
	return false
}

// tables keeps the tables of one catalog.
type tables struct {
	catalog *catalog.Catalog
	byID    map[catalog.ID]*table
}

// of returns the table of the change that r has come to, as it was when the
// transaction committed, or else, if it has dropped the table, before it; nil when
// it was there at neither time.
func (ts *tables) of(r *ChangeReader, id catalog.ID) (*table, error) {
	if t, ok := ts.byID[id]; ok && ts.catalog != nil {
		return t, nil
	}
	cat := ts.catalog
	desc := cat.Table(id)
	if desc == nil {
		before, err := r.CatalogBefore()
		if err != nil {
			return nil, err
		}
		cat, desc = before, before.Table(id)
	}
	var t *table
	if desc != nil {
		var err error
		if t, err = newTable(cat, desc); err != nil {
			return nil, err
		}
	}
	ts.byID[id] = t
	return t, nil
}

// use makes c the catalog, and reports whether it is another one than before.
func (ts *tables) use(c *catalog.Catalog) bool {
	if ts.catalog != nil && (c == ts.catalog || c.Version() == ts.catalog.Version()) {
		return false
	}
	ts.catalog, ts.byID = c, map[catalog.ID]*table{}
	return true
}

package plan

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
)

// Guard is what changes of a table's rows must respect besides NOT NULL and the
// table's own indexes: its CHECK constraints, the foreign keys it has, and those
// that refer to it. A statement has one for every table that it may change, by
// itself or by the actions of foreign keys.
type Guard struct {
	Table *catalog.Table
	// Checks and Defaults refer to a new row by Row. They are bound only for
	// tables that actions of foreign keys may update; Defaults, by position, only
	// for the columns that SET DEFAULT sets.
	Row      []ColID
	Checks   []TableCheck
	Defaults []Expr
	// NoUpdate and NoDelete are the errors of actions of foreign keys that update or
	// delete rows, where the replica identity of a published table does not suffice.
	NoUpdate, NoDelete error
	// Parents are the foreign keys of the table, Children those that refer to
	// it, as far as the statement can touch their columns.
	Parents  []catalog.Reference
	Children []catalog.Reference
}

// rowChange says what may happen to the rows of a table.
type rowChange struct {
	table            *catalog.Table
	inserted         bool
	deleted, updated bool
	every            bool                       // an update may change any column
	columns          map[catalog.ColumnNum]bool // or only these
	action           bool                       // by the action of a foreign key
	defaults         map[catalog.ColumnNum]bool // set by SET DEFAULT
}

func (c *rowChange) touches(nums []catalog.ColumnNum) bool {
	return c.every || slices.ContainsFunc(nums, func(n catalog.ColumnNum) bool { return c.columns[n] })
}

// merge adds what more says and reports whether that was news.
func (c *rowChange) merge(more *rowChange) bool {
	before := [...]bool{c.inserted, c.deleted, c.updated, c.every, c.action}
	sizes := len(c.columns) + len(c.defaults)
	c.inserted, c.deleted, c.updated = c.inserted || more.inserted, c.deleted || more.deleted, c.updated || more.updated
	c.every, c.action = c.every || more.every, c.action || more.action
	for n := range more.columns {
		c.columns[n] = true
	}
	for n := range more.defaults {
		c.defaults[n] = true
	}
	return before != [...]bool{c.inserted, c.deleted, c.updated, c.every, c.action} || sizes != len(c.columns)+len(c.defaults)
}

// guards finds the tables that a statement may change because it changes rows
// of one, and what must hold for each. It notes all tables whose rows are looked
// at for that: a transaction is validated by what its statements could have
// seen.
func (b *binder) guards(first *rowChange) ([]*Guard, error) {
	changes := map[catalog.ID]*rowChange{}
	var order []*rowChange
	queue := []*rowChange{first}
	for len(queue) > 0 {
		c := queue[0]
		queue = queue[1:]
		known := changes[c.table.ID]
		if known == nil {
			known = &rowChange{table: c.table, columns: map[catalog.ColumnNum]bool{}, defaults: map[catalog.ColumnNum]bool{}}
			changes[c.table.ID] = known
			order = append(order, known)
		}
		if known.merge(c) {
			queue = append(queue, b.consequences(known)...)
		}
	}
	var out []*Guard
	for _, c := range order {
		g, err := b.guard(c)
		if err != nil {
			return nil, err
		}
		if c == order[0] && len(order) == 1 && len(g.Parents)+len(g.Children) == 0 {
			return nil, nil
		}
		out = append(out, g)
	}
	return out, nil
}

// consequences are the changes that the actions of foreign keys make because of
// c.
func (b *binder) consequences(c *rowChange) []*rowChange {
	var out []*rowChange
	for _, ref := range b.env.Catalog.References(c.table.ID) {
		k := ref.Key
		if c.deleted {
			set := k.DeleteSet
			if len(set) == 0 {
				set = k.Columns
			}
			out = append(out, actionChange(ref, k.OnDelete, set, true)...)
		}
		if c.updated && c.touches(k.TargetColumns) {
			out = append(out, actionChange(ref, k.OnUpdate, k.Columns, false)...)
		}
	}
	return out
}

func actionChange(ref catalog.Reference, action byte, set []catalog.ColumnNum, deleted bool) []*rowChange {
	c := &rowChange{table: ref.Table, action: true, columns: map[catalog.ColumnNum]bool{}, defaults: map[catalog.ColumnNum]bool{}}
	switch action {
	case catalog.Cascade:
		c.deleted, c.updated = deleted, !deleted
	case catalog.SetNull:
		c.updated = true
	case catalog.SetDefault:
		c.updated = true
		for _, n := range set {
			c.defaults[n] = true
		}
	default:
		return nil
	}
	if c.updated {
		for _, n := range set {
			c.columns[n] = true
		}
	}
	return []*rowChange{c}
}

func (b *binder) guard(c *rowChange) (*Guard, error) {
	g := &Guard{Table: c.table}
	for i := range c.table.ForeignKeys {
		k := &c.table.ForeignKeys[i]
		if c.inserted || c.updated && c.touches(k.Columns) {
			g.Parents = append(g.Parents, catalog.Reference{Table: c.table, Key: k, Target: b.env.Catalog.Table(k.Target)})
			b.read(k.Target)
		}
	}
	for _, ref := range b.env.Catalog.References(c.table.ID) {
		if c.deleted || c.updated && c.touches(ref.Key.TargetColumns) {
			g.Children = append(g.Children, ref)
			b.read(ref.Table.ID)
		}
	}
	b.read(c.table.ID)
	if !c.action {
		return g, nil
	}
	g.NoUpdate = updateRule.unidentified(b.env.Catalog, c.table)
	g.NoDelete = deleteRule.unidentified(b.env.Catalog, c.table)
	_, g.Row = b.rowRelation(c.table, c.table.Name)
	var err error
	if g.Checks, err = b.checks(c.table, g.Row); err != nil {
		return nil, err
	}
	g.Defaults = make([]Expr, len(c.table.Columns))
	for _, col := range live(c.table) {
		if c.defaults[col.Num] {
			if g.Defaults[col.Num-1], err = b.defaultExpr(col); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// setColumns are the columns that SET assigns to.
func setColumns(sets []Set) map[catalog.ColumnNum]bool {
	out := map[catalog.ColumnNum]bool{}
	for _, s := range sets {
		out[s.Column] = true
	}
	return out
}

// insertGuards are those of INSERT, with what ON CONFLICT DO UPDATE changes.
func (b *binder) insertGuards(ins *Insert) ([]*Guard, error) {
	c := &rowChange{table: ins.Table, inserted: true}
	if ins.Conflict != nil && ins.Conflict.Update != nil {
		c.updated, c.columns = true, setColumns(ins.Conflict.Update.Sets)
	}
	return b.guards(c)
}

package exec

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// rules are what the changes of a statement must respect, by table.
type rules struct {
	tables map[catalog.ID]*tableRules
	err    error // a foreign key that cannot be followed
}

// tableRules are a compiled plan.Guard.
type tableRules struct {
	target   // with the checks, for tables that actions may update
	defaults []evalFunc
	parents  []*reference
	children []*reference

	noUpdate, noDelete error // of plan.Guard
}

// rulesOf compiles the guards of a statement; nil when it has none.
func (c *compiler) rulesOf(guards []*plan.Guard, root *layout) *rules {
	if len(guards) == 0 {
		return nil
	}
	out := &rules{tables: map[catalog.ID]*tableRules{}}
	for _, g := range guards {
		t := &tableRules{noUpdate: g.NoUpdate, noDelete: g.NoDelete}
		t.table = g.Table
		if g.Row != nil {
			t.checks = c.checks(g.Checks, tableLayout(g.Table, g.Row, 0, root))
			t.defaults = c.exprs(g.Defaults, root)
		}
		for _, list := range []struct {
			from []catalog.Reference
			to   *[]*reference
		}{{g.Parents, &t.parents}, {g.Children, &t.children}} {
			for _, ref := range list.from {
				r, err := newReference(ref)
				if err != nil {
					out.err = err
					return out
				}
				*list.to = append(*list.to, r)
			}
		}
		out.tables[g.Table.ID] = t
	}
	for _, g := range guards {
		for _, r := range out.tables[g.Table.ID].children {
			r.refuse(out.tables[r.child.ID])
		}
	}
	return out
}

// refuse notes why the actions of a foreign key cannot be taken, if that is so;
// child is nil when it has none.
func (r *reference) refuse(child *tableRules) {
	if child == nil {
		return
	}
	if r.key.OnDelete == catalog.Cascade {
		r.onDelete = child.noDelete
	} else if acts(r.key.OnDelete) {
		r.onDelete = child.noUpdate
	}
	if acts(r.key.OnUpdate) {
		r.onUpdate = child.noUpdate
	}
}

// acts reports whether what a foreign key does changes rows.
func acts(action byte) bool { return action != catalog.NoAction && action != catalog.Restrict }

// of returns the rules of a table, nil when there are none.
func (r *rules) of(id catalog.ID) *tableRules {
	if r == nil {
		return nil
	}
	return r.tables[id]
}

// inserted looks at a new row's foreign keys.
func (t *tableRules) inserted(rt *Runtime, row []types.Datum) error {
	if t == nil {
		return nil
	}
	for _, r := range t.parents {
		if err := r.lookUp(rt, keyOf(row, r.key.Columns), 0); err != nil {
			return err
		}
	}
	return nil
}

// lookUp leaves an event unless the parent has the child's key.
func (r *reference) lookUp(rt *Runtime, key []types.Datum, depth int) error {
	switch n := nulls(key); {
	case n == len(key), n > 0 && r.key.Match != catalog.MatchFull:
		return nil
	case n == 0:
		ok, err := r.satisfied(rt, key)
		if err != nil || ok {
			return err
		}
	}
	return rt.Constraints.push(rt, event{ref: r, kind: missingParent, key: key, depth: depth})
}

// updated looks at the keys that have changed, in both directions.
func (t *tableRules) updated(rt *Runtime, old, fresh []types.Datum, depth int) error {
	if t == nil {
		return nil
	}
	for _, r := range t.parents {
		before, after := keyOf(old, r.key.Columns), keyOf(fresh, r.key.Columns)
		if r.sameKey(before, after) {
			continue
		}
		if err := r.lookUp(rt, after, depth); err != nil {
			return err
		}
	}
	for _, r := range t.children {
		before, after := keyOf(old, r.key.TargetColumns), keyOf(fresh, r.key.TargetColumns)
		if sameImage(before, after) {
			continue
		}
		if err := r.lookDown(rt, before, after, depth); err != nil {
			return err
		}
	}
	return nil
}

// sameKey compares two keys of the child.
func (r *reference) sameKey(a, b []types.Datum) bool {
	for i, n := range r.key.Columns {
		if !sameDatum(columnType(r.child, n), a[i], b[i]) {
			return false
		}
	}
	return true
}

// deleted looks at what refers to a row that is gone.
func (t *tableRules) deleted(rt *Runtime, old []types.Datum, depth int) error {
	if t == nil {
		return nil
	}
	for _, r := range t.children {
		if err := r.lookDown(rt, keyOf(old, r.key.TargetColumns), nil, depth); err != nil {
			return err
		}
	}
	return nil
}

// lookDown leaves an event when rows of the child have a key that has gone.
func (r *reference) lookDown(rt *Runtime, key, fresh []types.Datum, depth int) error {
	if fresh == nil && r.onDelete != nil {
		return r.onDelete
	}
	if fresh != nil && r.onUpdate != nil {
		return r.onUpdate
	}
	if nulls(key) > 0 {
		return nil
	}
	find := r.referenced
	if depth == 0 {
		find = func(rt *Runtime, key []types.Datum) (bool, error) { return rt.Constraints.referencedBySet(rt, r, key) }
	}
	found, err := find(rt, key)
	if err != nil || !found {
		return err
	}
	return rt.Constraints.push(rt, event{ref: r, kind: keyGone, key: key, fresh: fresh, depth: depth})
}

// run checks the event's constraint, or takes its action.
func (e *event) run(rt *Runtime, c *Constraints, rules *rules) error {
	if e.kind == missingParent {
		return e.check(rt)
	}
	switch e.action() {
	case catalog.NoAction, catalog.Restrict:
		return e.check(rt)
	case catalog.Cascade:
		if e.fresh == nil {
			return e.cascadeDelete(rt, rules)
		}
	}
	return e.cascadeUpdate(rt, rules)
}

func (e *event) cascadeDelete(rt *Runtime, rules *rules) error {
	child := rules.of(e.ref.child.ID)
	return e.ref.children(rt, e.key, func(row *sm.Row) (bool, error) {
		old := row.Clone()
		if err := rt.Txn.Delete(e.ref.child, old); err != nil {
			return false, writeError(rt, err)
		}
		return true, child.deleted(rt, old.Values, e.depth+1)
	})
}

// cascadeUpdate gives the rows of the child the parent's new key, NULLs or
// defaults.
func (e *event) cascadeUpdate(rt *Runtime, rules *rules) error {
	child := rules.of(e.ref.child.ID)
	f := &frame{rt: rt, outer: &frame{rt: rt}}
	err := e.ref.children(rt, e.key, func(row *sm.Row) (bool, error) {
		old := row.Clone()
		fresh := append([]types.Datum(nil), old.Values...)
		if err := e.assign(rt, child, fresh); err != nil {
			return false, err
		}
		if err := child.verify(rt, f, fresh); err != nil {
			return false, err
		}
		if err := rt.Txn.Update(e.ref.child, old, fresh); err != nil {
			return false, writeError(rt, err)
		}
		return true, child.updated(rt, old.Values, fresh, e.depth+1)
	})
	if err != nil || e.action() != catalog.SetDefault {
		return err
	}
	// The default may be the very key that has gone.
	after := *e
	return after.check(rt)
}

// assign sets the columns of the foreign key in a row of the child.
func (e *event) assign(rt *Runtime, child *tableRules, row []types.Datum) error {
	k := e.ref.key
	switch e.action() {
	case catalog.Cascade:
		values, err := convert(rt, e.ref.down, e.fresh)
		if err != nil {
			return err
		}
		for i, n := range k.Columns {
			col := &e.ref.child.Columns[n-1]
			typ, _ := types.ByOID(col.Type)
			if row[n-1], err = expr.ApplyTypmod(rt.Expr, typ, col.Typmod, values[i], false); err != nil {
				return err
			}
		}
		return nil
	}
	set := k.Columns
	if e.fresh == nil && len(k.DeleteSet) > 0 {
		set = k.DeleteSet
	}
	for _, n := range set {
		row[n-1] = types.NullDatum
		if e.action() != catalog.SetDefault || child.defaults[n-1] == nil {
			continue
		}
		var err error
		if row[n-1], err = child.defaults[n-1](&frame{rt: rt}); err != nil {
			return err
		}
	}
	return nil
}

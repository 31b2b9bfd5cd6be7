package exec

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// reference is a foreign key made ready to be followed in both directions. Keys
// are held in the order of the foreign key's columns.
type reference struct {
	key    *catalog.ForeignKey
	child  *catalog.Table
	parent *catalog.Table
	index  *catalog.Index // the parent's, that the key refers to
	// up converts the child's values to the types of the parent, down the other
	// way round; nil entries are of the same kind already.
	up, down []*expr.Cast
	// probe is an index of the child whose leading columns, as many as there are
	// in leading, are columns of the key: their positions in it. It is nil when
	// there is none, and the child is scanned.
	probe   *catalog.Index
	leading []int
	// onDelete and onUpdate are the errors of the key's actions: plan.Guard has them.
	onDelete, onUpdate error
}

// newReference makes a foreign key ready.
func newReference(ref catalog.Reference) (*reference, error) {
	r := &reference{key: ref.Key, child: ref.Table, parent: ref.Target}
	if i := slices.IndexFunc(r.parent.Indexes, func(ix catalog.Index) bool { return ix.ID == r.key.TargetIndex }); i >= 0 {
		r.index = &r.parent.Indexes[i]
	} else {
		return nil, sqlstate.New(sqlstate.DataCorrupted, "the index that foreign key \"%s\" refers to is not there", ref.Key.Name)
	}
	for i, n := range r.key.Columns {
		own, other := columnType(r.child, n), columnType(r.parent, r.key.TargetColumns[i])
		up, down, ok := keyCasts(own, other)
		if !ok {
			return nil, sqlstate.New(sqlstate.DataCorrupted, "foreign key \"%s\" compares %s with %s", ref.Key.Name, own, other)
		}
		r.up, r.down = append(r.up, up), append(r.down, down)
	}
	r.findProbe()
	return r, nil
}

func columnType(t *catalog.Table, n catalog.ColumnNum) *types.Type {
	typ, _ := types.ByOID(t.Columns[n-1].Type)
	return typ
}

// keyCasts are the conversions between the column of a foreign key and the one
// it refers to; ok is false when the two cannot be compared. Types whose values
// are kept alike need none.
func keyCasts(own, other *types.Type) (up, down *expr.Cast, ok bool) {
	if own == other || sameKeys(own, other) {
		down, ok = expr.FindCast(other, own, expr.Assignment)
		if own == other {
			down = nil
		}
		return nil, down, ok
	}
	if up, ok = expr.FindCast(own, other, expr.Implicit); !ok || up.Volatility != expr.Immutable {
		return nil, nil, false
	}
	down, ok = expr.FindCast(other, own, expr.Assignment)
	return up, down, ok && down.Volatility == expr.Immutable
}

// sameKeys reports whether equal values of two types have equal keys.
func sameKeys(a, b *types.Type) bool {
	for _, family := range [][]*types.Type{
		{types.Int2Type, types.Int4Type, types.Int8Type}, {types.Float4Type, types.Float8Type}, {types.TextType, types.VarcharType},
	} {
		if slices.Contains(family, a) && slices.Contains(family, b) {
			return true
		}
	}
	return false
}

// findProbe finds the index of the child that fits best.
func (r *reference) findProbe() {
	for i := range r.child.Indexes {
		ix := &r.child.Indexes[i]
		if ix.Predicate != "" {
			continue
		}
		var leading []int
		for _, ic := range ix.Columns {
			at := slices.Index(r.key.Columns, ic.Column)
			if ic.Column == 0 || at < 0 || r.up[at] != nil || slices.Contains(leading, at) {
				break
			}
			leading = append(leading, at)
		}
		if len(leading) > len(r.leading) {
			r.probe, r.leading = ix, leading
		}
	}
}

// keyOf takes the values of columns from a row.
func keyOf(row []types.Datum, columns []catalog.ColumnNum) []types.Datum {
	out := make([]types.Datum, len(columns))
	for i, n := range columns {
		out[i] = row[n-1]
	}
	return out
}

// nulls counts the NULLs in a key.
func nulls(key []types.Datum) int {
	n := 0
	for _, d := range key {
		if d.IsNull() {
			n++
		}
	}
	return n
}

// convert applies one of up and down to a key.
func convert(rt *Runtime, casts []*expr.Cast, key []types.Datum) ([]types.Datum, error) {
	out := slices.Clone(key)
	for i, c := range casts {
		if c == nil || c.Binary || key[i].IsNull() {
			continue
		}
		var err error
		if out[i], err = c.Eval(rt.Expr, key[i], types.NoTypmod); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parentHas reports whether the parent has a row with that key, which is of the
// parent's types.
func (r *reference) parentHas(rt *Runtime, key []types.Datum) (bool, error) {
	row := make([]types.Datum, len(r.parent.Columns))
	for i, n := range r.key.TargetColumns {
		row[n-1] = key[i]
	}
	return rt.Txn.HasKey(r.parent, r.index, row)
}

// satisfied reports whether a key of the child, without a NULL, is in the parent.
func (r *reference) satisfied(rt *Runtime, key []types.Datum) (bool, error) {
	up, err := convert(rt, r.up, key)
	if err != nil {
		return false, err
	}
	return r.parentHas(rt, up)
}

// sameDatum compares two values of one kind as the types of a key do; blanks at
// the end of a bpchar mean nothing.
func sameDatum(t *types.Type, a, b types.Datum) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if t == types.BPCharType {
		return types.TrimBPChar(a.Str()) == types.TrimBPChar(b.Str())
	}
	return types.Compare(a, b) == 0
}

// children calls f for every row of the child that has that key, which is of
// the parent's types, until f returns false. The rows are those of the moment
// it is called at, with all their columns; NULLs match NULLs.
func (r *reference) children(rt *Runtime, key []types.Datum, f func(*sm.Row) (bool, error)) error {
	opt := sm.ScanOptions{Table: r.child, Doom: true}
	if r.probe != nil {
		var prefix []byte
		for i, at := range r.leading {
			prefix = keys.AppendColumn(prefix, key[at], &r.probe.Columns[i])
		}
		opt.Index, opt.Spans = r.probe, []sm.Span{{Lo: prefix, Hi: keys.PrefixEnd(prefix)}}
	}
	it := rt.Txn.Scan(opt)
	defer it.Close()
	for it.Next() {
		if err := rt.tick(); err != nil {
			return err
		}
		row := it.Row()
		match, err := r.matches(rt, row.Values, key)
		if err != nil {
			return err
		}
		if !match {
			continue
		}
		if more, err := f(row); err != nil || !more {
			return err
		}
	}
	return it.Err()
}

func (r *reference) matches(rt *Runtime, row, key []types.Datum) (bool, error) {
	for i, n := range r.key.Columns {
		d := row[n-1]
		if c := r.up[i]; c != nil && !c.Binary && !d.IsNull() {
			var err error
			if d, err = c.Eval(rt.Expr, d, types.NoTypmod); err != nil {
				return false, err
			}
		}
		if !sameDatum(columnType(r.parent, r.key.TargetColumns[i]), d, key[i]) {
			return false, nil
		}
	}
	return true, nil
}

// referenced reports whether a row of the child has that key of the parent.
func (r *reference) referenced(rt *Runtime, key []types.Datum) (bool, error) {
	found := false
	err := r.children(rt, key, func(*sm.Row) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// sameImage reports whether two keys are the same byte for byte: what an action
// of ON UPDATE has to pass on may be equal without being the same.
func sameImage(a, b []types.Datum) bool {
	for i := range a {
		if !bytes.Equal(types.AppendDatum(nil, a[i]), types.AppendDatum(nil, b[i])) {
			return false
		}
	}
	return true
}

// keyDetail prints a key as (a, b)=(1, x).
func keyDetail(rt *Runtime, t *catalog.Table, columns []catalog.ColumnNum, key []types.Datum) string {
	var names, values []string
	for i, n := range columns {
		names = append(names, t.Columns[n-1].Name)
		values = append(values, datumText(rt, t.Columns[n-1].Type, key[i]))
	}
	return "(" + strings.Join(names, ", ") + ")=(" + strings.Join(values, ", ") + ")"
}

func (r *reference) violation(rt *Runtime, format string, args ...any) *sqlstate.Error {
	e := sqlstate.New(sqlstate.ForeignKeyViolation, format, args...)
	e.Table, e.Constraint, e.Schema = r.child.Name, r.key.Name, schemaName(rt, r.child)
	return e
}

// missing is the error for a key of the child that is not in the parent.
func (r *reference) missing(rt *Runtime, key []types.Datum) error {
	e := r.violation(rt, "insert or update on table \"%s\" violates foreign key constraint \"%s\"", r.child.Name, r.key.Name)
	if n := nulls(key); n > 0 {
		return e.WithDetail("MATCH FULL does not allow mixing of null and nonnull key values.")
	}
	return e.WithDetail("Key %s is not present in table \"%s\".", keyDetail(rt, r.child, r.key.Columns, key), r.parent.Name)
}

// needed is the error for a key of the parent that the child still has.
func (r *reference) needed(rt *Runtime, key []types.Datum) error {
	return r.violation(rt, "update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
		r.parent.Name, r.key.Name, r.child.Name).
		WithDetail("Key %s is still referenced from table \"%s\".", keyDetail(rt, r.parent, r.key.TargetColumns, key), r.child.Name)
}

package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// rows counts the rows of a table in stored form: tables without a primary key
// may have equal ones.
type rows map[string]int

// fold is what a consumer of the change log makes of it.
type fold map[catalog.ID]rows

// add applies one change.
func (f fold) add(c *sm.Change) error {
	if c.Op == sm.OpMessage {
		return nil
	}
	if f[c.Table] == nil || c.Op == sm.OpTruncate {
		f[c.Table] = rows{}
	}
	r := f[c.Table]
	if c.Before != nil {
		if r[string(c.Before)]--; r[string(c.Before)] < 0 {
			return fmt.Errorf("the change at %s takes away a row of table %d that is not there: %x", c.Offset, c.Table, c.Before)
		}
		if r[string(c.Before)] == 0 {
			delete(r, string(c.Before))
		}
	}
	if c.After != nil {
		r[string(c.After)]++
	}
	return nil
}

// text is a table's rows as text, sorted.
func (f fold) text(t *catalog.Table) ([]string, error) {
	var out []string
	for _, stored := range slices.Sorted(maps.Keys(f[t.ID])) {
		values := make([]types.Datum, len(t.Columns))
		if err := sm.DecodeStored(t, []byte(stored), nil, values); err != nil {
			return nil, err
		}
		for range f[t.ID][stored] {
			out = append(out, rowText(t, values))
		}
	}
	slices.Sort(out)
	return out, nil
}

func rowText(t *catalog.Table, values []types.Datum) string {
	var fields []string
	for i, c := range t.Columns {
		if c.Dropped {
			continue
		}
		if values[i].IsNull() {
			fields = append(fields, "∅")
		} else {
			fields = append(fields, string(types.AppendDatum(nil, values[i])))
		}
	}
	return strings.Join(fields, "|")
}

// tables returns the tables of a catalog.
func tables(c *catalog.Catalog) (out []*catalog.Table) {
	for _, d := range c.All() {
		if t, ok := d.(*catalog.Table); ok {
			out = append(out, t)
		}
	}
	return out
}

// scan reads a table by one of its indexes; nil means its rows.
func scan(txn *sm.Txn, t *catalog.Table, ix *catalog.Index) ([]string, error) {
	var out []string
	it := txn.Scan(sm.ScanOptions{Table: t, Index: ix})
	defer it.Close()
	for it.Next() {
		out = append(out, rowText(t, it.Row().Values))
	}
	slices.Sort(out)
	return out, it.Err()
}

// compare compares all tables at the view with the fold, by every index.
func (f fold) compare(v *sm.View) error {
	txn := v.Begin()
	defer txn.Close()
	for _, t := range tables(v.Catalog()) {
		want, err := f.text(t)
		if err != nil {
			return fmt.Errorf("table %s at %s: %w", t.Name, v.Offset(), err)
		}
		ways := []*catalog.Index{nil}
		for i := range t.Indexes {
			if t.Indexes[i].Predicate == "" {
				ways = append(ways, &t.Indexes[i])
			}
		}
		for _, ix := range ways {
			have, err := scan(txn, t, ix)
			if err != nil {
				return fmt.Errorf("table %s at %s: %w", t.Name, v.Offset(), err)
			}
			if !slices.Equal(want, have) {
				name := "its rows"
				if ix != nil {
					name = "index " + ix.Name
				}
				return fmt.Errorf("table %s at %s has %d rows by %s, the change log folds to %d:\n%.2000q\n%.2000q", t.Name, v.Offset(), len(have), name, len(want), have, want)
			}
		}
	}
	return nil
}

// verifyChanges folds the change log of a replica from its beginning, and
// compares the result with the tables at its end and at some offsets on the way.
func verifyChanges(r *sm.Replica, rnd *rand.Rand) error {
	v, err := r.View()
	if err != nil {
		return err
	}
	defer v.Close()
	f := fold{}
	it := v.Transactions(0)
	defer it.Close()
	last := log.Offset(0)
	for it.Next() {
		h := it.Header()
		if h.Prev != last || h.Start <= last || h.Commit < h.Start || h.End != h.Commit+1 {
			return fmt.Errorf("transaction %+v does not follow %s", h, last)
		}
		last = h.Commit
		if err := f.transaction(it); err != nil {
			return err
		}
		if rnd.IntN(400) == 0 {
			old, err := r.ViewAt(h.Commit)
			if err != nil {
				return err
			}
			err = f.compare(old)
			old.Close()
			if err != nil {
				return err
			}
		}
	}
	if it.Err() != nil {
		return it.Err()
	}
	if last != v.Offset() {
		return fmt.Errorf("the last transaction is at %s, the position at %s", last, v.Offset())
	}
	return f.compare(v)
}

func (f fold) transaction(it *sm.TxnIter) error {
	h := it.Header()
	changes := it.Changes()
	defer changes.Close()
	at, n := h.Start-1, int64(0)
	for changes.Next() {
		c := changes.Change()
		if c.Offset <= at || c.Offset >= h.Commit {
			return fmt.Errorf("a change at %s after %s in transaction %+v", c.Offset, at, h)
		}
		at = c.Offset
		n++
		if err := f.add(c); err != nil {
			return err
		}
	}
	if n != h.Changes {
		return fmt.Errorf("transaction %+v has %d changes", h, n)
	}
	return changes.Err()
}

package sm

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Truncate removes all rows of tbl by giving it, and its indexes, new storage:
// the table's descriptor is replaced. The change log gets one record, which tells
// consumers how; what else that calls for is the caller's.
func (t *Txn) Truncate(tbl *catalog.Table, how Truncation) error {
	n := *tbl
	n.Storage = t.NewStorage()
	n.Indexes = slices.Clone(tbl.Indexes)
	for i := range n.Indexes {
		if n.Indexes[i].Primary {
			n.Indexes[i].Storage = n.Storage
		} else {
			n.Indexes[i].Storage = t.NewStorage()
		}
	}
	if err := t.spend(0); err != nil {
		return err
	}
	if t.app != nil {
		b := appendChangeHead(t.arena.alloc(changeHeadMax + 1)[:0], OpTruncate, tbl.ID, tbl.Storage, nil, nil)
		t.addChange(appendTruncation(b, how))
	}
	t.PutDescriptor(&n)
	return nil
}

// BuildIndex fills the index ix of tbl, which must not have been written to,
// from the rows. It returns a *UniqueViolationError when ix is unique and two
// rows have the same key.
func (t *Txn) BuildIndex(tbl *catalog.Table, ix *catalog.Index) error {
	return t.each(tbl, func(row *Row) error { return t.index(tbl, ix, row.Values, row.Key) })
}

// each calls f for every row of tbl.
func (t *Txn) each(tbl *catalog.Table, f func(*Row) error) error {
	it := t.Scan(ScanOptions{Table: tbl})
	defer it.Close()
	for it.Next() {
		if err := f(it.Row()); err != nil {
			return err
		}
	}
	return it.Err()
}

// index puts one row into ix.
func (t *Txn) index(tbl *catalog.Table, ix *catalog.Index, row []types.Datum, key []byte) error {
	p, err := t.planEntry(tbl, ix, row, key)
	if err != nil || !p.include {
		return err
	}
	plans := [1]entryPlan{p}
	if err := t.checkUnique(tbl, plans[:], row, nil); err != nil {
		return err
	}
	t.putEntries(plans[:], key)
	return nil
}

// Rekey rewrites the rows of old under the primary key of new, whose Storage
// and whose indexes' Storages must be new, and fills new's indexes. It puts no
// change records in the log: no row's content changes. The caller replaces the
// descriptor. Key columns that are NULL are the caller's to refuse.
func (t *Txn) Rekey(old, new *catalog.Table) error {
	pk := new.PrimaryKey()
	return t.each(old, func(row *Row) error {
		prefix, err := t.rowPrefix(new, pk, row.Values)
		if err != nil {
			return err
		}
		s, err := t.slot(prefix, pk)
		if err != nil {
			return err
		}
		if s.taken {
			return t.violation(new, pk, row.Values, rowKey(prefix))
		}
		stored := t.arena.copy(row.stored)
		if err := t.spend(len(stored)); err != nil {
			return err
		}
		t.over.put(s.item, prefix, version{value: stored, created: row.Created, fresh: s.fresh})
		t.account(new, prefix, nil, stored)
		for i := range new.Indexes {
			if ix := &new.Indexes[i]; !ix.Primary {
				if err := t.index(new, ix, row.Values, rowKey(prefix)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

package sm

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// provisional reports whether a value is of a version that a load wrote. Only
// rows and index entries begin with flags.
func provisional(space byte, value []byte) bool {
	return len(value) > 0 && value[0]&flagProvisional != 0 &&
		(keys.Space(space) == keys.Rows || keys.Space(space) == keys.Entries)
}

// loadOf returns the load that a provisional value is of, and what follows.
func loadOf(value []byte) (keys.LoadID, []byte, error) {
	id, n := binary.Uvarint(value[1:])
	if n <= 0 {
		return 0, nil, errCorrupt
	}
	return keys.LoadID(id), value[1+n:], nil
}

// ceiling is the newest version that may be visible. A reader's own loads may
// have written after the offset that it reads at.
func (b *base) ceiling() log.Offset {
	if len(b.own) > 0 {
		return keys.MaxVersion
	}
	return b.asOf
}

// sees is the one place that decides whether the version v of a key counts. at is
// when it was committed: for a version of a load that is not v, and 0 for the
// reader's own. Open loads of others that are passed over are added to met.
func (b *base) sees(space byte, v log.Offset, value []byte, met *[]keys.LoadID) (at log.Offset, ok bool, err error) {
	if b.loads == nil || !provisional(space, value) {
		return v, v <= b.asOf, nil
	}
	id, _, err := loadOf(value)
	if err != nil {
		return 0, false, err
	}
	if slices.Contains(b.own, id) {
		return 0, true, nil
	}
	l := b.loads.find(id)
	switch {
	case l == nil:
	case l.status == LoadCommitted:
		return l.commit, l.commit <= b.asOf, nil
	case l.status == LoadOpen && met != nil && !slices.Contains(*met, id):
		*met = append(*met, id)
	}
	return 0, false, nil
}

// Attach makes the rows of a large transaction that this session stages visible
// to a speculative transaction, as if it had inserted them itself, and returns how
// many they are.
func (t *Txn) Attach(id log.StageID) (int64, error) {
	p := t.r.published.Load()
	l := p.loads.staged(id)
	if l == nil || p.store != t.base.store {
		return 0, (&load{reason: reasonGivenUp}).failure()
	}
	if l.status != LoadOpen {
		return 0, l.failure()
	}
	// What was read so far came from an older iterator, and filters may hide what
	// is newer than the view.
	if err := t.base.close(); err != nil {
		return 0, err
	}
	t.base.generation, t.base.filters, t.gaps = p.generation, nil, nil
	t.base.own = append(t.base.own, l.id)
	if t.base.loads == nil {
		t.base.loads = p.loads
	}
	tbl, err := t.loaded(l)
	if err != nil {
		return 0, err
	}
	t.delta(tbl).rows += l.rows
	return l.rows, nil
}

// loaded returns the table that l's rows are in, as this transaction sees it. One
// that the transaction has emptied gets l's storage.
func (t *Txn) loaded(l *load) (*catalog.Table, error) {
	tbl := t.cat.Table(l.table)
	if tbl == nil {
		return nil, (&load{reason: reasonDDL}).failure()
	}
	if l.fresh == nil {
		if tbl.Storage != l.storage {
			return nil, (&load{reason: reasonDDL}).failure()
		}
		return tbl, nil
	}
	if t.Wrote(tbl) || len(l.fresh) != freshStorages(tbl) {
		return nil, (&load{reason: reasonDDL}).failure()
	}
	n := withStorages(tbl, l.fresh)
	t.PutDescriptor(n)
	return n, nil
}

// Wrote reports whether the transaction has written rows into the table's
// storage as it is now.
func (t *Txn) Wrote(tbl *catalog.Table) bool {
	for i := range t.deltas {
		if t.deltas[i].storage == tbl.Storage {
			return true
		}
	}
	return false
}

// LoadTarget says how rows for tbl, as this transaction sees it, can be staged as
// a large transaction: ok is false when they cannot, because what the table is
// now nobody knows but this transaction; fresh when the transaction has emptied
// the table and not written to it since.
func (t *Txn) LoadTarget(tbl *catalog.Table, committed *catalog.Catalog) (fresh, ok bool) {
	was := committed.Table(tbl.ID)
	if was == nil || was == tbl {
		return false, was != nil
	}
	if t.Wrote(tbl) || tbl.Storage == was.Storage || len(tbl.Indexes) != len(was.Indexes) {
		return false, false
	}
	// Put back into the committed storages, it must be what was committed.
	a, errA := encodeDescriptor(was)
	b, errB := encodeDescriptor(withStorages(tbl, storagesOf(was)))
	return true, errA == nil && errB == nil && bytes.Equal(a, b)
}

// freshStorages is how many storages a table with its indexes has.
func freshStorages(tbl *catalog.Table) int { return len(storagesOf(tbl)) }

// storagesOf lists the storage of a table's rows, then those of its indexes.
func storagesOf(tbl *catalog.Table) []catalog.StorageID {
	out := []catalog.StorageID{tbl.Storage}
	for i := range tbl.Indexes {
		if !tbl.Indexes[i].Primary {
			out = append(out, tbl.Indexes[i].Storage)
		}
	}
	return out
}

// withStorages returns tbl with other storages, in the order of storagesOf.
func withStorages(tbl *catalog.Table, storages []catalog.StorageID) *catalog.Table {
	n := *tbl
	n.Storage, storages = storages[0], storages[1:]
	n.Indexes = slices.Clone(tbl.Indexes)
	for i := range n.Indexes {
		if ix := &n.Indexes[i]; ix.Primary {
			ix.Storage = n.Storage
		} else {
			ix.Storage, storages = storages[0], storages[1:]
		}
	}
	return &n
}

package sm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Insert adds a row, which has one datum for each column of tbl, dropped ones
// included. It returns a *UniqueViolationError, and writes nothing, when the
// primary key or a unique index already has the key.
func (t *Txn) Insert(tbl *catalog.Table, row []types.Datum) error {
	if len(row) != len(tbl.Columns) {
		return fmt.Errorf("sm: table %q has %d columns, the row %d", tbl.Name, len(tbl.Columns), len(row))
	}
	pk := tbl.PrimaryKey()
	prefix, err := t.rowPrefix(tbl, pk, row)
	if err != nil {
		return err
	}
	key := rowKey(prefix)
	s, err := t.slot(prefix, pk)
	if err != nil {
		return err
	}
	if s.taken {
		return t.violation(tbl, pk, row, key)
	}
	if t.newEntries, err = t.planEntries(t.newEntries[:0], tbl, row, key); err != nil {
		return err
	}
	if err := t.checkUnique(tbl, t.newEntries, row, nil); err != nil {
		return err
	}
	stored, err := t.record(tbl, OpInsert, key, nil, row)
	if err != nil {
		return err
	}
	t.over.put(s.item, prefix, version{value: stored, fresh: s.fresh})
	t.account(tbl, prefix, nil, stored)
	t.putEntries(t.newEntries, key)
	return nil
}

// Update replaces old, which must have all columns decoded, by row. It returns
// a *UniqueViolationError as Insert does and ErrRowChanged when old is not what
// is stored; nothing is written then.
func (t *Txn) Update(tbl *catalog.Table, old *Row, row []types.Datum) error {
	if len(row) != len(tbl.Columns) {
		return fmt.Errorf("sm: table %q has %d columns, the row %d", tbl.Name, len(tbl.Columns), len(row))
	}
	oldPrefix, it, err := t.current(tbl, old)
	if err != nil {
		return err
	}
	prefix, moved := oldPrefix, false
	var target slot
	if pk := tbl.PrimaryKey(); pk != nil {
		if prefix, err = t.rowPrefix(tbl, pk, row); err != nil {
			return err
		}
		if moved = !bytes.Equal(prefix, oldPrefix); moved {
			if target, err = t.slot(prefix, pk); err != nil {
				return err
			}
			if target.taken {
				return t.violation(tbl, pk, row, rowKey(prefix))
			}
		}
	}
	key := rowKey(prefix)
	if err := t.planUpdate(tbl, old, row, key, moved); err != nil {
		return err
	}
	stored, err := t.record(tbl, OpUpdate, old.Key, old.stored, row)
	if err != nil {
		return err
	}
	for i := range t.oldEntries {
		t.dropEntry(&t.oldEntries[i])
	}
	if moved {
		t.over.put(it, oldPrefix, version{deleted: true})
		t.over.put(target.item, prefix, version{value: stored, created: old.Created, fresh: target.fresh})
		t.account(tbl, oldPrefix, old.stored, nil)
		t.account(tbl, prefix, nil, stored)
	} else {
		t.over.put(it, prefix, version{value: stored, created: old.Created})
		t.account(tbl, prefix, old.stored, stored)
	}
	for i := range t.newEntries {
		// An entry dropped above may be the one to be put now.
		t.newEntries[i].item = t.over.find(t.newEntries[i].prefix)
	}
	t.putEntries(t.newEntries, key)
	return nil
}

// planUpdate leaves in t.oldEntries the index entries to drop and in
// t.newEntries those to put; what stays as it is is in neither.
func (t *Txn) planUpdate(tbl *catalog.Table, old *Row, row []types.Datum, key []byte, moved bool) error {
	var err error
	if t.oldEntries, err = t.planEntries(t.oldEntries[:0], tbl, old.Values, old.Key); err != nil {
		return err
	}
	if t.newEntries, err = t.planEntries(t.newEntries[:0], tbl, row, key); err != nil {
		return err
	}
	drop, put := t.oldEntries[:0], t.newEntries[:0]
	for i := range t.newEntries {
		o, n := t.oldEntries[i], t.newEntries[i]
		if o.include && n.include && !moved && bytes.Equal(o.prefix, n.prefix) {
			if t.app != nil {
				t.touched = append(t.touched, n.prefix)
			}
			continue
		}
		if o.include {
			drop = append(drop, o)
		}
		if n.include {
			put = append(put, n)
		}
	}
	t.oldEntries, t.newEntries = drop, put
	return t.checkUnique(tbl, put, row, old.Key)
}

// Delete removes old, which must have all columns decoded. It returns
// ErrRowChanged when old is not what is stored.
func (t *Txn) Delete(tbl *catalog.Table, old *Row) error {
	prefix, it, err := t.current(tbl, old)
	if err != nil {
		return err
	}
	if t.oldEntries, err = t.planEntries(t.oldEntries[:0], tbl, old.Values, old.Key); err != nil {
		return err
	}
	if _, err := t.record(tbl, OpDelete, old.Key, old.stored, nil); err != nil {
		return err
	}
	t.over.put(it, prefix, version{deleted: true})
	t.account(tbl, prefix, old.stored, nil)
	for i := range t.oldEntries {
		if p := &t.oldEntries[i]; p.include {
			t.dropEntry(p)
		}
	}
	return nil
}

// Conflicting returns the row that has row's key in ix, or, when ix is nil, in
// any unique index of tbl, the first in the order of tbl.Indexes. The Row has
// all columns and is the caller's.
func (t *Txn) Conflicting(tbl *catalog.Table, ix *catalog.Index, row []types.Datum) (*Row, bool, error) {
	for i := range tbl.Indexes {
		x := &tbl.Indexes[i]
		if !x.Unique && !x.Primary || ix != nil && x.ID != ix.ID {
			continue
		}
		key, ok, err := t.holder(tbl, x, row)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			continue
		}
		found, ok, err := t.Get(tbl, key, nil)
		if err != nil || ok {
			if ok {
				found = found.Clone()
			}
			return found, ok, err
		}
	}
	return nil, false, nil
}

// holder returns the primary key of the row that has row's key in x.
func (t *Txn) holder(tbl *catalog.Table, x *catalog.Index, row []types.Datum) ([]byte, bool, error) {
	if x.Primary {
		b, err := t.appendPrimaryKey(t.keyBuf[:0], tbl, x, row)
		if err != nil {
			return nil, false, err
		}
		t.keyBuf = b
		return t.arena.copy(b), true, nil
	}
	p, err := t.planEntry(tbl, x, row, nil)
	if err != nil || !p.include || !p.unique {
		return nil, false, err
	}
	pk, ok, _, err := t.findEntry(p.prefix)
	if err != nil || !ok {
		return nil, false, err
	}
	return t.arena.copy(pk), true, nil
}

// slot is what a transaction sees at a row's key.
type slot struct {
	item  *item // the overlay's, or nil
	taken bool
	fresh bool // neither overlay nor store has a live version
}

// slot looks whether a row may be put at prefix, a key of pk. Without a primary
// key it has never been used, so that the store need not be asked.
func (t *Txn) slot(prefix []byte, pk *catalog.Index) (slot, error) {
	if pk == nil {
		return slot{fresh: true}, nil
	}
	if it := t.over.find(prefix); it != nil {
		return slot{item: it, taken: !it.cur.deleted}, nil
	}
	value, v, err := t.seekNew(prefix)
	t.overtake(pk)
	if err != nil || value == nil {
		return slot{fresh: true}, err
	}
	head, err := decodeRowValue(value, v)
	return slot{taken: !head.deleted, fresh: head.deleted}, err
}

// current finds old in the overlay and makes sure that it is what is stored. A
// row that only the store has cannot have changed.
func (t *Txn) current(tbl *catalog.Table, old *Row) (prefix []byte, it *item, err error) {
	t.prefixBuf = appendRowPrefix(t.prefixBuf[:0], tbl, old.Key)
	if it = t.over.find(t.prefixBuf); it == nil {
		return t.arena.copy(t.prefixBuf), nil, nil
	}
	if it.cur.deleted || !bytes.Equal(it.cur.value, old.stored) {
		return nil, nil, ErrRowChanged
	}
	return it.key, it, nil
}

// rowPrefix returns the prefix of a new row; it stays valid.
func (t *Txn) rowPrefix(tbl *catalog.Table, pk *catalog.Index, row []types.Datum) ([]byte, error) {
	b, err := t.appendPrimaryKey(keys.AppendStorage(t.prefixBuf[:0], keys.Rows, tbl.Storage), tbl, pk, row)
	if err != nil {
		return nil, err
	}
	t.prefixBuf = keys.Terminate(b)
	return t.arena.copy(t.prefixBuf), nil
}

// rowKey returns the primary key within a row's prefix.
func rowKey(prefix []byte) []byte { return prefix[keys.StorageBytes : len(prefix)-1] }

// checkUnique looks each planned entry up, and reports the first that another
// row than the one with the key self has already.
func (t *Txn) checkUnique(tbl *catalog.Table, plans []entryPlan, row []types.Datum, self []byte) error {
	for i := range plans {
		p := &plans[i]
		if !p.include {
			continue
		}
		p.item = t.over.find(p.prefix)
		if !p.unique {
			// It ends with the row's own key, so nobody else can have it.
			p.fresh = p.item == nil
			continue
		}
		t.met = t.met[:0]
		pk, ok, fresh, err := t.findEntry(p.prefix)
		t.overtake(p.index)
		if err != nil {
			return err
		}
		if ok && !bytes.Equal(pk, self) {
			return t.violation(tbl, p.index, row, pk)
		}
		p.fresh = fresh
	}
	return nil
}

func (t *Txn) putEntries(plans []entryPlan, key []byte) {
	for i := range plans {
		if p := &plans[i]; p.include {
			t.putEntry(p, key)
		}
	}
}

// account adds a row's going and coming to what the transaction changed.
func (t *Txn) account(tbl *catalog.Table, prefix, before, after []byte) {
	d := t.delta(tbl)
	if before != nil {
		d.rows--
	}
	if after != nil {
		d.rows++
	}
	if t.app == nil {
		return
	}
	if before != nil {
		d.sum.sub(t.hash.of(prefix, before))
	}
	if after != nil {
		d.sum.add(t.hash.of(prefix, after))
	}
}

// record writes the change record of one row and returns the stored form of row
// within it, so that a row is held in memory once. A speculative transaction
// needs no record. It fails, before anything is written, when the budget is
// spent.
func (t *Txn) record(tbl *catalog.Table, op Op, key, before []byte, row []types.Datum) ([]byte, error) {
	t.rowBuf = t.rowBuf[:0]
	if row != nil {
		t.rowBuf = types.AppendRow(t.rowBuf, row)
	}
	if err := t.spend(len(t.rowBuf)); err != nil {
		return nil, err
	}
	if t.app == nil {
		return t.arena.copy(t.rowBuf), nil
	}
	b := t.arena.alloc(changeHeadMax + len(key) + len(before) + len(t.rowBuf))[:0]
	b = appendChangeHead(b, op, tbl.ID, tbl.Storage, key, before)
	at := len(b)
	b = append(b, t.rowBuf...)
	t.addChange(b)
	return b[at:], nil
}

// addChange appends an encoded change record.
func (t *Txn) addChange(b []byte) {
	t.changes = append(t.changes, b)
	t.span += log.Offset(len(b))
}

// changeHeadMax bounds what appendChangeHead writes beside key and before.
const changeHeadMax = 1 + 2*binary.MaxVarintLen32 + 2*binary.MaxVarintLen64

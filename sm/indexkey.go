package sm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// MaxKeyBytes bounds a primary key or the key of an index entry.
const MaxKeyBytes = 8 << 10

// entryPlan is one index entry that a row has.
type entryPlan struct {
	index  *catalog.Index
	prefix []byte
	// include is false when the row is not in a partial index.
	include bool
	// unique says that no other row may have this key; otherwise the key ends
	// with the primary key.
	unique bool
	// item is what the overlay has for prefix; fresh says that the store has
	// nothing either.
	item  *item
	fresh bool
}

// appendPrimaryKey appends the key of a row with those values, or takes a new
// hidden row id.
func (t *Txn) appendPrimaryKey(dst []byte, tbl *catalog.Table, pk *catalog.Index, row []types.Datum) ([]byte, error) {
	if pk == nil {
		id := t.nextIDs.row
		t.nextIDs.row++
		return binary.BigEndian.AppendUint64(dst, id), nil
	}
	n := len(dst)
	for i := range pk.Columns {
		c := &pk.Columns[i]
		dst = keys.AppendColumn(dst, row[c.Column-1], c)
	}
	if len(dst)-n > MaxKeyBytes {
		return nil, keyTooLong(pk, len(dst)-n)
	}
	return dst, nil
}

func keyTooLong(ix *catalog.Index, n int) error {
	return sqlstate.New(sqlstate.ProgramLimitExceeded, "index row size %d exceeds maximum %d for index %q", n, MaxKeyBytes, ix.Name)
}

// planEntry computes the entry of ix that a row has. pk is the row's primary
// key. The plan's prefix stays valid.
func (t *Txn) planEntry(tbl *catalog.Table, ix *catalog.Index, row []types.Datum, pk []byte) (entryPlan, error) {
	p := entryPlan{index: ix, include: true, unique: ix.Unique}
	key, include, err := t.indexDatums(tbl, ix, row)
	if err != nil || !include {
		p.include = false
		return p, err
	}
	b := keys.AppendStorage(t.keyBuf[:0], keys.Entries, ix.Storage)
	for i := range key {
		if key[i].IsNull() && !ix.NullsNotDistinct {
			p.unique = false
		}
		b = keys.AppendColumn(b, key[i], &ix.Columns[i])
	}
	if n := len(b) - keys.StorageBytes; n > MaxKeyBytes {
		return p, keyTooLong(ix, n)
	}
	if !p.unique {
		b = append(b, pk...)
	}
	t.keyBuf = keys.Terminate(b)
	p.prefix = t.arena.copy(t.keyBuf)
	return p, nil
}

// indexDatums returns the key of row in ix, valid until the next call.
func (t *Txn) indexDatums(tbl *catalog.Table, ix *catalog.Index, row []types.Datum) ([]types.Datum, bool, error) {
	plain := ix.Predicate == ""
	t.keyDatums = t.keyDatums[:0]
	for i := range ix.Columns {
		c := ix.Columns[i].Column
		if c == 0 {
			plain = false
			break
		}
		t.keyDatums = append(t.keyDatums, row[c-1])
	}
	if plain {
		return t.keyDatums, true, nil
	}
	if t.r.evaluator == nil {
		return nil, false, errors.New("sm: index " + ix.Name + " needs an evaluator")
	}
	key, include, err := t.r.evaluator.IndexKey(t.cat, tbl, ix, row)
	if err != nil {
		return nil, false, err
	}
	if include && len(key) != len(ix.Columns) {
		return nil, false, fmt.Errorf("sm: index %s has %d columns, its key %d", ix.Name, len(ix.Columns), len(key))
	}
	return key, include, nil
}

// planEntries computes the entries of all secondary indexes that a row has.
func (t *Txn) planEntries(dst []entryPlan, tbl *catalog.Table, row []types.Datum, pk []byte) ([]entryPlan, error) {
	for i := range tbl.Indexes {
		ix := &tbl.Indexes[i]
		if ix.Primary {
			continue
		}
		p, err := t.planEntry(tbl, ix, row, pk)
		if err != nil {
			return dst, err
		}
		dst = append(dst, p)
	}
	return dst, nil
}

// putEntry writes a planned entry that leads to pk.
func (t *Txn) putEntry(p *entryPlan, pk []byte) {
	value := appendEntryValue(t.arena.alloc(1 + binary.MaxVarintLen64 + len(pk))[:0], pk, !p.unique)
	t.over.put(p.item, p.prefix, version{value: value, fresh: p.fresh})
}

// dropEntry deletes a planned entry.
func (t *Txn) dropEntry(p *entryPlan) {
	t.over.put(t.over.find(p.prefix), p.prefix, version{deleted: true})
}

// violation makes the error for a key of ix that pk has already.
func (t *Txn) violation(tbl *catalog.Table, ix *catalog.Index, row []types.Datum, pk []byte) error {
	var key []types.Datum
	if ix.Primary {
		for i := range ix.Columns {
			key = append(key, row[ix.Columns[i].Column-1])
		}
	} else {
		k, _, err := t.indexDatums(tbl, ix, row)
		if err != nil {
			return err
		}
		key = append(key, k...)
	}
	return &UniqueViolationError{Table: tbl, Index: ix, Key: key, ExistingKey: append([]byte(nil), pk...)}
}

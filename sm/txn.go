package sm

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Txn is a transaction: the one of an entry that is being applied, or a
// speculative one over a View. It belongs to one goroutine.
type Txn struct {
	r    *Replica
	base *base
	over *overlay
	// app is the Apply call that the transaction is part of; nil when it is
	// speculative.
	app   *applier
	entry *log.Entry

	cat    *catalog.Catalog
	drafts uint64
	ddl    []catalog.ID // descriptors changed, rolled back or not

	// The state that the transaction began with, and the numbers it hands out.
	offset  log.Offset
	end     log.Offset
	time    int64
	nextIDs nextIDs

	changes [][]byte   // encoded change records
	span    log.Offset // how many bytes the changes take, those of loads included
	// loads are the large transactions that this one commits, each with its place
	// among the changes.
	loads  []adopted
	met    []keys.LoadID // by the last lookup
	dooms  []doom
	acks   []slotAck
	deltas []storageDelta
	seqs   map[catalog.ID]sequenceState

	rowsChanged  int64
	bytesWritten int64
	budget       log.Budget

	arena   arena
	hash    hasher
	row     Row // what Get returns
	decoder rowDecoder
	gaps    []gap
	closed  bool
	traced  bool

	// touched are keys that the transaction has changed, or of index entries of
	// rows that it has changed.
	touched [][]byte

	rowBuf, prefixBuf, keyBuf []byte
	keyDatums                 []types.Datum
	newEntries, oldEntries    []entryPlan
}

// storageDelta is what a transaction changed in the rows of one table.
type storageDelta struct {
	table   catalog.ID
	storage catalog.StorageID
	storageSum
}

// base is the committed state under a transaction's overlay: the store, seen as
// of an offset.
type base struct {
	store      *store
	points     *iterPool
	scans      *iterPool
	generation uint64
	asOf       log.Offset
	// loads are the large transactions whose rows may be among the others; own
	// are those whose rows this reader takes for its own.
	loads *loadTable
	own   []keys.LoadID
	// filters skip blocks that are too new; only readers of an old offset have
	// one.
	filters []pebble.BlockPropertyFilter
	point   pooledIter
	seekBuf []byte
}

// seek returns the newest version of prefix that is visible, nil when there is
// none. The value is valid until the next seek.
func (b *base) seek(prefix []byte) (value []byte, v log.Offset, err error) {
	return b.seekMeeting(prefix, nil)
}

// seekMeeting is seek that adds the open loads it passes over to met.
func (b *base) seekMeeting(prefix []byte, met *[]keys.LoadID) (value []byte, v log.Offset, err error) {
	if b.point.Iterator == nil {
		if b.point, err = b.points.get(b.store.db, b.generation); err != nil {
			return nil, 0, err
		}
	}
	b.seekBuf = keys.AppendVersion(append(b.seekBuf[:0], prefix...), b.ceiling())
	for ok := b.point.SeekPrefixGE(b.seekBuf); ok; ok = b.point.Next() {
		if v, err = keys.Version(b.point.Key()); err != nil {
			return nil, 0, err
		}
		if value, err = b.point.ValueAndErr(); err != nil {
			return nil, 0, err
		}
		at, ok, err := b.sees(prefix[0], v, value, met)
		if ok || err != nil {
			return value, at, err
		}
	}
	return nil, 0, b.point.Error()
}

// unversioned returns the value of a key that has no version, nil when it is
// not there. The value is valid until the next seek.
func (b *base) unversioned(key []byte) ([]byte, error) {
	if b.point.Iterator == nil {
		var err error
		if b.point, err = b.points.get(b.store.db, b.generation); err != nil {
			return nil, err
		}
	}
	if !b.point.SeekPrefixGE(key) {
		return nil, b.point.Error()
	}
	return b.point.ValueAndErr()
}

// close gives the point iterator back.
func (b *base) close() error {
	if b.point.Iterator == nil {
		return nil
	}
	it := b.point
	b.point = pooledIter{}
	return b.points.put(it)
}

// Catalog returns the catalog as this transaction sees it. It is immutable; the
// pointer changes whenever the transaction changes a descriptor.
func (t *Txn) Catalog() *catalog.Catalog { return t.cat }

// PutDescriptor adds or replaces a descriptor, which must not be modified
// afterwards.
func (t *Txn) PutDescriptor(d catalog.Descriptor) {
	t.edit(d.DescriptorID()).Put(d)
}

// DeleteDescriptor removes a descriptor; a table's rows and a sequence's value
// go with it.
func (t *Txn) DeleteDescriptor(id catalog.ID) {
	t.edit(id).Delete(id)
}

// edit makes the catalog a draft of its own: the one before may be held by a
// savepoint, or by a plan.
func (t *Txn) edit(id catalog.ID) *catalog.Catalog {
	t.cat = t.cat.Edit()
	t.drafts++
	t.cat.SetDraft(t.drafts)
	if !slices.Contains(t.ddl, id) {
		t.ddl = append(t.ddl, id)
	}
	return t.cat
}

// NewID returns an ID that no object of this database ever had.
func (t *Txn) NewID() catalog.ID {
	id := t.nextIDs.id
	t.nextIDs.id++
	return id
}

// NewStorage returns a key space that was never used.
func (t *Txn) NewStorage() catalog.StorageID {
	s := t.nextIDs.storage
	t.nextIDs.storage++
	return s
}

// LogTime returns the log time of the entry; for a speculative transaction that
// of its view. In microseconds since 2000-01-01 UTC.
func (t *Txn) LogTime() int64 { return t.time }

// Offset returns the commit offset of the last transaction before this one: the
// offset of the state that it began with.
func (t *Txn) Offset() log.Offset { return t.offset }

// Start returns where this transaction's span will begin if it commits.
func (t *Txn) Start() log.Offset { return log.Next(t.end) }

// Speculative reports whether the transaction can never commit.
func (t *Txn) Speculative() bool { return t.app == nil }

// TableChangedSince is Replica.TableChangedSince; earlier entries of the same
// Apply call count.
func (t *Txn) TableChangedSince(id catalog.ID, off log.Offset) bool {
	return t.r.TableChangedSince(id, off)
}

// RowCount returns how many rows the table has, as this transaction sees it. In
// apply it is exact and the same on every replica; over a view it is that of the
// newest offset.
func (t *Txn) RowCount(tbl *catalog.Table) int64 {
	var n int64
	if t.app != nil {
		n = t.app.storageSum(tbl.Storage).rows
	} else {
		n = t.r.RowCount(tbl)
	}
	for i := range t.deltas {
		if t.deltas[i].storage == tbl.Storage {
			n += t.deltas[i].rows
		}
	}
	return n
}

// RowsChanged counts the rows inserted, updated and deleted so far, those that
// a savepoint rolled back included.
func (t *Txn) RowsChanged() int64 { return t.rowsChanged }

// Close releases a speculative transaction. sm closes the others.
func (t *Txn) Close() {
	if t.closed || t.app != nil {
		return
	}
	t.closed = true
	if err := t.base.close(); err != nil {
		t.r.log.Error("closing an iterator", "error", err)
	}
}

// Mark is a savepoint. It is a small value.
type Mark struct {
	undo, changes     int
	cat               *catalog.Catalog
	deltas            []storageDelta
	loads, own, dooms int
	acks              int
	span              log.Offset
}

// Savepoint returns a mark to which RollbackTo can return. It is cheap enough
// to take around every statement.
func (t *Txn) Savepoint() Mark {
	return Mark{
		undo: len(t.over.undo), changes: len(t.changes), cat: t.cat, deltas: slices.Clone(t.deltas),
		loads: len(t.loads), own: len(t.base.own), dooms: len(t.dooms), acks: len(t.acks), span: t.span,
	}
}

// RollbackTo undoes everything since m, descriptors included. Marks taken after
// m are void afterwards; m itself is not.
func (t *Txn) RollbackTo(m Mark) {
	t.over.rollback(m.undo)
	clear(t.changes[m.changes:])
	t.changes = t.changes[:m.changes]
	t.cat, t.span = m.cat, m.span
	t.deltas = append(t.deltas[:0], m.deltas...)
	t.loads, t.base.own, t.dooms, t.acks = t.loads[:m.loads], t.base.own[:m.own], t.dooms[:m.dooms], t.acks[:m.acks]
}

// SetBudget bounds what a speculative transaction may change, as its entry will be
// bound.
func (t *Txn) SetBudget(b log.Budget) { t.budget = b }

// spend counts one changed row of n bytes against the budget.
func (t *Txn) spend(n int) error {
	t.rowsChanged++
	if t.budget.Rows > 0 && t.rowsChanged > t.budget.Rows {
		return sqlstate.New(sqlstate.ProgramLimitExceeded,
			"transaction changes more than %d rows", t.budget.Rows)
	}
	return t.spendBytes(n)
}

// spendBytes counts n written bytes against the budget.
func (t *Txn) spendBytes(n int) error {
	t.bytesWritten += int64(n)
	if t.budget.Bytes > 0 && t.bytesWritten > t.budget.Bytes {
		return sqlstate.New(sqlstate.ProgramLimitExceeded,
			"transaction writes more than %d bytes", t.budget.Bytes)
	}
	return nil
}

// delta returns the transaction's account of the rows of tbl.
func (t *Txn) delta(tbl *catalog.Table) *storageDelta {
	for i := range t.deltas {
		if d := &t.deltas[i]; d.storage == tbl.Storage {
			return d
		}
	}
	t.deltas = append(t.deltas, storageDelta{table: tbl.ID, storage: tbl.Storage})
	return &t.deltas[len(t.deltas)-1]
}

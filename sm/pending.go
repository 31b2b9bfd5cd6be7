package sm

import (
	"context"
	"io"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Replica is the state machine of one log on one node.
type Replica struct{}

var _ log.StateMachine = (*Replica)(nil)

// Open opens the replica in o.Dir, or creates an empty one there.
func Open(o Options) (*Replica, error) { panic("pending") }

// Apply implements log.StateMachine.
func (r *Replica) Apply(entries []log.Committed) ([][]byte, error) { panic("pending") }

// Applied implements log.StateMachine.
func (r *Replica) Applied() log.Index { panic("pending") }

// Sync implements log.StateMachine.
func (r *Replica) Sync() error { panic("pending") }

// Prepare implements log.StateMachine.
func (r *Replica) Prepare() (any, error) { panic("pending") }

// Save implements log.StateMachine.
func (r *Replica) Save(image any, w io.Writer, stop <-chan struct{}) error { panic("pending") }

// Restore implements log.StateMachine.
func (r *Replica) Restore(in io.Reader, stop <-chan struct{}) error { panic("pending") }

// Close implements log.StateMachine.
func (r *Replica) Close() error { panic("pending") }

// Flush starts writing what is only in memory to disk, and does not wait: it
// keeps replay after a crash short and Sync quick.
func (r *Replica) Flush() error { panic("pending") }

// Position returns how far the replica has applied its log.
func (r *Replica) Position() Position { panic("pending") }

// Wait returns once everything up to off has been applied. It returns the
// context's error, log.ErrClosed, or a *HaltedError when off will not come.
func (r *Replica) Wait(ctx context.Context, off log.Offset) error { panic("pending") }

// Halted returns why the replica has stopped applying its log (a
// *HaltedError), or nil. A halted replica serves reads; Apply answers every
// further entry with a failure and nothing advances.
func (r *Replica) Halted() error { panic("pending") }

// View returns a view of the latest offset. It must be closed.
func (r *Replica) View() (*View, error) { panic("pending") }

// ViewAt returns a view of an older offset, which must be closed. Errors are
// *sqlstate.Error: 22023 for an offset below the floor or past the end.
func (r *Replica) ViewAt(off log.Offset) (*View, error) { panic("pending") }

// TableChangedSince reports whether a committed transaction may have changed
// the table, its rows or its descriptor, after off. It is conservative: true
// when this node cannot tell, as after a restart.
func (r *Replica) TableChangedSince(t catalog.ID, off log.Offset) bool { panic("pending") }

// RowCount returns about how many rows the table has now; it is for planning
// reads outside apply.
func (r *Replica) RowCount(t *catalog.Table) int64 { panic("pending") }

// Check reads the whole store and verifies it: every row decodes, checksums and
// row counts are those that were kept, indexes agree with rows.
func (r *Replica) Check(ctx context.Context) (CheckReport, error) { panic("pending") }

// CheckReport is what Check found.
type CheckReport struct {
	Offset   log.Offset
	Checksum Checksum
	Tables   int
	Rows     int64
	Entries  int64 // of indexes
	// Problems describes each disagreement; none means the store is sound. At
	// most MaxProblems are kept.
	Problems []string
}

// View is a read-only snapshot of all tables at one offset. It may be used by
// several goroutines at once.
type View struct{}

// Offset returns the commit offset that v shows.
func (v *View) Offset() log.Offset { panic("pending") }

// Catalog returns the catalog at v's offset.
func (v *View) Catalog() *catalog.Catalog { panic("pending") }

// Close releases what v pins. Transactions begun on it must be closed before.
func (v *View) Close() { panic("pending") }

// Begin returns a transaction over v: its reads see v and its own writes, which
// are never committed. It must be closed.
func (v *View) Begin() *Txn { panic("pending") }

// CatalogAt returns the catalog as it was at off, for decoding old changes.
func (v *View) CatalogAt(off log.Offset) (*catalog.Catalog, error) { panic("pending") }

// Transactions iterates over the committed transactions whose commit offset is
// greater than from and at most v's offset, in order.
func (v *View) Transactions(from log.Offset) *TxnIter { panic("pending") }

// Changes iterates over the changes whose own offset is greater than from and
// whose transaction is committed at or before v's offset, in order. It seeks
// straight to from, also into the middle of a transaction.
func (v *View) Changes(from log.Offset) *ChangeIter { panic("pending") }

// Commands iterates over the command log: the entries whose position is greater
// than from, committed and failed ones, in the order of the log.
func (v *View) Commands(from log.Offset) *CommandIter { panic("pending") }

// Op is what a change did.
type Op uint8

// The operations. Numbers are stored.
const (
	OpInsert   Op = 1
	OpUpdate   Op = 2
	OpDelete   Op = 3
	OpTruncate Op = 4
)

// Change is one change of one row, or the truncation of a table.
type Change struct {
	Offset  log.Offset
	Table   catalog.ID
	Storage catalog.StorageID // the key space the row was in
	Op      Op
	Key     []byte // the row's key in its storage
	// Before and After are rows in stored form (types.AppendRow), nil where
	// there is none. Decode them with DecodeStored and the catalog at the
	// transaction's commit offset.
	Before, After []byte
}

// TxnHeader describes one committed transaction.
type TxnHeader struct {
	// Start is the offset of the first change, Commit comes after the last one,
	// End is Commit+1. Prev is the commit offset of the transaction before.
	Start, Commit, End, Prev log.Offset
	// Time is the log time.
	Time int64
	// Changes counts the changes.
	Changes int64
}

// TxnIter iterates over committed transactions.
type TxnIter struct{}

// Next moves to the next transaction.
func (it *TxnIter) Next() bool { panic("pending") }

// Header returns the transaction that Next moved to.
func (it *TxnIter) Header() TxnHeader { panic("pending") }

// Changes iterates over the changes of the transaction that Next moved to. It
// must be closed.
func (it *TxnIter) Changes() *ChangeIter { panic("pending") }

// Err returns the error that ended the iteration.
func (it *TxnIter) Err() error { panic("pending") }

// Close releases the iterator.
func (it *TxnIter) Close() { panic("pending") }

// ChangeIter iterates over changes.
type ChangeIter struct{}

// Next moves to the next change.
func (it *ChangeIter) Next() bool { panic("pending") }

// Change returns the change that Next moved to. Its byte slices may be kept.
func (it *ChangeIter) Change() *Change { panic("pending") }

// Txn returns the header of the change's transaction.
func (it *ChangeIter) Txn() (TxnHeader, error) { panic("pending") }

// Err returns the error that ended the iteration.
func (it *ChangeIter) Err() error { panic("pending") }

// Close releases the iterator.
func (it *ChangeIter) Close() { panic("pending") }

// Command is one record of the command log.
type Command struct {
	// Offset is the commit offset of a committed command; for a failed one it
	// is the last commit offset before it, and Seq tells failures at the same
	// place apart (from 1; 0 for a committed command).
	Offset log.Offset
	Seq    uint32
	// Header is that of the transaction; zero for a failed command but for Time.
	Header TxnHeader
	// Rows counts the rows changed.
	Rows int64
	// Failure is the recorded failure, or nil.
	Failure *log.Failure
	// Entry is the entry itself; rows that a COPY brought inline are left out.
	Entry *log.Entry
}

// CommandIter iterates over the command log.
type CommandIter struct{}

// Next moves to the next command.
func (it *CommandIter) Next() bool { panic("pending") }

// Command returns the command that Next moved to; it may be kept.
func (it *CommandIter) Command() *Command { panic("pending") }

// Err returns the error that ended the iteration.
func (it *CommandIter) Err() error { panic("pending") }

// Close releases the iterator.
func (it *CommandIter) Close() { panic("pending") }

// DecodeStored decodes a stored row of t, filling columns that were added after
// it was stored. want lists the 0-based column positions wanted, nil all; out
// has one datum for each column of t.
func DecodeStored(t *catalog.Table, row []byte, want []int, out []types.Datum) error {
	panic("pending")
}

// Txn is a transaction: the one of an entry that is being applied, or a
// speculative one over a View. It belongs to one goroutine.
type Txn struct{}

// Catalog returns the catalog as this transaction sees it. It is immutable; the
// pointer changes whenever the transaction changes a descriptor.
func (t *Txn) Catalog() *catalog.Catalog { panic("pending") }

// PutDescriptor adds or replaces a descriptor, which must not be modified
// afterwards.
func (t *Txn) PutDescriptor(d catalog.Descriptor) { panic("pending") }

// DeleteDescriptor removes a descriptor; a table's rows and a sequence's value
// go with it.
func (t *Txn) DeleteDescriptor(id catalog.ID) { panic("pending") }

// NewID returns an ID that no object of this database ever had.
func (t *Txn) NewID() catalog.ID { panic("pending") }

// NewStorage returns a key space that was never used.
func (t *Txn) NewStorage() catalog.StorageID { panic("pending") }

// LogTime returns the log time of the entry; for a speculative transaction that
// of its view. In microseconds since 2000-01-01 UTC.
func (t *Txn) LogTime() int64 { panic("pending") }

// Offset returns the commit offset of the last transaction before this one: the
// offset of the state that it began with.
func (t *Txn) Offset() log.Offset { panic("pending") }

// Start returns where this transaction's span will begin if it commits.
func (t *Txn) Start() log.Offset { panic("pending") }

// Speculative reports whether the transaction can never commit.
func (t *Txn) Speculative() bool { panic("pending") }

// View opens a view of an older offset, for comparing what the transaction of
// an entry sees with what its client saw.
func (t *Txn) View(off log.Offset) (*View, error) { panic("pending") }

// TableChangedSince is Replica.TableChangedSince as of this transaction's
// start; earlier entries of the same Apply call count.
func (t *Txn) TableChangedSince(id catalog.ID, off log.Offset) bool { panic("pending") }

// RowCount returns how many rows the table has, as this transaction sees it. In
// apply it is exact and the same on every replica.
func (t *Txn) RowCount(tbl *catalog.Table) int64 { panic("pending") }

// RowsChanged counts the rows inserted, updated and deleted so far, those that
// a savepoint rolled back included.
func (t *Txn) RowsChanged() int64 { panic("pending") }

// Close releases a speculative transaction. sm closes the others.
func (t *Txn) Close() { panic("pending") }

// Insert adds a row, which has one datum for each column of tbl, dropped ones
// included. It returns a *UniqueViolationError, and writes nothing, when the
// primary key or a unique index already has the key.
func (t *Txn) Insert(tbl *catalog.Table, row []types.Datum) error { panic("pending") }

// Conflicting returns the row that has row's key in ix, or, when ix is nil, in
// any unique index of tbl, the first in the order of tbl.Indexes. The Row has
// all columns and is the caller's.
func (t *Txn) Conflicting(tbl *catalog.Table, ix *catalog.Index, row []types.Datum) (*Row, bool, error) {
	panic("pending")
}

// Update replaces old, which must have all columns decoded, by row. It returns
// a *UniqueViolationError as Insert does and ErrRowChanged when old is not what
// is stored; nothing is written then.
func (t *Txn) Update(tbl *catalog.Table, old *Row, row []types.Datum) error { panic("pending") }

// Delete removes old, which must have all columns decoded. It returns
// ErrRowChanged when old is not what is stored.
func (t *Txn) Delete(tbl *catalog.Table, old *Row) error { panic("pending") }

// Get returns the row with that primary key in stored form (keys.AppendIndex,
// or Row.Key). want lists the 0-based column positions to decode, nil all. The
// Row is reused by the next Get of this transaction.
func (t *Txn) Get(tbl *catalog.Table, key []byte, want []int) (*Row, bool, error) { panic("pending") }

// Span is a range of stored keys in the key space of an index or of a table's
// rows: Lo inclusive, Hi exclusive, nil open. keys.AppendIndex and
// keys.PrefixEnd make them.
type Span struct{ Lo, Hi []byte }

// ScanOptions say what a scan reads.
type ScanOptions struct {
	Table *catalog.Table
	// Index is the index to follow; nil, or the primary key, means the rows in
	// primary-key order.
	Index *catalog.Index
	// Spans are read in the order given (each backwards when Reverse is set, and
	// then the last one first); none means everything. They must be ascending
	// and must not overlap.
	Spans   []Span
	Reverse bool
	// Want lists the 0-based column positions to decode, nil all.
	Want []int
}

// Scan iterates over rows as they are when it is called: what the transaction
// writes while the iterator is open is not seen. The iterator must be closed,
// and before a RollbackTo.
func (t *Txn) Scan(o ScanOptions) *Iter { panic("pending") }

// Iter iterates over rows.
type Iter struct{}

// Next moves to the next row.
func (it *Iter) Next() bool { panic("pending") }

// Row returns the row that Next moved to, valid until the next Next.
func (it *Iter) Row() *Row { panic("pending") }

// Err returns the error that ended the iteration.
func (it *Iter) Err() error { panic("pending") }

// Close releases the iterator; it may be called twice.
func (it *Iter) Close() { panic("pending") }

// Truncate removes all rows of tbl by giving it, and its indexes, new storage:
// the table's descriptor is replaced. The change log gets one record.
func (t *Txn) Truncate(tbl *catalog.Table) error { panic("pending") }

// BuildIndex fills the index ix of tbl, which must not have been written to,
// from the rows. It returns a *UniqueViolationError when ix is unique and two
// rows have the same key.
func (t *Txn) BuildIndex(tbl *catalog.Table, ix *catalog.Index) error { panic("pending") }

// Rekey rewrites the rows of old under the primary key of new, whose Storage
// and whose indexes' Storages must be new, and fills new's indexes. It puts no
// change records in the log: no row's content changes. The caller replaces the
// descriptor.
func (t *Txn) Rekey(old, new *catalog.Table) error { panic("pending") }

// SequenceNext takes count values and returns the first; the others follow at
// the sequence's increment. Where fewer are left before the sequence's bound,
// the block ends at the bound, which the caller knows from the descriptor.
// Error 2200H when none is left and the sequence does not cycle.
func (t *Txn) SequenceNext(s *catalog.Sequence, count int64) (first int64, err error) {
	panic("pending")
}

// SequenceState returns the sequence's last value and whether it has been
// taken; a new sequence's is its start value, not taken.
func (t *Txn) SequenceState(s *catalog.Sequence) (last int64, called bool, err error) {
	panic("pending")
}

// SequenceSet sets the sequence's last value and whether it has been taken.
// Like SequenceNext it is not undone by RollbackTo, only by the failure of the
// whole transaction.
func (t *Txn) SequenceSet(s *catalog.Sequence, last int64, called bool) error { panic("pending") }

// Mark is a savepoint. It is a small value.
type Mark struct{}

// Savepoint returns a mark to which RollbackTo can return. It is cheap enough
// to take around every statement.
func (t *Txn) Savepoint() Mark { panic("pending") }

// RollbackTo undoes everything since m, descriptors included. Marks taken after
// m are void afterwards; m itself is not.
func (t *Txn) RollbackTo(m Mark) { panic("pending") }

// StagedRows iterates over the rows of a COPY, inline or staged.
func (t *Txn) StagedRows(c *log.CopyData) *StagedIter { panic("pending") }

// StagedIter iterates over rows in stored form.
type StagedIter struct{}

// Next moves to the next row.
func (it *StagedIter) Next() bool { panic("pending") }

// Row returns the row in stored form (types.AppendRow). Datums decoded from it
// may be kept.
func (it *StagedIter) Row() []byte { panic("pending") }

// Err returns the error that ended the iteration: 58P01-like when a chunk is
// missing, 22P04 when the rows are malformed.
func (it *StagedIter) Err() error { panic("pending") }

package sm

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// applier is one Apply call: everything that its entries have changed and that
// nobody else can see before the batch is committed.
type applier struct {
	r     *Replica
	state state
	cat   *catalog.Catalog
	base  base
	over  *overlay
	batch *pebble.Batch
	spare []*pebble.Batch // replaced by larger ones before anything was in them
	pool  applyPools

	sums    map[catalog.StorageID]storageSum
	dropped []catalog.StorageID
	seqs    map[catalog.ID]committedSequence
	staged  map[log.StageID]stagedChunks
	// outcomes are those remembered by this call, by their keys.
	outcomes map[string]*Outcome
	loads    *loadTable
	checks   *checkTable
	slots    *slotTable
	// index is that of the entry being applied.
	index log.Index
	// verdict says that the replica stops once the batch is committed.
	verdict error
	seen    seen
	// full says that the batch takes no more entries.
	full bool

	catalogs []catalogVersion // published by this call
	hash     hasher
	buf      []byte
}

// applyPools keep the iterators of one Apply call. They are all made while the
// store does not change, so each sees the same state.
type applyPools struct{ points, scans iterPool }

// committedSequence is a sequence's state after an earlier entry of the call;
// live is false when the sequence was dropped.
type committedSequence struct {
	state sequenceState
	live  bool
}

// poison is why an entry could not be applied.
type poison struct {
	index log.Index
	cause error
}

func (p *poison) Error() string { return fmt.Sprintf("entry %d: %v", p.index, p.cause) }

// panicError is a panic of the Executor, or of sm itself. Its stack is for the
// operator, not for clients.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// Apply implements log.StateMachine. Effects of all entries are committed in
// one batch before anything is published or answered. An entry that cannot be
// applied halts the replica at the offset before it: the entries before are
// committed, it and all further ones are answered with a failure.
func (r *Replica) Apply(entries []log.Committed) ([][]byte, error) {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if r.closing {
		return nil, log.ErrClosed
	}
	answers := make([][]byte, 0, len(entries))
	for len(answers) < len(entries) && r.Halted() == nil {
		rest := entries[len(answers):]
		done, bad, err := r.applyBatch(rest)
		if bad != nil {
			// Whatever the entry left behind is thrown away with the whole call's
			// work; the entries before it are applied again without it.
			n := len(done)
			if done, err = r.applyAgain(rest[:n]); err == nil {
				r.halt(bad)
			}
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, done...)
	}
	for range len(entries) - len(answers) {
		a, err := r.refusal()
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// applyAgain applies entries that have been applied without trouble just now.
func (r *Replica) applyAgain(entries []log.Committed) ([][]byte, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	done, bad, err := r.applyBatch(entries)
	if bad != nil {
		return nil, fmt.Errorf("sm: applying is not deterministic: %w", bad)
	}
	return done, err
}

// applyBatch executes entries, commits their effects as one batch and publishes
// them. bad is the entry that could not be applied, and then nothing was
// committed; done has the answers of those before it. err means that the store
// failed.
func (r *Replica) applyBatch(entries []log.Committed) (done [][]byte, bad *poison, err error) {
	a := r.newApplier()
	defer func() { err = errors.Join(err, a.close()) }()
	began := a.state.index
	for i := range entries {
		c := &entries[i]
		if c.Index <= a.state.index {
			return done, nil, fmt.Errorf("sm: entry %d has been applied already, at %d", c.Index, a.state.index)
		}
		answer, cause := a.apply(c)
		if errors.Is(cause, errAlone) {
			break
		}
		if cause != nil {
			return done, &poison{index: c.Index, cause: cause}, nil
		}
		if done = append(done, answer); a.full {
			break
		}
	}
	if a.state.index == began {
		return done, nil, nil
	}
	if err := a.commit(); err != nil {
		return nil, nil, fmt.Errorf("sm: commit of entries up to %d: %w", a.state.index, err)
	}
	if a.verdict != nil {
		r.condemn(a.verdict)
	}
	return done, nil, nil
}

func (r *Replica) newApplier() *applier {
	p := r.published.Load()
	a := &applier{
		r: r, state: r.state, cat: p.catalog, over: &overlay{}, batch: p.store.db.NewBatch(),
		sums: map[catalog.StorageID]storageSum{}, seqs: map[catalog.ID]committedSequence{},
		staged: map[log.StageID]stagedChunks{}, outcomes: map[string]*Outcome{}, loads: p.loads, checks: p.checks, slots: p.slots,
	}
	a.base = base{store: p.store, points: &a.pool.points, scans: &a.pool.scans, asOf: keys.MaxVersion, loads: p.loads}
	return a
}

// close gives everything back that the call has used.
func (a *applier) close() error {
	err := errors.Join(a.base.close(), a.pool.points.drain(), a.pool.scans.drain(), a.batch.Close())
	for _, b := range a.spare {
		err = errors.Join(err, b.Close())
	}
	return err
}

// errAlone says that an entry has to be the first one of its batch. The chunks of
// loads are the only one as well: the versions that they write are always in the
// store before anybody can meet them, and the overlay, where transactions of one
// batch see each other's rows, knows only what is committed.
var errAlone = errors.New("sm: the entry begins the next batch")

// apply executes one entry. An error is a reason to halt: the entry's own
// failure is part of the answer.
func (a *applier) apply(c *log.Committed) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	e, err := log.DecodeEntry(c.Data)
	if err != nil {
		return nil, err
	}
	if e.Semantics > log.CurrentSemantics {
		return nil, fmt.Errorf("entry has semantics %d, this program knows up to %d", e.Semantics, log.CurrentSemantics)
	}
	if res, err := a.repeated(e); res != nil || err != nil {
		if err != nil {
			return nil, err
		}
		a.settle(c.Index, log.Seed{}, 0)
		return res.Append(nil)
	}
	loads := e.Kind == log.KindStage && e.Stage != nil && e.Stage.Load != nil
	if (loads || e.Kind == log.KindTruncate) && a.state.index != a.r.state.index {
		return nil, errAlone
	}
	a.full = a.full || loads
	a.index = c.Index
	res, err := a.execute(e, c.Data)
	if err != nil {
		return nil, err
	}
	a.settle(c.Index, e.Seed, endOf(res))
	return res.Append(nil)
}

// settle counts an applied entry. Its seed is zero when there is nothing to
// recognise it by.
func (a *applier) settle(index log.Index, seed log.Seed, end entryEnd) {
	a.state.index = index
	a.state.place++
	a.seen.add(a.state.place, seed, end)
}

func (a *applier) execute(e *log.Entry, data []byte) (*log.Result, error) {
	switch e.Kind {
	case log.KindCommand, log.KindTransaction:
		return a.transact(e, data, func(t *Txn) (log.Result, error) { return a.r.executor.Execute(t, e) })
	case log.KindReserve:
		return a.transact(e, data, func(t *Txn) (log.Result, error) { return reserve(t, e.Reserve) })
	case log.KindFence:
		return a.transact(e, data, func(*Txn) (log.Result, error) {
			a.state.semantics = max(a.state.semantics, e.Semantics)
			return log.Result{}, nil
		})
	case log.KindStage:
		if e.Stage != nil && e.Stage.Load != nil {
			return a.loadChunk(e, data)
		}
		return a.stage(e.Stage)
	case log.KindUnstage:
		return a.unstage(e.Stage)
	case log.KindCheck:
		return a.noteCheck(e.Check)
	case log.KindVote:
		return a.countVote(e.Vote)
	case log.KindSlot:
		return a.changeSlot(e)
	case log.KindTruncate:
		return a.truncate(e.Truncate)
	}
	return nil, fmt.Errorf("entry has the unknown kind %d", e.Kind)
}

// transact runs f in a transaction, and commits it or records its failure.
func (a *applier) transact(e *log.Entry, data []byte, f func(*Txn) (log.Result, error)) (*log.Result, error) {
	a.state.time = max(a.state.time+1, e.Time)
	if known, err := a.recall(e); known != nil || err != nil {
		return known, errors.Join(err, a.consume(e))
	}
	prev := a.state.offset
	t := a.begin(e)
	res, err := f(t)
	if err == nil && res.Err != nil {
		err = ErrorOf(res.Err)
	}
	if err != nil {
		var failure *sqlstate.Error
		if !errors.As(err, &failure) {
			return nil, err
		}
		res = log.Result{Offset: a.state.offset, Err: FailureOf(err)}
		t.over.rollback(0)
		if err := a.recordFailure(t, data, res.Err); err != nil {
			return nil, err
		}
	} else {
		if res.Offset, err = a.commitTxn(t, data); err != nil {
			return nil, err
		}
	}
	return &res, errors.Join(a.remember(t, e, prev, &res), a.consume(e))
}

func (a *applier) begin(e *log.Entry) *Txn {
	t := &Txn{
		r: a.r, base: &a.base, over: a.over, app: a, entry: e, cat: a.cat,
		offset: a.state.offset, end: a.state.end, time: a.state.time, budget: e.Budget,
	}
	t.nextIDs = nextIDs{id: a.state.nextID, storage: a.state.nextStorage, row: a.state.nextRow}
	a.base.own = nil
	return t
}

// reserve takes a block of sequence values for a proposer.
func reserve(t *Txn, r *log.Reserve) (log.Result, error) {
	if r == nil {
		return log.Result{}, sqlstate.New(sqlstate.InternalError, "reserve entry names no sequence")
	}
	s := t.Catalog().Sequence(catalog.ID(r.Sequence))
	if s == nil {
		return log.Result{}, sqlstate.New(sqlstate.UndefinedTable, "sequence with OID %d does not exist", r.Sequence)
	}
	first, err := t.SequenceNext(s, r.Count)
	return log.Result{Drawn: []log.DrawnValue{{Sequence: r.Sequence, Value: first}}}, err
}

// stage keeps a chunk of rows for a later entry. It takes no offset: nobody can
// see it.
func (a *applier) stage(s *log.Stage) (*log.Result, error) {
	if s == nil || s.Chunk < 0 || s.Chunk >= MaxStagedChunks {
		return a.refuse(sqlstate.New(sqlstate.InternalError, "stage entry has no usable chunk")), nil
	}
	c, ok := a.staged[s.ID]
	if !ok {
		c.rows = map[int][]byte{}
		a.staged[s.ID] = c
	}
	c.rows[s.Chunk] = append([]byte{}, s.Rows...)
	a.buf = keys.AppendStaged(a.buf[:0], s.ID, uint32(s.Chunk))
	return &log.Result{Offset: a.state.offset}, a.batch.Set(a.buf, s.Rows, nil)
}

// unstage forgets all chunks of a COPY that was given up.
func (a *applier) unstage(s *log.Stage) (*log.Result, error) {
	if s == nil {
		return a.refuse(sqlstate.New(sqlstate.InternalError, "unstage entry names no chunks")), nil
	}
	l := a.loads.staged(s.ID)
	if s.Sweep > 0 {
		return a.sweep(l, s.Sweep)
	}
	res := &log.Result{Offset: a.state.offset}
	if l != nil {
		return res, a.abortLoad(l, reasonGivenUp, "")
	}
	a.staged[s.ID] = stagedChunks{gone: true, rows: map[int][]byte{}}
	// How many there are is not known: a range deletion costs the same for any
	// number, and none outside the range of one COPY is touched.
	lo := keys.AppendStaged(nil, s.ID, 0)
	hi := keys.AppendStaged(nil, s.ID, MaxStagedChunks)
	return res, a.batch.DeleteRange(lo, hi, nil)
}

// consume deletes the chunks that an entry's statements have read, also when it
// failed: no other entry refers to them.
func (a *applier) consume(e *log.Entry) error {
	for i := range e.Statements {
		c := e.Statements[i].Copy
		if c == nil || c.Chunks == 0 {
			continue
		}
		if c.Loaded {
			if err := a.abortLoad(a.loads.staged(c.Stage), reasonGivenUp, ""); err != nil {
				return err
			}
			continue
		}
		a.staged[c.Stage] = stagedChunks{gone: true, rows: map[int][]byte{}}
		for n := range min(c.Chunks, MaxStagedChunks) {
			a.buf = keys.AppendStaged(a.buf[:0], c.Stage, uint32(n))
			if err := a.batch.Delete(a.buf, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) refuse(err error) *log.Result {
	return &log.Result{Offset: a.state.offset, Err: FailureOf(err)}
}

// refusal is the answer to an entry that a halted replica does not apply.
func (r *Replica) refusal() ([]byte, error) {
	res := log.Result{
		Offset: r.Position().Offset,
		Err:    FailureOf(sqlstate.New(sqlstate.IOError, "%v", r.Halted())),
	}
	return res.Append(nil)
}

// halt stops the replica for good, until it is opened again.
func (r *Replica) halt(p *poison) {
	h := &HaltedError{At: r.Position().Offset, Index: p.index, Cause: p.cause}
	r.halted.Store(h)
	attrs := []any{"log", uint64(r.opt.Log), "offset", h.At.String(), "entry", uint64(p.index), "error", p.cause}
	if panicked := (*panicError)(nil); errors.As(p.cause, &panicked) {
		attrs = append(attrs, "stack", string(panicked.stack))
	}
	r.log.Error("log is halted: an entry could not be applied; reads go on, writes are refused", attrs...)
	r.waiters.fail(h)
}
